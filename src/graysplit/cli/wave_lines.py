"""How far the instances of a split have crossed, for people and scripts."""

from __future__ import annotations

from collections.abc import Iterable

from graysplit.cli.words import number
from graysplit.control.waves import Crossing, crossing_words, rebalance_command
from graysplit.core.weights import format_weight


def crossing_lines(crossings: Iterable[Crossing]) -> Iterable[str]:
    """Return who has crossed, and what to do where that are fewer than the weight asks for."""
    for found in crossings:
        yield f"{found.field}: {crossing_words(found)}"
        if not found.recorded:
            yield "  no wave is recorded: it was lost, or the weight was raised outside graysplit"
        if found.short:
            asked = f"{format_weight(found.weight)} % needs {found.wanted}"
            yield f"  {asked}. Raise it with: {rebalance_command(found.split)}"
        elif found.missing:
            yield f"  dead instances keep their places. Replace them with: {rebalance_command(found.split)}"


def crossing_json(found: Crossing) -> dict[str, object]:
    """Return the same for scripts."""
    return {
        **found._asdict(),
        "weight": number(format_weight(found.weight)),
        "crossed": list(found.crossed),
        "missing": list(found.missing),
    }
