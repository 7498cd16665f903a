"""Ask a person for the name before what is hard to take back."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from graysplit.cli.output import tell
from graysplit.cli.words import stop_words
from graysplit.errors import RefusedError


def agree(target: str, ask: str | None, stops: Mapping[str, str]) -> None:
    """Have the target's name typed; without a terminal, or with another name, raise `RefusedError`.

    `stops` are those that would be cleared, with what they say.
    """
    clears = [f"this clears the stop {stop_words(field, text)}" for field, text in stops.items()]
    said = [*clears, *([ask] if ask is not None else [])]
    if not sys.stdin.isatty():
        raise RefusedError(
            f"{', and '.join(said)}, and there is no terminal to ask at. Nothing was written. "
            f"{_beforehand(ask is not None, bool(stops))}"
        )
    for line in said:
        tell(f"{line}.")
    typed = click.prompt(f"Type {target} to do it", default="", show_default=False, err=True)
    if typed.strip() != target:
        raise RefusedError("that was not the name. Nothing was written. Give the command again to do it")


def _beforehand(ask: bool, stops: bool) -> str:  # noqa: FBT001 - what is asked for
    """Say with which options it could have been agreed to beforehand."""
    if not stops:
        return "Add --yes to do it"
    alone = "--yes alone does not clear a stop"
    return f"Add --unstop --yes to do it ({alone})" if ask else f"Add --unstop to do it ({alone})"
