"""GrowthBook: a feature with a 20 % rollout rule."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.port import Deciders

REQUIRES = ("growthbook",)
IMPORT = "growthbook"

FEATURES: dict[str, Any] = {  # Any: JSON
    "new-checkout": {
        "defaultValue": False,
        "rules": [{"force": True, "coverage": 0.2, "hashAttribute": "id", "seed": "new-checkout"}],
    }
}


def deciders() -> Deciders:
    """Use it as documented (an object per user), and with one object whose user is replaced."""
    from growthbook import GrowthBook

    shared = GrowthBook(attributes={}, features=FEATURES)

    def reused(user: str) -> object:
        shared.set_attributes({"id": user})
        return shared.is_on("new-checkout")

    return {
        "an object per user": lambda user: GrowthBook(attributes={"id": user}, features=FEATURES).is_on("new-checkout"),
        "one object, its user replaced": reused,
    }
