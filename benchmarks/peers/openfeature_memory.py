"""OpenFeature's SDK with its in-memory provider: what the standard itself adds around a hash of our own."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.port import Deciders

REQUIRES = ("openfeature-sdk",)
IMPORT = "openfeature.api"

LIMIT = (1 << 32) // 5


def deciders() -> Deciders:
    """Start with one flag whose evaluator hashes the user."""
    import mmh3
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    def evaluate(flag: Any, context: Any) -> Any:  # noqa: ANN401 - not installed where types are checked
        variant = "on" if mmh3.hash(context.targeting_key, 42, signed=False) < LIMIT else "off"
        return FlagResolutionDetails(value=flag.variants[variant], reason=Reason.SPLIT, variant=variant)

    flag = InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=evaluate)
    api.set_provider(InMemoryProvider({"new-checkout": flag}))
    client = api.get_client()
    return {"": lambda user: client.get_boolean_value("new-checkout", False, EvaluationContext(targeting_key=user))}  # noqa: FBT003 - the default, as the API has it
