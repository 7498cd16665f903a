"""How a plan that runs is told: in one line for all who look, gate by gate for whoever wants to know."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.control.plan.awaited import Awaited, Gate
from graysplit.core.durations import format_span
from graysplit.words.texts import number

NO_DRIVER = "no driver"


def plan_lines(expected: Awaited, name: str = "plan") -> list[str]:
    """Return where a plan stands and what for; and where nobody drives it, how somebody does."""
    lines = [f"{name}: {plan_words(expected)}"]
    if not expected.driven:
        span = format_span(expected.tick_age_ms)
        said = f"{NO_DRIVER}: no process has driven it for {span} (the role `app` cannot drive)"
        lines.append(f"{said}. Run: graysplit drive")
    return lines


def plan_words(expected: Awaited) -> str:
    """Return it in one line: the step, and what comes next or what it waits for."""
    at = f"step {expected.step} of {expected.steps} ({_named(expected.weights) or f'{expected.weight}%'})"
    ahead = _named(expected.next_weights) or f"{expected.ahead}%"
    left = "" if expected.left_ms is None else format_span(expected.left_ms + 999)
    match expected.state:
        case "unread":
            return f"step {expected.step} ({expected.weight}%), not understood by this graysplit ({expected.why})"
        case "counts":
            return f"{at}, next {ahead} in {left}"
        case "due":
            return f"{at}, next {ahead} is due"
        case "bakes" | "stands":
            return f"{at}, {expected.why}"
        case "waits":
            if left and expected.gates:
                others = ", ".join(gate.name for gate in expected.gates if not _timed(gate) and not gate.open)
                return f"{at}, {left} more, then {others} before {ahead}"
            return f"{at}, waiting {expected.why}"


def gate_lines(expected: Awaited, indent: str = "") -> list[str]:
    """Return the gates before the next step, one line each: its name, open or waiting, and why."""
    width = max((len(gate.name) for gate in expected.gates), default=0)
    return [
        f"{indent}{gate.name.ljust(width)}  {'open   ' if gate.open else 'waiting'}  {gate.why}".rstrip()
        for gate in expected.gates
    ]


def plan_json(expected: Awaited) -> dict[str, object]:
    """Return a plan that runs for scripts."""
    return {
        **expected._asdict(),
        "steps": expected.steps or None,
        "weight": number(expected.weight),
        "ahead": number(expected.ahead),
        "weights": {name: number(weight) for name, weight in expected.weights.items()},
        "next_weights": {name: number(weight) for name, weight in expected.next_weights.items()},
        "out": list(expected.out),
        "gates": [gate._asdict() for gate in expected.gates],
        "paused": expected.paused and expected.paused._asdict(),
        "pauses": [pause._asdict() for pause in expected.pauses],
        "driven": expected.driven,
        "says": plan_words(expected),
    }


def _named(weights: Mapping[str, str]) -> str:
    """Return the weights of several candidates; "" of one alone."""
    return " ".join(f"{name}={weight}%" for name, weight in weights.items())


def _timed(gate: Gate) -> bool:
    return gate.name.startswith("after ")
