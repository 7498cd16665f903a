"""graysplit, on its memory store: a handle and the call by name."""

from __future__ import annotations

from benchmarks.peers.port import Deciders
from benchmarks.setting import fill, plain
from graysplit import Router
from graysplit.stores import store_from_url

REQUIRES = ()
IMPORT = "graysplit"


def deciders() -> Deciders:
    """Follow a split at 20 %."""
    store = store_from_url("memory://")
    fill(store, {"new-checkout": plain("new-checkout")})
    router = Router(store)
    router.wait_ready(10)
    handle = router.split("new-checkout", "old", "new")
    return {
        "choose(name, unit=user)": lambda user: router.choose("new-checkout", unit=user),
        "handle.choose(user)": handle.choose,
    }
