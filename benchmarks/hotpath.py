"""What a decision and a routed call cost, as ratios to one murmur3 hash of 12 characters.

Everything is set up through the public API on a memory store with 1,000 splits, so that the figures are those of the
real thing: follower, states and all.
"""

# ruff: noqa: ARG001, ARG002 - the functions measured have parameters and no use for them

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import graysplit
from benchmarks.harness import (
    NUMBERS,
    REPETITIONS,
    TEXTS,
    Case,
    Measured,
    looped,
    measure,
    reference_ns,
    version_goal,
)
from benchmarks.report import Row, program, progress
from benchmarks.setting import Planned, armed, many, memory_router, pinned, plain, several, until
from graysplit import native

if TYPE_CHECKING:
    from graysplit.core.counters import Counts
    from graysplit.stores.port import Store

SPLITS: Final = 1_000
PINS: Final = 50
THREADS: Final = 8
ONE: Final = "user-0000042"  # the unit of a request
# The same text in objects of their own: a request's unit seldom is the very object that was kept.
SAME: Final = tuple("".join((ONE[:4], ONE[4:])) for _ in TEXTS)

Goal = tuple[float, float]  # on 3.11 and 3.12; from 3.13 on


class Routed(NamedTuple):
    """The routed functions that are measured, and the plain ones beside them."""

    one: Callable[..., object]
    four: Callable[..., object]
    generic: Callable[..., object]
    shop: Any  # Any: an object with a routed method
    coroutine: Callable[..., object]
    bare: Callable[..., object]
    direct: Callable[..., object]
    armed: Callable[..., object]
    armed_all: Callable[..., object]
    armed_coroutine: Callable[..., object]


ARMED: Final = "routed, armed, 1 second in 17 timed"
ARMED_ALL: Final = "routed, armed, every call timed"
OUTSIDE: Final = "20 questions outside a context"
INSIDE: Final = "20 questions in a context of their own"
GOALS: Final[dict[str, Goal]] = {
    "handle.choose(unit)": (4, 5),
    "handle.choose(unit), 5 versions": (4.9, 5.5),
    "choose(name, unit=unit)": (4.9, 5.75),
    "choose(name, unit)": (4.9, 5.75),
    "decide(name, unit=unit)": (5, 5.75),
    "kept in the request: choose(name)": (3.25, 3.75),
    "kept in the request: choose(name, unit=unit)": (4.1, 4.1),
    "handle.choose(int)": (5.75, 7.25),
    "choose(name, unit=int)": (6.75, 7.75),
    "routed, 1 parameter": (4.9, 5.4),
    "routed, 4 parameters": (5.6, 6.1),
    "routed, *args **kw, by position": (7, 7.25),
    "routed, *args **kw, with keywords": (10.75, 11.75),
    "routed method": (4.9, 5.4),
    ARMED: (5.9, 6.4),
    ARMED_ALL: (10.25, 10.75),
}
PINS_GOAL: Final[Goal] = (1, 1)
INSIDE_GOAL: Final = 3.25  # of these 0.3 are the context's own
ASYNC_GOAL: Final[Goal] = (5.75, 6.25)
ASYNC_ARMED_GOAL: Final[Goal] = (6.75, 7)
PINNED: Final = f"{PINS} pins in use, over none"
AWAIT: Final = "routed await, over a bare await"
ARMED_AWAIT: Final = "armed await, over a bare await"
INSIDE_OVER: Final = f"{INSIDE}, over outside"
# With the compiled core; a case that is not here has no goal of its own there.
COMPILED_GOALS: Final[dict[str, float]] = {
    "handle.choose(unit)": 0.8,
    "handle.choose(unit), 5 versions": 1.1,
    "choose(name, unit=unit)": 1.0,
    "choose(name, unit)": 1.0,
    "decide(name, unit=unit)": 1.0,
    "kept in the request: choose(name)": 1.0,
    "routed, 1 parameter": 1.8,
    "routed, 4 parameters": 2.1,
    ARMED: 2.5,
    PINNED: 0.3,
    AWAIT: 1.5,
    INSIDE_OVER: 1.5,
}
ONE_AGAINST_MANY: Final = 1.05
THREADS_GOAL: Final = 0.95


def splits() -> dict[str, Planned]:
    """Return the splits that are loaded: 1,000, among them those that are measured."""
    named = {
        **{name: plain(name) for name in ("plain", "one", "four", "generic", "method", "coroutine", "lossy", "pair")},
        "five": several("five", 4, "5"),
        "pinned": pinned("pinned", PINS),
        "armed": armed("armed", {}),
        "armed-all": armed("armed-all", {"every_call": True}),
        "armed-coroutine": armed("armed-coroutine", {}),
    }
    return {**many(SPLITS - len(named)), **named}


def declare(router: graysplit.Router) -> Routed:
    """Route one function of each kind."""

    async def bare(user_id: str) -> int:
        return 0

    def direct(user_id: str) -> int:
        return 0

    one, four, generic = _functions(router)
    return Routed(
        one,
        four,
        generic,
        _method(router),
        _coroutine(router, "coroutine"),
        bare,
        direct,
        armed=_one(router, "armed"),
        armed_all=_one(router, "armed-all"),
        armed_coroutine=_coroutine(router, "armed-coroutine"),
    )


def _functions(
    router: graysplit.Router,
) -> tuple[Callable[..., object], Callable[..., object], Callable[..., object]]:
    @router.route("four", unit="user_id")
    def four(user_id: str, cart: object, cur: str = "EUR", *, fast: bool = False) -> int:
        return 0

    @four.version("new")
    def four_new(user_id: str, cart: object, cur: str = "EUR", *, fast: bool = False) -> int:
        return 1

    @router.route("generic", unit="user_id")
    def generic(user_id: str, *args: object, **kw: object) -> int:
        return 0

    @generic.version("new")
    def generic_new(user_id: str, *args: object, **kw: object) -> int:
        return 1

    return _one(router, "one"), four, generic


def _one(router: graysplit.Router, split: str) -> Callable[..., object]:
    @router.route(split, unit="user_id")
    def one(user_id: str) -> int:
        return 0

    @one.version("new")
    def one_new(user_id: str) -> int:
        return 1

    return one


def _method(router: graysplit.Router) -> Any:  # noqa: ANN401 - an object with one routed method
    class Shop:
        @router.route("method", unit="user_id")
        def method(self, user_id: str) -> int:
            return 0

        @method.version("new")
        def method_new(self, user_id: str) -> int:
            return 1

    return Shop()


def _coroutine(router: graysplit.Router, split: str) -> Callable[..., object]:
    @router.route(split, unit="user_id")
    async def coroutine(user_id: str) -> int:
        return 0

    @coroutine.version("new")
    async def coroutine_new(user_id: str) -> int:
        return 1

    return coroutine


@contextmanager
def request(router: graysplit.Router, unit: str) -> Iterator[None]:
    """Open a request's context in which the split has been decided for the unit."""
    with graysplit.context(unit=unit):
        router.choose("plain")
        router.choose("pair", unit=unit)
        yield


def _asked(router: graysplit.Router, names: Sequence[str]) -> Callable[[str], None]:
    """Make what asks once for each of these splits."""

    def ask(unit: str) -> None:
        for name in names:
            router.choose(name, unit)

    return ask


def _asked_inside(router: graysplit.Router, names: Sequence[str]) -> Callable[[str], None]:
    """Make what asks once for each of these splits, in a context of its own, as a request does."""

    def ask(unit: str) -> None:
        with graysplit.context(unit):
            for name in names:
                router.choose(name)

    return ask


def cases(router: graysplit.Router, routed: Routed) -> list[Case]:
    """Return all cases that are measured side by side."""
    handle, five, pins = (router.split(name, "old", "new") for name in ("plain", "five", "pinned"))
    five = router.split("five", "old", *(f"v{number}" for number in range(1, 5)))

    def opened() -> AbstractContextManager[object]:
        return request(router, ONE)

    return [
        Case("handle.choose(unit)", looped("h.choose(k)", h=handle)),
        Case("handle.choose(unit), 5 versions", looped("h.choose(k)", h=five)),
        Case("handle.choose(unit), pins", looped("h.choose(k)", h=pins)),
        Case("choose(name, unit=unit)", looped("r.choose('plain', unit=k)", r=router)),
        Case("choose(name, unit)", looped("r.choose('plain', k)", r=router)),
        Case("decide(name, unit=unit)", looped("r.decide('plain', unit=k)", r=router)),
        Case("kept in the request: choose(name)", looped("r.choose('plain')", r=router), SAME, opened),
        Case(
            "kept in the request: choose(name, unit=unit)", looped("r.choose('pair', unit=k)", r=router), SAME, opened
        ),
        Case(OUTSIDE, looped("f(k)", f=_asked(router, [*many(20)])), TEXTS[:50]),
        Case(INSIDE, looped("f(k)", f=_asked_inside(router, [*many(20)])), TEXTS[:50]),
        Case("handle.choose(int)", looped("h.choose(k)", h=handle), NUMBERS),
        Case("choose(name, unit=int)", looped("r.choose('plain', unit=k)", r=router), NUMBERS),
        Case("direct call", looped("f(k)", f=routed.direct)),
        Case("routed, 1 parameter", looped("f(k)", f=routed.one)),
        Case("routed, 4 parameters", looped("f(k, None, fast=True)", f=routed.four)),
        Case("routed, *args **kw, by position", looped("f(k)", f=routed.generic)),
        Case("routed, *args **kw, with keywords", looped("f(k, None, fast=True)", f=routed.generic)),
        Case("routed method", looped("o.method(k)", o=routed.shop)),
        Case("bare await", looped("f(k)", asynchronous=True, f=routed.bare)),
        Case("routed await", looped("f(k)", asynchronous=True, f=routed.coroutine)),
        Case(ARMED, looped("f(k)", f=routed.armed)),
        Case(ARMED_ALL, looped("f(k)", f=routed.armed_all)),
        Case("routed await, armed", looped("f(k)", asynchronous=True, f=routed.armed_coroutine)),
    ]


def arm(router: Any, store: Any) -> None:  # noqa: ANN401 - raw writes and buffers are in no public call
    """Begin a release of the armed splits, and wait until their calls are written down."""
    names = {name for name in splits() if name.startswith("armed")}
    for name in names:
        store.raw_set("meta", f"release:{name}/new", f"bench {time.time_ns() // 1_000_000}")
    states = router._lifecycle.states  # noqa: SLF001
    until(lambda: {buffer.split for buffer in states.buffers()} == names, "the armed splits have buffers")


def check(router: graysplit.Router) -> None:
    """Make sure that the real thing is measured: decided by bucket, a fifth of all units on new."""
    for name in ("plain", "one", "pinned"):
        decision = router.decide(name, unit=ONE)
        if decision.reason != "bucket":
            raise RuntimeError(f"split '{name}' answers for reason '{decision.reason}', not by bucket")
    share = sum(router.choose("plain", unit=unit) == "new" for unit in TEXTS) / len(TEXTS)
    if not 0.17 < share < 0.23:
        raise RuntimeError(f"{share:.1%} of units are on new; 20 % were asked for")


def decisions(repetitions: int) -> list[Row]:
    """Measure every case."""
    progress("decisions and routed calls")
    with memory_router(splits()) as (router, store), memory_router({"plain": plain("plain")}) as (small, _):
        routed = declare(router)
        arm(router, store)
        check(router)
        alone = Case("1 split", looped("r.choose('plain', unit=k)", r=small))
        found = measure([*cases(router, routed), alone], repetitions)
    return rows(found)


def rows(found: dict[str, Measured]) -> list[Row]:
    """Set figures beside goals."""
    listed = [_row(name, found[name]) for name in GOALS]
    handle = found["handle.choose(unit)"]
    listed += [
        _over(PINNED, found["handle.choose(unit), pins"], handle, PINS_GOAL),
        _over(AWAIT, found["routed await"], found["bare await"], ASYNC_GOAL),
        _over(ARMED_AWAIT, found["routed await, armed"], found["bare await"], ASYNC_ARMED_GOAL),
        Row(
            INSIDE_OVER,
            found[INSIDE].ratio / found[OUTSIDE].ratio,
            _goal(INSIDE_OVER, INSIDE_GOAL),
            note=f"{found[INSIDE].ratio / 20:.2f} over {found[OUTSIDE].ratio / 20:.2f} a question",
        ),
        Row(
            f"{SPLITS} splits against one",
            found["choose(name, unit=unit)"].ratio / found["1 split"].ratio,
            ONE_AGAINST_MANY,
        ),
        Row("direct call of a function", found["direct call"].ratio),
        Row("the reference itself", reference_ns(), unit="ns"),
    ]
    return listed


def _row(name: str, found: Measured) -> Row:
    return Row(name, found.ratio, _goal(name, version_goal(*GOALS[name])), note=f"{found.low:.2f} to {found.high:.2f}")


def _over(name: str, measured: Measured, base: Measured, goal: Goal) -> Row:
    note = f"{measured.ratio:.2f} over {base.ratio:.2f}"
    return Row(name, measured.ratio - base.ratio, _goal(name, version_goal(*goal)), note=note)


def _goal(name: str, in_python: float) -> float | None:
    return in_python if native.compiled_core is None else COMPILED_GOALS.get(name)


def threads(rounds: int) -> list[Row]:
    """Compare what eight threads decide in a second with what one does."""
    progress("eight threads against one")
    with memory_router({"plain": plain("plain")}) as (router, _):
        chunk = looped("r.choose('plain', unit=k)", r=router)

        def spend() -> None:
            for _ in range(20):
                chunk(TEXTS)

        found = [_calls_per_second(spend, THREADS) / _calls_per_second(spend, 1) for _ in range(rounds)]
    return [Row(f"{THREADS} threads against one, throughput", median(found), THREADS_GOAL, at_least=True)]


def _calls_per_second(work: Callable[[], None], count: int) -> float:
    """Return the work done per second by that many threads, each doing an equal part of eight portions."""
    portions = THREADS // count

    def run() -> None:
        for _ in range(portions):
            work()

    began = time.perf_counter()
    _together([run] * count)
    return THREADS / (time.perf_counter() - began)


def _together(works: Sequence[Callable[[], None]]) -> None:
    workers = [threading.Thread(target=work) for work in works]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


class Trouble(Exception):  # noqa: N818 - a version's own trouble
    """What every 28th call raises."""


def losses(calls: int) -> list[Row]:
    """Count exposures and errors of eight threads while weights are swapped under them; none may be lost."""
    progress(f"{calls:,} calls of eight threads under live weight swaps")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with memory_router({"lossy": plain("lossy")}) as (router, store):
            return _lost(router, store, calls // THREADS)
    finally:
        sys.setswitchinterval(interval)


def _lost(router: graysplit.Router, store: Store, each: int) -> list[Row]:
    @router.route("lossy", unit="user_id")
    def lossy(user_id: str) -> None:
        if not int(user_id[5:]) % 28:
            raise Trouble

    @lossy.version("new")
    def lossy_new(user_id: str) -> None:
        if not int(user_id[5:]) % 28:
            raise Trouble

    raised = [0] * THREADS

    def call(thread: int) -> None:
        for number in range(each):
            try:
                lossy(TEXTS[number % len(TEXTS)])
            except Trouble:
                raised[thread] += 1

    lossy(TEXTS[1])
    with ExitStack() as stack:
        swaps = stack.enter_context(_swapping(store))
        _together([lambda thread=thread: call(thread) for thread in range(THREADS)])
    counts = _counts(router, "lossy")
    started = sum(found.asked() for found in counts)
    failed = sum(meter.read() for found in counts for meter in found.failed)
    note = f"of {each * THREADS:,} calls, {swaps[0]} weight swaps"
    return [
        Row("exposures lost", abs(each * THREADS + 1 - started), 0, unit="", note=note),
        Row("errors lost", abs(sum(raised) - failed), 0, unit="", note=f"of {sum(raised):,}"),
    ]


@contextmanager
def _swapping(store: Any) -> Iterator[list[int]]:  # noqa: ANN401 - the memory store's raw writes are not in the port
    """Swap a weight as fast as the follower takes it up, until the block ends."""
    done, swaps = threading.Event(), [0]

    def swap() -> None:
        while not done.wait(0.002):
            swaps[0] += 1
            store.raw_set("weights", "lossy/new", ("20", "60", "0", "100")[swaps[0] % 4])

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield swaps
    finally:
        done.set()
        swapper.join()


def _counts(router: Any, split: str) -> list[Counts]:  # noqa: ANN401 - reads what no public call gives yet
    return router._lifecycle.states.counts.of_split(split)  # noqa: SLF001


def run(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows."""
    found = decisions(5 if quick else REPETITIONS)
    found += threads(1 if quick else 9)
    found += losses(8_000 if quick else 800_000)
    return found


if __name__ == "__main__":
    sys.exit(
        program("Hot path, pure Python" if native.compiled_core is None else "Hot path, compiled core", run, __doc__)
    )
