"""How far the instances of a split have crossed, for people and scripts."""

from __future__ import annotations

from collections.abc import Iterable

from graysplit.control.waves import Crossing, crossing_words, rebalance_command
from graysplit.core.weights import format_weight
from graysplit.words.texts import number


def crossing_lines(crossings: Iterable[Crossing]) -> Iterable[str]:
    """Return who has crossed, and what to do where that are fewer than the weight asks for."""
    for crossing in crossings:
        yield f"{crossing.field}: {crossing_words(crossing)}"
        if not crossing.recorded:
            yield "  no wave is recorded: it was lost, or the weight was raised outside graysplit"
        if crossing.short:
            asked = f"{format_weight(crossing.weight)} % needs {crossing.wanted}"
            yield f"  {asked}. Raise it with: {rebalance_command(crossing.split)}"
        elif crossing.missing:
            yield f"  dead instances keep their places. Replace them with: {rebalance_command(crossing.split)}"


def crossing_json(crossing: Crossing) -> dict[str, object]:
    """Return the same for scripts."""
    return {
        **crossing._asdict(),
        "weight": number(format_weight(crossing.weight)),
        "crossed": list(crossing.crossed),
        "missing": list(crossing.missing),
    }
