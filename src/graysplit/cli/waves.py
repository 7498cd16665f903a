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
    """Fill the waves of SPLIT, which rolls over instances.

    Dead instances lose their places, and live ones cross until they are as
    many as the weight asks for. Nothing else moves anybody: who comes, goes or
    crashes stays where it is. A plan that stands because a host is lost goes on
    without it, its clock from zero. Asks for the name where `set` would.
    """
    from graysplit.cli.result_lines import finish

    return finish(session, session.control.rebalance(split, why=why, dry_run=dry_run))
