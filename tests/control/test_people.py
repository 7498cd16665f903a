"""Two people and a guard over one plan: a yes is for the step that was seen, and what ends somebody's plan is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from graysplit import Control
from graysplit.control.plan.approval import SEEN_MS
from graysplit.control.steps import Step
from graysplit.core.guard.evaluation import EvaluationInput, Judge, look
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.verdict_rules import Watched
from graysplit.core.plan.plan import BadPlanError
from graysplit.core.plan.progress import Pause
from graysplit.errors import ConflictError, RefusedError
from graysplit.notices.payload import notice_of
from graysplit.stores.port import Submission, Written
from graysplit.stores.text.records import progress_text, read_progress
from tests.clocks import MovedClock
from tests.core.guard.test_evaluation import book, tally
from tests.model.member import Member
from tests.model.world import Store

APPROVED = (Step(20, approve=True), Step(50, approve=True), Step(100))
TIMED = (Step(20, 600), Step(50))


class Team:
    """Two operators over one store, and a process that drives."""

    def __init__(self) -> None:
        """Begin with a split at zero."""
        self.clock = MovedClock()
        self.store = Store(self.clock)
        self.ana = Control(self.store, actor="ana", confirm=True)
        self.bo = Control(self.store, actor="bo", confirm=True)
        self.ana.create("checkout", ("old", "new"))
        self.member = Member(self.store, self.clock, 1, old=False)
        self.live(1)

    def live(self, seconds: float) -> None:
        """Let time pass while the process lives."""
        for _ in range(int(seconds * 4)):
            self.clock.now += 0.25
            self.member.live()

    def weight(self) -> str:
        """Return the weight in force."""
        return self.ana.show("checkout").rows[0].effective

    def started(self, steps: tuple[Step, ...] = APPROVED) -> None:
        """Have Ana start a plan, and let it be shown."""
        self.ana.ramp("checkout", steps)
        self.live(SEEN_MS / 1_000 + 3)

    def runs(self) -> bool:
        """Return whether a plan runs."""
        return self.ana.show("checkout").plan is not None


@pytest.fixture
def team() -> Team:
    """Return a team."""
    return Team()


# --- a yes -----------------------------------------------------------------------------------------------------------


def test_two_people_who_approve_one_step_approve_one_step(team: Team) -> None:
    """1.7 s apart: the second one's screen showed the step before, and nothing more rises, named or not."""
    team.started()
    first = team.ana.approve("checkout")
    assert first.notes[0] == "approved: step 2 of 3 (50%)"
    team.live(1.75)
    assert team.weight() == "50"
    with pytest.raises(RefusedError, match=r"your screen may have shown.*graysplit approve checkout 100"):
        team.bo.approve("checkout")
    named = team.bo.approve("checkout", 50)
    assert (named.change, named.notes) == (
        "",
        ("checkout: step 2 of 3 (50%) has been taken already; nothing was approved",),
    )
    team.live(30)
    assert team.weight() == "50"


def test_the_bound_ends_and_the_last_step_asks_for_the_name(team: Team) -> None:
    """Ten seconds after the step a bare yes is one again; to 100 % it is asked as `set 100` is."""
    team.started()
    team.ana.approve("checkout", "50%")
    team.live(SEEN_MS / 1_000 + 3)
    bo = Control(team.store, actor="bo")
    with pytest.raises(RefusedError, match=r"lets a plan send everybody to checkout/new.*confirm='checkout'"):
        bo.approve("checkout")
    said = bo.approve("checkout", confirm="checkout")
    assert (said.plan or {})["approves"] == 100
    team.live(3)
    assert team.weight() == "100"


def test_a_yes_for_another_step_than_the_next_is_refused(team: Team) -> None:
    """The one after next needs its own, when it is next."""
    team.started()
    with pytest.raises(RefusedError, match=r"'100' is not the step that 'checkout' takes next: the next is step 2"):
        team.ana.approve("checkout", 100)
    with pytest.raises(RefusedError, match="'33' is not the step"):
        team.ana.approve("checkout", 33)
    assert team.ana.approve("checkout", 20).change == ""


def test_an_early_yes_is_noted_and_counts_for_that_step_alone(team: Team) -> None:
    """Receipt, JSON and history name the step; the one after it asks again."""
    steps = tuple(replace(step, after=60) for step in APPROVED[:2]) + APPROVED[2:]
    team.ana.ramp("checkout", steps)
    said = team.bo.approve("checkout", 50, why="saw the graphs")
    assert said.plan is not None
    assert (said.plan["approves"], said.plan["early"], said.plan["gates"]) == (50, True, ["after 1m", "approve"])
    assert "early, before its other gates are open" in said.notes[0]
    entry = team.ana.history("checkout", 1)[0]
    assert (entry.cause, entry.actor, entry.why) == ("approve", "bo", "step 2 of 3 (50%), early: saw the graphs")
    team.live(70)
    assert team.weight() == "50"
    team.live(300)
    assert team.weight() == "50"


def test_what_an_older_library_approved_counts_for_the_step_it_stood_at(team: Team) -> None:
    """Its record names no step: it stood at one, and each step begins without a yes."""
    old = read_progress('{"run":"r","release":"x","step":0,"at":20000,"since_ms":1,"approved":"ana"}')
    assert old is not None
    assert old.approved_for(50_000)
    new = old._replace(approves=50_000)
    assert not new.approved_for(100_000)
    assert '"approved":"ana"' in progress_text(new)  # what an older one reads, for the step that is next
    team.started()
    text = team.store._space.text("plans", "checkout") or ""
    team.store.raw_set("plans", "checkout", text[:-1] + ',"approved":"ana"}')
    team.live(3)
    assert team.weight() == "50"
    team.live(60)
    assert team.weight() == "50"


@pytest.mark.parametrize("verb", ["ramp", "approve"])
def test_a_freeze_and_protection_hold_back_a_yes_and_a_start(team: Team, verb: str) -> None:
    """A ramp raises to its last step although its first lowers nothing; so does a yes."""
    team.ana.set("checkout", 20)
    if verb == "approve":
        team.started()
    act: Callable[..., object] = team.ana.ramp if verb == "ramp" else team.ana.approve
    steps = {"steps": APPROVED} if verb == "ramp" else {}
    team.ana.freeze("checkout", why="audit")
    with pytest.raises(RefusedError, match="audit"):
        act("checkout", **steps)
    team.ana.unfreeze("checkout")
    team.ana.protect("checkout")
    with pytest.raises(RefusedError, match="give a reason with --why"):
        act("checkout", **steps)
    with pytest.raises(RefusedError, match="confirm='checkout'"):
        act("checkout", **steps, why="ticket 1", confirm="another")
    act("checkout", **steps, why="ticket 1", confirm="checkout")


def test_a_protected_split_at_its_first_step_is_asked_for_its_last(team: Team) -> None:
    """`ramp checkout 20,100 --every 2s` at 20 %: reason and name, or nothing of it."""
    team.ana.set("checkout", 20)
    team.ana.protect("checkout")
    steps = (Step(20, 2), Step(100))
    with pytest.raises(RefusedError, match="give a reason with --why"):
        team.ana.ramp("checkout", steps)
    with pytest.raises(RefusedError, match="send everybody to checkout/new"):
        Control(team.store, actor="ana").ramp("checkout", steps, why="ticket 1")
    team.live(10)
    assert team.weight() == "20"


def test_an_acceptance_never_makes_a_guard_act_beyond_its_action() -> None:
    """With `pause` and `warn` the evidence that convicts is a doubt; accepted, it is neither a doubt nor a trip."""
    for action in ("pause", "warn"):
        case = EvaluationInput(Guard(action), Watched(), 1_000)  # type: ignore[arg-type] # one of its words
        for accepted in (0, 1):
            verdict = look(
                tally(book(18, 12, 352, 1_408)), Judge(), case._replace(accepted=accepted), "me"
            ).judge.verdict
            assert verdict.word == ("unclear" if accepted else "suspect")
            assert "18 users failed" in verdict.why
    convicts = EvaluationInput(Guard(), Watched(), 1_000, accepted=1)
    assert look(tally(book(18, 12, 352, 1_408)), Judge(), convicts, "me").judge.verdict.word == "worse"


# --- steps without a gate --------------------------------------------------------------------------------------------


def test_steps_without_a_gate_are_refused_unless_it_is_said(team: Team) -> None:
    """In steps, files and templates, and of the last plan; `after=0` says it, and is kept."""
    bare = (Step(5), Step(20), Step(50))
    record = {"steps": [{"weight": "5"}, {"weight": "50"}]}
    for given in ({"steps": bare}, {"plan": record}):
        with pytest.raises(BadPlanError, match=r"no gate between 5 % and .*--every 0"):
            team.ana.ramp("checkout", **given)  # type: ignore[arg-type] # one way to say it
        with pytest.raises(BadPlanError, match="no gate"):
            team.ana.simulate("checkout", **given)  # type: ignore[arg-type] # the same
    team.store.raw_set("meta", "template:fast", '{"steps":[{"weight":"5"},{"weight":"50"}]}')
    with pytest.raises(BadPlanError, match="no gate"):
        team.ana.ramp("checkout", template="fast")
    assert team.weight() == "0"
    team.ana.ramp("checkout", tuple(replace(step, after=0) for step in bare))
    team.live(16)
    assert team.weight() == "50"
    team.ana.rollback("checkout")
    team.ana.ramp("checkout", unstop=True)


def test_one_that_runs_without_gates_goes_on(team: Team) -> None:
    """An older library has started it: it is stepped as it was meant, and doctor says so meanwhile."""
    team.ana.ramp("checkout", (Step(5, 0), Step(20, 600), Step(50)))
    raw = team.store._space.text("splits", "checkout") or ""
    team.store.raw_set("splits", "checkout", raw.replace(', "after": "0s"', "").replace(',"after":"0s"', ""))
    found = [one for one in team.ana.doctor() if one.where == "plan of checkout"]
    assert [("no gate" in one.what, one.severity) for one in found] == [(True, "note")]
    team.live(10)
    assert team.weight() == "20"


# --- whose plan it is ------------------------------------------------------------------------------------------------


def test_the_same_weight_is_no_change(team: Team) -> None:
    """The plan goes on, and the receipt says so; to end it there takes `replace`."""
    team.started(TIMED)
    said = team.bo.set("checkout", 20)
    assert said.ended == {}
    assert said.notes[0].startswith("the weight does not change: the plan of 'checkout', step 1 of 2 (20%)")
    assert team.runs()
    over = team.bo.set("checkout", 20, replace=True)
    assert list(over.ended) == ["checkout"]
    assert not team.runs()
    assert team.weight() == "20"


ENDINGS: dict[str, Callable[[Control, bool], object]] = {
    "set": lambda control, replace: control.set("checkout", 30, replace=replace),
    "a lower set": lambda control, replace: control.set("checkout", 5, replace=replace),
    "ramp": lambda control, replace: control.ramp("checkout", TIMED, replace=replace),
    "preview": lambda control, replace: control.preview("checkout", replace=replace),
}


@pytest.mark.parametrize("act", list(ENDINGS.values()), ids=list(ENDINGS))
@pytest.mark.parametrize("paused", [False, True], ids=["somebody else's", "paused"])
def test_a_plan_of_somebody_else_or_paused_is_not_ended_unasked(
    team: Team, act: Callable[[Control, bool], object], paused: bool
) -> None:
    """It takes `replace`, or a person who is shown it; and then it is told in receipt and history."""
    team.started(TIMED)
    if paused:
        team.bo.pause("checkout", why="do not touch")
    who = team.ana if paused else team.bo
    with pytest.raises(RefusedError, match=r"this ends the plan of 'checkout', step 1 of 2 \(20%\), started by ana"):
        act(who, False)
    assert team.runs()
    act(who, True)
    entry = team.ana.history("checkout", 1)[0]
    assert entry.before["meta plan:checkout"]
    assert entry.after["meta plan:checkout"] != entry.before["meta plan:checkout"]
    assert b'"ended_plans": ["checkout"]' in notice_of(entry, "default").body


def test_ones_own_plan_ends_without_a_question_and_is_told(team: Team) -> None:
    """Nobody asks its owner; receipt, history and hook say that it is over."""
    team.started(TIMED)
    said = team.ana.set("checkout", 30)
    assert list(said.ended) == ["checkout"]
    assert said.notes[0].startswith("ends the plan of 'checkout', step 1 of 2 (20%), started by ana")
    assert team.ana.history("checkout", 1)[0].after["meta plan:checkout"] is None


@pytest.mark.parametrize("act", [lambda c: c.rollback("checkout"), lambda c: c.set("checkout", 0)])
def test_going_to_zero_asks_nobody(team: Team, act: Callable[[Control], object]) -> None:
    """Whoever's plan it is, and paused or not."""
    team.started(TIMED)
    team.ana.pause("checkout", why="do not touch")
    act(Control(team.store, actor="bo"))
    assert team.weight() == "0"
    assert not team.runs()
    entry = team.ana.history("checkout", 1)[0]
    assert entry.after.get("meta plan:checkout", "") is None


def test_each_pause_has_its_own_resume(team: Team) -> None:
    """Two reasons stand beside each other; who did not pause cannot end one without saying so."""
    team.started(TIMED)
    team.ana.pause("checkout", why="lunch")
    assert team.ana.pause("checkout", why="lunch").change == ""
    second = team.bo.pause("checkout", why="do not touch")
    assert [pause["why"] for pause in (second.plan or {})["pauses"]] == ["lunch", "do not touch"]  # type: ignore[attr-defined] # a list of them
    plan = team.ana.show("checkout").plan
    assert plan is not None
    assert "paused by ana for 0 s: lunch, and by bo for 0 s: do not touch" in plan.why
    with pytest.raises(RefusedError, match=r"not by cy.*graysplit resume checkout --all"):
        Control(team.store, actor="cy").resume("checkout")
    assert "still paused by bo for 0 s: do not touch" in team.ana.resume("checkout").notes
    team.live(700)
    assert team.weight() == "20"
    team.bo.resume("checkout")
    team.live(700)
    assert team.weight() == "50"


def test_pauses_survive_a_driver_of_an_older_library() -> None:
    """It knows one pause, and writes that anew: of both people, so that neither ends the other's alone."""
    both = read_progress('{"run":"r","step":0,"at":1}')
    assert both is not None
    both = both._replace(pauses=(Pause("ana", "lunch", 1), Pause("bo", "do not touch", 2)))
    text = progress_text(both)
    assert read_progress(text) == both
    cut = text[: text.index(',"pauses"')] + "}"
    old = read_progress(cut)
    assert old is not None
    assert old.pauses == (Pause("ana, bo", "lunch; do not touch", 1),)


def test_a_release_is_not_finished_under_way(team: Team) -> None:
    """Not while its plan runs, and not below 100 % unless the share is named."""
    team.started(TIMED)
    with pytest.raises(RefusedError, match=r"still runs.*graysplit set checkout 20 --replace"):
        team.ana.finish("checkout", at=20)
    team.ana.set("checkout", 1)
    with pytest.raises(RefusedError, match=r"below 100 %.*--at 1$"):
        team.ana.finish("checkout")
    assert team.ana.rollback("*").left == ()
    team.ana.set("checkout", 95, unstop=True)
    team.ana.finish("checkout", at=95)


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_a_plan_that_is_not_understood_is_found(team: Team) -> None:
    """By doctor, as a problem: nobody of this library drives it."""
    team.started(TIMED)
    raw = team.store._space.text("splits", "checkout") or ""
    team.store.raw_set("splits", "checkout", raw.replace('"steps"', '"needs": 3, "steps"'))
    found = next(one for one in team.ana.doctor() if one.where == "plan of checkout")
    assert (found.severity, "needs" in found.what) == ("problem", True)


def test_the_history_of_a_split_shows_the_freezes_that_held_it(team: Team) -> None:
    """By its name or a pattern, with their end; those of others are not among them."""
    team.ana.freeze("check*", why="audit")
    team.ana.freeze("search", why="other")
    team.ana.unfreeze("check*")
    team.ana.set("checkout", 5)
    causes = [(entry.cause, entry.split) for entry in team.ana.history("checkout")]
    assert causes == [("set", "checkout"), ("unfreeze", "check*"), ("freeze", "check*"), ("create", "checkout")]


def test_a_conflict_speaks_of_plans(team: Team) -> None:
    """Not of a definition of so many characters."""
    team.ana.set("checkout", 20)
    late = Control(Meanwhile(team.store, lambda: team.bo.ramp("checkout", TIMED)), actor="ana", confirm=True)
    with pytest.raises(ConflictError) as told:
        late.ramp("checkout", (Step(20, 5), Step(60)))
    assert "characters" not in str(told.value)
    assert "plan" in str(told.value)


class Meanwhile:
    """A store to which somebody else writes just before the first change of this one."""

    def __init__(self, store: Store, act: Callable[[], object]) -> None:
        """Wrap a store."""
        self._store = store
        self._acts = iter([act])

    def __getattr__(self, name: str) -> object:
        """Return what the store gives, after the other one has acted where it is a change."""
        return self._submit if name == "submit" else getattr(self._store, name)

    def _submit(self, submission: Submission) -> Written:
        with suppress(StopIteration):
            next(self._acts)()
        return self._store.submit(submission)
