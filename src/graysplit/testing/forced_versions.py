"""Versions forced by split's name, and the check that there are such splits and versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import TestCase, TestLoader

from graysplit.errors import GraysplitError, UnknownSplitError, UnknownVersionError
from graysplit.router.lifecycle import LIVING
from graysplit.scope import MISSING, scope_get
from graysplit.scope_entry import Opening
from graysplit.server_access import alone

if TYPE_CHECKING:
    from types import TracebackType

    from graysplit.scope import Scope

F = TypeVar("F", bound=Callable[..., Any])


class Forced(Opening):
    """What `forced` gives: as a context, and a name that nothing here has is an error."""

    __slots__ = ()

    def __init__(self, versions: Mapping[str, str]) -> None:
        """Take the versions by split's name; nothing is forced yet."""
        super().__init__(MISSING, None, versions)

    def __enter__(self) -> None:
        """Force them; what is known to be wrong already is raised."""
        known = _known()
        for split, version in self._forced.items():
            _check_version(split, version, known.get(split, ()))
        super().__enter__()
        self._open[-1][0].met = {}  # what an earlier block met in the same context was of another router

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and raise what was wrong; where another error is under way, add it there."""
        scope = self._open[-1][0]
        super().__exit__(kind, error, trace)
        try:
            self._check(scope)
        except GraysplitError as fault:
            if error is None:
                raise
            error.add_note(f"forced: {fault}")

    def __call__(self, function: F) -> F:
        """Return a function that runs with them forced; a `unittest.TestCase` with each of its tests."""
        kind: object = function
        if isinstance(kind, type) and issubclass(kind, TestCase):
            for name in TestLoader().getTestCaseNames(kind):
                setattr(kind, name, super().__call__(getattr(kind, name)))
            return function
        return super().__call__(function)

    def again(self) -> Forced:
        """Return one that forces the same, for another run."""
        return Forced(self._forced)

    def _check(self, scope: Scope) -> None:
        """Raise where a split has not been asked in a scope and nothing here knows it, or has not that version."""
        known = {**_known(), **scope.met}
        for split, version in self._forced.items():
            if split not in known:
                raise UnknownSplitError(split, known)
            _check_version(split, version, known[split])


def check_known(versions: Mapping[str, str]) -> set[str]:
    """Return the splits of these that a router of this process has; raise where it has not that version."""
    known, scope = _known(), scope_get()
    found = {**known, **(scope.met if scope is not None else {})}
    for split in versions.keys() & found.keys():
        _check_version(split, versions[split], found[split])
    return versions.keys() & found.keys()


def _check_version(split: str, version: str, names: tuple[str, ...]) -> None:
    """Raise where the names are known and a version is not among them."""
    if names and version not in names:
        raise UnknownVersionError(split, version, names)


def _known() -> dict[str, tuple[str, ...]]:
    """Return the versions by each split that the routers of this process know; none where it may have more of them.

    A router that is still asleep has not heard which versions the store has; a test's private store is empty then.
    """
    found: dict[str, tuple[str, ...]] = {}
    for states in [lifecycle.states for lifecycle in LIVING]:
        for split in {*states.declarations, *states.held.definitions}:
            names = states.state(split).names if states.phase != "asleep" or alone() else ()
            found[split] = (*found.get(split, ()), *names)
    return found
