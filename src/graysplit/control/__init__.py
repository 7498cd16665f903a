"""The command line's verbs, for programs."""

from __future__ import annotations

from graysplit.control.control import Control
from graysplit.control.result import Receipts, Result

__all__ = ["Control", "Receipts", "Result"]
