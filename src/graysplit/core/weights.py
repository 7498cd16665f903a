"""What a weight is: a candidate's share in thousandths of a percent, or `preview`.

One thousandth of a percent is one bucket, so a weight is the number of buckets it owns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from graysplit.errors import BadNameError, BadWeightError

Weight: TypeAlias = int | Literal["preview"]

PREVIEW: Final = "preview"
FULL: Final = 100_000
PERCENT: Final = 1_000  # a weight of one percent

_WEIGHT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)

# Law 4: none of these ever means a share, however it came to be written.
_ZEROS: Final = frozenset(("", "null", '""', '"0"'))


def parse_weight(text: str) -> Weight:
    """Read a weight as it stands in the store; raises `BadWeightError` for anything else.

    Empty text and `null` are 0 (law 4), not bad values.
    """
    if text == PREVIEW:
        return PREVIEW
    if text in _ZEROS:
        return 0
    match = _WEIGHT.fullmatch(text)
    if match is None:
        raise BadWeightError(text)
    whole, thousandths = match.groups()
    weight = int(whole) * 1000 + int((thousandths or "").ljust(3, "0"))
    if weight > FULL:
        raise BadWeightError(text)
    return weight


def type_weight(text: str) -> Weight:
    """Read a weight as a person types it: the same, with a trailing % allowed and no empty text."""
    bare = text.removesuffix("%")
    if bare in _ZEROS:
        raise BadWeightError(text)
    return parse_weight(bare)


def format_weight(weight: Weight) -> str:
    """Write a weight as it stands in the store: `20`, `12.5`, `preview`."""
    if weight == PREVIEW:
        return PREVIEW
    whole, thousandths = divmod(weight, 1000)
    return f"{whole}.{thousandths:03d}".rstrip("0") if thousandths else str(whole)


def share(weight: Weight) -> int:
    """Return the number of buckets a weight owns; a preview owns none."""
    return 0 if weight == PREVIEW else weight


def rises(before: Weight, after: Weight) -> bool:
    """Return whether going from one weight to the other lets anybody in whom the first kept out (law 6)."""
    if after == PREVIEW:
        return before == 0
    return share(before) < after


def check_name(name: str) -> str:
    """Hand a split or version name back, or raise `BadNameError`."""
    if _NAME.fullmatch(name) is None:
        raise BadNameError(name)
    return name


def total(weights: Iterable[Weight]) -> int:
    """Add up the buckets that weights own."""
    return sum(map(share, weights))
