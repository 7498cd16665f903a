"""A raise for a time: the weight it wrote, when it ends, and the weight after, which is never higher.

Stored in `meta` as `lease:<field>` = `<at> <until, server time in ms> <then>`. Every process ends it by itself, cut off
or not; another weight in force voids it, so that a lease never fights an edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from graysplit.core.weights import Weight, format_weight, parse_weight, rises
from graysplit.errors import BadWeightError

PREFIX = "lease:"


class Lease(NamedTuple):
    """One lease on one candidate's weight."""

    at: Weight  # what it wrote: any other weight in force voids it
    until_ms: int  # server time
    then: Weight  # what stands after it

    def __str__(self) -> str:
        """Return it as it stands in the store."""
        return f"{format_weight(self.at)} {self.until_ms} {format_weight(self.then)}"


def parse_lease(text: str) -> Lease | None:
    """Read a lease; None for what is none. One that would raise at its end ends where it is."""
    parts = text.split(" ")
    if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdigit():  # noqa: PLR2004 - at, until, then
        return None
    try:
        at, then = parse_weight(parts[0]), parse_weight(parts[2])
    except BadWeightError:
        return None
    return Lease(at, int(parts[1]), at if rises(at, then) else then)


def take(weight: Weight, before: Weight, until_ms: int, running: Lease | None) -> Lease:
    """Make a lease; one taken within another that is in force inherits what stands after that."""
    after = running.then if running is not None and running.at == before else before
    return Lease(weight, until_ms, weight if rises(weight, after) else after)


def lapsed(
    leases: Mapping[str, Lease],
    weights: Mapping[str, Weight],
    now_ms: int | None,
    set_back: Mapping[str, int] = {},
) -> dict[str, Weight]:
    """Return the fields whose lease is over, with the weight that stands now.

    With no server time known (`now_ms` None) every lease is over: in doubt, lower. And none lasts longer because the
    server's clock was set back while it ran: `set_back`, by field, in ms.
    """
    return {
        field: lease.then
        for field, lease in leases.items()
        if weights.get(field) == lease.at and (now_ms is None or now_ms + set_back.get(field, 0) >= lease.until_ms)
    }
