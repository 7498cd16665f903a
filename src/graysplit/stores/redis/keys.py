"""The keys of a namespace, all in one slot of a Cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

# The log is trimmed to about this many entries.
LOG_AT_MOST: Final = 100_000


class Keys(NamedTuple):
    """The full names of a namespace's keys."""

    weights: str
    stops: str
    splits: str
    meta: str
    plans: str
    booked: str
    log: str
    latest: str
    seen: str
    about: str
    receipts: str
    contents: str
    notices: str
    highest: str

    @property
    def followed(self) -> tuple[str, str, str, str]:
        """The four hashes that are decided from: each change of them, by whomever, is signalled."""
        return self.weights, self.stops, self.splits, self.meta

    @property
    def tally(self) -> str:
        """How the names begin of what guards have counted."""
        return self.weights.removesuffix("weights") + "tally:"

    @property
    def hashes(self) -> Mapping[str, str]:
        """The hashes that an editor reads and writes, by the ends of their names."""
        return {
            "weights": self.weights,
            "stops": self.stops,
            "splits": self.splits,
            "meta": self.meta,
            "plans": self.plans,
        }


def keys_of(namespace: str) -> Keys:
    """Return the keys of a namespace."""
    ends = (
        "weights",
        "stops",
        "splits",
        "meta",
        "plans",
        "booked",
        "log",
        "latest",
        "fleet:seen",
        "fleet:about",
        "fleet:receipts",
        "fleet:contents",
        "fleet:notices",
        "fleet:highest",
    )
    return Keys(*(f"graysplit:{{{namespace}}}:{end}" for end in ends))
