"""A unit's id appears nowhere but in the caller's own code and in the pins that a person wrote."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.scope import scope_get
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

CANARY = "canary-7f3a@example.org"


def test_a_unit_id_leaks_nowhere(
    store: MemoryStore, make_router: Callable[..., Router], caplog: pytest.LogCaptureFixture
) -> None:
    """Logs at DEBUG, reprs, status, receipts, history and our frames of a traceback hold no unit."""
    caplog.set_level(logging.DEBUG)
    router = make_router(store)
    assert router.wait_ready(5)
    handle = router.split("banner", "old", "new")

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        raise RuntimeError("the path's own words")

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        raise RuntimeError("the path's own words")

    shown: list[object] = [router, handle, checkout]
    for unit in (CANARY, CANARY + "\ud800", [CANARY], {CANARY: 1}):
        shown += [router.choose("checkout", unit), router.decide("checkout", unit), handle.decide(unit)]
        with pytest.raises(RuntimeError) as raised:
            checkout(unit)  # type: ignore[arg-type] # on purpose
        shown += [line for line in traceback.format_exception(raised.value) if "graysplit" in line]
        shown += [router.explain("checkout", unit)]
        with graysplit.context(unit=unit), handle.attempt():
            shown += [router.choose("checkout"), scope_get(), handle]
    Control(store).rollback("checkout")
    eventually(lambda: store.fleet().live[0].receipt.revision == 3)
    shown += [router.status(), store.fleet(), store.history()]
    assert not [repr(one) for one in shown if CANARY in repr(one) or CANARY in str(one)]
    assert CANARY not in caplog.text


def test_a_refused_pin_names_no_unit(store: MemoryStore, router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """A definition that is refused because of a pin says so without the pinned unit."""
    good = store.load().splits.fields[b"checkout"].decode()
    for bad in (f'{good[:-1]}, "pins": {{"{CANARY}": "nobody"}}}}', f'{good[:-1]}, "pins": {{"{CANARY}": 7}}}}'):
        store.raw_set("splits", "checkout", bad.encode())
        eventually(lambda: "splits checkout" in router.status().refused)
        assert "pins" in router.status().refused["splits checkout"]
        findings = Control(store).doctor()
        assert CANARY not in f"{router.status()} {findings} {store.fleet()} {caplog.text}"
