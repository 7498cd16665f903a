"""What a switch prints while it goes on: who is ready, each step, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graysplit.cli.exits import DONE, UNCONFIRMED, UNHEALTHY
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.result_lines import tell_way_back
from graysplit.cli.session import Session
from graysplit.control.result import Result
from graysplit.control.switch import STEPS, SwitchStep
from graysplit.core.plan.plan import SPAN_AT_MOST_S
from graysplit.core.standby import Standby
from graysplit.words.plan import plan_json, plan_lines, plan_words
from graysplit.words.result import result_json, written_lines
from graysplit.words.texts import percent

if TYPE_CHECKING:
    from graysplit.control.plan.awaited import Awaited


class Steps:
    """Prints what it is told, once; in JSON it all stands in the one object at the end."""

    def __init__(self, session: Session) -> None:
        """Begin with nothing told."""
        self._session = session
        self._standby: Standby | None = None
        self._written: list[SwitchStep] = []

    @property
    def json(self) -> dict[str, object]:
        """What scripts get beside the result."""
        ready = None if self._standby is None else {"ready": self._standby.ready, "processes": self._standby.processes}
        return {"standby": ready, "steps": [step.result.revision for step in self._written]}

    def told(self, what: Standby | SwitchStep) -> None:
        """Print who is ready where that has changed, and each step as it is written."""
        out = tell if self._session.json else say
        if isinstance(what, SwitchStep):
            self._session.written = what.result
            self._written.append(what)
            if what.result.plan is None:  # a plan's is told with the rest
                out(step_line(what.number, what.result))
        elif what != self._standby:
            self._standby = what
            out(standby_line(what))


class Undriven(Exception):  # noqa: N818 - no error: a reason to look no longer
    """Nobody takes the steps of the plan that is looked at."""


class PlanPrinter:
    """Prints where a plan stands, whenever that has changed."""

    def __init__(self, session: Session) -> None:
        """Begin with nothing printed."""
        self._out = tell if session.json else say
        self._shown = (1, False)  # the step printed last, and whether it was said to wait
        self.plan: Awaited | None = None

    def looked(self, expected: Awaited) -> None:
        """Print a step when it is new, and what it waits for when that is neither time nor the fleet's next beat."""
        self.plan = expected
        if not expected.driven:
            raise Undriven
        waits = expected.state == "stands" or any(gate.name == "ready" and not gate.open for gate in expected.gates)
        if waits and self._shown != (expected.step, True):
            self._out(plan_words(expected))
        elif not waits and expected.step != self._shown[0]:
            self._out(f"step {expected.step} of {expected.steps}: {expected.weight}%")
        self._shown = (expected.step, waits)


def follow(session: Session, result: Result, more: dict[str, object]) -> int:
    """Print the start of a switch that is a plan, and follow it to its end, unless nobody waits."""
    (tell if session.json else say)(*written_lines(result))
    session.written = result
    if session.wait_s is None:
        tell_way_back(result)
        return _end(session, result, more, DONE)
    printer = PlanPrinter(session)
    try:
        waited = session.control.wait_until(result.split, "done", SPAN_AT_MOST_S, tell, printer.looked)
    except Undriven:
        tell(*(plan_lines(printer.plan)[1:] if printer.plan else ()))
        return _end(session, result, {**more, "outcome": "late", "plan": _plan(printer)}, UNCONFIRMED)
    except KeyboardInterrupt:
        stop = f"graysplit pause {result.split}, or rollback {result.split}"
        tell(f"the switch continues without this command. Stop it with: {stop}")
        raise
    done = waited.outcome == "met"
    steps = [entry for entry in session.control.history(result.split, 50) if entry.revision > result.revision]
    taken = [entry.revision for entry in reversed(steps) if entry.cause == "step"]
    if done:
        result = replace(
            result,
            moves={field: (pair[0], "100") for field, pair in result.moves.items()},
            revision=taken[-1] if taken else result.revision,
        )
    (tell if session.json else say)(f"{result.split}: {'' if done else 'will not be reached: '}{waited.why}")
    tell_way_back(result)
    more = {**more, "steps": [*_listed(more), *taken], "outcome": waited.outcome, "plan": None}
    return _end(session, result, more, DONE if done else UNHEALTHY)


def _listed(more: dict[str, object]) -> list[object]:
    found = more.get("steps")
    return [*found] if isinstance(found, list) else []


def _plan(printer: PlanPrinter) -> dict[str, object] | None:
    return None if printer.plan is None else plan_json(printer.plan)


def _end(session: Session, result: Result, more: dict[str, object], code: int) -> int:
    if session.json:
        say_json({**result_json(result), **more})
    return code


def standby_line(standby: Standby) -> str:
    """Return who is ready."""
    if not standby.processes:
        return "no live process declares it; going back does not need one"
    return f"standby ready {standby.ready}/{standby.processes}"


def step_line(number: int, result: Result) -> str:
    """Return what a step wrote."""
    moves = ", ".join(f"{field} {percent(a)} -> {percent(b)}" for field, (a, b) in result.moves.items())
    return f"step {number} of {STEPS}: {moves} (revision {result.revision})"
