"""Follow a store from one daemon thread, and tell the router what changed."""

from __future__ import annotations

from graysplit.follower.follower import Follower
from graysplit.follower.glass import BreakGlass
from graysplit.follower.keeper import Keeper
from graysplit.follower.known_good import KnownGood
from graysplit.follower.port import Audience, Contact

__all__ = ["Audience", "BreakGlass", "Contact", "Follower", "Keeper", "KnownGood"]
