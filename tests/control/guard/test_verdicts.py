"""Which verdict is shown of a candidate, and which counts as none."""

from __future__ import annotations

import pytest

from graysplit.control import Control
from graysplit.control.guard.verdicts import Heard
from graysplit.control.plan.approval import approval
from graysplit.control.proposal import propose
from graysplit.control.reading import read
from graysplit.control.steps import Step
from graysplit.core.changes import applied
from graysplit.core.fleet import Fleet
from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.settings import Action
from graysplit.core.guard.tally import Judgement
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.windows import WindowTotals
from graysplit.core.plan.plan import SAFE
from graysplit.errors import ConflictError, RefusedError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import ProgressUpdate
from graysplit.stores.text.judge import judge_text
from graysplit.stores.text.records import exact, progress_text, read_progress, read_tick, tick_text
from tests.clocks import MovedClock
from tests.control.judged import FIELD, WHY, judged, release_of, tripped
from tests.control.measured import clock, store
from tests.control.processes import MEASURED, live

__all__ = ["clock", "store"]  # fixtures

ACCEPTED = b"accepted:checkout/new"


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand on a guarded split at 20 %."""
    control = Control(store, actor="ada", confirm=True)
    control.create("checkout", ["old", "new"])
    live(store, declared=MEASURED)
    control.guard("checkout")
    control.set("checkout", 20)
    return control


def heard(control: Control) -> Heard:
    """Return what the guard says."""
    return control.show("checkout").verdicts[FIELD]


def test_a_verdict_is_shown_with_its_counts(store: MemoryStore, control: Control) -> None:
    """Of the release and the stage that stand, in `show` and in the overview."""
    judged(store, "unclear", "about 1,200 more users are needed on new")
    found = heard(control)
    assert (found.verdict.word, found.verdict.why) == ("unclear", "about 1,200 more users are needed on new")
    assert (found.release, found.stage) == (release_of(store)[0], 1)
    assert (tuple(found.calls), tuple(found.failures), tuple(found.exposed)) == ((1_408, 352), (12, 18), (400, 100))
    assert control.overview().verdicts == {FIELD: found}


def test_what_nobody_has_judged_is_unclear(control: Control) -> None:
    """Nothing was told yet."""
    assert heard(control).verdict == ("unclear", "not evaluated yet", None, "")


def test_an_old_verdict_is_none(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """Ten seconds after it was written nobody judges any more."""
    judged(store, "safe")
    assert heard(control).verdict.word == "safe"
    clock.now += 10.5
    assert heard(control).verdict == ("unclear", "not being evaluated", None, "")


def test_a_verdict_from_the_future_is_none(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """The clock was set back by an hour, and whoever judged may have died meanwhile."""
    judged(store, "safe")
    clock.now -= 3_600
    assert heard(control).verdict == ("unclear", "not being evaluated", None, "")


def test_a_verdict_on_another_weight_is_none(store: MemoryStore, control: Control) -> None:
    """Evidence is never carried over to another stage."""
    judged(store, "safe")
    control.set("checkout", 50)
    assert heard(control).verdict == ("unclear", "no calls counted at this weight yet", None, "")


def test_a_judge_that_is_none_is_nobody(store: MemoryStore, control: Control) -> None:
    """Whatever the store holds there."""
    judged(store, "safe")
    release, started_s = release_of(store)
    before = store.tally(FIELD, release, started_s).judge
    feed = store.follow()
    assert feed.judge(Judgement(FIELD, release, before, '{"nonce": 7, "verdict": [1]'))
    assert heard(control).verdict.why == "not evaluated yet"


def test_only_guarded_candidates_above_zero_have_one(store: MemoryStore, control: Control) -> None:
    """What was rolled back, and what nobody watches, is not asked about."""
    judged(store, "safe")
    control.create("search", ["old", "new"])
    control.set("search", 10)
    assert set(control.overview().verdicts) == {FIELD}
    assert [found.split for found in control.overview().guards] == ["checkout"]
    control.rollback("checkout")
    assert control.show("checkout").verdicts == {}


# --- approve ---------------------------------------------------------------------------------------------------------


def mark_of(store: MemoryStore) -> bytes | None:
    """Return the mark of accepted doubts."""
    return store.load().meta.fields.get(ACCEPTED)


def test_approving_accepts_the_doubts_of_this_stage(store: MemoryStore, control: Control) -> None:
    """Also where no plan runs; once more is said to be done already."""
    judged(store, "suspect")
    result = control.approve("checkout", why="known bug, ticket 12")
    assert mark_of(store) == f"{release_of(store)[0]} 1".encode()
    assert result.notes == (f"accepted for this stage, checkout/new is suspect: {WHY}",)
    assert (result.cause, control.history("checkout", 1)[0].why) == ("approve", "known bug, ticket 12")
    again = control.approve("checkout")
    assert (again.change, again.notes) == ("", ("checkout: approved already",))


@pytest.mark.parametrize("word", ["unclear", "safe", "no control"])
def test_without_doubts_a_step_must_wait(store: MemoryStore, control: Control, word: str) -> None:
    """As ever."""
    judged(store, word)
    with pytest.raises(RefusedError, match="no plan runs for 'checkout'"):
        control.approve("checkout")
    assert mark_of(store) is None


@pytest.mark.parametrize(("action", "accepts"), [("rollback", False), ("pause", True)])
def test_what_is_worse_is_accepted_only_where_it_is_not_rolled_back(
    store: MemoryStore, control: Control, action: Action, accepts: bool
) -> None:
    """A guard that pauses waits for a person; one that rolls back does not ask."""
    control.guard("checkout", action=action)
    judged(store, "worse")
    assert heard(control).doubted is accepts
    if not accepts:
        with pytest.raises(RefusedError, match="no plan runs"):
            control.approve("checkout")
    else:
        control.approve("checkout")
    assert (mark_of(store) is not None) is accepts


def test_doubts_of_a_stage_that_is_over_are_not_accepted(store: MemoryStore, control: Control) -> None:
    """At another weight they would count for nothing."""
    judged(store, "suspect")
    control.set("checkout", 50)
    assert not heard(control).doubted
    with pytest.raises(RefusedError):
        control.approve("checkout")


def test_doubts_can_be_accepted_while_nobody_judges(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """Nobody runs at night; in the morning they go on."""
    judged(store, "suspect")
    clock.now += 3_600
    assert heard(control).verdict.why == "not being evaluated"
    assert control.approve("checkout").change


def test_one_yes_opens_the_gate_and_accepts(store: MemoryStore, control: Control) -> None:
    """Where a step waits for it, both in one change; a step that waits for nobody is left alone."""
    control.ramp("checkout", (Step(20, approve=True), Step(50)))
    judged(store, "suspect")
    control.approve("checkout", 50)
    assert mark_of(store) is not None
    assert b'"approved":"ada","approves":50000' in store.load().plans.fields[b"checkout"]
    control.ramp("checkout", (Step(20, 60), Step(50)))
    judged(store, "suspect")
    again = control.approve("checkout")
    assert again.notes == ("checkout: approved already",)


def test_another_release_in_between_is_a_conflict(store: MemoryStore, control: Control) -> None:
    """Nobody accepts the doubts of a release that they have not seen."""
    judged(store, "suspect")
    reading = read(store)
    start = approval(reading, store.tally, "checkout", "ada")
    assert start is not None
    submission = propose(reading, applied(reading.snapshot, start.change), "c1").beginning(start).submission("ada", "")
    control.rollback("checkout")
    control.set("checkout", 20, unstop=True)
    with pytest.raises(ConflictError):
        store.submit(submission)


def test_deleting_takes_the_mark_along(store: MemoryStore, control: Control) -> None:
    """Nothing of a split is left behind."""
    judged(store, "suspect")
    control.approve("checkout")
    control.rollback("checkout")
    control.delete("checkout")
    assert mark_of(store) is None


# --- plans and waits -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "word", "said"),
    [
        ("rollback", "safe", "until safe"),
        ("rollback", "suspect", "the new version is suspect"),
        ("warn", "suspect", "now unclear"),
    ],
)
def test_a_plan_is_shown_with_the_verdict_it_waits_for(
    store: MemoryStore, control: Control, clock: MovedClock, action: Action, word: str, said: str
) -> None:
    """As its driver would: safe opens the gate, a doubt stops the clock, a guard that warns stops nothing."""
    control.guard("checkout", action=action)
    control.ramp("checkout", (Step(20, until=SAFE), Step(50)))
    confirm(store)
    clock.now += 1
    judged(store, word)
    plan = control.show("checkout").plan
    assert plan is not None
    if word == "safe":
        assert {gate.name: gate.open for gate in plan.gates}["until safe"]
    else:
        assert said in plan.why


def confirm(store: MemoryStore) -> None:
    """Note the first step as confirmed, as a driver does once all show it."""
    fields = store.load().plans.fields
    progress, tick = exact(fields[b"checkout"]), exact(fields[b"tick:checkout"])
    found = read_progress(progress)
    assert found is not None
    now_ms = store.fleet().now_ms
    noted = progress_text(found._replace(confirmed_ms=now_ms))
    feed = store.follow()
    assert feed.save_progress(
        ProgressUpdate("checkout", progress, tick, noted, tick_text(read_tick(tick)._replace(at_ms=now_ms)))
    )
    feed.close()


def test_safe_is_waited_for(store: MemoryStore, control: Control) -> None:
    """Met once the verdict says so; until then late, with the reason."""
    judged(store, "unclear", "about 1,200 more users are needed on new")
    late = control.wait_until("checkout", "safe", 0.0)
    assert (late.outcome, late.why) == ("late", "checkout/new is unclear: about 1,200 more users are needed on new")
    judged(store, "safe", "shown")
    met = control.wait_until("checkout", "safe", 0.0)
    assert (met.outcome, met.why) == ("met", "checkout/new is safe: shown")


def test_at_zero_nothing_becomes_safe(control: Control) -> None:
    """Nobody is on it."""
    control.set("checkout", 0)
    found = control.wait_until("checkout", "safe", 0.0)
    assert (found.outcome, found.why) == ("late", "nobody is on checkout/new")


class Falling(MemoryStore):
    """A store in which the guard rolls back between the first look at the fleet and the second."""

    looks = -1_000

    def fleet(self) -> Fleet:
        """Return the fleet; from the second time on, after the trip."""
        self.looks += 1
        if self.looks == 2:
            tripped(self)
        return super().fleet()


@pytest.mark.parametrize("until", ["safe", "done", "50"])
def test_a_wait_ends_where_the_guard_rolls_back(until: str) -> None:
    """At once, with the counts and the evidence."""
    store = Falling()
    control = Control(store, actor="ada", confirm=True)
    control.create("checkout", ["old", "new"])
    control.guard("checkout")
    control.ramp("checkout", (Step(20, approve=True), Step(50)))
    store.looks = 0
    found = control.wait_until("checkout", until, 30.0)
    assert (found.outcome, found.why) == ("undone", f"the guard rolled it back: {WHY}")


def test_a_trip_is_told_by_the_guard_with_its_counts(store: MemoryStore, control: Control) -> None:
    """One entry of its own cause; the weight goes to zero, and starting again is a new release."""
    judged(store, "worse")
    tripped(store)
    last = control.history("checkout", 1)[0]
    assert (last.cause, last.actor, last.why) == ("trip", "guard", WHY)
    assert control.show("checkout").rows[0].effective == "0"
    before = release_of(store)[0]
    control.set("checkout", 20, unstop=True)
    assert release_of(store)[0] != before
    assert heard(control).verdict.why == "not evaluated yet"


def unjudged(control: Control) -> list[str]:
    """Return what the doctor says of the guard."""
    return [f"{f.severity}: {f.what}" for f in control.doctor() if f.where == "guard of checkout"]


def test_a_guard_that_nobody_judges_is_told(store: MemoryStore, control: Control, clock: MovedClock) -> None:
    """Calls are counted and no process judges them: a problem. Judged, or nothing new to judge: none."""
    assert unjudged(control) == []  # it has only begun
    clock.now += 60
    live(store, declared=MEASURED)
    assert [text.partition(" since ")[0] for text in unjudged(control)] == ["note: checkout/new has no verdict"]
    judged(store, "unclear")
    assert unjudged(control) == []
    clock.now += 60
    live(store, declared=MEASURED)
    assert [text.partition(",")[0] for text in unjudged(control)] == ["problem: calls are counted"]
    assert "for 60 s" in unjudged(control)[0]
    judged_to_the_end(store)
    assert unjudged(control) == []
    clock.now += 60
    live(store, declared=MEASURED)
    assert unjudged(control) == []  # nobody judges, and nothing was counted since


def judged_to_the_end(store: MemoryStore) -> None:
    """Have everything judged that was counted."""
    release, started_s = release_of(store)
    feed = store.follow()
    tally = feed.tally(FIELD, release, started_s)
    stage = tally.stages[-1]
    cursor = {f"stage {stage.number}": WindowTotals(sum(stage.calls), 0, 0)}
    judge = Judge("nonce", tally.now_ms, Verdict("unclear", ""), stage.number, stage.stage.new, cursor)
    assert feed.judge(Judgement(FIELD, release, tally.judge, judge_text(judge)))
    feed.close()
