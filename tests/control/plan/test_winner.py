"""One verb chooses a winner: everybody to it and the others to zero, asked as any raise to 100 %, doubted aloud."""

from __future__ import annotations

import pytest

from graysplit.cli.guard.report_lines import report_lines
from graysplit.control.steps import Step
from graysplit.core.guard.tally import MICRO, Batch, Begun, Exposed, Goal, Pair, Stage
from graysplit.errors import RefusedError, UnknownVersionError
from graysplit.words.report_values import report_json
from graysplit.words.result import result_json
from tests.control.guard.test_report import Counted


class Ranking(Counted):
    """Two candidates at 20 % each, and what a fleet has told of either and of the baseline."""

    def __init__(self) -> None:
        """Begin with both at 20 %."""
        super().__init__("a", "b", "c")
        self.revision = self.control.set("checkout", weights={"b": 20, "c": 20}).revision

    def met(self, version: str, bought: int, *, users: int = 2_000) -> None:
        """Tell of so many users on a candidate, and thrice as many on the baseline, a tenth of whom bought."""
        self._numbers += 1
        first = 0 if version == "b" else 1 << 20
        exposed = [Exposed(first + unit, on_new=True) for unit in range(users)]
        exposed += [Exposed((1 << 24) + unit, on_new=False) for unit in range(3 * users)]
        goals = [*range(first, first + bought), *range(1 << 24, (1 << 24) + 3 * users // 10)]
        batch = Batch(
            f"checkout/{version}",
            *self.release(f"checkout/{version}"),
            "tape",
            self._numbers,
            Stage(20_000, 60_000, self.revision),
            calls=(Begun(self.now_s, True, users), Begun(self.now_s, False, 3 * users)),
            failures=Pair(),
            exposed=tuple(exposed),
            goals=tuple(Goal("purchase", unit, MICRO) for unit in goals),
        )
        assert self._feed.flush(batch).applied

    @property
    def weights(self) -> dict[str, str]:
        """Return the weights as the store has them."""
        found = self.store.load().weights.fields
        return {raw.decode().partition("/")[2]: found[raw].decode() for raw in found if b"/" in raw}


@pytest.fixture
def world() -> Ranking:
    """Return two candidates of which b does better."""
    made = Ranking()
    made.met("b", 600)
    made.met("c", 200)
    return made


def test_the_report_has_the_candidates_beside_each_other(world: Ranking) -> None:
    """In the text and in JSON, with the number of comparisons; one that is named has its own."""
    found = world.control.report("checkout")
    (shared,) = found.pairs[0].stages
    goal = shared.goals[0]
    assert (goal.converted, goal.users) == ((600, 200), (2_000, 2_000))
    assert goal.rates is not None
    assert goal.rates.jointly.difference.low > 0.1
    lines = report_lines(found)
    at = lines.index("checkout/b compared with checkout/c")
    assert lines[at + 1].startswith("stage of b at 20% and c at 20%, since ")
    assert lines[at + 4].startswith("  goal purchase: b 600 of 2,000 (30.00%); c 200 of 2,000 (10.00%)")
    assert lines[-1].startswith("bounds: 95 % for this pair and stage alone. The split has 3 comparisons")
    (told,) = report_json(found)["pairs"]  # type: ignore[misc] # a list of one
    assert (told["candidates"], told["comparisons"]) == (["b", "c"], 3)
    assert told["stages"][0]["goals"]["purchase"]["converted"] == {"b": 600, "c": 200}
    assert told["stages"][0]["weights"] == {"b": 20, "c": 20}
    assert len(world.control.report("checkout/c").pairs) == 1
    assert [one.subject.version for one in world.control.report("checkout/c").releases] == ["c"]


def test_one_change_gives_everybody_to_the_winner(world: Ranking) -> None:
    """The history says who won over whom; it asks for the name, and what is shown is not doubted."""
    with pytest.raises(RefusedError, match="this sends everybody to checkout/b"):
        world.control.winner("checkout", "b", confirm="other")
    result = world.control.winner("checkout", "b", confirm="checkout", why="it sells")
    assert (result.cause, result.doubts, world.weights) == ("winner", (), {"b": "100", "c": "0"})
    assert result.unwatched.startswith("checkout/b at 100 % has no control")
    entry = world.control.history("checkout", 1)[0]
    assert (entry.cause, entry.why) == ("winner", "b won over a, c: it sells")
    assert result_json(result)["doubts"] == []
    assert world.control.winner("checkout", "b").ended == {}


def test_what_is_not_shown_is_a_warning_and_no_refusal(world: Ranking) -> None:
    """Worse than a rival, not shown to be better, never compared."""
    loser = world.control.winner("checkout", "c", dry_run=True)
    beside_b, beside_a = sorted(loser.doubts, reverse=True)
    assert beside_a.startswith("c does worse than b on purchase: -2")
    assert beside_b.startswith("nothing shows that c does better than a on purchase: -")
    assert [f"warning: {doubt}" for doubt in loser.doubts] == [*loser.notes[:2]]
    assert result_json(loser)["doubts"] == list(loser.doubts)
    baseline = world.control.winner("checkout", "a", dry_run=True)
    assert any(doubt.startswith("a does worse than b on purchase: -") for doubt in baseline.doubts)
    new = Ranking()
    nothing = "b was not compared with {}: nothing was counted of both at the same time"
    assert new.control.winner("checkout", "b", dry_run=True).doubts == (nothing.format("a"), nothing.format("c"))


def test_the_baseline_may_win(world: Ranking) -> None:
    """A plain zero for all, no stop; a plan never lowers."""
    with pytest.raises(RefusedError, match=r"'a' is the baseline .* graysplit winner checkout a"):
        world.control.winner("checkout", "a", [Step(100)])
    result = world.control.winner("checkout", "a")
    assert (world.weights, result.stops, result.unwatched) == ({"b": "0", "c": "0"}, {}, "")
    with pytest.raises(UnknownVersionError):
        world.control.winner("checkout", "d")


def test_by_a_plan_the_others_fall_with_its_first_step(world: Ranking) -> None:
    """One change; the plan has the room that they leave, and asks what a raise to its last step asks."""
    steps = (Step(20, 60), Step(50, 60), Step(100))
    with pytest.raises(RefusedError, match="lets a plan send everybody to checkout/b"):
        world.control.winner("checkout", "b", steps, confirm="other")
    result = world.control.winner("checkout", "b", steps)
    assert (result.cause, world.weights) == ("winner", {"b": "20", "c": "0"})
    assert result.notes[0] == "step 1 of 3: 20%, then 50% (after 1m)"
    plan = world.control.show("checkout").plan
    assert plan is not None
    assert (plan.version, plan.steps) == ("b", 3)
    again = world.control.winner("checkout", "b", dry_run=True)
    assert again.ended["checkout"].startswith("the plan of 'checkout', step 1 of 3 (20%), started by ada@lab")
    world.control.pause("checkout", why="wait")
    with pytest.raises(RefusedError, match=r"this ends the plan of 'checkout'.*replace=True"):
        world.control.winner("checkout", "b", confirm="checkout")
    assert world.control.winner("checkout", "b", confirm="checkout", replace=True).ended
    assert world.control.show("checkout").plan is None


def test_it_is_judged_as_a_raise(world: Ranking) -> None:
    """Protection wants a reason, a freeze refuses, a stop is cleared only on purpose."""
    world.control.protect("checkout")
    with pytest.raises(RefusedError, match="protected"):
        world.control.winner("checkout", "b")
    world.control.freeze("checkout", why="holidays")
    with pytest.raises(RefusedError, match="frozen"):
        world.control.winner("checkout", "b", why="it sells")
    world.control.unfreeze("checkout")
    world.control.rollback("checkout/b")
    with pytest.raises(RefusedError, match="clears the stop"):
        world.control.winner("checkout", "b", why="it sells", confirm="checkout")
    assert world.control.winner("checkout", "b", why="it sells", unstop=True).cleared
    assert world.weights == {"b": "100", "c": "0"}
