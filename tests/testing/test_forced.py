"""Versions forced in tests: by block, above a function, and a name that nothing has is an error."""

from __future__ import annotations

import asyncio

import pytest

from graysplit import Control, Router, UnknownSplitError, UnknownVersionError
from graysplit.scope_entry import context
from graysplit.testing import forced


def routed(split: str) -> Router:
    """Return a router with one split of two versions, without a store."""
    router = Router()

    @router.route(split, unit="user")
    def handle(user: str) -> str:
        return "old"

    @handle.version("new")
    def handle_new(user: str) -> str:
        return "new"

    router.kept = handle  # type: ignore[attr-defined] # so that it lives
    return router


def test_above_a_coroutine_function() -> None:
    """The version is forced while the coroutine runs, and not before or after."""
    router = routed("forced-async")

    @forced(**{"forced-async": "new"})
    async def ask() -> str:
        await asyncio.sleep(0)
        return router.choose("forced-async", "u")

    assert asyncio.run(ask()) == "new"
    assert router.choose("forced-async", "u") == "old"


def test_a_split_that_nobody_has_is_an_error_at_the_end_of_the_block() -> None:
    """It may be declared inside; what was wrong is raised, with the nearest name."""
    router = routed("forced-known")
    with pytest.raises(UnknownSplitError, match="Did you mean 'forced-known'"), forced(**{"forced-knwon": "new"}):
        assert router.choose("forced-known", "u") == "old"
    with forced(**{"forced-later": "new"}):
        later = routed("forced-later")
        assert later.choose("forced-later", "u") == "new"


def test_a_version_that_the_split_has_not_is_an_error() -> None:
    """At once where it is known, else at the end; the split is asked or not."""
    router = routed("forced-version")
    with pytest.raises(UnknownVersionError, match="Did you mean 'new'"), forced(**{"forced-version": "nwe"}):
        assert router.choose("forced-version", "u") == "old"  # it was asleep before
    with pytest.raises(UnknownVersionError), forced(**{"forced-version": "nwe"}):
        pytest.fail("it is awake now, so this is not reached")
    with forced(**{"forced-version": "new"}), context("u"):
        assert router.choose("forced-version") == "new"


def test_an_error_under_way_is_not_replaced() -> None:
    """The test's own failure stays, with what was wrong beside it."""
    with pytest.raises(KeyError) as found, forced(**{"forced-nowhere": "new"}):
        raise KeyError
    assert "no split 'forced-nowhere'" in found.value.__notes__[0]


def test_versions_that_only_the_store_has_can_be_forced() -> None:
    """A split asked for by name, which a store defines."""
    with Control("memory://forced") as control:
        control.create("forced-store", versions=["old", "b"])
        with Router("memory://forced") as router, forced(**{"forced-store": "b"}):
            assert router.wait_ready(5)
            assert router.choose("forced-store", "u") == "b"
