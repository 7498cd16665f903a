"""What a router counts, as OpenTelemetry metrics: nothing per call, everything when somebody collects."""

from __future__ import annotations

from graysplit.telemetry.metrics import METRICS, Metric, observe

__all__ = ["METRICS", "Metric", "observe"]
