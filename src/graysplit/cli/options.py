"""Options and values that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from graysplit.cli.session import Session
from graysplit.core.spans import BadSpanError, parse_span

F = TypeVar("F", bound=Callable[..., Any])  # Any: a command's function, of whatever options


def span(text: str) -> float:
    """Read a span of time as seconds: 5s, 500ms, 2m, 3d; a bare number is seconds."""
    try:
        return parse_span(text)
    except BadSpanError as fault:
        raise click.BadParameter(str(fault)) from None


def _keep_yes(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).yes = True


def _keep_unstop(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).unstop = True


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


def unstopping(function: F) -> F:
    """Add the option that agrees beforehand to clear the stop that stands."""
    option = click.option(
        "--unstop", is_flag=True, expose_value=False, callback=_keep_unstop, help="Clear the stop that stands."
    )
    return option(function)
