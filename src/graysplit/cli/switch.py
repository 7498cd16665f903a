"""The verb that sends everybody to one version."""

from __future__ import annotations

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, replacing, span, unstopping
from graysplit.cli.session import Session


@app.command()
@click.argument("split")
@click.option("--to", required=True, metavar="VERSION", help="A candidate, or the baseline for a planned way back.")
@click.option("--over", "over_s", type=span, metavar="TIME", help="Take ten steps over this time, as 10s (a plan).")
@unstopping
@replacing
@changing
@click.pass_obj
def switch(session: Session, split: str, to: str, over_s: float | None, why: str, *, dry_run: bool) -> int:  # noqa: PLR0913 - click hands every option over by name
    """Blue-green: send everybody to one version.

    Refused, with the list of processes that are not ready, unless every live
    process that declares SPLIT has the version and its warm-up has succeeded.
    Asks for the name, as 100 % does. --to the baseline does not add a stop. In
    an emergency use `rollback`: it acts at once.

    --over starts a plan and follows it: the processes take each step when all of
    them are ready. Ctrl-C leaves the plan running; pause and rollback stop it,
    show and history report it. If weights must fall (to the baseline, or those of
    other candidates), this command makes the steps: keep it running.
    """
    from graysplit.cli.result_lines import finish
    from graysplit.cli.switch_lines import Steps, follow

    steps = Steps(session)
    result = session.control.switch(
        split,
        to=to,
        over=over_s,
        unstop=session.unstop,
        replace=session.replace,
        why=why,
        told=steps.told,
        dry_run=dry_run,
    )
    planned = result.plan is not None and not result.dry_run
    return follow(session, result, steps.json) if planned else finish(session, result, steps.json)
