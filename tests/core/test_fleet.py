"""Who of a fleet counts as live, lagging or silent, and whose receipt confirms a change."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from graysplit.core.entry import Entry
from graysplit.core.fleet import (
    FORGET_MS,
    GONE_MS,
    LIVE_MS,
    Declared,
    Effect,
    Fleet,
    Process,
    Receipt,
    Sweep,
    baseline_words,
    confirmation,
    declarations,
    fleet_of,
    may_be_gone,
    swept_by,
)

NOW = 1_000_000
FIELD = "checkout/new"


def process(pid: int, *, weight: str | None = None, running: int = 0, age_ms: int = 0, **receipt: object) -> Process:
    """Make a process that shows a weight."""
    effects = {} if weight is None else {FIELD: Effect(weight, running)}
    shown = Receipt(effects=effects)._replace(**receipt)  # type: ignore[arg-type]
    return Process(f"boot-{pid}", "web-7", pid, "0.1.0", seen_ms=NOW - age_ms, receipt=shown)


def test_live_is_seen_within_six_seconds() -> None:
    """At six seconds a process is live, a millisecond later silent."""
    fleet = Fleet(NOW, (process(1, age_ms=LIVE_MS), process(2, age_ms=LIVE_MS + 1)))
    assert [p.pid for p in fleet.live] == [1]
    assert [p.pid for p in fleet.silent] == [2]
    assert fleet.live[0].label == "web-7/1"


def test_everybody_counted_shows_the_effect() -> None:
    """A change is complete when all live processes show its weights and none is silent."""
    fleet = Fleet(NOW, (process(1, weight="0", running=2), process(2, weight="0", running=1)))
    found = confirmation(fleet, "c-1", 7, {FIELD: "0"})
    assert found.complete
    assert (found.processes, len(found.confirmed), found.running) == (2, 2, 3)


def test_the_lagging_and_the_silent_are_told_apart() -> None:
    """Behind is not the same as unheard, and either keeps a change from being complete."""
    fleet = Fleet(NOW, (process(1, weight="0"), process(2, weight="20"), process(3), process(4, age_ms=9_000)))
    found = confirmation(fleet, "c-1", 7, {FIELD: "0"})
    assert [[p.pid for p in group] for group in found[:3]] == [[1], [2, 3], [4]]
    assert not found.complete
    assert not confirmation(Fleet(NOW, (process(4, weight="0", age_ms=9_000),)), "c-1", 7, {FIELD: "0"}).complete


def test_what_was_told_before_the_write_confirms_nothing() -> None:
    """A raise written just before may be in force there already; in the same millisecond the change's id decides."""
    told = (process(1, weight="0", age_ms=3), process(2, weight="0", age_ms=2), process(3, weight="0", age_ms=1))
    fleet = Fleet(NOW, (*told, process(4, weight="0", age_ms=2, change="c-1"), process(5, weight="20", age_ms=1)))
    found = confirmation(fleet, "c-1", 7, {FIELD: "0"}, written_ms=NOW - 2)
    assert [[p.pid for p in group] for group in found[:2]] == [[3, 4], [1, 2, 5]]


def test_nobody_confirms_nothing() -> None:
    """Without any process there is no confirmation."""
    found = confirmation(Fleet(NOW), "c-1", 7, {FIELD: "0"})
    assert not found.complete
    assert found.processes == 0


def test_a_change_without_weights_is_shown_by_itself() -> None:
    """Pins and deletions are confirmed by the change's id or a later revision."""
    fleet = Fleet(NOW, (process(1, change="c-1"), process(2, revision=8), process(3, revision=6, change="c-0")))
    found = confirmation(fleet, "c-1", 7, {})
    assert [p.pid for p in found.confirmed] == [1, 2]
    assert [p.pid for p in found.lagging] == [3]


def test_declarations_by_process() -> None:
    """What each process's code says of a split, by its label."""
    declared = Declared("old", ("old", "new"), "route")
    first = process(1)._replace(declared={"checkout": declared})
    assert declarations((first, process(2)), "checkout") == {"web-7/1": declared}


def test_who_was_heard_within_a_day_is_told_apart() -> None:
    """Silent for more than ten minutes is counted no more, and after a day forgotten."""
    ages = (0, FORGET_MS, FORGET_MS + 1, GONE_MS, GONE_MS + 1)
    fleet = fleet_of(NOW, [process(number, age_ms=age) for number, age in enumerate(ages)])
    assert [p.pid for p in fleet.processes] == [0, 1]
    assert [p.pid for p in fleet.gone] == [2, 3]


def test_another_baseline_confirms_nothing() -> None:
    """Whose code names another baseline answers with its own: neither its weights nor its change prove anything."""
    words = baseline_words("old", "new")
    odd = process(1, weight="0", change="c-1", revision=7, baselines={"checkout": words})
    fleet = Fleet(NOW, (odd, process(2, weight="0", change="c-1", revision=7)))
    for expected in ({FIELD: "0"}, {}):
        found = confirmation(fleet, "c-1", 7, expected, splits={"checkout"})
        assert [[p.pid for p in group] for group in found[:2]] == [[2], [1]]
    assert confirmation(fleet, "c-1", 7, {}, splits={"*"}).lagging == (odd,)
    assert confirmation(fleet, "c-1", 7, {}, splits={"search"}).complete


def test_a_sighting_from_the_future_is_not_live() -> None:
    """Whoever lives is seen anew within two seconds of the server's clock being set back; the others are silent."""
    fleet = fleet_of(NOW, [process(1, age_ms=-1), process(2, age_ms=-3_600_000), process(3)])
    assert [p.pid for p in fleet.live] == [3]
    assert [p.pid for p in fleet.silent] == [1, 2]


# --- gone ------------------------------------------------------------------------------------------------------------

CHECKOUT = {"checkout": Declared("old", ("old", "new"))}


def born(pid: int, *, ago_ms: int, age_ms: int = 0, host: str = "web-7", declared: object = CHECKOUT) -> Process:
    """Make a process that was born, and last seen, so long ago."""
    made = process(pid, age_ms=age_ms)
    return made._replace(born_ms=NOW - ago_ms, host=host, declared=declared)  # type: ignore[arg-type]


def gone(*found: Process, ended: tuple[int, ...] = (1,)) -> dict[int, str]:
    """Return who is gone, and who came for it."""
    fleet = fleet_of(NOW, found, {f"boot-{pid}" for pid in ended})
    assert {p.pid for p in fleet.processes}.isdisjoint(p.pid for p in fleet.gone)
    return {p.pid: p.successor for p in fleet.gone}


DEAD = born(1, ago_ms=99_000, age_ms=9_000)


def test_who_has_a_successor_is_gone_and_fails_no_change() -> None:
    """Its connection ended, and a younger process on its host lives that declares the same."""
    heir = born(2, ago_ms=8_000)._replace(receipt=Receipt(effects={FIELD: Effect("0")}))
    assert gone(DEAD, heir) == {1: "web-7/2"}
    assert confirmation(fleet_of(NOW, [DEAD, heir], {"boot-1"}), "c-1", 7, {FIELD: "0"}).complete


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (born(2, ago_ms=10_000), "older than its last sighting: a sibling"),
        (born(2, ago_ms=8_000, age_ms=7_000), "silent itself"),
        (born(2, ago_ms=8_000, host="web-8"), "on another host"),
        (born(2, ago_ms=8_000, declared={}), "another program"),
        (born(2, ago_ms=8_000)._replace(born_ms=0), "of an unknown age: from a library that does not tell"),
    ],
)
def test_no_other_process_is_a_successor(other: Process, why: str) -> None:
    """Then it is silent: it may have been cut off."""
    assert gone(DEAD, other) == {}, why


def test_who_keeps_its_connection_is_silent() -> None:
    """A stopped process does; so is one silent of which the server tells nothing."""
    assert gone(DEAD, born(2, ago_ms=8_000), ended=()) == {}


def test_who_is_heard_is_live_whatever_became_of_a_connection() -> None:
    """It connects anew."""
    assert gone(DEAD._replace(seen_ms=NOW), born(2, ago_ms=8_000)) == {}


def test_each_takes_one_place() -> None:
    """Two died and one came: the last to die is gone, the other is missing."""
    assert gone(DEAD, born(3, ago_ms=99_000, age_ms=8_500), born(2, ago_ms=8_000), ended=(1, 3)) == {3: "web-7/2"}


def test_a_row_of_successors_leaves_the_last() -> None:
    """A program that was killed twice: who took the first place is gone, too."""
    second = born(2, ago_ms=29_000, age_ms=9_000)
    assert gone(DEAD._replace(seen_ms=NOW - 30_000), second, born(3, ago_ms=8_000), ended=(1, 2)) == {
        1: "web-7/2",
        2: "web-7/3",
    }


def test_only_those_are_asked_for_that_may_be_gone() -> None:
    """No question to the server where everybody lives, or nobody came since."""
    known = DEAD._replace(connection="run 7")
    assert may_be_gone(NOW, [known, born(2, ago_ms=8_000)]) == (known,)
    assert may_be_gone(NOW, [DEAD, born(2, ago_ms=8_000)]) == ()
    assert may_be_gone(NOW, [known, born(2, ago_ms=80_000)]) == ()
    assert may_be_gone(NOW, [known._replace(seen_ms=NOW), born(2, ago_ms=8_000)]) == ()


# --- changes of more fields than a receipt names ---------------------------------------------------------------------

MANY_FIELDS = {f"s{number}/new": "0" for number in range(300)}


def told(sweeps: Mapping[str, Sweep], **effects: str) -> Fleet:
    """Return a fleet of one process that tells this, after the write."""
    named = {f"{split}/new": Effect(weight) for split, weight in effects.items()}
    receipt = Receipt("b", 9, named, sweeps=sweeps)
    return Fleet(2_000, (Process("boot", "web", 1, "1", seen_ms=2_000, receipt=receipt),))


def confirms(fleet: Fleet, *parts: str) -> bool:
    """Return whether it confirms that all of them stand at zero."""
    return confirmation(fleet, "b", 9, MANY_FIELDS, 1_000, parts=parts).complete


def test_every_part_of_a_change_of_many_must_be_told() -> None:
    """What a receipt does not name is confirmed by each part's own word, and by nothing less."""
    assert confirms(told({"a": Sweep(), "b": Sweep()}), "a", "b")
    assert confirms(told({"a": Sweep(), "b": Sweep()}, s1="0"), "a", "b")
    assert not confirms(told({"b": Sweep()}), "a", "b")
    assert not confirms(told({}), "a", "b")
    assert not confirms(told({"a": Sweep(), "b": Sweep()}))


def test_an_exception_of_a_change_of_many_confirms_nothing() -> None:
    """One field at another weight is enough, named or not, there or among those that changed last."""
    other = Sweep({"s7/new": Effect("20")})
    assert not confirms(told({"a": other, "b": Sweep()}), "a", "b")
    assert not confirms(told({"a": Sweep(more=1), "b": Sweep()}), "a", "b")
    assert not confirms(told({"a": Sweep(), "b": Sweep()}, s7="20"), "a", "b")


def test_calls_still_running_are_counted_by_the_parts() -> None:
    """What runs on the fields of a change of many is in the parts' own count."""
    found = told({"a": Sweep(running=2), "b": Sweep(running=1)})
    assert confirmation(found, "b", 9, MANY_FIELDS, 1_000, parts=("a", "b")).running == 3


def test_a_change_of_few_is_told_field_by_field() -> None:
    """Only what names many fields, or everything, is told as a whole."""
    few = Entry("x", 1, "checkout", "set", "", "", 0, {}, {"weights checkout/new": "20"})
    assert swept_by(few) == {}
    assert swept_by(few._replace(split="*")) == {"checkout/new": "20"}
    many = few._replace(after={f"weights {field}": "00.0" for field in MANY_FIELDS} | {"stops s1": "{}"})
    assert swept_by(many) == MANY_FIELDS
