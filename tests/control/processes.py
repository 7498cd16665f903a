"""Made-up processes that report to a store, for tests of what operators see."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.stores.port import Report, Store

CHECKOUT = {"checkout": Declared("old", ("old", "new"), "route", 5)}
MEASURED = {"checkout": Declared("old", ("old", "new"), "route", 5, measured=True)}  # a guard has something to watch


def live(
    store: Store,
    number: int = 1,
    *,
    declared: Mapping[str, Declared] = CHECKOUT,
    change: str = "",
    revision: int = 0,
    effects: Mapping[str, Effect] | None = None,
    refused: tuple[str, ...] = (),
    mode: str = "tracking",
    held: Mapping[str, str] = {},
    durable: bool = True,
    off: tuple[str, ...] | None = (),
    mode_why: str = "",
) -> None:
    """Have one process report once."""
    receipt = Receipt(change, revision, effects or {}, mode, refused, held, durable, {}, off, mode_why)
    feed = store.follow()
    feed.report(Report(f"boot-{number}", f"web-{number}", 100 + number, "0.1.0", declared, receipt), about=True)
    feed.close()


@contextmanager
def beating(store: Store, number: int = 1, **report: Any) -> Iterator[None]:  # Any: what `live` takes
    """Have one process report again and again: what was told before a change says nothing about it."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.005):
            live(store, number, **report)

    live(store, number, **report)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
