"""Ask a person for the name before what is hard to take back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import click

from graysplit.cli.output import tell
from graysplit.errors import RefusedError
from graysplit.words.texts import stop_words


def agree(
    target: str,
    ask: str | None,
    stops: Mapping[str, str],
    plans: Mapping[str, str] = {},
    typed_at: Callable[[str], str] | None = None,
) -> None:
    """Have the target's name typed; without a terminal, or with another name, raise `RefusedError`.

    `stops` are those that would be cleared, with what they say; `plans` those that would end. `typed_at` returns what
    is typed at a prompt, where something else than a line of standard input is.
    """
    clears = [f"this clears the stop {stop_words(field, text)}" for field, text in stops.items()]
    ends = [f"this ends {words}" for words in plans.values()]
    said = [*clears, *ends, *([ask] if ask is not None else [])]
    if typed_at is None and not sys.stdin.isatty():
        raise RefusedError(
            f"{', and '.join(said)}, and a prompt needs a terminal. Nothing was written. "
            f"{_beforehand(ask is not None, bool(stops), bool(plans))}"
        )
    for line in said:
        tell(f"{line}.")
    prompt = f"Type {target} to do it"
    typed = typed_at(prompt) if typed_at else click.prompt(prompt, default="", show_default=False, err=True)
    if typed.strip() != target:
        raise RefusedError("wrong name. Nothing was written. Repeat the command to try again")


def _beforehand(ask: bool, stops: bool, plans: bool) -> str:  # noqa: FBT001 - what is asked for
    """Return with which options it could have been agreed to beforehand."""
    options = [*(["--unstop"] if stops else []), *(["--replace"] if plans else []), *(["--yes"] if ask else [])]
    alone = [*(["clear a stop"] if stops else []), *(["end such a plan"] if plans else [])]
    more = f" (--yes alone does not {' or '.join(alone)})" if alone else ""
    return f"Add {' '.join(options)} to do it{more}"
