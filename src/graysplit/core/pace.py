"""A long loop in which others have a turn now and then; who they are is for the caller to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

T = TypeVar("T")
Breathe: TypeAlias = Callable[[], object]

EVERY: Final = 1_000  # items: some milliseconds


def nothing() -> None:
    """Let nobody have a turn."""


def paced(items: Iterable[T], breathe: Breathe) -> Iterator[T]:
    """Return items one by one, and a turn to others after each thousand."""
    for number, item in enumerate(items, 1):
        yield item
        if number % EVERY == 0:
            breathe()
