"""What a rollback of everything left alone: finished releases, with their shares and who still declares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graysplit.control.result import Result
from graysplit.core.address import split_of
from graysplit.core.fleet import Fleet
from graysplit.words.texts import number, percent, plural

SAID_AT_MOST: Final = 20

Declared = Mapping[str, int]  # by split: the live processes whose code declares it


def declared_by(fleet: Fleet, result: Result) -> Declared:
    """Count the live processes that declare what was left."""
    return {split: sum(split in process.declared for process in fleet.live) for split in result.left}


def left_lines(result: Result, declared: Declared | None) -> list[str]:
    """Name what was left; first what live code still declares, each with its share and the command that takes it too.

    Where the fleet cannot be read (None), anything may still be called.
    """
    called = [f for f in result.kept if declared is None or declared.get(split_of(f))]
    lines = [_line(field, result.kept[field], declared) for field in called[:SAID_AT_MOST]]
    if len(called) > SAID_AT_MOST:
        lines.append(f"and {len(called) - SAID_AT_MOST} more finished releases that get calls: graysplit list")
    quiet = sorted(set(result.left) - set(map(split_of, called)))
    if quiet:
        more = f" and {len(quiet) - SAID_AT_MOST} more" if len(quiet) > SAID_AT_MOST else ""
        lines.append(f"left alone, finished, not declared by live code: {', '.join(quiet[:SAID_AT_MOST])}{more}")
    return lines


def _line(field: str, weight: str, declared: Declared | None) -> str:
    split = split_of(field)
    who = "the fleet cannot be read" if declared is None else f"{plural(declared[split], 'live process')} may call it"
    return (
        f"left alone, finished: {field} keeps {percent(weight)}; {who}. To roll it back too: graysplit rollback {split}"
    )


def left_json(result: Result, declared: Declared | None) -> dict[str, object]:
    """Return what was left for scripts, by field."""
    of = {field: None if declared is None else declared.get(split_of(field), 0) for field in result.kept}
    return {field: {"weight": number(result.kept[field]), "declared_by": of[field]} for field in result.kept}
