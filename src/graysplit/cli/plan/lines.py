"""How a plan that runs is told: in one line for all who look, gate by gate for whoever wants to know."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.cli.words import number
from graysplit.control.plan.awaited import Awaited, Gate
from graysplit.core.durations import format_span

NO_DRIVER = "no driver"


def plan_lines(found: Awaited, name: str = "plan") -> list[str]:
    """Return where a plan stands and what for; and where nobody drives it, how somebody does."""
    lines = [f"{name}: {plan_words(found)}"]
    if not found.driven:
        span = format_span(found.tick_age_ms)
        said = f"{NO_DRIVER}: no process has driven it for {span} (the role `app` cannot drive)"
        lines.append(f"{said}. Run: graysplit drive")
    return lines


def plan_words(found: Awaited) -> str:
    """Return it in one line: the step, and what comes next or what it waits for."""
    at = f"step {found.step} of {found.steps} ({_named(found.weights) or f'{found.weight}%'})"
    ahead = _named(found.next_weights) or f"{found.ahead}%"
    left = "" if found.left_ms is None else format_span(found.left_ms + 999)
    match found.state:
        case "unread":
            return f"step {found.step} ({found.weight}%), not understood by this graysplit ({found.why})"
        case "counts":
            return f"{at}, next {ahead} in {left}"
        case "due":
            return f"{at}, next {ahead} is due"
        case "bakes" | "stands":
            return f"{at}, {found.why}"
        case "waits":
            if left and found.gates:
                others = ", ".join(gate.name for gate in found.gates if not _timed(gate) and not gate.open)
                return f"{at}, {left} more, then {others} before {ahead}"
            return f"{at}, waiting {found.why}"


def gate_lines(found: Awaited, indent: str = "") -> list[str]:
    """Return the gates before the next step, one line each: its name, open or waiting, and why."""
    width = max((len(gate.name) for gate in found.gates), default=0)
    return [
        f"{indent}{gate.name.ljust(width)}  {'open   ' if gate.open else 'waiting'}  {gate.why}".rstrip()
        for gate in found.gates
    ]


def plan_json(found: Awaited) -> dict[str, object]:
    """Return a plan that runs for scripts."""
    return {
        **found._asdict(),
        "steps": found.steps or None,
        "weight": number(found.weight),
        "ahead": number(found.ahead),
        "weights": {name: number(weight) for name, weight in found.weights.items()},
        "next_weights": {name: number(weight) for name, weight in found.next_weights.items()},
        "out": list(found.out),
        "gates": [gate._asdict() for gate in found.gates],
        "paused": found.paused and found.paused._asdict(),
        "pauses": [pause._asdict() for pause in found.pauses],
        "driven": found.driven,
        "says": plan_words(found),
    }


def _named(weights: Mapping[str, str]) -> str:
    """Return the weights of several candidates; "" of one alone."""
    return " ".join(f"{name}={weight}%" for name, weight in weights.items())


def _timed(gate: Gate) -> bool:
    return gate.name.startswith("after ")
