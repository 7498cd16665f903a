"""Measure small calls as ratios to a reference call, so that figures of different machines can be compared.

The reference is `mmh3.hash(text of 12 characters, 42, False)`. A ratio is the thread's CPU time of a chunk of calls
over that of the reference just before and just after it; the loop is part of both. Cases are interleaved in shuffled
order, the garbage collector rests during a chunk, and the median of the repetitions counts.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import median
from typing import Any, Final, NamedTuple

import mmh3

CHUNK: Final = 5_000
REPETITIONS: Final = 80
WARM_UP: Final = 3  # chunks that are thrown away: the interpreter specialises what it has seen

TEXTS: Final = tuple(f"user-{number:07d}" for number in range(CHUNK))  # 12 characters each
NUMBERS: Final = tuple(10_000_000 + number for number in range(CHUNK))

Chunk = Callable[[Sequence[object]], object]
Around = Callable[[], AbstractContextManager[object]]


class Case(NamedTuple):
    """One kind of call: a chunk that makes it once for each key, and what is open around the chunk."""

    name: str
    chunk: Chunk
    keys: Sequence[object] = TEXTS
    around: Around = nullcontext


class Measured(NamedTuple):
    """A case's ratio to the reference: the median, and the quarter and three-quarter marks."""

    ratio: float
    low: float
    high: float


def looped(call: str, *, asynchronous: bool = False, **names: object) -> Chunk:
    """Compile a loop that makes a call, written as an expression of `k`, for each key.

    Each case has a code object of its own, so that no case spoils another's specialised instructions; what the
    expression names is local to it. An asynchronous one runs without an event loop: nothing it awaits may wait.
    """
    parameters = "".join(f", {name}" for name in names)
    opening, awaiting = ("async def", "await ") if asynchronous else ("def", "")
    source = (
        f"def make(_{parameters}):\n"
        f"    {opening} chunk(keys{''.join(f', {name}={name}' for name in names)}):\n"
        f"        for k in keys:\n"
        f"            {awaiting}{call}\n"
        f"    return chunk\n"
    )
    space: dict[str, Any] = {}  # Any: what exec leaves there
    exec(compile(source, f"<{call}>", "exec"), space)  # noqa: S102 - our own text
    chunk: Chunk = space["make"](None, **names)
    return _without_loop(chunk) if asynchronous else chunk


def _without_loop(chunk: Chunk) -> Chunk:
    def run(keys: Sequence[object]) -> None:
        coroutine: Any = chunk(keys)  # Any: a coroutine
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise RuntimeError("what is measured here must not wait")

    return run


reference: Final = looped("h(k, 42, False)", h=mmh3.hash)


def measure(cases: Sequence[Case], repetitions: int = REPETITIONS, seed: int = 1) -> dict[str, Measured]:
    """Return each case's ratio to the reference."""
    for case in cases:
        with case.around():
            for _ in range(WARM_UP):
                case.chunk(case.keys)
    ratios: dict[str, list[float]] = {case.name: [] for case in cases}
    order, shuffle = list(cases), random.Random(seed).shuffle
    for _ in range(repetitions):
        shuffle(order)
        for case in order:
            ratios[case.name].append(_ratio(case))
    return {name: _summary(found) for name, found in ratios.items()}


def reference_ns(repetitions: int = 200) -> float:
    """Return the reference's CPU time per call, in nanoseconds."""
    with quiet():
        return median(_cpu_ns(reference, TEXTS) for _ in range(repetitions)) / len(TEXTS)


def version_goal(older: float, newer: float) -> float:
    """Return the goal for the running Python: one for 3.11 and 3.12, one for 3.13 and later."""
    return older if sys.version_info < (3, 13) else newer


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector from running in between."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _ratio(case: Case) -> float:
    per_key = len(TEXTS) / len(case.keys)
    with case.around(), quiet():
        before = _cpu_ns(reference, TEXTS)
        spent = _cpu_ns(case.chunk, case.keys)
        after = _cpu_ns(reference, TEXTS)
    return spent * per_key / ((before + after) / 2)


def _cpu_ns(chunk: Chunk, keys: Sequence[object]) -> int:
    began = time.thread_time_ns()
    chunk(keys)
    return time.thread_time_ns() - began


def _summary(ratios: Sequence[float]) -> Measured:
    ordered = sorted(ratios)
    return Measured(median(ordered), ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4])
