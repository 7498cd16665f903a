"""The verb of rolling by instance."""

from __future__ import annotations

import click

from graysplit.cli.app import app
from graysplit.cli.options import changing
from graysplit.cli.session import Session


@app.command()
@click.argument("split")
@changing
@click.pass_obj
def rebalance(session: Session, split: str, why: str, *, dry_run: bool) -> int:
    """Fill the waves of SPLIT, which rolls by instance.

    Dead instances lose their places, and live ones cross until there are as many
    as the weight needs. Only this command does that: instances that start, stop
    or crash move no other instance. A plan that waits because a host is lost
    continues without it, and its wait starts again. Asks for the name if `set`
    would.
    """
    from graysplit.cli.result_lines import finish

    return finish(session, session.control.rebalance(split, why=why, dry_run=dry_run))
