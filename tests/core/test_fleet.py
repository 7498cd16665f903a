from __future__ import annotations

from graysplit.core.fleet import (
    FORGET_MS,
    GONE_MS,
    LIVE_MS,
    Declared,
    Effect,
    Fleet,
    Process,
    Receipt,
    baseline_words,
    confirmation,
    declarations,
    fleet_of,
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
