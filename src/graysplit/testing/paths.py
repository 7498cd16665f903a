"""Run a test once on each path of a split: in pytest as a parameter, in unittest as a test of its own."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar, cast
from unittest import TestCase

from graysplit.core.weights import check_name
from graysplit.errors import ConfigurationError
from graysplit.scope import scope_get
from graysplit.testing.forced_versions import Forced

T = TypeVar("T", bound=Callable[..., Any])

MARKER: Final = "graysplit_paths"


def both_paths(split: str, *versions: str) -> BothPaths:
    """Run a test once on each version of a split: those that the program declares, or those that are named.

    Above a function, a test class or a `unittest.TestCase`; for a whole module `pytestmark = both_paths("checkout")`.
    """
    return BothPaths(check_name(split), tuple(check_name(version) for version in versions))


class BothPaths:
    """What `both_paths` gives: a decorator, and to pytest a mark."""

    def __init__(self, split: str, versions: tuple[str, ...]) -> None:
        """Take the split and the versions; none: those that are declared when the tests are collected."""
        self.split, self.named = split, versions

    @property
    def mark(self) -> object:
        """The mark that pytest reads where this is a module's `pytestmark`."""
        import pytest

        return getattr(pytest.mark, MARKER)(self.split, *self.named).mark

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions to run on."""
        return self.named or versions_of(self.split) or ("old", "new")

    def __call__(self, target: T) -> T:
        """Return a class or function that runs on each version."""
        if isinstance(target, type):
            return cast("T", self._class(target))
        made = self._function(target)
        return _marked(made, self) if "pytest" in sys.modules else made

    def _class(self, target: type[object]) -> type[object]:
        if issubclass(target, TestCase):
            multiply(target, self)
            return target
        if "pytest" not in sys.modules:
            raise ConfigurationError(f"{target.__name__} is neither a unittest.TestCase nor collected by pytest")
        return _marked(target, self)

    def _function(self, function: T) -> T:
        """Return a function that runs on each version in turn, unless pytest runs it once for each."""
        if iscoroutinefunction(function):
            awaited = cast("Callable[..., Awaitable[None]]", function)

            @wraps(function)
            async def run_async(*args: object, **named: object) -> None:
                for once in self._turns():
                    with once:
                        await awaited(*args, **named)

            return cast("T", run_async)

        @wraps(function)
        def run(*args: object, **named: object) -> None:
            for once in self._turns():
                with once:
                    function(*args, **named)

        return cast("T", run)

    def _turns(self) -> Sequence[AbstractContextManager[None]]:
        scope = scope_get()
        if scope is not None and self.split in scope.forced:
            return [nullcontext()]  # by pytest, or by a block around it
        return [Forced({self.split: version}) for version in self.versions]


def _marked(target: T, paths: BothPaths) -> T:
    import pytest

    return cast("T", getattr(pytest.mark, MARKER)(paths.split, *paths.named)(target))


def multiply(case: type[TestCase], paths: BothPaths) -> None:
    """Replace each test of a `unittest.TestCase` by one for each version, its name ending with it."""
    from unittest import TestLoader

    for name in TestLoader().getTestCaseNames(case):
        test = getattr(case, name)
        for version in paths.versions:
            made = Forced({paths.split: version})(test)
            made.__name__ = f"{name}_{paths.split}_{version}".replace("-", "_").replace(".", "_")
            made.__qualname__ = f"{case.__qualname__}.{made.__name__}"
            setattr(case, made.__name__, made)
        setattr(case, name, None)  # an inherited one is hidden: what is not callable is no test


def versions_of(split: str) -> tuple[str, ...]:
    """Return the versions that the routers of this process declare for a split, the baseline first."""
    module = sys.modules.get("graysplit.router.lifecycle")
    found: dict[str, None] = {}
    for lifecycle in module.LIVING if module is not None else ():
        declaration = lifecycle.states.declarations.get(split)
        found.update(dict.fromkeys(declaration.names if declaration is not None else ()))
    return tuple(found)
