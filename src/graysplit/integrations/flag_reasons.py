"""OpenFeature's words for graysplit's reasons, which OpenTelemetry has in lower case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_REASONS: Final[Mapping[str, str]] = {
    "bucket": "SPLIT",
    "baseline": "STATIC",  # no weight above zero: one version for everybody
    "kept": "CACHED",
    "pin": "TARGETING_MATCH",
    "denied": "TARGETING_MATCH",
    "stopped": "DISABLED",
    "off": "DISABLED",
    "forced": "STATIC",
    "error": "ERROR",
}


def flag_reason(reason: str, *, settled: bool) -> str:
    """Return OpenFeature's word; what is not drawn, named or switched off is a default.

    `settled`: everybody gets that version, whoever asks.
    """
    return "STATIC" if settled and reason in {"bucket", "no_unit"} else _REASONS.get(reason, "DEFAULT")
