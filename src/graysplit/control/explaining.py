"""Why a unit gets a version: the ladder, with the rung that answered."""

from __future__ import annotations

from typing import NamedTuple

from graysplit.core.bucketing import bucket_of, encode_unit
from graysplit.core.decision import Case, Step, climb, decide
from graysplit.core.snapshot import Standing


class Explained(NamedTuple):
    """A decision with all that led to it."""

    split: str
    version: str
    reason: str
    bucket: int | None  # None for what is no unit, and where instances cross over
    revision: int
    ladder: tuple[Step, ...]


def explain(standing: Standing, unit: object, revision: int) -> Explained:
    """Decide for a unit as any process with all versions would, with nothing kept and no break-glass."""
    encoded = encode_unit(unit)
    case = Case(standing, encoded, {}, None)
    decision = decide(case, revision=revision)
    by_unit = standing.definition.by == "unit"
    bucket = bucket_of(encoded, standing.definition.seed) if encoded is not None and by_unit else None
    return Explained(standing.split, decision.version, decision.reason, bucket, revision, climb(case))
