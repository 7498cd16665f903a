"""A fleet whose clock is moved by hand: real routes, real buffers, the store's counts, the judge; an hour in a moment.

Calls are coroutines that nobody awaits: each stands where its version waits until a test answers, fails or cancels it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Generator, Iterator
from threading import Lock
from typing import Any, Final

from graysplit.core.bucketing import seed_of
from graysplit.core.guard.batch import WatchedCandidate, parted
from graysplit.core.guard.buffer import EvidenceBuffer, Terms
from graysplit.core.guard.evaluation import EvaluationInput, charges, forgotten, look
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import Judgement, Stage, Tally
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.verdict_rules import Watched
from graysplit.stores.release_counts import ReleaseCounts
from graysplit.stores.text.judge import judge_text, read_judge
from tests.routes.arming import armed_state
from tests.routes.making import a_route

BEGAN: Final = 1_700_000_000
FIELD: Final = "checkout/new"


class TroubleError(Exception):
    """What a version raises."""


class _Waiting:
    """Something awaited that a test ends."""

    def __await__(self) -> Generator[None, None, str]:
        yield
        return "answer"


class Call:
    """A call under way."""

    def __init__(self, coroutine: Coroutine[Any, Any, str]) -> None:
        """Begin; it stands where its version waits."""
        self._coroutine = coroutine
        self.on_new = False
        coroutine.send(None)

    def answer(self) -> None:
        """Let the version answer."""
        self._end(lambda: self._coroutine.send(None))

    def fail(self) -> None:
        """Let the version raise."""
        self._end(lambda: self._coroutine.throw(TroubleError()))

    def cut(self) -> None:
        """Let whoever waits for it give up."""
        self._end(lambda: self._coroutine.throw(asyncio.CancelledError()))

    @staticmethod
    def _end(step: Callable[[], object]) -> None:
        try:
            step()
        except (StopIteration, TroubleError, asyncio.CancelledError):
            return
        raise AssertionError("the call goes on")


class Process:
    """One process of the fleet."""

    def __init__(self, number: int, share: int, guard: Guard, second: int) -> None:
        """Arm a route at a share, in thousandths of a percent."""
        stage = Stage(share, 100_000 - share, 1)
        terms = Terms(
            "checkout",
            ("old", "new"),
            (WatchedCandidate(1, FIELD, "r", BEGAN, stage),),
            guard,
            None,
            seed_of("checkout"),
        )
        self.buffer = EvidenceBuffer(terms, f"tape {number}", Lock())
        self.buffer.turn(second)
        entered = self._entered = list[bool]()

        async def old(unit: str) -> str:
            entered.append(False)
            return await _Waiting()

        async def new(unit: str) -> str:
            entered.append(True)
            return await _Waiting()

        made, state = a_route(old, new, weight=share / 1000)
        made.swap(armed_state(state, self.buffer))
        self._checkout: Any = made.function
        self._held: list[Call] = []  # a coroutine that nobody holds would be closed

    def call(self, user: int) -> Call:
        """Begin a user's call."""
        found = Call(self._checkout(str(user)))
        found.on_new = self._entered.pop()
        self._held.append(found)
        return found


class Fleet:
    """Processes, and what their store and whoever judges make of them."""

    def __init__(self, processes: int = 1, share: int = 20_000, **guard: Any) -> None:
        """Begin a release at a share, in thousandths of a percent."""
        self.now_s = BEGAN
        self.chance = random.Random(f"{processes} {share} {guard}")
        self._numbers = itertools.count()
        self._share, self._guard = share, Guard(**guard)
        self._counts = ReleaseCounts(FIELD, "r")
        self._case = EvaluationInput(self._guard, Watched(), BEGAN)
        self.processes = [self._born() for _ in range(processes)]
        self.words: list[str] = []
        self.verdict = Verdict()

    def begin(self, calls: int, users: int = 1 << 40) -> Iterator[Call]:
        """Begin so many calls, anywhere, each by any user."""
        for _ in range(calls):
            yield self.chance.choice(self.processes).call(self.chance.randrange(users))

    def kill(self, number: int) -> None:
        """Let a process end without a word, and another begin."""
        self.processes[number] = self._born()

    def terminate(self, number: int) -> None:
        """Let a process say goodbye, as its watch does, and another begin."""
        for batch in self.processes[number].buffer.collect(self.now_s):
            assert self._counts.flush(parted(batch), self.now_s * 1000).applied
        self.processes[number] = self._born()

    def pass_second(self) -> Verdict:
        """Let a second pass: everybody tells, and somebody judges."""
        self.now_s += 1
        for process in self.processes:
            process.buffer.turn(self.now_s)
            for batch in process.buffer.collect(self.now_s):
                assert self._counts.flush(batch, self.now_s * 1000).applied
        return self._judge()

    @property
    def tally(self) -> Tally:
        """What the store holds now."""
        return self._counts.tally(BEGAN, self.now_s * 1000, course=False)

    def _judge(self) -> Verdict:
        tally = self.tally
        judged = look(tally, read_judge(tally.judge), self._case, "judge")
        text, settled_s = judge_text(judged.judge), self.now_s - 31
        judgement = Judgement(FIELD, "r", tally.judge, text, judged.levels, settled_s, judged.sample, forgotten(tally))
        for batch in charges(tally, BEGAN):
            self._counts.flush(batch, self.now_s * 1000)
        assert self._counts.judged(judgement, self.now_s * 1000)
        self.verdict = judged.judge.verdict
        self.words.append(self.verdict.word)
        return self.verdict

    def _born(self) -> Process:
        return Process(next(self._numbers), self._share, self._guard, self.now_s)
