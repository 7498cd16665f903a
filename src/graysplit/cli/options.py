"""Options and values that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graysplit.cli.session import Session
from graysplit.core.durations import BadSpanError, parse_span

if TYPE_CHECKING:
    from datetime import datetime

F = TypeVar("F", bound=Callable[..., Any])  # Any: a command's function, of whatever options


def span(text: str) -> float:
    """Read a span of time as seconds: 5s, 500ms, 2m, 3d; a bare number is seconds."""
    try:
        return parse_span(text)
    except BadSpanError as fault:
        raise click.BadParameter(str(fault)) from None


def span_or_off(text: str) -> float | str:
    """Read a span of time as seconds, or the word off."""
    return "off" if text.strip().lower() == "off" else span(text)


def moment(text: str) -> float | datetime:
    """Read a point in time: so many seconds ago, from a span as 2h, or a UTC time as 2026-12-01T10:00 or with a Z."""
    with suppress(BadSpanError):
        return parse_span(text)
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text.strip().removesuffix("Z"))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a span (2h, 90m) nor a UTC time (2026-12-01, 2026-12-01T10:00)", param_hint="--since"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _keep_yes(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).yes = True


def _keep_unstop(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).unstop = True


def _keep_replace(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value:
        ctx.ensure_object(Session).replace = True


def _keep_wait(ctx: click.Context, _: click.Parameter, value: float) -> None:
    session = ctx.ensure_object(Session)
    session.changing = True  # called for every verb that changes something, whatever is given
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
            metavar="TIME",
            default="5s",
            show_default=True,
            expose_value=False,
            callback=_keep_wait,
            help="How long to wait for receipts.",
        ),
        click.option(
            "--yes",
            "-y",
            is_flag=True,
            expose_value=False,
            callback=_keep_yes,
            help="Agree in advance, without a prompt.",
        ),
        click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing."),
        click.option("--why", default="", metavar="TEXT", help="The reason, for the history."),
    ):
        function = option(function)
    return function


def unstopping(function: F) -> F:
    """Add the option that agrees beforehand to clear the stop that stands."""
    option = click.option(
        "--unstop", is_flag=True, expose_value=False, callback=_keep_unstop, help="Agree to clear the stop."
    )
    return option(function)


def replacing(function: F) -> F:
    """Add the option that agrees beforehand to end a plan that is paused, or somebody else's."""
    option = click.option(
        "--replace",
        is_flag=True,
        expose_value=False,
        callback=_keep_replace,
        help="End the running plan, even if it is paused or another person's.",
    )
    return option(function)
