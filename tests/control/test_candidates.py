"""A candidate more, a candidate less: on a split that stands, and nobody else moves (law 3)."""

from __future__ import annotations

import pytest

from graysplit import Control
from graysplit.control.operator import operator_of
from graysplit.control.steps import Step
from graysplit.core.changes import effects
from graysplit.core.fleet import Declared
from graysplit.errors import BadValueError, RefusedError, UnknownSplitError, UnknownVersionError
from graysplit.stores.memory import MemoryStore
from tests.control.processes import live

RANK = {"rank": Declared("a", ("a", "b", "c"), "route", 5)}


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds `rank` (a, b) with b at 20 %."""
    store = MemoryStore()
    control = Control(store, actor="ada")
    control.create("rank", ["a", "b"])
    control.set("rank", 20)
    return store


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand."""
    return Control(store, actor="ada", confirm=True)


def places(control: Control) -> dict[str, int | None]:
    """Return the place of every version."""
    reading = operator_of(control).read()
    return {version.name: version.place for version in reading.snapshot.splits["rank"].definition.versions}


def test_set_gives_a_candidate_of_live_code_the_next_free_place(control: Control, store: MemoryStore) -> None:
    """The others keep their places and their units; what receipts will show is the new one alone."""
    live(store, declared=RANK)
    before = operator_of(control).read().snapshot
    result = control.set("rank/c", 10)
    assert places(control) == {"a": None, "b": 0, "c": 1}
    done = effects(before, operator_of(control).read().snapshot)
    assert (done.weights, done.moved, done.needless) == ({"rank/c": (0, 10_000)}, 10_000, 0)
    assert (result.created, result.expected) == ((), {"rank/c": "10"})
    assert "c is a new candidate of rank, in place 1; the others stay" in result.notes
    assert control.history("rank", 1)[0].cause == "set"


@pytest.mark.parametrize("verb", ["several", "preview", "ramp", "switch", "simulate"])
def test_every_verb_that_raises_finds_it(control: Control, store: MemoryStore, verb: str) -> None:
    """One rule for all of them: what live code declares is there."""
    declared = RANK["rank"]._replace(warm={"c": ""})
    live(store, declared={"rank": declared})
    if verb == "simulate":
        control.simulate("rank/c", [Step(5, 60.0), Step(10)])
        assert "c" not in places(control)
        return
    {
        "several": lambda: control.set("rank", weights={"b": 5, "c": 5}),
        "preview": lambda: control.preview("rank/c"),
        "ramp": lambda: control.ramp("rank/c", [Step(5, 60.0), Step(10)]),
        "switch": lambda: control.switch("rank", to="c"),
    }[verb]()
    assert places(control)["c"] == 1


def test_what_nobody_declares_is_added_by_hand(control: Control, store: MemoryStore) -> None:
    """A mistyped version is no candidate; the refusal names the command."""
    with pytest.raises(UnknownVersionError, match=r"create rank --add c$"):
        control.set("rank/c", 10)
    result = control.create("rank", add="c")
    assert (result.moves, result.moved, places(control)["c"]) == ({"rank/c": (None, "0")}, 0, 1)
    assert control.set("rank/c", 10).moves == {"rank/c": ("0", "10")}
    with pytest.raises(RefusedError, match="already"):
        control.create("rank", add="c")
    with pytest.raises(BadValueError, match="takes no other versions"):
        control.create("rank", add="d", salt="x")
    with pytest.raises(UnknownSplitError):
        control.create("ranking", add="d")
    with pytest.raises(RefusedError, match="create rank --add VERSION"):
        control.create("rank", ["a", "b", "d"])


def test_removing_one_moves_nobody(control: Control) -> None:
    """A place is given once: the others keep theirs; the free one is used again only where that moves nobody."""
    for version in ("c", "d"):
        control.create("rank", add=version)
    control.set("rank", weights={"c": 10, "d": 30})
    control.rollback("rank/c")
    before = operator_of(control).read().snapshot
    result = control.delete("rank/c")
    assert (result.moves, result.moved) == ({"rank/c": ("0", None)}, 0)
    assert places(control) == {"a": None, "b": 0, "d": 2}
    assert effects(before, operator_of(control).read().snapshot).moved == 0
    control.create("rank", add="e")
    assert places(control)["e"] == 3, "at c's place it would drive d from its units as it grows"
    control.set("rank/e", 50)
    control.rollback("rank/e")
    control.delete("rank/e")
    control.set("rank/d", 0)
    control.create("rank", add="f")
    assert places(control)["f"] == 1, "nobody is on d now"
    assert not control.export()["stops"], "the stops of those removed went with them"


def test_undo_brings_one_back_where_it_was(control: Control) -> None:
    """Its definition byte for byte, at zero."""
    control.create("rank", add="c")
    control.delete("rank/c")
    control.undo("rank")
    assert places(control)["c"] == 1
    control.undo("rank")
    assert "c" not in places(control)


@pytest.mark.parametrize(
    ("weight", "said"), [(5, "at 5.*graysplit rollback rank/c"), ("preview", "at preview.*graysplit rollback rank/c")]
)
def test_one_above_zero_stays(control: Control, weight: float | str, said: str) -> None:
    """Also under a stop by hand, which may be cleared."""
    control.create("rank", add="c")
    control.set("rank/c", weight)
    with pytest.raises(RefusedError, match=said):
        control.delete("rank/c")
    operator_of(control).store.raw_set("stops", "rank/c", "by hand")  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match=said):
        control.delete("rank/c")


def test_what_names_it_comes_first(control: Control) -> None:
    """Pins and a plan that runs are named, with what to type; the baseline and the last candidate stay."""
    control.create("rank", add="c")
    control.pin("rank", "u-1", "c")
    with pytest.raises(RefusedError, match=r"1 unit is pinned to 'rank/c'.*graysplit unpin rank UNIT"):
        control.delete("rank/c")
    control.unpin("rank", "u-1")
    control.ramp("rank/c", [Step(5, 60.0), Step(10)])
    operator_of(control).store.raw_set("weights", "rank/c", "0")  # type: ignore[attr-defined] # and nobody has ended it yet
    with pytest.raises(RefusedError, match=r"a plan of 'rank/c' runs.*graysplit set rank/c 0"):
        control.delete("rank/c")
    control.set("rank/c", 0)
    control.delete("rank/c")
    assert operator_of(control).read().snapshot.splits["rank"].definition.plan is None
    with pytest.raises(RefusedError, match=r"baseline.*graysplit delete rank$"):
        control.delete("rank/a")
    control.set("rank/b", 0)
    with pytest.raises(RefusedError, match=r"only candidate.*graysplit delete rank$"):
        control.delete("rank/b")
    with pytest.raises(UnknownVersionError):
        control.delete("rank/z")


def test_a_freeze_does_not_hold_what_lets_nobody_in(control: Control) -> None:
    """Nor is a protected split asked for: one comes or goes at zero."""
    control.protect("rank")
    control.freeze("*")
    control.create("rank", add="c")
    control.delete("rank/c")
