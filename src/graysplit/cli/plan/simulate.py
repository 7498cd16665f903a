"""The verb that foretells a plan: a table, JSON, a picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from graysplit.cli.app import app
from graysplit.cli.options import span
from graysplit.cli.plan.options import PlanOptions, shaping
from graysplit.cli.session import Session

if TYPE_CHECKING:
    from graysplit.control.simulate import Moves, Simulation
    from graysplit.core.plan.forecast import End, ForecastStep
    from graysplit.core.plan.plan import PlanStep


@app.command()
@click.argument("target", metavar="SPLIT[/VERSION]")
@shaping
@click.option(
    "--units",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Count which of these units move; one unit per line.",
)
@click.option(
    "--confirm", type=span, default="0s", show_default=True, metavar="TIME", help="How long the fleet takes to follow."
)
@click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Draw the plan to FILE as well.")
@click.pass_obj
def simulate(  # noqa: PLR0913, PLR0917 - click hands every option over by name
    session: Session, target: str, shape: PlanOptions, units: str | None, confirm: float, svg: str | None
) -> int:
    """Show when a plan takes its steps, and which units move.

    Simulates the running plan from its current step or, with steps, a plan that
    starts now. Writes nothing. Times are the server's and assume a driver. A step
    that waits for a person has no time; later times are counted from it.
    """
    from graysplit.cli.exits import DONE
    from graysplit.cli.output import say, say_json

    simulation = session.control.simulate(
        target,
        shape.steps,
        plan=shape.plan,
        template=shape.template,
        bake=shape.bake,
        confirm_after=confirm,
        units=None if units is None else lambda: read_units(units),
    )
    if svg is not None:
        _draw(simulation, svg)
    if session.json:
        say_json(simulation_json(simulation))
    else:
        say(*simulation_lines(simulation))
    return DONE


def read_units(file: str) -> Iterator[bytes]:
    """Return the units of a file, one on each line, as the bytes they are hashed as."""
    with open(file, "rb") as lines:  # noqa: PTH123 - pathlib would cost `--help` its import
        for line in lines:
            yield line.rstrip(b"\r\n")


def simulation_lines(simulation: Simulation) -> list[str]:
    """Lay a plan's future out as a table."""
    from graysplit.cli.table import table
    from graysplit.control.guard.outlook import words
    from graysplit.words.texts import plural, when

    told = "from its current step" if simulation.runs else "if it started now"
    lines = [f"{simulation.field}, plan {simulation.plan.name}, {told} ({when(simulation.now_ms)})", *simulation.notes]
    counts = simulation.units is not None or any(moves.hosts for moves in simulation.moves)
    middle = (*(("on it",) if counts else ()), "at", *(("",) if simulation.forecast.end.waits else ()))
    head = ("step", "weight", "moves", *middle, "before the next")
    pairs = zip(simulation.forecast.steps, simulation.moves, strict=True)
    lines += table(head, [_row(simulation, step, moves) for step, moves in pairs])
    lines += words(simulation.plan, simulation.outlooks)
    lines.append(_end_words(simulation.forecast.end))
    if simulation.forecast.end.waits:
        lines.append(f"how long it waits is unknown for: {', '.join(simulation.forecast.end.waits)}")
    if simulation.units is not None:
        lines.append(f"counted: {plural(simulation.units, 'unit')}")
    return lines


_ENDS: Final = {"done": "done", "rollback": "goes back to zero", "stays": "stays there until a person acts"}


def _end_words(end: End) -> str:
    from graysplit.words.texts import when

    why = f": {end.why}" if end.why and end.outcome != "done" else ""
    return f"{' '.join(filter(None, (_ENDS[end.outcome], when(end.at_ms), _plus(end.waits))))}{why}"


def _row(simulation: Simulation, step: ForecastStep, moves: Moves) -> tuple[str, ...]:
    from graysplit.core.weights import format_weight
    from graysplit.words.texts import plural, when

    if moves.hosts is not None:
        moved = plural(len(moves.hosts.joining), "host") if moves.hosts.joining else "-"
    elif moves.buckets is None:
        moved = "-"
    else:
        moved = f"{format_weight(moves.buckets)}%" if simulation.units is None else str(moves.units)
    on = () if simulation.units is None else (str(moves.on),)
    if moves.hosts is not None:
        on = (f"{moves.hosts.on} of {moves.hosts.of}",)
    waits = (_plus(step.waits),) if simulation.forecast.end.waits else ()
    at, gates = when(step.at_ms), _gates(simulation, step)
    return str(step.step + 1), f"{simulation.plan.steps[step.step].words}%", moved, *on, at, *waits, gates


def _gates(simulation: Simulation, taken: ForecastStep) -> str:
    """Return what stands before the next step, or the end."""
    from graysplit.core.durations import span_text

    step: PlanStep = simulation.plan.steps[taken.step]
    if taken.step + 1 == len(simulation.plan.steps):
        return f"bake {span_text(simulation.plan.bake_s)}" if simulation.plan.bake_s else ""
    late = "" if step.max_wait_s is None else f"{step.overdue} after {span_text(step.max_wait_s)}"
    return ", ".join(filter(None, (*step.gates, late)))


def _plus(waits: tuple[str, ...]) -> str:
    return "" if not waits else "+ the wait" if len(waits) == 1 else f"+ {len(waits)} waits"


def simulation_json(simulation: Simulation) -> dict[str, object]:
    """Return a plan's future for scripts."""
    from graysplit.core.plan.plan import plan_record
    from graysplit.core.weights import format_weight
    from graysplit.words.texts import number

    steps = [
        {
            "step": step.step + 1,
            "weight": number(format_weight(step.weight)),
            "weights": {
                name: number(format_weight(weight)) for name, weight in simulation.plan.weights(step.step).items()
            },
            "at_ms": step.at_ms,
            "waits": list(step.waits),
            "gates": list(simulation.plan.steps[step.step].gates) if step.step + 1 < len(simulation.plan.steps) else [],
            "moves": None if moves.buckets is None else moves.buckets / 1000,
            "units_move": moves.units,
            "units_on": moves.on,
            "hosts": None if moves.hosts is None else {**moves.hosts._asdict(), "joining": list(moves.hosts.joining)},
            "outlook": simulation.outlooks[step.step]._asdict() if step.step in simulation.outlooks else None,
        }
        for step, moves in zip(simulation.forecast.steps, simulation.moves, strict=True)
    ]
    return {
        "split": simulation.split,
        "version": simulation.version,
        "plan": plan_record(simulation.plan),
        "now_ms": simulation.now_ms,
        "runs": simulation.runs,
        "steps": steps,
        "end": {**simulation.forecast.end._asdict(), "waits": list(simulation.forecast.end.waits)},
        "units": simulation.units,
        "notes": list(simulation.notes),
    }


def _draw(simulation: Simulation, file: str) -> None:
    from pathlib import Path

    from graysplit.cli.output import tell
    from graysplit.cli.plan.picture import picture
    from graysplit.errors import ConfigurationError

    try:
        Path(file).write_text(picture(simulation), encoding="utf-8")
    except OSError as fault:
        raise ConfigurationError(f"cannot write the picture to {Path(file).name}: {fault.strerror}") from None
    tell(f"drawn: {file}")
