"""Whether this process may open a server: a program may, and tests of programs take that away for a while."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

_refusals: Final[list[Callable[[str], None]]] = []  # the last one is asked


def check_server(name: str) -> None:
    """Raise what the tests that run now raise for a server, by its printable name."""
    if _refusals:
        _refusals[-1](name)


def alone() -> bool:
    """Return whether only stores of this process may be opened now."""
    return bool(_refusals)


@contextmanager
def without_servers(refuse: Callable[[str], None]) -> Generator[None]:
    """Have each server refused inside a block."""
    _refusals.append(refuse)
    try:
        yield
    finally:
        _refusals.remove(refuse)
