"""For tests of programs that use graysplit: force a version, and hold a store to its contract."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from graysplit.scope import forcing
from graysplit.testing.contract import StoreContract

__all__ = ["StoreContract", "forced"]


@contextmanager
def forced(**versions: str) -> Generator[None]:
    """Force versions by split's name, above the whole ladder, inside this context only.

    Works as a context manager and as a decorator: `with forced(checkout="new"): ...`. For a name that is no
    identifier: `forced(**{"new-search": "b"})`.
    """
    with forcing(versions):
        yield
