"""The verb that has a guard watch."""

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
    help="What happens when new is worse.  [default: rollback]",
)
@click.option(
    "--sensitivity",
    type=click.Choice(["normal", "strict"]),
    help="Strict: any difference counts, not one beyond 1.1 times and 0.05 points.",
)
@click.option("--slow", type=span, metavar="TIME", help="A call that takes longer is slow, and judged so: 500ms.")
@click.option("--every-call", is_flag=True, help="Time every call, not those of one second in 17.")
@click.option("--stop-on", multiple=True, metavar="NAME", help="The first such exception on new alone stops it.")
@click.option("--ignore", multiple=True, metavar="NAME", help="Such an exception is no failure.")
@click.option(
    "--deadline",
    type=span_or_off,
    metavar="TIME",
    help="A call still running then counts as failed: 2m; or 'off'.  [default: 30s]",
)
@click.option("--off", is_flag=True, help="Watch no longer; asks for the name.")
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
    """Watch SPLIT, and roll it back where new is measurably worse.

    A healthy release is rolled back in at most 1 of 100 cases, however long one
    watches. Given again, it changes what is named, and no more. Refused where
    no live process measures a call of SPLIT.
    """
    from graysplit.cli.result_lines import finish_note

    if off and any((action, sensitivity, slow, every_call, stop_on, ignore, deadline)):
        raise click.UsageError("--off stands alone: graysplit guard SPLIT --off")
    result = session.control.guard(
        split,
        action=action,
        sensitivity=sensitivity,
        slow=slow,
        every_call=every_call or None,
        stop_on=stop_on,
        ignore=ignore,
        deadline=deadline,
        off=off,
        why=why,
        dry_run=dry_run,
    )
    return finish_note(session, result)
