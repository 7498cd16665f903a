"""While a split is armed its measured calls are written down: begun, ended, failed, timed, and by whom."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from threading import Barrier, Thread
from typing import Any

import pytest

from graysplit.core.bucketing import hash32, seed_of
from graysplit.core.compiled import CompiledSplit
from graysplit.core.guard.batch import unit64
from graysplit.core.guard.buffer import EvidenceBuffer
from graysplit.core.guard.second_buffer import PartRecords, SecondBuffer
from graysplit.core.guard.tally import Begun, Exposed, Failed, Pair
from graysplit.core.guard.thinned import Thinning
from graysplit.errors import RegistrationError
from graysplit.routes.handle import Split
from graysplit.routes.wrap import RouteOptions, route
from graysplit.scope_entry import context
from tests.routes.arming import NOW, a_buffer, armed, armed_state, told
from tests.routes.making import FakeChooser, a_route, a_route_of, a_state, in_threads


class Trouble(Exception):  # noqa: N818 - a version's own trouble
    """What a version raises."""


class ClientError(Exception):
    """What is the caller's fault."""


def known(unit: str) -> int:
    """Return a unit's 64 bits in the books of the release."""
    return unit64(hash32(unit.encode(), seed_of("checkout")), hash32(b"r1", 0))


def fine(unit: str) -> str:
    """Answer."""
    return f"for {unit}"


def broken(unit: str) -> str:
    """Raise."""
    raise Trouble(unit)


@pytest.mark.parametrize(("weight", "index"), [(100, 1), (0, 0)])
def test_a_call_is_begun_timed_and_ended_on_its_side(weight: float, index: int) -> None:
    """And its unit is exposed; the counts of the split say the same as ever."""
    call, state, buffer, _ = armed(fine, weight=weight)
    assert call("u1") == "for u1"
    batch, on_new = told(buffer), index == 1
    assert batch.calls == batch.timed == (Begun(NOW, on_new, 1),)
    assert batch.exposed == (Exposed(hash32(b"u1", state.seed), on_new),)
    assert batch.running == batch.errors == batch.hanging == ()
    assert sum(batch.durations[index].values()) == 1
    assert state.counts.measured()[index].evaluations == {"bucket": 1}
    assert state.counts.asked() == 1
    assert state.counts.running(index) == 0


@pytest.mark.parametrize(("weight", "index"), [(100, 1), (0, 0)])
def test_a_failure_is_its_units_and_passes_through(weight: float, index: int) -> None:
    """One frame of ours in the traceback, and no context added."""
    call, state, buffer, _ = armed(broken, weight=weight)
    with pytest.raises(Trouble) as caught:
        call("u1")
    frames = [frame.filename for frame in traceback.extract_tb(caught.tb)]
    assert sum(name.startswith("<graysplit") for name in frames) == 1
    assert caught.value.__context__ is None
    batch = told(buffer)
    assert batch.errors == (Failed(NOW, known("u1"), index == 1),)
    assert batch.failures == (Pair(0, 1) if index else Pair(1, 0))
    assert batch.timed == batch.calls
    assert batch.running == ()
    assert state.counts.failed[index].read() == 1


def test_a_late_failure_belongs_to_the_second_of_its_beginning() -> None:
    """Whenever it comes within half a minute."""
    later: list[EvidenceBuffer] = []

    def slow(unit: str) -> None:
        later[0].turn(NOW + 20)
        raise Trouble

    call, _, buffer, _ = armed(slow)
    later.append(buffer)
    with pytest.raises(Trouble):
        call("u1")
    batch = told(buffer, NOW + 20)
    assert batch.errors == (Failed(NOW, known("u1"), True),)
    assert batch.calls == (Begun(NOW, True, 1),)


def test_a_failure_after_the_deadline_is_charged_once() -> None:
    """The call failed when it ran for 30 s; what it raises then counts for people only."""
    seen: list[Any] = []

    def slow(unit: str) -> None:
        buffer = seen[0]
        buffer.turn(NOW + 30)
        seen.append(told(buffer, NOW + 30))
        raise Trouble

    call, state, buffer, _ = armed(slow)
    seen.append(buffer)
    with pytest.raises(Trouble):
        call("u1")
    assert seen[1].errors == (Failed(NOW, known("u1"), True),)
    assert told(buffer, NOW + 31).errors == ()
    assert state.counts.failed[1].read() == 1
    assert state.counts.running(1) == 0


def test_while_it_runs_a_call_is_seen_with_its_unit() -> None:
    """So that it can be charged to a process that dies under it."""
    seen: list[Any] = []

    def look(unit: str) -> None:
        seen.append(told(seen[0]))

    call, state, buffer, _ = armed(look)
    seen.append(buffer)
    call("u1")
    assert seen[1].running == (Begun(NOW, True, 1),)
    assert seen[1].hanging == (Failed(NOW, known("u1"), True),)
    assert state.counts.running(1) == 0


CANCELLED = asyncio.CancelledError()


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        GeneratorExit(),
        SystemExit(),
        CANCELLED,
        concurrent.futures.CancelledError(),
        BaseExceptionGroup("of a task group", [CANCELLED, BaseExceptionGroup("of another", [CANCELLED])]),
        pytest.param("gevent.timeout.Timeout", id="gevent.Timeout"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_cut_short_is_no_failure_and_told_apart(error: BaseException | str) -> None:
    """It has ended all the same, by whatever name its world ends a call; its unit is known."""
    raised = error if isinstance(error, BaseException) else pytest.importorskip("gevent.timeout").Timeout()

    def cut(unit: str) -> None:
        raise raised

    call, state, buffer, made = armed(cut)
    with pytest.raises(type(raised)):
        call("u1")
    batch = told(buffer)
    assert batch.errors == batch.running == ()
    assert (batch.failures, batch.cuts) == (Pair(), Pair(0, 1))
    assert batch.cut == (Failed(NOW, known("u1"), True),)
    made.swap(armed_state(state, None))
    with pytest.raises(type(raised)):
        call("u1")
    assert (state.counts.failed[1].read(), state.counts.running(1)) == (0, 0)


def test_a_group_in_which_something_failed_is_a_failure() -> None:
    """And what is ignored by name is neither a failure nor cut short."""

    def new(unit: str) -> None:
        raise BaseExceptionGroup("of a task group", [CANCELLED, Trouble()] if unit == "u1" else [CANCELLED])

    call, _, buffer, _ = armed(new)
    ignoring, _, quiet, _ = armed(new, guard={"ignore": ("BaseExceptionGroup",)})
    for unit in ("u1", "u2"):
        for function in (call, ignoring):
            with pytest.raises(BaseExceptionGroup):
                function(unit)
    batch = told(buffer)
    assert (batch.errors, batch.cut) == ((Failed(NOW, known("u1"), True),), (Failed(NOW, known("u2"), True),))
    said = told(quiet)
    assert (said.failures, said.cuts) == (Pair(), Pair())


def test_errors_that_are_ignored_are_no_failures() -> None:
    """By class in the code, armed or not; by name in the guard."""

    def wrong(unit: str) -> None:
        raise ClientError

    for wishes, guard in (({"ignore": (ClientError,)}, {}), ({}, {"ignore": ("ClientError",)})):
        call, state, buffer, made = armed(wrong, guard=guard, **wishes)
        with pytest.raises(ClientError):
            call("u1")
        assert told(buffer).failures == Pair()
        assert state.counts.failed[1].read() == 0
        made.swap(armed_state(state, None))
        with pytest.raises(ClientError):
            call("u1")
        assert state.counts.failed[1].read() == (0 if wishes else 1)
        assert state.counts.running(1) == 0


def test_exceptions_that_stop_a_release_are_counted_by_name() -> None:
    """And count as failures beside it."""
    call, _, buffer, _ = armed(broken, guard={"stop_on": ("Trouble",)})
    with pytest.raises(Trouble):
        call("u1")
    batch = told(buffer)
    assert batch.named == {"Trouble": Pair(0, 1)}
    assert batch.failures == Pair(0, 1)


@pytest.mark.parametrize("weight", [0, 100])
@pytest.mark.parametrize("pins", [None, {"somebody": "new"}])
def test_a_result_may_be_declared_a_failure(weight: float, pins: dict[str, str] | None) -> None:
    """On either side, on the straight lines and off them, armed or not."""
    call, state, buffer, made = armed(fine, weight=weight, pins=pins, failed=lambda result: result == "for u1")
    index = 1 if weight else 0
    assert [call("u1"), call("u2")] == ["for u1", "for u2"]
    batch = told(buffer)
    assert batch.errors == (Failed(NOW, known("u1"), index == 1),)
    assert batch.calls == batch.timed == (Begun(NOW, index == 1, 2),)
    made.swap(armed_state(state, None))
    assert [call("u1"), call("u2")] == ["for u1", "for u2"]
    assert state.counts.failed[index].read() == 2


def test_a_predicate_that_raises_is_no_failure_and_is_said() -> None:
    """The version has answered, and its answer is given."""

    def predicate(result: object) -> bool:
        raise RuntimeError

    chooser = FakeChooser()
    call, state, buffer, _ = armed(fine, chooser=chooser, failed=predicate)
    assert call("u1") == "for u1"
    assert told(buffer).failures == Pair()
    assert state.counts.failed[1].read() == 0
    assert chooser.said == [
        ("failed_raised checkout", "split 'checkout': failed= raised RuntimeError: not counted as a failure")
    ]


def test_what_cannot_be_judged_is_refused() -> None:
    """An async generator has no result, and ignore takes classes of exceptions."""

    async def items(unit: str) -> AsyncIterator[int]:
        yield 1

    state = a_state({"new": 100}, {"old": items, "new": items})
    with pytest.raises(RegistrationError, match="has none: raise an error instead"):
        route(items, RouteOptions("checkout", unit="unit", failed=bool), state, FakeChooser(), lambda *_: None)
    bad: Any = ("ValueError",)
    with pytest.raises(RegistrationError, match="takes classes of exceptions"):
        route(fine, RouteOptions("checkout", unit="unit", ignore=bad), state, FakeChooser(), lambda *_: None)


def test_after_the_candidate_failed_the_fallback_is_no_call_of_old() -> None:
    """The candidate's failure counts, and old's run does not."""
    call, state, buffer, _ = armed(fine, broken, fallback=True)
    assert call("u1") == "for u1"
    batch = told(buffer)
    assert batch.calls == (Begun(NOW, True, 1),)
    assert batch.failures == Pair(0, 1)
    assert state.counts.asked() == 1


def test_pinned_and_unusable_units_are_no_evidence() -> None:
    """Off the straight lines only what the hash has drawn is written down."""
    call, state, buffer, _ = armed(fine, weight=0.001, pins={"vip": "new"})
    made_new, _, buffer_new, _ = armed(fine, weight=100, pins={"vip": "new"})
    call("u1")
    call(None)
    call("")
    made_new("vip")
    made_new("u1")
    assert told(buffer).calls == (Begun(NOW, False, 1),)
    batch = told(buffer_new)
    assert batch.calls == (Begun(NOW, True, 1),)
    assert [exposed.unit for exposed in batch.exposed] == [hash32(b"u1", state.seed)]
    assert state.counts.measured()[0].evaluations == {"bucket": 1, "no_unit": 2}


def test_what_the_slow_path_begins_is_counted_once() -> None:
    """As a decision by the meters, as a call by the buffer; running calls too."""
    running: list[int] = []

    def look(unit: str) -> None:
        running.append(counts.running(1))

    call, state, buffer, _ = armed(look, pins={"vip": "new"})
    counts = state.counts
    call("u1")
    assert running == [1]
    assert counts.running(1) == 0
    assert counts.measured()[1].evaluations == {"bucket": 1}
    assert told(buffer).calls == (Begun(NOW, True, 1),)


def test_several_candidates_and_their_baseline_are_written_down() -> None:
    """Each call on the buffer of its version; what stands in for an absent version is none."""

    def named(name: str) -> Any:
        def version(unit: str) -> str:
            if unit.endswith("bad"):
                raise Trouble
            return name

        return version

    functions = {name: named(name) for name in ("old", "b", "c")}
    state = a_state({"b": 30, "c": 30, "gone": 20}, functions)
    made = a_route_of(functions, state)
    buffer = a_buffer(state.names)
    made.swap(armed_state(state, buffer))
    raised = 0
    for number in range(400):
        try:
            made.function(f"u{number}" + ("bad" if number % 7 == 0 else ""))
        except Trouble:
            raised += 1
    absent = state.counts.measured()[0].evaluations["version_absent"]
    b, c, gone = buffer.collect(NOW)
    sides = [{begun.on_new: begun.calls for begun in batch.calls} for batch in (b, c)]
    assert sides[0][False] == sides[1][False]
    assert sides[0][True] + sides[1][True] + sides[0][False] == 400 - absent
    assert absent > 0
    assert set(b.timed) == set(b.calls)
    assert {begun.on_new for begun in gone.calls} == {False}
    failed = b.failures.new + c.failures.new + b.failures.old
    assert 0 < failed < raised
    assert sum(meter.read() for meter in state.counts.failed) == failed
    assert b.running == c.running == ()


def test_a_choice_kept_in_a_request_is_a_call_and_no_new_unit() -> None:
    """By an explicit unit and by the context's; its failures are its unit's."""
    for unit in ("unit", None):
        call, state, buffer, _ = armed(fine, broken, weight=100, unit=unit)
        with context(unit="u1"):
            for _ in range(3):
                with pytest.raises(Trouble):
                    call("u1")
        batch = told(buffer)
        assert batch.calls == (Begun(NOW, True, 3),)
        assert batch.exposed == (Exposed(hash32(b"u1", state.seed), True),)
        assert batch.errors == (Failed(NOW, known("u1"), True, 3),)


def test_coroutines_are_written_down_while_they_wait() -> None:
    """Begun before, ended after; cancelled is no failure."""

    async def wait(unit: str) -> str:
        waiting.release()
        await gate.wait()
        if unit == "bad":
            raise Trouble
        return unit

    async def story() -> None:
        tasks = [asyncio.create_task(call(unit)) for unit in ("u1", "bad", "cut")]
        for _ in tasks:
            await waiting.acquire()
        batch = told(buffer)
        assert batch.running == (Begun(NOW, True, 3),)
        assert {hanging.unit for hanging in batch.hanging} == {known("u1"), known("bad"), known("cut")}
        tasks[2].cancel()
        gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [str, Trouble, asyncio.CancelledError]

    waiting, gate = asyncio.Semaphore(0), asyncio.Event()
    call, state, buffer, _ = armed(wait)
    asyncio.run(story())
    batch = told(buffer)
    assert batch.running == batch.hanging == ()
    assert batch.errors == (Failed(NOW, known("bad"), True),)
    assert state.counts.running(1) == 0


def test_generators_are_written_down_until_they_end() -> None:
    """From the first item on; one that is abandoned has ended without a failure."""

    def items(unit: str) -> Iterator[int]:
        yield 1
        if unit == "bad":
            raise Trouble
        yield 2

    call, _, buffer, _ = armed(items)
    assert list(call("u1")) == [1, 2]
    with pytest.raises(Trouble):
        list(call("bad"))
    abandoned = call("u2")
    next(abandoned)
    assert told(buffer).running == (Begun(NOW, True, 1),)
    abandoned.close()
    batch = told(buffer)
    assert batch.running == ()
    assert batch.failures == Pair()


def test_async_generators_are_written_down_until_they_end() -> None:
    """As generators are."""

    async def items(unit: str) -> AsyncIterator[int]:
        yield 1
        if unit == "bad":
            raise Trouble

    async def story() -> None:
        assert [item async for item in call("u1")] == [1]
        with pytest.raises(Trouble):
            assert [item async for item in call("bad")]

    call, _, buffer, _ = armed(items)
    asyncio.run(story())
    batch = told(buffer)
    assert batch.calls == batch.timed == (Begun(NOW, True, 2),)
    assert batch.errors == (Failed(NOW, known("bad"), True),)
    assert batch.running == ()


def test_methods_are_written_down() -> None:
    """With the unit that they name."""

    class Shop:
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        def sell(self) -> None:
            raise Trouble

    made, _, buffer, _ = armed(Shop.sell, unit="self.tenant")
    with pytest.raises(Trouble):
        made(Shop("t1"))
    assert told(buffer).errors == (Failed(NOW, known("t1"), True),)


def test_calls_under_way_end_where_they_began() -> None:
    """Across arming and disarming, in all orders: nothing is lost and nothing ends twice."""

    def swap(unit: str) -> None:
        made.swap(armed_state(state, second if unit == "arm" else None))

    first, second = a_buffer(), a_buffer()
    made, state = a_route(swap, weight=100)
    made.swap(armed_state(state, None))
    made.function("arm")  # begun unarmed
    made.function("disarm")  # begun on the second buffer
    made.swap(armed_state(state, first))
    made.function("arm")  # begun on the first
    made.function("arm")
    assert state.counts.running(1) == 0
    assert state.counts.asked() == state.counts.measured()[1].evaluations["bucket"] == 4
    assert (told(first).running, told(second).running) == ((), ())
    assert (first.totals.begun(1), second.totals.begun(1)) == (1, 2)


@pytest.mark.parametrize("weight", [0, 50, 100])
def test_neither_a_call_that_runs_nor_one_that_failed_holds_what_it_writes_on(weight: int) -> None:
    """A part whose calls hang is let go after a while; so is one whose errors somebody keeps."""

    def fail(unit: str) -> None:
        parts[-1].close(PartRecords(2))
        held.append(parts[-1].records.held)
        parts[-1].close(parts[-1].records)  # open again: the end is written here
        raise Trouble

    held: list[bool] = []
    errors: list[Trouble] = []
    made, _, buffer, _ = armed(fail, fail, weight=weight)
    parts = [buffer.current]
    for second in range(NOW + 1, NOW + 11):
        try:
            made(str(second))
        except Trouble as error:
            errors.append(error)
        buffer.turn(second)
        parts.append(buffer.current)
    for part in parts:
        part.close(PartRecords(2))
    assert held == [False] * len(errors) == [False] * 10
    assert not any(part.records.held for part in parts)
    assert [part.records.ends(0) + part.records.ends(1) for part in parts] == [1] * 10 + [0]


class Collector:
    """Swaps states, turns parts and collects, as fast as it can."""

    def __init__(self, swap: Callable[[CompiledSplit], None], states: list[CompiledSplit]) -> None:
        """Begin with nothing collected."""
        self.swap = swap
        self.states = states
        self.second = NOW
        self.found = {state.buffer: [0, 0] for state in states if state.buffer is not None}  # calls, failures

    def turn(self) -> None:
        """Let a second pass."""
        self.second += 1
        self.swap(self.states[self.second % len(self.states)])
        for buffer in self.found:
            buffer.turn(self.second)
        self.collect()
        self.states[0].counts.asked()

    def collect(self) -> None:
        """Add up what is told."""
        for buffer, found in self.found.items():
            for batch in buffer.collect(self.second):
                found[0] += sum(begun.calls for begun in batch.calls)
                found[1] += sum(failed.calls for failed in batch.errors)


def test_eight_threads_lose_nothing_under_swaps_and_collections() -> None:
    """Calls, failures and ends are exact while the split is armed and disarmed, and parts are turned and collected."""

    def sometimes(unit: str) -> None:
        if int(unit) % 28 == 0:
            raise Trouble

    def call(place: int) -> None:
        for number in range(each):
            if place == 0 and number % 50 == 0:
                collector.turn()
            try:
                made.function(str(number))
            except Trouble:
                raised[place] += 1

    each, raised = 3_000, [0] * 8
    made, state = a_route(sometimes, weight=30)
    states = [armed_state(state, buffer) for buffer in (None, a_buffer(every_call=False), a_buffer())]
    collector, counts = Collector(made.swap, states), state.counts
    in_threads(call, 8, counts.asked)
    collector.collect()
    assert counts.asked() == sum(counts.measured()[index].evaluations["bucket"] for index in (0, 1)) == 8 * each
    assert sum(meter.read() for meter in counts.failed) == sum(raised)
    assert counts.running(1) == 0
    for buffer, (calls, failures) in collector.found.items():
        assert (
            calls
            == buffer.totals.begun(0) + buffer.totals.begun(1)
            == buffer.totals.ended(0) + buffer.totals.ended(1)
            > 0
        )
        assert 0 < failures < calls


def test_a_call_waits_for_nobody_who_collects() -> None:
    """Law 10: while the buffer's lock is held, calls begin, fail and end."""
    call, _, buffer, _ = armed(broken)
    ready = Barrier(2)
    raised: list[type] = []

    def run() -> None:
        ready.wait(5)
        try:
            call("u1")
        except Trouble as error:
            raised.append(type(error))

    with buffer._lock:
        thread = Thread(target=run)
        thread.start()
        ready.wait(5)
        thread.join(5)
        assert raised == [Trouble]
    assert told(buffer).failures == Pair(0, 1)


@pytest.mark.parametrize("ignored", [(), (Trouble,)])
def test_an_attempt_is_written_down(ignored: tuple[type[BaseException], ...]) -> None:
    """Begun when it is entered, ended when it is left, failed with what it raised unless that is ignored."""
    state = a_state({"new": 100})
    buffer = a_buffer()
    state = armed_state(state, buffer)
    handle = Split("checkout", ("old", "new"), state, FakeChooser(), ignored=ignored)
    with handle.attempt("u1") as version:
        assert version == "new"
        assert told(buffer).running == (Begun(NOW, True, 1),)
        assert state.counts.running(1) == 1
    with pytest.raises(Trouble), handle.attempt("u2"):
        raise Trouble
    batch = told(buffer)
    assert batch.running == ()
    assert [failed.unit for failed in batch.errors] == ([] if ignored else [known("u2")])
    assert state.counts.running(1) == 0
    assert state.counts.attempted()
    assert state.counts.measured()[1].evaluations == {"bucket": 2}


async def later() -> str:
    """Answer some time."""
    return "answer"


def items() -> Iterator[str]:
    """Return items when asked."""
    yield "item"


@pytest.mark.parametrize("weight", [0, 100])
@pytest.mark.parametrize("make", [later, items, concurrent.futures.Future])
def test_a_result_that_is_not_done_yet_is_said_once_and_counted(make: Callable[[], Any], weight: float) -> None:
    """How such a call ends nobody sees; a result that is done is none."""
    results: list[Any] = []

    def plain(unit: str) -> Any:
        results.append(make() if unit != "done" else "done")
        return results[-1]

    chooser = FakeChooser()
    call, _, buffer, _ = armed(plain, weight=weight, chooser=chooser)
    assert call("done") == "done"
    assert chooser.said == []
    for unit in ("u1", "u2"):
        assert call(unit) is results[-1]
    batch = told(buffer)
    assert batch.unfinished == (Pair(0, 2) if weight else Pair(2, 0))
    assert (batch.failures, batch.running) == (Pair(), ())
    ((kind, said),) = chooser.said
    assert kind == "unfinished checkout"
    assert f"'{'new' if weight else 'old'}' has returned a" in said
    for result in results:
        if make is later and result != "done":
            result.close()


def test_a_function_marked_as_a_coroutine_function_is_awaited() -> None:
    """Its failures are the version's; by asyncio's mark before Python 3.12, by inspect's from then on."""

    def marked(unit: str) -> Any:
        return fail(unit)

    async def fail(unit: str) -> str:
        raise Trouble(unit)

    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(marked)
    else:
        marked._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # as asgiref marks one
    call, _, buffer, _ = armed(marked)
    assert asyncio.iscoroutinefunction(call) or inspect.iscoroutinefunction(call)
    with pytest.raises(Trouble):
        asyncio.run(call("u1"))
    batch = told(buffer)
    assert (batch.failures, batch.unfinished) == (Pair(0, 1), Pair())


@pytest.mark.parametrize("is_armed", [True, False])
def test_an_error_near_the_end_of_the_stack_leaves_no_call_running(*, is_armed: bool) -> None:
    """Nothing of ours can be called there any more, and the end of the call is written all the same."""
    again: list[Callable[[str], object]] = []

    def once_more(unit: str) -> object:
        return again[0](unit)

    call, state, buffer, made = armed(once_more)
    again.append(call)
    if not is_armed:
        made.swap(armed_state(state, None))
    for depth in range(8):
        with pytest.raises(RecursionError):
            deepened(depth, call)
    assert state.counts.running(1) == 0
    if is_armed:
        assert told(buffer).running == ()


@pytest.mark.parametrize("kind", ["unarmed", "armed", "thinned"])
@pytest.mark.parametrize("weight", [0, 100])
def test_a_call_at_any_depth_ends_if_it_has_begun(kind: str, weight: float) -> None:
    """The version calls nothing itself: it runs where there is no room left for what writes it down."""
    call, state, buffer, made = armed(lambda unit: unit, weight=weight)
    if kind == "unarmed":
        made.swap(armed_state(state, None))
    if kind == "thinned":
        buffer.current = SecondBuffer(2, NOW, timed=True, mask=1, thinning=Thinning(1, 7, int))
    done = 0
    for depth in range(sys.getrecursionlimit() - 300, sys.getrecursionlimit()):
        with suppress(RecursionError):
            done += deepened(depth, call) == "u1"
    assert 0 < done < 300
    records = buffer.current.records
    assert [records.calls(index) for index in (0, 1)] == [records.ends(index) for index in (0, 1)]
    assert state.counts.running(1) == 0


def deepened(depth: int, call: Callable[[str], object]) -> object:
    """Call from so deep."""
    return call("u1") if depth <= 0 else deepened(depth - 1, call)
