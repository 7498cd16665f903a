"""Where weights, stops and definitions live: one port, and the stores that keep its contract."""

from __future__ import annotations

from graysplit.stores.port import Expect, Feed, Report, Rollback, Store, Submission, Write, Written
from graysplit.stores.url import store_from_url

__all__ = ["Expect", "Feed", "Report", "Rollback", "Store", "Submission", "Write", "Written", "store_from_url"]
