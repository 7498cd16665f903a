"""OpenFeature with flagd's provider in its file mode: a fractional rule at 20 %."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.peers.port import Deciders

REQUIRES = ("openfeature-sdk", "openfeature-provider-flagd")
IMPORT = "openfeature.contrib.provider.flagd"

FLAGS = {
    "flags": {
        "new-checkout": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"fractional": [["on", 20], ["off", 80]]},
        }
    }
}


def deciders() -> Deciders:
    """Start from the file."""
    from openfeature import api
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType
    from openfeature.evaluation_context import EvaluationContext

    path = Path(tempfile.mkdtemp(prefix="flagd-")) / "flags.json"
    path.write_text(json.dumps(FLAGS))
    api.set_provider(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path)))
    client = api.get_client()
    return {"": lambda user: client.get_boolean_value("new-checkout", False, EvaluationContext(targeting_key=user))}  # noqa: FBT003 - the default, as the API has it
