"""The router: decisions, declarations, and the life of one follower."""

from __future__ import annotations

from graysplit.router.explanation import Explanation, Status
from graysplit.router.router import Router

__all__ = ["Explanation", "Router", "Status"]
