"""Bound a window's units by thinning: who may enter depends on the second its call began and on its hash alone.

Each begin second has a level t, published before that second begins; a unit enters if the last t bits of its hash are
zero, and who is in stays. The level is fixed before anybody knows on which side the second's errors will fall, and the
bits tell nothing about the side: whoever is admitted is on new with the same chance as before. Never thin by arrival,
and never one side alone: late errors of one side would be left out, and that is a false rollback.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Final, NamedTuple, TypeAlias

AHEAD_S: Final = 3  # how long before its first second a level is published, at least
UNITS_PER_LEVEL: Final = 4_096
FULL_RATE: Final = 10_000  # calls per second that may all enter when a window begins


class Level(NamedTuple):
    """How many bits of a unit's hash must be zero, from a begin second on."""

    from_s: int
    bits: int


Levels: TypeAlias = tuple[Level, ...]  # in order of their seconds, of growing bits


def first_levels(begin_s: int, calls_per_s: float = 0.0) -> Levels:
    """Return the levels of a window that begins: everybody enters, unless traffic is too large for that."""
    bits = ceil(log2(calls_per_s / FULL_RATE)) if calls_per_s > FULL_RATE else 0
    return (Level(begin_s, bits),)


def next_levels(levels: Levels, units: int, now_s: int) -> Levels:
    """Return the levels once so many units are in: one more bit for each 4,096 of them, from a second still ahead."""
    wanted = levels[0].bits + units // UNITS_PER_LEVEL
    if wanted <= levels[-1].bits:
        return levels
    return (*levels, Level(max(now_s + AHEAD_S, levels[-1].from_s + 1), wanted))


def bits_at(levels: Levels, begin_s: int) -> int:
    """Return the level of a begin second."""
    for level in reversed(levels):
        if level.from_s <= begin_s:
            return level.bits
    return levels[0].bits


def admits(bits: int, unit: int) -> bool:
    """Return whether a unit, as 64 bits of its hash, enters at a level."""
    return not unit & ((1 << bits) - 1)
