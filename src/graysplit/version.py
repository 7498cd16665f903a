"""The version of graysplit, once; the build and the heartbeat read it here."""

from __future__ import annotations

__version__ = "0.1.0"
