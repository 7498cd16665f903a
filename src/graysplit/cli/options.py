"""Options and values that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from graysplit.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])  # Any: a command's function, of whatever options

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def span(text: str) -> float:
    """Read a span of time as seconds: 5s, 500ms, 2m; a bare number is seconds."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no span of time: write 5s, 500ms or 2m")
    return float(found[1]) * _UNITS[found[2]]


def _keep_yes(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).yes = True


def _keep_wait(ctx: click.Context, _: click.Parameter, value: float) -> None:
    session = ctx.ensure_object(Session)
    if session.wait_s is not None:
        session.wait_s = value


def _keep_no_wait(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).wait_s = None


def changing(function: F) -> F:
    """Add the options of every change: why, dry run, agreement, receipts."""
    for option in (
        click.option(
            "--no-wait", is_flag=True, expose_value=False, callback=_keep_no_wait, help="Do not wait for receipts."
        ),
        click.option(
            "--wait",
            type=span,
            default="5s",
            show_default=True,
            expose_value=False,
            callback=_keep_wait,
            help="How long to wait for receipts.",
        ),
        click.option("--yes", "-y", is_flag=True, expose_value=False, callback=_keep_yes, help="Agree beforehand."),
        click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing."),
        click.option("--why", default="", metavar="TEXT", help="The reason, for the history."),
    ):
        function = option(function)
    return function
