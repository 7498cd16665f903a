"""Eppo (Rust core): its universal flag configuration, handed over at the start."""

from __future__ import annotations

import json

from benchmarks.peers.port import Deciders

REQUIRES = ("eppo-server-sdk",)
IMPORT = "eppo_client"

SHARDS = 10_000
SPLIT = {
    "shards": [{"salt": "new-checkout", "ranges": [{"start": 0, "end": SHARDS // 5}]}],
    "variationKey": "on",
}
FLAG = {
    "key": "new-checkout",
    "enabled": True,
    "variationType": "BOOLEAN",
    "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
    "allocations": [
        {"key": "rollout", "splits": [SPLIT], "doLog": True},
        {"key": "rest", "splits": [{"shards": [], "variationKey": "off"}], "doLog": True},
    ],
    "totalShards": SHARDS,
}
CONFIGURATION = {
    "createdAt": "2025-01-01T00:00:00.000Z",
    "format": "SERVER",
    "environment": {"name": "bench"},
    "flags": {"new-checkout": FLAG},
}


def deciders() -> Deciders:
    """Start without polling; assignments are logged to a logger that drops them."""
    import eppo_client

    client = eppo_client.init(
        eppo_client.ClientConfig(
            api_key="bench",
            base_url="http://127.0.0.1:9",
            assignment_logger=eppo_client.AssignmentLogger(),
            poll_interval_seconds=None,
            initial_configuration=eppo_client.Configuration(flags_configuration=json.dumps(CONFIGURATION).encode()),
        )
    )
    return {"": lambda user: client.get_boolean_assignment("new-checkout", user, {}, False)}  # noqa: FBT003 - the default, as the API has it
