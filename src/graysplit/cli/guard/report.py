"""The verb that says how a release does: a text, JSON, a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from graysplit.cli.app import app
from graysplit.cli.session import Session

if TYPE_CHECKING:
    from graysplit.control.guard.report import SplitReport


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@click.option(
    "--html", type=click.Path(dir_okay=False), metavar="FILE", help="Write the report to FILE as a page with charts."
)
@click.pass_obj
def report(session: Session, target: str, html: str | None) -> int:
    """Compare the new version with the old one.

    For each stage: calls, failures and times of both, their difference, the
    verdict of the guard with the evidence that it still needs, and goals. Bounds
    are at 95 % and valid at any time; stages are never added up. Exit 6 if
    nothing has been counted.
    """
    from graysplit.cli.exits import DONE, UNCONFIRMED
    from graysplit.cli.guard.report_lines import report_lines
    from graysplit.cli.output import say, say_json
    from graysplit.words.report_values import report_json

    found = session.control.report(target)
    if html is not None and found.releases:
        _write(found, html)
    if session.json:
        say_json(report_json(found))
    else:
        say(*report_lines(found))
    return DONE if found.releases else UNCONFIRMED


def _write(report: SplitReport, file: str) -> None:
    from pathlib import Path

    from graysplit.cli.guard.page import page
    from graysplit.cli.output import tell
    from graysplit.errors import ConfigurationError

    try:
        Path(file).write_text(page(report), encoding="utf-8")
    except OSError as fault:
        raise ConfigurationError(f"cannot write the page to {Path(file).name}: {fault.strerror}") from None
    tell(f"drawn: {file}")
