"""The `redis` store: one hash tag of keys, one script per write, one connection per follower."""

from __future__ import annotations

from graysplit.stores.redis.feed import RedisFeed
from graysplit.stores.redis.store import RedisStore

__all__ = ["RedisFeed", "RedisStore"]
