"""What a switch prints while it goes on: who is ready, and each step."""

from __future__ import annotations

from graysplit.cli.output import say, tell
from graysplit.cli.session import Session
from graysplit.cli.words import percent
from graysplit.control.result import Result
from graysplit.control.switching import STEPS, Standby, Step


class Steps:
    """Prints what it is told, once; in JSON it all stands in the one object at the end."""

    def __init__(self, session: Session) -> None:
        """Begin with nothing told."""
        self._session = session
        self._standby: Standby | None = None
        self._written: list[Step] = []

    @property
    def json(self) -> dict[str, object]:
        """What scripts get beside the result."""
        ready = None if self._standby is None else {"ready": self._standby.ready, "processes": self._standby.processes}
        return {"standby": ready, "steps": [step.result.revision for step in self._written]}

    def told(self, what: Standby | Step) -> None:
        """Print who is ready where that has changed, and each step as it is written."""
        out = tell if self._session.json else say
        if isinstance(what, Step):
            self._session.written = what.result
            self._written.append(what)
            out(step_line(what.number, what.result))
        elif what != self._standby:
            self._standby = what
            out(standby_line(what))


def standby_line(found: Standby) -> str:
    """Say who is ready."""
    if not found.processes:
        return "no live process declares it; going back needs none"
    return f"standby ready {found.ready}/{found.processes}"


def step_line(number: int, result: Result) -> str:
    """Say what a step wrote."""
    moves = ", ".join(f"{field} {percent(a)} -> {percent(b)}" for field, (a, b) in result.moves.items())
    return f"step {number} of {STEPS}: {moves} (revision {result.revision})"
