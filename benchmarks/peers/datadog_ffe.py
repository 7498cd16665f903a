"""Datadog's feature flags (Rust core, carried by ddtrace): a configuration handed over as delivery would hand it."""

from __future__ import annotations

import json
import os
from typing import Any

from benchmarks.peers.port import Deciders

REQUIRES = ("ddtrace", "openfeature-sdk")
IMPORT = "ddtrace.openfeature"

SHARDS = 10_000
ROLLOUT = {"salt": "new-checkout", "totalShards": SHARDS, "ranges": [{"start": 0, "end": SHARDS // 5}]}
FLAG = {
    "key": "new-checkout",
    "enabled": True,
    "variationType": "BOOLEAN",
    "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
    "allocations": [
        {"key": "rollout", "splits": [{"shards": [ROLLOUT], "variationKey": "on"}], "doLog": True},
        {"key": "rest", "splits": [{"shards": [], "variationKey": "off"}], "doLog": True},
    ],
}
CONFIGURATION: dict[str, Any] = {  # Any: JSON
    "createdAt": "2025-01-01T00:00:00.000Z",
    "format": "SERVER",
    "environment": {"name": "bench"},
    "flags": {"new-checkout": FLAG},
}


def deciders() -> Deciders:
    """Ask the core alone, and through OpenFeature; without a key nothing is fetched, and no agent is needed."""
    os.environ |= {"DD_FEATURE_FLAGS_ENABLED": "true", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
    from ddtrace.internal.native._native import ffe
    from ddtrace.internal.openfeature._native import process_ffe_configuration
    from ddtrace.openfeature import DataDogProvider
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    core = ffe.Configuration(json.dumps(CONFIGURATION).encode())
    process_ffe_configuration(CONFIGURATION)
    api.set_provider(DataDogProvider())
    client = api.get_client()

    def asked(user: str) -> object:
        context = {"targeting_key": user, "attributes": {}}
        return core.resolve_value("new-checkout", ffe.FlagType.Boolean, context).value

    def through_openfeature(user: str) -> object:
        return client.get_boolean_value("new-checkout", False, EvaluationContext(targeting_key=user))  # noqa: FBT003 - the default, as the API has it

    return {"the core alone": asked, "through OpenFeature": through_openfeature}
