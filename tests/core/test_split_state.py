"""A change touches its split alone; which stop holds what."""

from __future__ import annotations

from hypothesis import given

from graysplit.core.changes import effects
from graysplit.core.definition import define
from graysplit.core.replica.lazy_splits import Judgements, ReadableSplits, UnreadableSplits
from graysplit.core.split_state import SAME, Change, Snapshot, SplitState, apply, raises
from graysplit.core.weights import FULL, PREVIEW
from tests.strategies import plain, split_states

START = Snapshot({"checkout": plain({"new": 20_000}), "search": plain({"new": 5_000})._replace(split="search")})


def test_a_change_touches_its_split_alone() -> None:
    """The snapshot before stays as it is, the other splits are the same objects' equals, the revision grows."""
    after = apply(START, Change("set", "checkout", {"checkout/new": 50_000}))
    assert after.splits["checkout"].in_force("new") == 50_000
    assert START.splits["checkout"].in_force("new") == 20_000
    assert after.splits["search"] == START.splits["search"]
    assert after.revision == START.revision + 1


def test_a_weight_taken_away_is_zero() -> None:
    """None takes a field away, and a missing weight is 0."""
    assert apply(START, Change("set", "checkout", {"checkout/new": None})).splits["checkout"].asked("new") == 0


def test_a_stop_on_everything_lies_on_every_split() -> None:
    """`*` holds all candidates at zero, and the weights asked for stand."""
    stopped = apply(START, Change("rollback", "*", stops={"*": "fire"}))
    for split_state in stopped.splits.values():
        assert split_state.in_force("new") == 0
        assert split_state.asked("new") > 0
        assert split_state.stop_on("new") == "*"
    assert apply(stopped, Change("unstop", "*", stops={"*": None})).splits == START.splits


def test_the_narrowest_stop_is_named() -> None:
    """Version before split before everything."""
    stops = {"*": "", "checkout": "", "checkout/new": ""}
    split_state = plain({"new": 1})._replace(stops=stops)
    assert split_state.stop_on("new") == "checkout/new"
    assert split_state._replace(stops={"*": "", "checkout": ""}).stop_on("new") == "checkout"
    assert split_state._replace(stops={"checkout/b": ""}).stop_on("new") is None


def test_a_split_is_made_and_deleted() -> None:
    """A definition makes a split, None takes it away, `SAME` leaves it alone."""
    definition = define("banner", ("old", "new"))
    made = apply(START, Change("create", "banner", {"banner/new": 0}, definition=definition))
    assert made.splits["banner"].definition == definition
    assert "banner" not in apply(made, Change("delete", "banner", {"banner/new": None}, definition=None)).splits
    assert apply(made, Change("set", "banner", definition=SAME)).splits["banner"] == made.splits["banner"]


def test_a_stop_laid_before_the_split_was_made_holds_it() -> None:
    """Stops on splits that nobody defined are kept, and count from the first moment."""
    stopped = apply(START, Change("rollback", "banner", stops={"banner": "not yet"}))
    made = apply(stopped, Change("create", "banner", {"banner/new": 9}, definition=define("banner", ("old", "new"))))
    assert made.splits["banner"].in_force("new") == 0


def test_releases_are_remembered() -> None:
    """A change carries the releases that begin with it."""
    assert apply(START, Change("set", "checkout", releases={"checkout/new": "r1"})).releases == {"checkout/new": "r1"}


@given(split_states(), split_states())
def test_what_is_in_force_decides_whether_a_change_raises(before: SplitState, after: SplitState) -> None:
    """A change raises exactly if some candidate's weight in force lets somebody in."""
    for name in (version.name for version in after.definition.candidates):
        was, now = before.in_force(name), after.in_force(name)
        if was == 0 and now != 0:
            assert raises(before, after)
    assert raises(after, after) is False
    assert raises(after, None) is False
    assert raises(None, after) is any(after.in_force(v.name) != 0 for v in after.definition.candidates)


def test_more_than_everything_is_seen() -> None:
    """Raw edits may ask for more than 100 % together."""
    assert plain({"new": 60_000, "b": 40_001}).overfull()
    assert not plain({"new": 60_000, "b": 40_000}).overfull()
    assert not plain({"new": 100_000})._replace(weights={"new": 100_000, "b": PREVIEW}).overfull()


def test_another_baseline_is_a_raise_by_name() -> None:
    """Everybody who was on the old baseline moves: the new one rises from its share, at whatever weight it stood."""
    before = SplitState("checkout", define("checkout", ("old", "new")), {"new": 30_000})
    after = SplitState("checkout", define("checkout", ("new", "old")), {"new": 30_000, "old": 0})
    assert raises(before, after)
    assert (before.reach("new"), after.reach("new"), before.reach("old"), after.reach("old")) == (
        30_000,
        100_000,
        70_000,
        0,
    )
    done = effects(Snapshot({"checkout": before}), Snapshot({"checkout": after}))
    assert done.weights == {"checkout/old": (70_000, 0), "checkout/new": (30_000, 100_000)}
    assert (done.risen, done.moved, done.needless) == (("checkout/new",), 70_000, 0)
    full = before._replace(weights={"new": FULL})
    assert not raises(full, after), "who is everybody's version already may become the baseline"
    assert effects(Snapshot({"checkout": full}), Snapshot({"checkout": after})).weights == {}
    assert not raises(None, after), "a record that is new lets nobody in: code without one answers with its own"


def test_a_change_of_one_split_judges_no_other() -> None:
    """Of thousands of definitions those are parsed that a change is about, once; both snapshots name all of them."""
    asked: list[str] = []

    def judge(split: str, _: bytes) -> SplitState | str | None:
        asked.append(split)
        return {"bad": "cannot be read", "gone": None}.get(split, plain({"new": 5_000})._replace(split=split))

    raws = dict.fromkeys(("checkout", "search", "bad", "gone"), b"{}")
    judgements = Judgements(raws, judge)
    before = Snapshot(ReadableSplits(judgements))
    after = apply(before, Change("set", "checkout", {"checkout/new": 7_000}, stops={"search": "fire"}))
    assert effects(before, after).weights == {"checkout/new": (5_000, 7_000), "search/new": (5_000, 0)}
    assert sorted(asked) == ["checkout", "search"]

    assert sorted(after.splits) == sorted(before.splits) == ["checkout", "search"]
    assert dict(UnreadableSplits(judgements)) == {"bad": "cannot be read"}
    assert "gone" not in before.splits
    assert sorted(asked) == sorted(raws)
    assert "checkout" not in apply(after, Change("delete", "checkout", definition=None)).splits


def test_a_change_of_no_split_judges_none() -> None:
    """A freeze has a pattern in a split's place, and a stop may lie on what nobody defined: no other is copied."""
    asked: list[str] = []

    def judge(split: str, _: bytes) -> SplitState:
        asked.append(split)
        return plain({"new": 5_000})._replace(split=split)

    before = Snapshot(ReadableSplits(Judgements(dict.fromkeys(("checkout", "search"), b"{}"), judge)))
    for change in (
        Change("freeze", "check*", marks={"freezes": "[]"}),
        Change("rollback", "nobody", stops={"nobody": "fire"}),
        Change("delete", "nobody", definition=None),
    ):
        after = apply(before, change)
        assert effects(before, after).weights == {}
        assert after.stops == {field: text for field, text in change.stops.items() if text is not None}
        assert asked == []
    assert apply(before, Change("rollback", "*", stops={"*": "fire"})).splits["search"].in_force("new") == 0
