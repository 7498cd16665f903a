"""The verbs that keep weights from rising, and the one that says that a release is over."""

from __future__ import annotations

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, span
from graysplit.cli.session import Session

_PATTERN = "[PATTERN]"


@app.command()
@click.argument("pattern", required=False, metavar=_PATTERN)
@click.option("--all", "everything", is_flag=True, help="Every split, including those created later.")
@click.option("--for", "for_s", type=span, metavar="TIME", help="How long it lasts, as 2h or 90m.  [default: no end]")
@changing
@click.pass_obj
def freeze(  # noqa: PLR0913 - click hands every option over by name
    session: Session, pattern: str | None, for_s: float | None, why: str, *, everything: bool, dry_run: bool
) -> int:
    """Block every increase (set, plans, undo, pin).

    PATTERN is the name of a split, or a pattern with * and ?: 'checkout*'. It
    also blocks splits that are created later. Lowering is always allowed. Given
    again, the command replaces the reason and the end.
    """
    from graysplit.cli.result_lines import finish as told

    wanted = _wanted("freeze", pattern, everything=everything)
    return told(session, session.control.freeze(wanted, for_=for_s, why=why, dry_run=dry_run))


@app.command()
@click.argument("pattern", required=False, metavar=_PATTERN)
@click.option("--all", "everything", is_flag=True, help="The freeze of everything.")
@changing
@click.pass_obj
def unfreeze(session: Session, pattern: str | None, why: str, *, everything: bool, dry_run: bool) -> int:
    """End the freeze of PATTERN; asks for the pattern."""
    from graysplit.cli.result_lines import finish as told

    wanted = _wanted("unfreeze", pattern, everything=everything)
    return told(session, session.control.unfreeze(wanted, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def protect(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """Require a reason and the typed name for every raise of SPLIT."""
    from graysplit.cli.result_lines import finish as told

    return told(session, session.control.protect(split, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def unprotect(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """End the protection of SPLIT; asks for the name."""
    from graysplit.cli.result_lines import finish as told

    return told(session, session.control.unprotect(split, why=why, dry_run=dry_run))


@app.command()
@click.argument("split")
@click.option("--at", metavar="WEIGHT", help="Finish below 100 %, if this is the weight in force.")
@changing
@click.pass_obj
def finish(session: Session, split: str, at: str | None, why: str, *, dry_run: bool) -> int:
    """End the release of SPLIT; its weights stay.

    Refused while a plan runs, and below 100 % unless --at names the weight.
    `rollback --all` then leaves SPLIT alone. Once no code declares SPLIT,
    `delete` removes its record.
    """
    from graysplit.cli.result_lines import finish as told

    return told(session, session.control.finish(split, at=at, why=why, dry_run=dry_run))


def _wanted(verb: str, pattern: str | None, *, everything: bool) -> str:
    if everything == (pattern is not None):
        raise click.UsageError(f"name a pattern, or --all: graysplit {verb} SPLIT, graysplit {verb} --all")
    return "*" if pattern is None else pattern
