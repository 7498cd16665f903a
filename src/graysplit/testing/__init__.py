"""For tests of programs that use graysplit: force a version, run on each path, and hold a store to its contract.

Each name is imported from its room when it is first asked for: the pytest plugin in here costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graysplit.testing.contract import StoreContract
    from graysplit.testing.forced_versions import Forced
    from graysplit.testing.isolation import PrivateStore, private_store
    from graysplit.testing.paths import both_paths

__all__ = ["PrivateStore", "StoreContract", "both_paths", "forced", "private_store"]

_ROOMS = {
    "PrivateStore": "isolation",
    "StoreContract": "contract",
    "both_paths": "paths",
    "private_store": "isolation",
}


def forced(**versions: str) -> Forced:
    """Force versions by split's name, above the whole ladder, inside this context only.

    For a `with` block, or above a function, a coroutine function, a generator function or a `unittest.TestCase`:
    `with forced(checkout="new"): ...`. For a name that is not an identifier: `forced(**{"new-search": "b"})`.
    Raises `UnknownSplitError` or `UnknownVersionError`, at the block's end at the latest, where no router of this
    process has the split or the version.
    """
    from graysplit.testing.forced_versions import Forced

    return Forced(versions)


def __getattr__(name: str) -> object:
    """Import a name from its room."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'graysplit.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"graysplit.testing.{_ROOMS[name]}"), name)
