"""The weight in force: what of the weights, stops and leases that a process has adopted lets units in, and why.

Everybody asks here: decisions, screens, plans, the guard. For a candidate, in this order:

1. A stop on the candidate, its split or `*` holds it at zero.
2. Two mistyped zeros are clear, and only lower: the split's own name at 0, and the baseline at 100.
3. A lease that is over leaves the weight that it was to fall back to.
4. Else the candidate's own weight counts; an absent one is zero (law 4).

With `checkout/new` at 20 and no stop, 20 % is in force. `checkout` at 0 beside it, or `checkout/old` at 100 where `old`
is the baseline, makes it 0, and so does a stop on `*`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import NamedTuple

from graysplit.core.address import field_of, split_of, stop_on
from graysplit.core.weights import FULL, Weight

NOTHING: Mapping[str, Weight] = {}


class InForce(NamedTuple):
    """A weight in force, and what it rests on where that is not the candidate's own weight."""

    weight: Weight
    stop: str | None = None  # the narrowest stop that holds it at zero
    zeros: tuple[str, ...] = ()  # the mistyped fields that hold it at zero
    lapsed: bool = False  # whether it is what a lease that is over leaves


def in_force(
    field: str,
    baseline: str,
    weights: Mapping[str, Weight],
    stops: Container[str],
    lapsed: Mapping[str, Weight] = NOTHING,
) -> InForce:
    """Return the weight in force of the candidate `field`, whose split has this baseline.

    `weights` and `lapsed` are by field; an unknown baseline is an empty text.
    """
    stop = stop_on(field, stops)
    return InForce(0, stop=stop) if stop is not None else wanted(field, baseline, weights, lapsed)


def wanted(field: str, baseline: str, weights: Mapping[str, Weight], lapsed: Mapping[str, Weight] = NOTHING) -> InForce:
    """Return the weight that would be in force if no stop were set."""
    zeros = mistyped_zeros(split_of(field), baseline, weights)
    if zeros:
        return InForce(0, zeros=zeros)
    return InForce(lapsed[field], lapsed=True) if field in lapsed else InForce(weights.get(field, 0))


def mistyped_zeros(split: str, baseline: str, weights: Mapping[str, Weight]) -> tuple[str, ...]:
    """Return the fields that hold all candidates of a split at zero though they name none of them."""
    own = field_of(split, baseline)
    return tuple(field for field, zero in ((split, 0), (own, FULL)) if weights.get(field) == zero)
