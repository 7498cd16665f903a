"""Contexts above functions, ended elsewhere than begun, and shared by threads of one request."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import unittest
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from graysplit import scope_entry
from graysplit.scope import MISSING, Scope, scope_get, scope_reset, scope_set
from graysplit.scope_entry import context, forcing
from tests.support import eventually


def unit() -> object:
    """Return the ambient unit; None outside."""
    scope = scope_get()
    return scope.unit if scope is not None else None


def test_a_coroutine_function_runs_in_its_context() -> None:
    """The body sees the unit after each await; whoever awaits does not, and each call has a scope of its own."""

    @context("user-1")
    async def handler(scopes: list[Scope | None]) -> object:
        await asyncio.sleep(0)
        scopes.append(scope_get())
        return unit()

    async def main() -> None:
        scopes: list[Scope | None] = []
        assert await asyncio.gather(handler(scopes), handler(scopes)) == ["user-1", "user-1"]
        assert scopes[0] is not scopes[1]
        assert unit() is None

    asyncio.run(main())
    assert inspect.iscoroutinefunction(handler)


def test_a_generator_runs_each_step_in_one_context_and_its_caller_in_none() -> None:
    """Sent values, thrown errors, the value returned and the end all pass; between two steps the caller is outside."""
    seen: list[object] = []

    @context("user-1")
    def lines() -> Generator[object, str, str]:
        first = scope_get()
        try:
            seen.append((yield unit()))
            try:
                yield unit()
            except KeyError:
                assert scope_get() is first
                yield "caught"
        finally:
            seen.append(unit())
        return "done"

    body = lines()
    assert next(body) == "user-1"
    assert unit() is None
    assert body.send("a") == "user-1"
    assert body.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as end:
        next(body)
    assert end.value.value == "done"
    assert seen == ["a", "user-1"]
    left = lines()
    next(left)
    left.close()
    assert seen[2:] == ["user-1"]
    assert unit() is None


def test_an_async_generator_runs_each_step_in_its_context() -> None:
    """As a generator's; also where it is left early and closed."""
    seen: list[object] = []

    @context("user-1")
    async def lines() -> AsyncGenerator[object, str]:
        try:
            await asyncio.sleep(0)
            seen.append((yield unit()))
            try:
                yield unit()
            except KeyError:
                yield "caught"
        finally:
            await asyncio.sleep(0)
            seen.append(unit())

    async def main() -> None:
        body = lines()
        assert await anext(body) == "user-1"
        assert unit() is None
        assert await body.asend("a") == "user-1"
        assert await body.athrow(KeyError()) == "caught"
        assert [line async for line in body] == []
        left = lines()
        await anext(left)
        await left.aclose()
        assert seen == ["a", "user-1", "user-1"]

    asyncio.run(main())


def test_a_decorated_function_may_call_itself_and_run_in_threads_at_once() -> None:
    """Each run opens and closes its own scope."""

    @context("user-1")
    def deep(left: int) -> int:
        assert unit() == "user-1"
        return deep(left - 1) + 1 if left else 0

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(deep, [20] * 40)) == [20] * 40
    assert unit() is None


def test_a_test_of_unittest_runs_its_coroutine() -> None:
    """A coroutine test that fails, fails; a class above which it stands is refused, as it would lose its tests."""

    class Case(unittest.IsolatedAsyncioTestCase):
        @forcing({"checkout": "new"})
        async def test_it(self) -> None:
            await asyncio.sleep(0)
            raise AssertionError("ran")

    found = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(found)
    assert len(found.failures) == 1
    with pytest.raises(TypeError, match="Case is a class: decorate its methods"):
        forcing({"checkout": "new"})(Case)


def test_a_block_may_be_opened_again_and_within_itself() -> None:
    """One object for many blocks: each closes what it has opened."""
    block = context("user-1")
    for _ in range(2):
        with block:
            with block:
                assert unit() == "user-1"
            assert unit() == "user-1"
        assert unit() is None


def test_threads_share_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread keeps choices while another opens a context inside: nobody sees a dictionary change its size."""
    scope = Scope("user-1")
    stop = threading.Event()

    def keep() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            scope.keep("key", f"u{number % 900}", b"u%d" % (number % 900), 1)
            if number % 900 == 0:
                scope.clear()

    def nest() -> None:
        for _ in range(3_000):
            with context("user-2"):
                pass

    writer = threading.Thread(target=keep)
    writer.start()
    try:
        token = scope_set(scope)
        try:
            nest()
        finally:
            scope_reset(token)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("outer", [None, "user-0"])
def test_a_context_ended_elsewhere_raises_nothing_and_ends(
    outer: str | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dependency that yields in a thread pool: begun in one copy of the context, ended in another; said once."""
    monkeypatch.setattr(scope_entry, "_ELSEWHERE", scope_entry._Elsewhere())
    begun: list[Scope | None] = []

    def one() -> None:
        for _ in range(2):
            block = context("user-1", {"plan": "pro"})
            block.__enter__()
            scope = scope_get()
            assert scope is not None
            scope.keep("key", "user-1", b"user-1", 1)
            contextvars.copy_context().run(block.__exit__, None, None, None)
            begun.append(scope_get())
            scope.keep("key", "user-1", b"user-1", 1)
            assert (scope.unit, scope.attributes, len(scope)) == (outer or MISSING, {}, 0)

    with caplog.at_level(logging.WARNING):
        if outer is None:
            contextvars.copy_context().run(one)
        else:
            with context(outer):
                contextvars.copy_context().run(one)
        assert eventually(lambda: [line for line in caplog.messages if "ended by another thread or task" in line])
    assert len([line for line in caplog.messages if "ended by another thread or task" in line]) == 1


def test_an_abandoned_async_generator_leaves_its_taker_without_its_unit() -> None:
    """`break` out of one that opened a context inside: once the loop has closed it, its unit is no longer in force."""

    async def lines() -> AsyncGenerator[int, None]:
        with context("user-1"):
            yield 1

    async def main() -> object:
        async for _ in lines():
            break
        for _ in range(50):
            await asyncio.sleep(0)  # the loop closes what was left
            if unit() in {None, MISSING}:
                break
        return unit()

    assert asyncio.run(main()) in {None, MISSING}
