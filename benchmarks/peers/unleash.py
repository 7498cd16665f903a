"""Unleash (Rust core): a toggle with the flexible rollout strategy at 20 %, from a bootstrapped cache."""

from __future__ import annotations

import logging
import tempfile

from benchmarks.peers.port import Deciders

REQUIRES = ("UnleashClient",)
IMPORT = "UnleashClient"

STRATEGY = {
    "name": "flexibleRollout",
    "parameters": {"rollout": "20", "stickiness": "userId", "groupId": "new-checkout"},
    "constraints": [],
}
FEATURES = {
    "version": 2,
    "features": [
        {
            "name": "new-checkout",
            "type": "release",
            "enabled": True,
            "stale": False,
            "strategies": [STRATEGY],
            "variants": [],
        }
    ],
}


def deciders() -> Deciders:
    """Start from the cache; metrics are collected as by default, and go nowhere."""
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    logging.disable(logging.CRITICAL)
    cache = FileCache("bench", directory=tempfile.mkdtemp(prefix="unleash-"))
    cache.bootstrap_from_dict(FEATURES)
    client = UnleashClient(
        url="http://127.0.0.1:9/api", app_name="bench", cache=cache, disable_registration=True, verbose_log_level=50
    )
    client.initialize_client(fetch_toggles=False)
    return {"": lambda user: client.is_enabled("new-checkout", {"userId": user})}
