"""Ask a person for the name before what is hard to take back."""

from __future__ import annotations

import sys

import click

from graysplit.cli.output import tell
from graysplit.control.control import Question
from graysplit.errors import RefusedError


def agree(proposal: Question) -> None:
    """Have the target's name typed; without a terminal, or with another name, raise `RefusedError`."""
    if not sys.stdin.isatty():
        raise RefusedError(
            f"{proposal.ask}, and there is no terminal to ask at. Nothing was written. Add --yes to do it"
        )
    tell(f"{proposal.ask}.")
    typed = click.prompt(f"Type {proposal.target} to do it", default="", show_default=False, err=True)
    if typed.strip() != proposal.target:
        raise RefusedError("that was not the name. Nothing was written. Give the command again to do it")
