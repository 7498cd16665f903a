"""What a store has lost, as the first lines of every look at it."""

from __future__ import annotations

from collections.abc import Iterator

from graysplit.control.doctor import SAID_AT_MOST, held_words
from graysplit.control.recovery.loss import GO_BACK, Loss, loss_words, shares
from graysplit.core.address import split_of
from graysplit.words.texts import number


def loss_lines(loss: Loss | None, split: str | None = None) -> list[str]:
    """Return what is lost, what runs instead, and the commands; of one split, or of all."""
    if loss is None:
        return []
    lines = [f"problem: {loss_words(loss)}"]
    told = [*(f"  {share}" for share in shares(loss, split)), *_held_lines(loss, split)]
    more = [f"  and {len(told) - SAID_AT_MOST} more"] if len(told) > SAID_AT_MOST else []
    lines += [*told[:SAID_AT_MOST], *more]
    return [*lines, f"  to send everybody to the baseline: {GO_BACK}", f"  or repair the store: {loss.recover}"]


def loss_json(loss: Loss | None) -> dict[str, object] | None:
    """Return it for scripts, without the texts of stops and definitions."""
    if loss is None:
        return None
    return {
        "kind": loss.kind,
        "processes": list(loss.processes),
        "keys": dict(loss.keys),
        "weights": {
            field: {"lowest": number(low), "highest": number(high)} for field, (low, high) in loss.weights.items()
        },
        "held": sorted(loss.held),
        "ahead": list(loss.ahead),
        "commands": [GO_BACK, loss.recover],
    }


def _held_lines(loss: Loss, split: str | None) -> Iterator[str]:
    for where, word in sorted(loss.held.items()):
        if not where.startswith("weights ") and split in {None, split_of(where.partition(" ")[2])}:
            yield f"  kept: {held_words(where, word)}"
