"""The verbs that have a guard watch, and end its watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, span, span_or_off
from graysplit.cli.session import Session

if TYPE_CHECKING:
    from graysplit.core.guard.settings import Action, Sensitivity


@app.command()
@click.argument("split")
@click.option(
    "--action",
    type=click.Choice(["rollback", "pause", "warn"]),
    help="Action if new is worse.  [default: rollback]",
)
@click.option(
    "--sensitivity",
    type=click.Choice(["normal", "strict"]),
    help="With strict, any difference counts, also one below 1.1 times and 0.05 points.",
)
@click.option("--slow", type=span, metavar="TIME", help="Count calls that take longer as slow, and judge them: 500ms.")
@click.option("--every-call", is_flag=True, help="Time every call, not only those of one second in 17.")
@click.option(
    "--stop-on", multiple=True, metavar="NAME", help="Roll back at the first such exception that only new raises."
)
@click.option("--ignore", multiple=True, metavar="NAME", help="Do not count such an exception as a failure.")
@click.option(
    "--deadline",
    type=span_or_off,
    metavar="TIME",
    help="Count a call that runs longer as failed: 2m; or 'off'.  [default: 30s]",
)
@click.option("--off", is_flag=True, hidden=True)  # the name that `unguard` had before
@changing
@click.pass_obj
def guard(  # noqa: PLR0913, PLR0917 - click hands every option over by name
    session: Session,
    split: str,
    action: Action | None,
    sensitivity: Sensitivity | None,
    slow: float | None,
    every_call: bool,  # noqa: FBT001 - as above
    stop_on: tuple[str, ...],
    ignore: tuple[str, ...],
    deadline: float | str | None,
    why: str,
    *,
    off: bool,
    dry_run: bool,
) -> int:
    """Watch SPLIT, and roll it back if new is measurably worse.

    At most 1 of 100 healthy releases is rolled back, however long the guard
    watches. Given again, the command changes only the options that are named.
    Refused if no live process measures calls of SPLIT.
    """
    from graysplit.cli.result_lines import finish_note

    if off and any((action, sensitivity, slow, every_call, stop_on, ignore, deadline)):
        raise click.UsageError("--off takes no other option. To end the watch: graysplit unguard SPLIT")
    if off:
        return finish_note(session, session.control.unguard(split, why=why, dry_run=dry_run))
    result = session.control.guard(
        split,
        action=action,
        sensitivity=sensitivity,
        slow=slow,
        every_call=every_call or None,
        stop_on=stop_on,
        ignore=ignore,
        deadline=deadline,
        why=why,
        dry_run=dry_run,
    )
    return finish_note(session, result)


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def unguard(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """End the watch of SPLIT; asks for the name.

    Nothing rolls its candidates back by itself any more. Arm a guard again with:
    graysplit guard SPLIT
    """
    from graysplit.cli.result_lines import finish_note

    return finish_note(session, session.control.unguard(split, why=why, dry_run=dry_run))
