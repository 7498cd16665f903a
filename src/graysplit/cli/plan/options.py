"""Options that say a plan's steps: given in one word, read from a file, or saved under a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, cast

import click

from graysplit.cli.options import span

if TYPE_CHECKING:
    from graysplit.control.steps import Step

F = TypeVar("F", bound=Callable[..., Any])  # Any: a command's function, of whatever options

_OPTIONS: Final = (
    click.argument("steps", required=False, metavar="[5,20,50,100]"),
    click.option("--every", type=span, metavar="TIME", help="How long each step lasts before the next, as 10m."),
    click.option("--approve", is_flag=True, help="Require a person's approval before each next step."),
    click.option("--until", type=click.Choice(["safe"]), help="Require this verdict before each next step."),
    click.option("--max-wait", type=span, metavar="TIME", help="How long a step may wait at its gates."),
    click.option(
        "--overdue",
        type=click.Choice(["nag", "rollback"]),
        default="nag",
        show_default=True,
        help="Action when that time is over.",
    ),
    click.option(
        "--bake",
        type=span,
        metavar="TIME",
        help="Guarded wait after the last step; in the default plan at 95 %.  [default plan: 1h]",
    ),
    click.option("--plan", "file", type=click.Path(), metavar="FILE", help="Steps from a TOML or JSON file."),
    click.option("--template", metavar="NAME", help="Steps of a template (see --save)."),
)


class PlanOptions(NamedTuple):
    """The plan that was meant, as far as it was said; with nothing said, the last one or the default."""

    steps: list[Step] | None
    plan: Mapping[str, object] | None  # a file's record
    template: str | None
    bake: float | None  # seconds


def shaping(function: F) -> F:
    """Add the options that say a plan's steps; the command gets them as one `shape`."""

    @wraps(function)
    def shaped(  # noqa: PLR0913 - click hands every option over by name
        *args: object,
        steps: str | None,
        every: float | None,
        approve: bool,
        until: Literal["safe"] | None,
        max_wait: float | None,
        overdue: Literal["nag", "rollback"],
        bake: float | None,
        file: str | None,
        template: str | None,
        **others: object,
    ) -> object:
        ways = (("steps", steps), ("--plan", file), ("--template", template))
        said = [name for name, given in ways if given is not None]
        if len(said) > 1:
            raise click.UsageError(f"{' and '.join(said)} both give the steps: use one of them")
        if steps is None and any(gate is not None for gate in (every, until, max_wait, approve or None)):
            raise click.UsageError("gates need steps: graysplit ramp SPLIT 5,20,50,100 --every 10m")
        made = None
        if steps is not None:
            from graysplit.control.steps import Step

            made = [Step(word, every, until, approve, max_wait, overdue) for word in steps.split(",")]
        return function(*args, shape=PlanOptions(made, _record(file), template, bake), **others)

    command = cast("F", shaped)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def print_schema(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's callback
    """Print the JSON Schema of plan files as it is shipped."""
    if wanted:
        from pathlib import Path

        click.echo((Path(__file__).parents[2] / "plan.schema.json").read_text(encoding="utf-8"), nl=False)
        ctx.exit()


def _record(file: str | None) -> dict[str, object] | None:
    from pathlib import Path

    from graysplit.control.plan.plan_request import read_plan_file

    return None if file is None else read_plan_file(Path(file))
