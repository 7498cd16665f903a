"""The compiled core of graysplit, which finds it by itself: `graysplit.native`."""

from __future__ import annotations

from graysplit_speed import core

__all__ = ["__version__", "core"]

__version__ = core.VERSION
