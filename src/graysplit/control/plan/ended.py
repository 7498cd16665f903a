"""Which plans a rollback has ended, by what the store says of it: their marks stood before, and do not any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graysplit.stores.text.records import PLAN

NAMED_AT_MOST: Final = 5

_MARK: Final = f"meta {PLAN}"


def ended_plans(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> dict[str, str]:
    """Return the plans that are over, in words, by split."""
    marks = {where.removeprefix(_MARK): mark for where, mark in before.items() if where.startswith(_MARK)}
    return {
        split: f"the plan of '{split}', which raised '{mark.partition(' ')[2]}'"
        for split, mark in sorted(marks.items())
        if mark is not None and after.get(_MARK + split) is None
    }


def ended_notes(ended: Mapping[str, str], verb: str = "ends") -> tuple[str, ...]:
    """Return the lines that tell of them: a few by name, many by their number."""
    if len(ended) > NAMED_AT_MOST:
        return (f"{verb} {len(ended)} plans",)
    return tuple(f"{verb} {words}" for words in ended.values())
