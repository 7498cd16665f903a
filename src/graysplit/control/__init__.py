"""The command line's verbs, for programs."""

from __future__ import annotations

from graysplit.control.control import Control
from graysplit.control.result import Confirmed, Receipts, Result

__all__ = ["Confirmed", "Control", "Receipts", "Result"]
