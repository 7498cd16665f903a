"""Answers of a store that gives them at once, or has them already."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from graysplit.errors import GraysplitError, StoreUnreachableError

T = TypeVar("T")
One = TypeVar("One")


class AtOnce(Generic[T]):
    """An answer that is here: a `port.Later`."""

    def __init__(self, found: T) -> None:
        """Take the answer."""
        self._found = found

    def here(self, within_s: float) -> bool:  # noqa: ARG002 - the port's signature
        """Return that it is."""
        return True

    def take(self) -> T:
        """Return it."""
        return self._found


def each(act: Callable[[One], T], subjects: Iterable[One]) -> list[T | GraysplitError]:
    """Do something for each, and return what came of it or why it was refused; raises `StoreUnreachableError`."""
    return [_done(act, subject) for subject in subjects]


def _done(act: Callable[[One], T], subject: One) -> T | GraysplitError:
    try:
        return act(subject)
    except StoreUnreachableError:
        raise
    except GraysplitError as fault:
        return fault
