"""What processes tell that an operator must know: break-glass, values held, versions not ready, who is gone."""

from __future__ import annotations

from collections.abc import Iterable

from graysplit.control.doctor import break_glass, held_words, some
from graysplit.core.fleet import Fleet
from graysplit.words.texts import plural


def ended_lines(fleet: Fleet) -> Iterable[str]:
    """Return why who is gone is not counted any more, and how a silent one that is dead is taken out."""
    named = [f"{process.label} (now {process.successor})" for process in fleet.gone if process.successor]
    if named:
        yield f"gone (connection ended): {some(named)}"
    named = [process.label for process in fleet.gone if not process.successor]
    if named:
        yield f"gone (not heard for ten minutes): {some(named)}"
    if fleet.silent:
        yield f"to remove a dead process: graysplit fleet --forget {fleet.silent[0].label}"


def held_lines(fleet: Fleet) -> list[str]:
    """Return what processes hold against the store, and how to settle it."""
    counts: dict[str, int] = {}
    for process in fleet.live:
        for place, word in process.receipt.held.items():
            said = held_words(place, word)
            counts[said] = counts.get(said, 0) + 1
    if not counts:
        return []
    kept = some([f"{said} ({plural(count, 'process', 'processes')})" for said, count in sorted(counts.items())])
    return [f"SOURCE_REGRESSED: the store has lost changes; kept: {kept}. Settle it with: graysplit recover"]


def durable_lines(fleet: Fleet) -> list[str]:
    """Name the processes that cannot write their last-known-good file."""
    labels = [process.label for process in fleet.live if not process.receipt.durable]
    if not labels:
        return []
    return [f"cannot write the last-known-good file: {some(labels)}"]


def unready_lines(fleet: Fleet) -> list[str]:
    """Name the versions that are being prepared or cannot be, with where: `graysplit switch` refuses them."""
    found: dict[str, list[str]] = {}
    for process in fleet.live:
        for split, declared in process.declared.items():
            for version, why in declared.warm.items():
                if why:
                    found.setdefault(f"{split}/{version}", []).append(f"{process.label} ({why})")
    return [f"{field} is not ready on: {some(labels)}" for field, labels in sorted(found.items())]


def off_lines(fleet: Fleet) -> list[str]:
    """Return where break-glass is in force: there the store's word does not count."""
    return [
        f"break-glass is in force for {names} on {len(labels)} of {len(fleet.live)} live processes: {some(labels)}"
        for names, labels in sorted(break_glass(fleet).items())
    ]
