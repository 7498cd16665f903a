"""What `report` makes of what was counted: figures, the verdict, the course of a release."""

from __future__ import annotations

import pytest

from graysplit.control import Control
from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.tally import MICRO, Batch, Begun, Exposed, Failed, Goal, Judgement, Pair, Sample, Stage
from graysplit.core.guard.verdict import Verdict
from graysplit.errors import UnknownSplitError, UnknownVersionError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Trip
from graysplit.stores.text.judge import judge_text
from tests.clocks import MovedClock


class Counted:
    """A split at 20 % with a guard, in a memory store, and what a fleet has told of it."""

    def __init__(self, *versions: str) -> None:
        """Begin with nothing told."""
        self.clock = MovedClock()
        self.store = MemoryStore(clock=self.clock)
        self.control = Control(self.store, actor="ada@lab", confirm=True)
        self.control.create("checkout", versions or ("old", "new"))
        self.control.guard("checkout")
        self.clock.now += 1
        self._feed = self.store.follow()
        self._numbers = 0

    @property
    def now_s(self) -> int:
        """Return the server's second."""
        return int(self.clock.now)

    def release(self, field: str = "checkout/new") -> tuple[str, int]:
        """Return a release's id, and the second in which it began."""
        id_, _, ms = self.store.load().meta.fields[f"release:{field}".encode()].decode().partition(" ")
        return id_, int(ms) // 1000

    def tell(self, field: str = "checkout/new", new: int = 20_000, old: int = 80_000) -> None:
        """Tell of 100 users on new and 400 on old: a twentieth of the former fails, and a tenth converts."""
        self._numbers += 1
        seen = [
            *(Exposed(unit, on_new=True) for unit in range(100)),
            *(Exposed(400 + unit, on_new=False) for unit in range(400)),
        ]
        batch = Batch(
            field,
            *self.release(field),
            "tape",
            self._numbers,
            Stage(new, old, self._numbers),
            calls=(Begun(self.now_s, True, 200), Begun(self.now_s, False, 800)),
            failures=Pair(10, 8),
            errors=tuple(Failed(self.now_s, unit, on_new=True) for unit in range(1, 6)),
            exposed=tuple(seen),
            durations=({80: 400}, {90: 100}),
            goals=tuple(Goal("purchase", unit, MICRO) for unit in range(10)),
        )
        assert self._feed.flush(batch).applied

    def judge(self, verdict: Verdict, share: int = 20_000, field: str = "checkout/new") -> None:
        """Write a verdict, with a sample of the course."""
        release, began_s = self.release(field)
        before = self._feed.tally(field, release, began_s).judge
        sample = Sample(self.now_s, 1, verdict.word, share, 1.5, 6.75, Pair(800, 200), Pair(10, 8), Pair(1, 2))
        text = judge_text(Judge("n", self.now_s * 1000, verdict, 1, share))
        assert self._feed.judge(Judgement(field, release, before, text, sample=sample))

    def trip(self, why: str, field: str = "checkout/new") -> None:
        """Roll back as a guard does."""
        assert self._feed.trip(Trip("t-1", field, self.release(field)[0], why))


def test_what_was_told_is_reported() -> None:
    """Counts, goals, the verdict, the course, and the change that began it."""
    world = Counted()
    world.control.set("checkout", 20)
    world.clock.now += 10
    world.tell()
    world.clock.now += 10
    world.judge(Verdict("unclear", "about 1,300 more users are needed on new"))
    found = world.control.report("checkout")
    assert (found.split, found.namespace, found.now_ms, found.uncounted) == (
        "checkout",
        "default",
        world.now_s * 1000,
        {},
    )
    (release,) = found.releases
    assert (release.subject.release, release.subject.began_ms // 1000) == world.release()
    assert (release.subject.share, release.subject.left, release.subject.stop) == (20_000, 80_000, None)
    assert release.verdict == Verdict("unclear", "about 1,300 more users are needed on new")
    (stage,) = release.stages
    assert (stage.new.calls, stage.new.failures, stage.new.users, stage.new.failed) == (200, 8, 100, 5)
    assert (stage.old.calls, stage.old.failures, stage.old.users, stage.old.failed) == (800, 10, 400, 0)
    assert [(goal.name, goal.converted) for goal in stage.goals] == [("purchase", Pair(0, 10))]
    assert release.extra == pytest.approx(8 - 200 * 10 / 800)
    assert (len(release.course), len(release.paces)) == (1, 1)
    assert [entry.cause for entry in release.changes] == ["set"]


def test_a_trip_is_the_last_word_of_its_release() -> None:
    """The stop and the history say so too, however long ago it was."""
    world = Counted()
    world.control.set("checkout", 20)
    world.tell()
    world.judge(Verdict("worse", "18 users failed on new"))
    world.trip("18 users failed on new")
    world.clock.now += 3_600
    (release,) = world.control.report("checkout/new").releases
    assert release.verdict == Verdict("worse", "18 users failed on new")
    assert release.subject.stop is not None
    assert (release.subject.share, release.subject.stop[0]) == (0, "checkout/new")
    assert "18 users failed on new" in release.subject.stop[1]
    assert [entry.cause for entry in release.changes] == ["set", "trip"]


def test_at_a_hundred_percent_it_is_no_control_and_never_safe() -> None:
    """Also where the last verdict was `safe`, at the weight before."""
    world = Counted()
    world.control.set("checkout", 20)
    world.tell()
    world.judge(Verdict("safe", "shown"))
    assert world.control.report("checkout").releases[0].verdict.word == "safe"
    world.control.set("checkout", 100, allow_needless=True)
    world.tell(new=100_000, old=0)
    (release,) = world.control.report("checkout").releases
    assert release.verdict.word == "no control"
    assert [stage.control for stage in release.stages] == [True, False]


def test_where_nothing_was_counted_the_next_command_is_named() -> None:
    """No release, no guard, nobody on it, no calls."""
    world = Counted()

    def why() -> str:
        found = world.control.report("checkout")
        assert found.releases == ()
        return found.uncounted["checkout/new"]

    assert "graysplit ramp checkout/new" in why()
    world.control.set("checkout", 20)
    assert "graysplit fleet" in why()
    world.control.unguard("checkout")
    assert "graysplit guard checkout" in why()
    world.control.guard("checkout")
    world.control.rollback("checkout")
    assert "graysplit ramp checkout/new" in why()


def test_without_a_guard_what_was_counted_is_still_told() -> None:
    """By the guard that was: the verdict is none."""
    world = Counted()
    world.control.set("checkout", 20)
    world.tell()
    world.control.unguard("checkout")
    (release,) = world.control.report("checkout").releases
    assert (release.verdict.word, release.calls) == ("no guard", Pair(800, 200))


def test_each_candidate_is_reported_beside_the_baseline_alone() -> None:
    """Its chance of new is among the two; a named one is reported by itself."""
    world = Counted("a", "b", "c")
    world.control.set("checkout", weights={"b": 10, "c": 30})
    world.tell("checkout/b", 10_000, 60_000)
    found = world.control.report("checkout")
    assert ([one.subject.field for one in found.releases], [*found.uncounted]) == (["checkout/b"], ["checkout/c"])
    (release,) = world.control.report("checkout/b").releases
    assert (release.subject.share, release.subject.left) == (10_000, 60_000)
    assert release.stages[0].ratio is not None
    assert release.stages[0].ratio.expected == pytest.approx(500 / 7)
    assert world.control.report("checkout/c").releases == ()


def test_an_unknown_name_is_no_report() -> None:
    """Of a split or of a version."""
    world = Counted()
    with pytest.raises(UnknownSplitError, match="checkout"):
        world.control.report("chekout")
    with pytest.raises(UnknownVersionError, match="new"):
        world.control.report("checkout/nwe")
