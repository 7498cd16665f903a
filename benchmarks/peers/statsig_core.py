"""Statsig (Rust core): a gate with a 20 % pass rate, served from a data store."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.peers.port import Deciders

REQUIRES = ("statsig-python-core",)
IMPORT = "statsig_python_core"

CONDITION: dict[str, Any] = {  # Any: JSON
    "type": "public",
    "targetValue": None,
    "operator": None,
    "field": None,
    "additionalValues": {},
    "isDeviceBased": False,
    "idType": "userID",
}
RULE = {
    "name": "rollout",
    "groupName": "rollout",
    "passPercentage": 20,
    "conditions": ["everybody"],
    "returnValue": True,
    "id": "rollout",
    "salt": "new-checkout",
    "isDeviceBased": False,
    "idType": "userID",
}
GATE = {
    "name": "new-checkout",
    "type": "feature_gate",
    "salt": "new-checkout",
    "defaultValue": False,
    "enabled": True,
    "idType": "userID",
    "isDeviceBased": False,
    "entity": "feature_gate",
    "rules": [RULE],
    "version": 1,
}
SPECS = {
    "dynamic_configs": {},
    "feature_gates": {"new-checkout": GATE},
    "layer_configs": {},
    "layers": {},
    "condition_map": {"everybody": CONDITION},
    "has_updates": True,
    "time": 1_700_000_000_000,
    "company_id": "bench",
    "id_lists": {},
    "experiment_to_layer": {},
    "sdk_configs": {},
    "sdk_flags": {},
    "response_format": "dcs-v2",
}


def deciders() -> Deciders:
    """Start from the data store, without a network; exposures are logged as by default, and go nowhere."""
    from statsig_python_core import DataStore, Statsig, StatsigOptions, StatsigUser
    from statsig_python_core.data_store import DataStoreResponse

    class Local(DataStore):  # type: ignore[misc] # the package is not installed where types are checked
        def get(self, key: str) -> DataStoreResponse:  # noqa: ARG002 - one content, whatever is asked
            return DataStoreResponse(result=json.dumps(SPECS), time=SPECS["time"])

    statsig = Statsig("secret-bench", StatsigOptions(data_store=Local(), disable_network=True))
    statsig.initialize().wait()
    return {"": lambda user: statsig.check_gate(StatsigUser(user_id=user), "new-checkout")}
