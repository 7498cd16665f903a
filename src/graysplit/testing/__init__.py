"""For tests of programs that use graysplit: force a version, and hold a store to its contract."""

from __future__ import annotations

from graysplit.testing.contract import StoreContract
from graysplit.testing.forced import Forced

__all__ = ["StoreContract", "forced"]


def forced(**versions: str) -> Forced:
    """Force versions by split's name, above the whole ladder, inside this context only.

    For a `with` block, or above a function, a coroutine function or a generator function:
    `with forced(checkout="new"): ...`. For a name that is not an identifier: `forced(**{"new-search": "b"})`.
    Raises `UnknownSplitError` or `UnknownVersionError`, at the block's end at the latest, where no router of this
    process has the split or the version.
    """
    return Forced(versions)
