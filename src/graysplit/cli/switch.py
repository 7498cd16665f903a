"""The verb that sends everybody to one version."""

from __future__ import annotations

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing, replacing, span, unstopping
from graysplit.cli.session import Session


@app.command()
@click.argument("split")
@click.option("--to", required=True, metavar="VERSION", help="A candidate, or the baseline to go back as planned.")
@click.option("--over", "over_s", type=span, metavar="TIME", help="In ten steps over so long, as 10s: a plan.")
@unstopping
@replacing
@changing
@click.pass_obj
def switch(session: Session, split: str, to: str, over_s: float | None, why: str, *, dry_run: bool) -> int:  # noqa: PLR0913 - click hands every option over by name
    """Blue-green: send everybody to one version.

    Refused, with the list of who is not ready, unless every live process that
    declares SPLIT has the version and its warm-up has succeeded. Asks for the
    name, as 100 % does. --to the baseline sets no stop. Going back in trouble
    is `rollback`, at once.

    --over starts a plan, and follows it: processes take its steps, each once
    all of them are ready. Ctrl-C leaves it running; pause and rollback stop it,
    show and history tell of it. Where weights fall on the way (to the baseline,
    or of other candidates) the steps are made from here: stay with it.
    """
    from graysplit.cli.result_lines import finish
    from graysplit.cli.switch_lines import Steps, follow

    steps = Steps(session)
    result = session.control.switch(
        split,
        to=to,
        over_s=over_s,
        unstop=session.unstop,
        replace=session.replace,
        why=why,
        told=steps.told,
        dry_run=dry_run,
    )
    planned = result.plan is not None and not result.dry_run
    return follow(session, result, steps.json) if planned else finish(session, result, steps.json)
