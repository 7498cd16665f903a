"""Made-up processes that report to a store, for tests of what operators see."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.core.fleet import Declared, Effect, Receipt
from graysplit.stores.port import Report, Store

CHECKOUT = {"checkout": Declared("old", ("old", "new"), "route", 5)}


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
) -> None:
    """Have one process report once."""
    receipt = Receipt(change, revision, effects or {}, mode, refused, held, durable)
    feed = store.follow()
    feed.report(Report(f"boot-{number}", f"web-{number}", 100 + number, "0.1.0", declared, receipt), about=True)
    feed.close()
