"""LaunchDarkly: a flag with a 20 % rollout, read from a file; events are collected as by default, and go nowhere."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from benchmarks.peers.port import Deciders

REQUIRES = ("launchdarkly-server-sdk",)
IMPORT = "ldclient"

FLAG = {
    "key": "new-checkout",
    "version": 1,
    "on": True,
    "salt": "new-checkout",
    "variations": [False, True],
    "offVariation": 0,
    "fallthrough": {
        "rollout": {"variations": [{"variation": 0, "weight": 80_000}, {"variation": 1, "weight": 20_000}]}
    },
    "trackEvents": False,
    "rules": [],
    "targets": [],
    "prerequisites": [],
}


def deciders() -> Deciders:
    """Start from the file."""
    import ldclient
    from ldclient.integrations import Files

    logging.getLogger("ldclient").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(json.dumps({"flags": {"new-checkout": FLAG}}))
        config = ldclient.Config(
            "sdk-bench",
            events_uri="http://127.0.0.1:9",
            diagnostic_opt_out=True,
            update_processor_class=Files.new_data_source(paths=[str(path)]),
        )
        client = ldclient.LDClient(config, start_wait=5)
    build = ldclient.Context.create
    return {"": lambda user: client.variation("new-checkout", build(user), False)}  # noqa: FBT003 - the default, as the API has it
