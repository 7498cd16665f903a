"""Coroutines, generators and async generators, routed: delegated to the last step, and counted at their end."""

# ruff: noqa: ARG002 - stand-ins have the parameters of what they stand for

from __future__ import annotations

import asyncio
import gc
import inspect
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import suppress
from typing import Any

import pytest

from tests.routes.making import read, routed


async def _old(unit: str) -> str:
    return "old"


async def _new(unit: str) -> str:
    await asyncio.sleep(0)
    return "new"


async def _trouble(unit: str) -> str:
    await asyncio.sleep(0)
    raise LookupError(unit)


def _items(unit: str) -> Generator[int, str, str]:
    yield 1


async def _stream(unit: str) -> AsyncIterator[int]:
    yield 1


@pytest.mark.filterwarnings("ignore:.asyncio.iscoroutinefunction:DeprecationWarning")  # until 3.16 frameworks ask it
@pytest.mark.parametrize(
    ("function", "is_one"),
    [
        (_old, inspect.iscoroutinefunction),
        (_old, asyncio.iscoroutinefunction),
        (_items, inspect.isgeneratorfunction),
        (_stream, inspect.isasyncgenfunction),
    ],
)
def test_it_is_what_it_stands_in_for(function: Callable[..., Any], is_one: Callable[[object], bool]) -> None:
    """Frameworks that ask what a function is get the function's answer."""
    assert is_one(routed(function)[0])


# Coroutines


def test_a_coroutine_is_decided_when_it_runs() -> None:
    """Both sides are awaited, in a task too, and counted at their ends."""
    for weight, name in ((0, "old"), (100, "new")):
        function, state = routed(_old, _new, weight=weight)

        async def both(function: Any = function) -> tuple[str, str]:
            return await function("u-1"), await asyncio.create_task(function(b"u-1"))

        assert asyncio.run(both()) == (name, name)
        assert read(state)["finished"] == ([0, 0] if weight == 0 else [0, 2])
        assert sum(read(state)["started"]) == 2


@pytest.mark.parametrize("unit", ["u-1", b"u-1"], ids=["straight", "slow"])
def test_what_a_coroutine_raises_passes_through_untouched(unit: Any) -> None:
    """No cause, no context, one frame of ours, one failure."""
    function, state = routed(_old, _trouble)
    with pytest.raises(LookupError) as caught:
        asyncio.run(function(unit))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert sum(frame.filename.startswith("<graysplit") for frame in frames) == 1
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 1]}


def test_cancellation_is_no_failure() -> None:
    """A cancelled coroutine has ended, and nothing speaks against it."""

    async def forever(unit: str) -> str:
        await asyncio.Event().wait()
        return ""

    function, state = routed(_old, forever)

    async def cancelled() -> None:
        task = asyncio.create_task(function("u-1"))
        await asyncio.sleep(0)
        assert read(state)["started"] == [0, 1]
        assert read(state)["finished"] == [0, 0]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 0]}


def test_a_coroutine_falls_back() -> None:
    """fallback=True awaits the baseline where the candidate raised."""
    function, state = routed(_old, _trouble, fallback=True)
    assert asyncio.run(function("u-1")) == "old"
    assert asyncio.run(function(b"u-1")) == "old"
    assert read(state) == {"started": [0, 2], "finished": [0, 2], "failed": [0, 2]}


def test_a_coroutine_method_binds() -> None:
    """`async def` in a class body is routed like any function."""

    class Shop:
        async def price_old(self, unit: str) -> str:
            return "old"

        async def price_new(self, unit: str) -> str:
            return f"new {type(self).__name__}"

        price = routed(price_old, price_new)[0]

    assert asyncio.run(Shop().price("u-1")) == "new Shop"


def test_it_serves_as_a_bare_endpoint() -> None:
    """Starlette takes a routed coroutine function as an endpoint as it is."""
    starlette = pytest.importorskip("starlette")
    httpx = pytest.importorskip("httpx")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def old(request: Any) -> Any:
        return PlainTextResponse("old")

    async def new(request: Any) -> Any:
        return PlainTextResponse(f"new {request.query_params['user']}")

    endpoint, state = routed(old, new, unit=lambda request: request.query_params["user"])
    app = Starlette(routes=[Route("/", endpoint)])

    async def ask() -> str:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return str((await client.get("/", params={"user": "u-1"})).text)

    assert starlette
    assert asyncio.run(ask()) == "new u-1"
    assert read(state)["started"] == [0, 1]


# Generators


def _talk(unit: str) -> Generator[object, object, str]:
    heard = yield "hello"
    while heard != "end":
        try:
            heard = yield heard
        except KeyError as error:
            heard = repr(error)
    return f"{unit} ended"


@pytest.mark.parametrize("weight", [0, 100])
@pytest.mark.parametrize("unit", ["u-1", b"u-1"], ids=["straight", "slow"])
def test_a_generator_is_delegated_to(weight: float, unit: Any) -> None:
    """Items, what is sent and thrown, and the value returned pass as in a direct call."""
    function, state = routed(_talk, weight=weight)
    for made in (_talk, function):
        talk = made(unit)
        assert next(talk) == "hello"
        assert talk.send(1) == 1
        assert talk.throw(KeyError("k")) == "KeyError('k')"
        with pytest.raises(StopIteration) as ended:
            talk.send("end")
        assert ended.value.value == f"{unit} ended"
    assert read(state)["finished"] == ([0, 0] if weight == 0 else [0, 1])
    assert read(state)["failed"] == [0, 0]


def test_a_generator_that_is_closed_early_has_ended() -> None:
    """Closing, and being forgotten, end a call without a failure; what was never begun is not counted."""
    function, state = routed(_talk)
    talk = function("u-1")
    next(talk)
    talk.close()
    forgotten = function("u-1")
    next(forgotten)
    del forgotten
    gc.collect()
    function("u-1")
    assert read(state) == {"started": [0, 2], "finished": [0, 2], "failed": [0, 0]}


def test_what_a_generator_raises_is_a_failure() -> None:
    """An exception after some items is the version's, with no context of ours."""

    def new(unit: str) -> Generator[int]:
        yield 1
        raise LookupError

    function, state = routed(_talk, new)
    with pytest.raises(LookupError) as caught:
        list(function("u-1"))
    assert caught.value.__context__ is None
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 1]}


# Async generators


async def _async_talk(unit: str) -> AsyncGenerator[object, object]:
    heard = yield "hello"
    while heard != "end":
        try:
            await asyncio.sleep(0)
            heard = yield heard
        except KeyError as error:
            heard = repr(error)
        if heard == "raise":
            raise LookupError
    yield "bye"


async def _script(made: Callable[..., Any], unit: Any) -> list[object]:
    heard: list[object] = []
    talk = made(unit)
    heard.append(await talk.__anext__())
    heard.append(await talk.asend(1))
    heard.append(await talk.athrow(KeyError("k")))
    heard.append(await talk.asend("end"))
    with pytest.raises(StopAsyncIteration):
        await talk.__anext__()

    talk = made(unit)
    await talk.__anext__()
    await talk.aclose()
    with pytest.raises(StopAsyncIteration):
        await talk.__anext__()

    talk = made(unit)
    await talk.__anext__()
    error = ValueError("v")
    with pytest.raises(ValueError, match="v") as caught:
        await talk.athrow(error)
    heard += [caught.value is error, error.__context__]
    frames = traceback.extract_tb(error.__traceback__)
    heard.append(sum(frame.filename.startswith("<graysplit") for frame in frames) <= 1)

    talk = made(unit)
    await talk.__anext__()
    await talk.asend(1)
    await talk.athrow(KeyError("swallowed"))
    with pytest.raises(LookupError) as lookup:
        await talk.asend("raise")
    heard.append(lookup.value.__context__)
    return heard


@pytest.mark.parametrize("weight", [0, 100])
@pytest.mark.parametrize("unit", ["u-1", b"u-1"], ids=["straight", "slow"])
def test_an_async_generator_is_delegated_to(weight: float, unit: Any) -> None:
    """asend, athrow and aclose, and what they raise, are as in a direct call: no context, no second frame."""
    function, state = routed(_async_talk, weight=weight)
    assert asyncio.run(_script(function, unit)) == asyncio.run(_script(_async_talk, unit))
    assert sum(read(state)["started"]) == 4
    assert read(state)["finished"] == ([0, 0] if weight == 0 else [0, 4])
    assert sum(read(state)["failed"]) == 2


def test_an_error_swallowed_by_an_async_generator_leaves_no_context() -> None:
    """What was thrown in and caught is not the context of what is raised in the same step."""

    async def new(unit: str) -> AsyncGenerator[int, None]:
        with suppress(KeyError):
            yield 1
        raise LookupError

    async def context(made: Callable[..., Any]) -> object:
        stream = made("u-1")
        await stream.__anext__()
        with pytest.raises(LookupError) as caught:
            await stream.athrow(KeyError())
        return caught.value.__context__

    function, _ = routed(new)
    assert asyncio.run(context(new)) is None
    assert asyncio.run(context(function)) is None


def test_an_async_generator_that_ignores_its_end_is_told_so() -> None:
    """Yielding after GeneratorExit is the same RuntimeError as without us."""

    async def stubborn(unit: str) -> AsyncGenerator[int, None]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    async def close(made: Callable[..., Any]) -> str:
        stream = made("u-1")
        await stream.__anext__()
        with pytest.raises(RuntimeError) as caught:
            await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        return str(caught.value)

    assert asyncio.run(close(routed(stubborn)[0])) == asyncio.run(close(stubborn))


def test_cleaning_up_runs_when_a_stream_is_closed_early() -> None:
    """`aclose` reaches the version's `finally`, which may await."""
    cleaned: list[str] = []

    async def new(unit: str) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append(unit)

    function, state = routed(_stream, new)

    async def first_only() -> None:
        stream = function("u-1")
        assert await stream.__anext__() == 1
        await stream.aclose()

    asyncio.run(first_only())
    assert cleaned == ["u-1"]
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 0]}
