"""What stands beside the weights of a namespace: freezes, notices that were not delivered, its processes."""

from __future__ import annotations

from collections.abc import Iterable

from graysplit.control.freeze import freeze_words, unfreeze_command
from graysplit.control.undelivered import HookState, owed_words
from graysplit.core.freeze import Freeze
from graysplit.words.texts import plural


def undelivered_lines(owed: Iterable[HookState] | None) -> Iterable[str]:
    """Return the lines on which hooks were not told of a rollback or a trip."""
    if owed is None:
        return ("undelivered notices: unknown, this user may not read them. See: graysplit doctor",)
    return (f"notices {state.hook}: {owed_words(state)}. See: graysplit notices" for state in owed)


def freeze_lines(freezes: Iterable[Freeze]) -> Iterable[str]:
    """Return what may not rise, and how that ends."""
    return (f"{freeze_words(freeze)}. End it: {unfreeze_command(freeze.pattern)}" for freeze in freezes)


def process_line(live: int, silent: int) -> str:
    """Return how many processes follow the namespace, and how many of them are silent."""
    if not live and not silent:
        return "no process follows this namespace"
    named = f", {silent} silent: graysplit fleet" if silent else ""
    return f"{plural(live, 'live process', 'live processes')}{named}"
