"""A few words to write tests of stores with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from graysplit.core.address import split_of
from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.errors import GraysplitError
from graysplit.stores.port import Due, Expect, KeyName, Report, Store, Submission, Write, Written
from graysplit.stores.text.records import exact, new_id

E = TypeVar("E", bound=BaseException)

EDITORS: Final = 8
EDITS: Final = 50
SOON_S: Final = 5.0
QUIET_S: Final = 0.1

# What a re-encoding would change: an empty list, digits beyond a float's, an order of fields, letters beyond ASCII.
PROGRESS: Final = '{"run":"run","step":0}'
TICKED: Final = "1 0 0 boot"
DEFINITION: Final = '{"versions":[],"z":33.333000000000001,"a":9007199254740993,"ü":null}'


def seed(store: Store, split: str = "checkout", *, weight: str = "0") -> Written:
    """Create a split with one candidate."""
    return store.submit(
        submission_of(
            store,
            split,
            expect=(Expect("splits", split, None), Expect("weights", f"{split}/new", None)),
            writes=(Write("splits", split, DEFINITION), Write("weights", f"{split}/new", weight)),
            cause="create",
        )
    )


def put(store: Store, field: str, weight: str, *, expect: str | None = "", why: str = "") -> Written:
    """Set a weight, comparing it with what stands there now, or with what is given."""
    seen = expect
    if expect == "":
        raw = store.load().weights.fields.get(field.encode())
        seen = None if raw is None else exact(raw)
    split = split_of(field)
    return store.submit(submission_of(store, split, *one("weights", field, seen, weight), why=why))


def start_plan(store: Store, split: str = "checkout") -> Written:
    """Begin a plan: its mark, its progress and its first tick."""
    writes = (
        Write("meta", f"plan:{split}", "run new"),
        Write("plans", split, PROGRESS),
        Write("plans", f"tick:{split}", TICKED),
    )
    return store.submit(submission_of(store, split, (Expect("meta", f"plan:{split}", None),), writes, cause="ramp"))


def step_of(store: Store) -> Submission:
    """Return a plan's step from 5 to 20, due now."""
    step = submission_of(store, "checkout", *one("weights", "checkout/new", "5", "20"), cause="step", raises=True)
    due = Due(step.read_at_ms, step.read_at_ms + 30_000, settled=True)
    notes = (Write("plans", "checkout", PROGRESS), Write("plans", "tick:checkout", TICKED))
    return step._replace(writes=(*step.writes, *notes), due=due)


def one(key: KeyName, field: str, seen: str | None, value: str | None) -> tuple[tuple[Expect], tuple[Write]]:
    """Return the expectation and the write of a single field."""
    return (Expect(key, field, seen),), (Write(key, field, value),)


def submission_of(  # noqa: PLR0913 - all of what a submission says
    store: Store,
    split: str,
    expect: Iterable[Expect] = (),
    writes: Iterable[Write] = (),
    *,
    cause: str = "set",
    why: str = "",
    raises: bool = False,
) -> Submission:
    """Return a submission that rests on a reading of now."""
    return Submission(
        id=new_id(),
        split=split,
        cause=cause,
        actor="tester",
        why=why,
        expect=tuple(expect),
        writes=tuple(writes),
        read_at_ms=store.load().now_ms,
        raises=raises,
    )


def alike(again: Written, first: Written) -> bool:
    """Return whether an answer is the first one over again; its time may differ by what one write takes."""
    return again._replace(at_ms=first.at_ms) == first and abs(again.at_ms - first.at_ms) < 1_000  # noqa: PLR2004


def report_of(boot: str, *, weight: str) -> Report:
    """Return a heartbeat."""
    return Report(
        boot=boot,
        host="web-7",
        pid=812,
        library="1.0",
        declared={"checkout": Declared("old", ("old", "new"), "route", 17)},
        receipt=Receipt(
            "c1",
            3,
            {"checkout/new": Effect(weight, 2, "off")},
            "memory",
            ("weights x/y: bad",),
            {"weights a/b": "5"},
            baselines={"search": "baseline 'old' in its code, 'new' in the store"},
            off=("search",),
            mode_why="no rights",
        ),
    )


def raised(kind: type[E], act: Callable[[], object]) -> E:
    """Do something that must raise, and return the error."""
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def together(count: int, work: Callable[[int], None]) -> None:
    """Do something in several threads that start at the same moment; what one of them raises is raised here."""
    start = threading.Barrier(count)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait(SOON_S)
            work(number)
        except (GraysplitError, AssertionError, threading.BrokenBarrierError, ValueError, KeyError) as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
