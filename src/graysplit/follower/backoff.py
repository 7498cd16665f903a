"""How long a process waits before it tries again: never in step with the rest of its fleet."""

from __future__ import annotations

import os
from typing import Final

BACKOFF_S: Final = (0.05, 0.8)
# How many processes a fleet sends back to its server in a second. One that is up takes a thousand in its stride; one
# that refused everybody comes back to all at once, and cold.
JOINS_PER_S: Final = 1_000
JOINS_AFTER_REFUSAL_PER_S: Final = 60
LONGEST_PAUSE_S: Final = 20.0  # +-50 %, whatever the fleet's size


def pause_s(attempt: int, crowd: int, *, silent: bool) -> float:
    """Return the time before an attempt, the first after a loss being 0: the longer, the larger the fleet.

    Jittered after the cap, the first one too, so that a fleet never comes back in step. A server that was silent is
    asked sooner than one that refused: it may only have been held up, and what it missed is wanted.
    """
    first, cap = BACKOFF_S
    per_s = JOINS_PER_S if silent or not attempt else JOINS_AFTER_REFUSAL_PER_S
    alone = min(cap, first * (1 << min(attempt, 10)))
    return max(alone, min(LONGEST_PAUSE_S, crowd / per_s)) * (0.5 + chance())


def chance() -> float:
    """Return a number from 0 to 1, another in every process and after every fork (`random` would cost the import)."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)


def jittered(seconds: float) -> float:
    """Return a time that differs by up to a quarter, so that a fleet does nothing in step."""
    return seconds * (0.75 + chance() / 2)
