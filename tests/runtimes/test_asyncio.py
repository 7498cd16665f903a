"""asyncio and uvloop: no loop is kept waiting, cancelled calls leave nothing behind, any number of loops will do."""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.codec import dump_definition
from graysplit.core.definition import define
from tests.faults.shares import following, share, units
from tests.support import NewThreads, skip_or_fail

LOOPS: Final = ("asyncio", "uvloop")
# The promise is 10 ms. A call that waited for a server would take a second; a busy machine gets room, and five rounds.
LONGEST_GAP_S: Final = 0.25
ROUNDS: Final = 5
TURN_S: Final = 0.000_05  # of Python in each turn of the loop
TURNS: Final = 20  # then it rests for as long as these took, as a loop does that is half busy
SPLITS: Final = 1_000


def new_loop(kind: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return a maker of such loops."""
    if kind == "asyncio":
        return asyncio.new_event_loop
    if find_spec(kind) is None:
        skip_or_fail(f"{kind} is not installed here: its loop is not tried")
    make: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(kind).new_event_loop
    return make


def run(kind: str, main: Coroutine[Any, Any, object]) -> None:  # Any: what asyncio says
    """Run a coroutine in a loop of its own."""
    with asyncio.Runner(loop_factory=new_loop(kind)) as runner:
        runner.run(main)


# --- no loop is kept waiting -----------------------------------------------------------------------------------------


async def longest_gap(turns: Callable[[], bool], decide: Callable[[], object]) -> float:
    """Turn the loop while told to, deciding in each turn, and return the longest time that a turn took."""
    longest = 0.0
    last = time.perf_counter()
    for turn in itertools.count():
        if not turns():
            break
        decide()
        until = time.perf_counter() + TURN_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0 if turn % TURNS else TURNS * TURN_S)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def best(kind: str, measure: Callable[[], Coroutine[Any, Any, float]]) -> float:  # Any: what asyncio says
    """Measure until it is as promised, five times at most, and return the best."""
    found: list[float] = []

    async def measured() -> None:
        found.append(await measure())

    while len(found) < ROUNDS and min(found, default=LONGEST_GAP_S) >= LONGEST_GAP_S:
        gc.collect()  # the tests' own rubbish is of no matter
        run(kind, measured())
    return min(found)


@pytest.mark.parametrize("kind", LOOPS)
def test_a_start_before_a_hung_server_keeps_no_loop_waiting(
    kind: str, record_property: Callable[[str, object], None]
) -> None:
    """A router that starts by a decision in the loop, and is closed in it, while the server does not answer."""
    with embedded.server() as server, following(server.url, "default"):  # what it imports is there already
        server.pause()

        async def measure() -> float:
            router = graysplit.Router(server.url)
            until = time.perf_counter() + 0.3
            try:
                return await longest_gap(lambda: time.perf_counter() < until, lambda: router.choose("checkout", "u"))
            finally:
                await asyncio.to_thread(router.close)

        gap = best(kind, measure)
        server.resume()
    record_property("longest gap ms", round(1000 * gap, 1))
    assert gap < LONGEST_GAP_S


@pytest.mark.parametrize("kind", LOOPS)
def test_following_a_thousand_changed_splits_keeps_no_loop_waiting(
    kind: str, redis_url: str, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """All the definitions arrive at once and all the weights change, while the loop turns and decides."""
    names = [f"split-{number}" for number in range(SPLITS)]
    key = f"graysplit:{{{namespace}}}:"
    units(names[-1])
    with (
        graysplit.Control(redis_url, namespace=namespace, confirm=True) as control,
        redis.Redis.from_url(redis_url) as client,
        following(redis_url, namespace) as router,
    ):
        control.create("checkout")
        weights = iter(range(1, ROUNDS + 1))

        def writing(weight: int) -> Callable[[], object]:
            """Make ready to write everything anew: each definition has other bytes than the last time."""
            pipe = client.pipeline()
            salted = {name: dump_definition(define(name, ("old", "new"), salt=f"{name}:{weight}")) for name in names}
            pipe.hset(key + "splits", mapping={**salted, names[-1]: dump_definition(define(names[-1], ("old", "new")))})
            pipe.hset(key + "weights", mapping={f"{name}/new": weight for name in names})
            return pipe.execute

        async def measure() -> float:
            weight = next(weights)
            threading.Thread(target=writing(weight)).start()
            return await longest_gap(
                lambda: share(router, names[-1]) != weight, lambda: router.choose(names[-1], "user-1")
            )

        gap = best(kind, measure)
    record_property("longest gap ms", round(1000 * gap, 1))
    assert gap < LONGEST_GAP_S


# --- cancelled calls -------------------------------------------------------------------------------------------------


Said: TypeAlias = tuple[str, str, str]  # the split, the unit, the version


class Shop:
    """Routed coroutines and streams whose answers say whom they served, and by which path."""

    def __init__(self, router: graysplit.Router) -> None:
        """Declare them."""

        async def serve(split: str, unit: str, version: str, steps: int) -> Said:
            for _ in range(steps):
                await asyncio.sleep(0)
            return split, unit, version

        @router.route("checkout", unit="unit")
        async def order(unit: str, steps: int) -> Said:
            return await serve("checkout", unit, "old", steps)

        @order.version("new")
        async def order_new(unit: str, steps: int) -> Said:
            return await serve("checkout", unit, "new", steps)

        @router.route("search", unit="unit")
        async def stream(unit: str, steps: int) -> AsyncIterator[Said]:
            for _ in range(steps):
                yield await serve("search", unit, "old", 1)

        @stream.version("new")
        async def stream_new(unit: str, steps: int) -> AsyncIterator[Said]:
            for _ in range(steps):
                yield await serve("search", unit, "new", 1)

        self.order, self.stream = order, stream

    async def call(self, number: int, chance: random.Random) -> set[Said]:
        """Make one call of either kind, in a context of its own or in none; return what it said."""
        unit, steps = f"user-{number}", chance.randrange(5)
        with graysplit.context(unit=unit) if chance.random() < 0.3 else nullcontext():
            if chance.random() < 0.5:
                return {await self.order(unit, steps)}
            return {said async for said in self.stream(unit, steps)}


async def cancel_at_random(shop: Shop, calls: int, chance: random.Random) -> tuple[list[set[Said]], int]:
    """Make many calls at once, and cancel about half of them somewhere; return what the others said, and how many."""
    said: list[set[Said]] = []
    cancelled = 0
    for first in range(0, calls, 100):
        tasks = [asyncio.create_task(shop.call(first + number, chance)) for number in range(100)]
        while not all(task.done() for task in tasks):
            for task in chance.sample(tasks, 20):
                task.cancel()
            await asyncio.sleep(0)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(isinstance(answer, asyncio.CancelledError) for answer in answers)
        said += [answer for answer in answers if not isinstance(answer, BaseException)]
        assert all(isinstance(answer, (set, asyncio.CancelledError)) for answer in answers), answers
    return said, cancelled


def cancelling(kind: str, url: str, namespace: str, calls: int) -> int:
    """Cancel calls at random while following, look at what the others said, and at what is left running."""
    with graysplit.Control(url, namespace=namespace, confirm=True) as control:
        for split in ("checkout", "search"):
            control.create(split)
            control.set(split, 50)
        with following(url, namespace) as router:
            shop = Shop(router)
            sides = {
                split: {f"user-{number}": router.choose(split, f"user-{number}") for number in range(calls)}
                for split in ("checkout", "search")
            }
            found: list[int] = []

            async def main() -> None:
                said, cancelled = await cancel_at_random(shop, calls, random.Random(7))
                assert [one for answer in said for one in answer if sides[one[0]][one[1]] != one[2]] == []
                assert all(len(answer) <= 1 for answer in said), "one call, one answer"
                found.append(cancelled)

            run(kind, main())
            gc.collect()
            effects = router._lifecycle.states.effects(["checkout/new", "search/new"])
            assert {field: effect.running for field, effect in effects.items()} == {"checkout/new": 0, "search/new": 0}
    return found[0]


@pytest.mark.parametrize("kind", LOOPS)
def test_five_thousand_cancelled_calls_leave_nothing_behind(
    kind: str, redis_url: str, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Cancelled anywhere: no answer of somebody else's, no wrong side, and no call is counted as running for ever."""
    cancelled = cancelling(kind, redis_url, namespace, 10_000)
    record_property("cancelled", cancelled)
    assert cancelled > 4_000


@pytest.mark.soak
@pytest.mark.parametrize("kind", LOOPS)
def test_a_hundred_thousand_cancelled_calls_leave_nothing_behind(kind: str, redis_url: str, namespace: str) -> None:
    """The same, longer."""
    assert cancelling(kind, redis_url, namespace, 200_000) > 80_000


# --- several loops ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOOPS)
def test_loops_one_after_another_and_side_by_side_follow(kind: str, redis_url: str, namespace: str) -> None:
    """Three in a row, then four threads with one each: one router serves them all, and each sees a change."""
    started = NewThreads()
    with graysplit.Control(redis_url, namespace=namespace, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 10)
        with following(redis_url, namespace) as router:
            units("checkout")

            async def sees(weight: int) -> None:
                async with asyncio.timeout(20):
                    while share(router) != weight:  # noqa: ASYNC110 - the router tells nobody, by design
                        await asyncio.sleep(0.001)

            for weight in (20, 30, 40):
                control.set("checkout", weight)
                run(kind, sees(weight))
            seen: list[int] = []

            def beside(weight: int) -> None:
                run(kind, sees(weight))
                seen.append(share(router))

            threads = [threading.Thread(target=beside, args=(0,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            control.rollback("checkout")
            for thread in threads:
                thread.join(30)
            assert seen == [0, 0, 0, 0]
            assert len(started.named("graysplit")) == 1


# --- subprocesses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOOPS)
def test_spawning_two_hundred_programs_never_stops_the_follower(
    kind: str, redis_url: str, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """Uvloop runs the fork hooks for every one of them: the parent's follower goes on, and obeys in between."""
    with graysplit.Control(redis_url, namespace=namespace, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 50)
        with following(redis_url, namespace) as router:
            before = router.status().boot
            follower = router._lifecycle._follower
            slowest: list[float] = []

            async def spawn(count: int) -> None:
                for _ in range(count):
                    program = await asyncio.create_subprocess_exec("true")
                    assert await program.wait() == 0

            async def main() -> None:
                for weight in range(1, 21):
                    spawning = asyncio.create_task(spawn(10))
                    result = await asyncio.to_thread(control.set, "checkout", weight)
                    receipts = (await asyncio.to_thread(control.wait_confirmed, result)).receipts
                    assert (receipts.confirmed, receipts.processes) == (1, 1)
                    assert share(router) == weight
                    slowest.append(receipts.seconds)
                    await spawning

            run(kind, main())
            assert (router.status().mode, router.status().boot) == ("tracking", before)
            assert router._lifecycle._follower is follower
    record_property("slowest confirmation s", max(slowest))
