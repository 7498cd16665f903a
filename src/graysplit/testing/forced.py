"""Versions forced by split's name, and the check that there are such splits and versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graysplit.errors import GraysplitError, UnknownSplitError, UnknownVersionError
from graysplit.router.lifecycle import LIVING
from graysplit.scope import MISSING
from graysplit.scope_entry import Opening

if TYPE_CHECKING:
    from types import TracebackType

    from graysplit.scope import Scope


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


def _check_version(split: str, version: str, names: tuple[str, ...]) -> None:
    """Raise where the names are known and a version is not among them."""
    if names and version not in names:
        raise UnknownVersionError(split, version, names)


def _known() -> dict[str, tuple[str, ...]]:
    """Return the versions by each split that the routers of this process know; none where it may have more of them.

    A router that is still asleep has not heard which versions the store has.
    """
    found: dict[str, tuple[str, ...]] = {}
    for states in [lifecycle.states for lifecycle in LIVING]:
        for split in {*states.declarations, *states.held.definitions}:
            names = states.state(split).names if states.phase != "asleep" else ()
            found[split] = (*found.get(split, ()), *names)
    return found
