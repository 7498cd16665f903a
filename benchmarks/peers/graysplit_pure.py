"""graysplit as it decides without the compiled core."""

from __future__ import annotations

from benchmarks.peers.graysplit_itself import IMPORT, REQUIRES, deciders

__all__ = ["ENVIRONMENT", "IMPORT", "REQUIRES", "deciders"]

ENVIRONMENT = {"GRAYSPLIT_PURE": "1"}
