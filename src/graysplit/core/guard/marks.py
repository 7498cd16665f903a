"""What a call records: its mark, which stands for its unit, and the records of failures, cuts and times."""

from __future__ import annotations

from typing import Any, TypeAlias

from graysplit.core.bucketing import encode_unit, hash32

# A call's mark, the same object at its begin, its failure and its end: by it the calls that still run are known. It is
# the 32 bits of its unit's hash; where the choice was kept in a request, a tuple of the unit, for nothing was hashed.
Mark: TypeAlias = "int | tuple[object]"
# A call that is timed: when it began (less the time at which it ended: not above zero then), index and mark.
Record: TypeAlias = "list[Any]"  # Any: as above
Failing: TypeAlias = "tuple[int, Mark, str | None]"  # index, mark, the named exception
Cut: TypeAlias = "tuple[int, Mark]"  # index, mark


def encoded(unit: object) -> bytes | None:
    """Return a unit's bytes, or None; never raises, whatever its class does."""
    try:
        return encode_unit(unit)
    except Exception:  # noqa: BLE001 - a unit of a hostile class is nobody's evidence
        return None


def hashed(mark: Mark, seed: int) -> int | None:
    """Return the 32 bits of the unit that a call was for; None where it has none."""
    if isinstance(mark, int):
        return mark
    known = encoded(mark[0])
    return None if known is None else hash32(known, seed)
