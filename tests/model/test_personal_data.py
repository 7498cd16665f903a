"""Thousands of canaries: a unit's id stands nowhere but in the pins that a person wrote, and where those are kept.

The single leaks, one by one: `tests/router/test_personal_data.py`.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.scope import scope_get
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report
from graysplit.stores.text.records import about_text, receipt_text
from tests.support import eventually

CANARY: Final = "canary-"
ASKED: Final = tuple(f"{CANARY}{number}@example.org" for number in range(10_000))
PINNED: Final = tuple(f"{CANARY}pinned-{number}" for number in range(20))
PACKAGE: Final = os.path.dirname(graysplit.__file__)  # noqa: PTH120 - compared with a frame's file name as text


def ask_for_everybody(router: Router) -> list[object]:
    """Ask for each unit in every way that there is; return what has come of it that somebody might print."""
    handle = router.split("banner", "old", "new")

    @router.route("checkout", unit="user", fallback=True)
    def checkout(user: object) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: object) -> str:
        raise LookupError("the path's own words")

    @router.route("search", unit="user")
    def search(user: object) -> str:
        raise LookupError("the path's own words")

    shown: list[object] = [router, handle, checkout]
    for number, unit in enumerate((*ASKED, *PINNED)):
        shown += [router.decide("checkout", unit), handle.decide(unit), router.choose("nobody", unit)]
        checkout(unit)
        if number % 50 == 0:
            shown += leaks_of_one(router, handle, search, unit)
    return shown


def leaks_of_one(
    router: Router, handle: graysplit.Split[str], search: Callable[[object], str], unit: str
) -> list[object]:
    """Ask in the ways that cost more: contexts, attempts, failures, units that are none."""
    shown: list[object] = []
    with graysplit.context(unit=unit, attributes={"mail": unit}):
        shown += [router.decide("checkout"), scope_get(), str(scope_get()), router.explain("checkout")]
        with handle.attempt() as version:
            shown.append(version)
    for wrong in (unit + "\ud800", [unit], {unit: unit}, unit.encode() + b"\xff"):
        with pytest.raises(LookupError) as raised:
            search(wrong)
        shown += frames_of(raised.value)
        shown += [router.decide("checkout", wrong), router.explain("checkout", wrong)]
    with pytest.raises(LookupError) as failed, handle.attempt(unit=unit):
        search(unit)
    return shown + frames_of(failed.value)


def frames_of(fault: BaseException) -> list[object]:
    """Return graysplit's own frames of a traceback, as it is printed."""
    frames = traceback.TracebackException.from_exception(fault).stack
    return [f"{frame.name} {frame.line}" for frame in frames if frame.filename.startswith(PACKAGE)]


def test_no_unit_is_told_to_anybody(
    tmp_path: Path, make_router: Callable[..., Router], caplog: pytest.LogCaptureFixture
) -> None:
    """Ten thousand units asked for: in no log line, repr, receipt, key or file; pinned ones in definitions alone."""
    caplog.set_level(logging.DEBUG)
    store = MemoryStore()
    control = Control(store, actor="ann", confirm=True)
    for split in ("checkout", "banner", "search"):
        control.create(split)
        control.set(split, 50)
    for unit in PINNED:
        control.pin("checkout", unit)
        control.pin("banner", unit, deny=True)
    router = make_router(store, cache_dir=str(tmp_path))
    assert router.wait_ready(5)
    shown = ask_for_everybody(router)
    store.raw_set("weights", "checkout/new", "many")
    revision = control.rollback("banner").revision
    # The raw edit is put on record by the router, before the rollback or after it.
    eventually(lambda: store.fleet().live[0].receipt.revision >= revision and router.status().refused)
    shown += [router.status(), str(router.status()), control.doctor(), control.overview(), store.fleet()]
    for process in store.fleet().live:
        report = Report(process.boot, process.host, process.pid, process.library, process.declared, process.receipt)
        shown += [about_text(report), receipt_text(process.receipt)]
    shown += [router._lifecycle.states.state(split) for split in ("checkout", "banner", "search")]
    assert not [one for one in shown if CANARY in repr(one) or CANARY in str(one)]
    assert CANARY not in caplog.text
    hashes = store._space.hashes
    assert not [name for name, fields in hashes.items() if name != "splits" and CANARY in repr(fields)]
    assert CANARY not in repr(hashes["splits"].keys())
    assert not any(unit in repr(hashes) for unit in ASKED[:100])
    assert len(shown) > 30_000


def test_the_file_holds_pins_in_definitions_alone(tmp_path: Path, make_router: Callable[..., Router]) -> None:
    """Who was asked for is not in the last-known-good file; who is pinned is in it, as part of the definition."""
    store = MemoryStore()
    control = Control(store, actor="ann", confirm=True)
    control.create("checkout")
    control.set("checkout", 50)
    control.pin("checkout", PINNED[0])
    router = make_router(store, cache_dir=str(tmp_path))
    assert router.wait_ready(5)
    for unit in ASKED[:1_000]:
        router.choose("checkout", unit)
    control.rollback("checkout")
    files = eventually(lambda: [path for path in tmp_path.iterdir() if '"checkout"' in unpacked(path).get("stops", "")])
    body = unpacked(files[0])
    assert PINNED[0] in body.pop("definitions")
    assert CANARY not in repr(body)
    assert all(CANARY not in path.name for path in tmp_path.iterdir())


def unpacked(path: Path) -> dict[str, str]:
    """Return the parts of a last-known-good file, each as text; nothing for another file."""
    if path.suffix != ".json":
        return {}
    body = json.loads(json.loads(path.read_bytes())["body"])
    return {name: json.dumps(part) for name, part in body.items()}


BAD_PINS: Final = (
    '"pins": {"%s": "nobody"}',
    '"pins": {"%s": 7}',
    '"pins": {"%s": {"name": "new"}}',
    '"pins": {"%s": "new", "%s": "old"}',
    '"pins": [["%s", "new"]]',
    '"pins": "%s"',
    '"denied": "%s"',
    '"denied": {"%s": 1}',
    '"denied": ["%s", 7]',
    '"denied": ["%s", ["%s"]]',
    '"denied": ["%s\\ud800"]',
    '"pins": {"%s": "new"},',
)


@pytest.mark.parametrize("bad", BAD_PINS)
def test_what_is_refused_because_of_a_pin_names_no_unit(
    make_router: Callable[..., Router], caplog: pytest.LogCaptureFixture, bad: str
) -> None:
    """Status, receipt, `doctor`, `show`, history and log name split, field and reason, and nobody."""
    caplog.set_level(logging.DEBUG)
    store = MemoryStore()
    control = Control(store, actor="ann", confirm=True)
    control.create("checkout")
    good = store.load().splits.fields[b"checkout"].decode()
    router = make_router(store)
    assert router.wait_ready(5)
    store.raw_set("splits", "checkout", f"{good[:-1]}, {bad.replace('%s', ASKED[0])}}}")
    eventually(lambda: "splits checkout" in router.status().refused)
    eventually(lambda: store.fleet().live[0].receipt.refused)
    told: list[object] = [router.status(), control.doctor(), control.show("checkout"), control.overview()]
    told += [control.history(), store.fleet(), caplog.text]
    assert not [one for one in told if CANARY in repr(one)]
