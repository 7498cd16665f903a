"""What application code calls: routed functions and handles, each reading one state that the router swaps."""

from __future__ import annotations

from graysplit.routes.handle import Split
from graysplit.routes.types import Candidate, Routed
from graysplit.routes.unit import INSTANCE, Attribute, AttributesSpec, UnitSpec, attribute
from graysplit.routes.wrap import Route, Wishes, route

__all__ = [
    "INSTANCE",
    "Attribute",
    "AttributesSpec",
    "Candidate",
    "Route",
    "Routed",
    "Split",
    "UnitSpec",
    "Wishes",
    "attribute",
    "route",
]
