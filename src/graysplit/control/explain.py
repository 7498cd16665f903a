"""Why a unit gets a version: the ladder, with the rung that answered, and the processes in which it is another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graysplit.control.answers import SILENT, Answer, UnitQuestion, answers
from graysplit.core.bucketing import bucket_of, encode_unit
from graysplit.core.decision import DecisionInput, Rung, climb, decide
from graysplit.core.fleet import OFF, Fleet
from graysplit.core.limits import clean_name
from graysplit.core.split_state import SplitState
from graysplit.core.waves import unknown_host


class FleetExplanation(NamedTuple):
    """A decision with all that led to it."""

    split: str
    version: str  # by the store; where all live processes are known to agree on another one, that one
    reason: str
    bucket: int | None  # None for an invalid unit, and where instances cross over
    revision: int
    ladder: tuple[Rung, ...]
    store_says: tuple[str, str, str] | None = None  # version, reason and comparison, where all processes differ from it
    processes: tuple[Answer, ...] = ()  # what each says, the silent ones last

    note: str = ""  # that no live process counts as the host that was named

    @property
    def live(self) -> tuple[Answer, ...]:
        """Those that are live, known or not."""
        return tuple(answer for answer in self.processes if answer.reason != SILENT)

    @property
    def apart(self) -> tuple[Answer, ...]:
        """Those that answer otherwise than it says here, and those of which it is not known."""
        return tuple(answer for answer in self.processes if answer.version != self.version)


def explain(state: SplitState, unit: object, revision: int, fleet: Fleet) -> FleetExplanation:
    """Decide for a unit by the store, nothing kept, and compare with what each process says."""
    note = ""
    if state.definition.by == "instance" and isinstance(unit, str):
        unit = clean_name(unit)
        note = unknown_host(fleet, unit)
    encoded = encode_unit(unit)
    case = DecisionInput(state, encoded, {}, None)
    decision, ladder = decide(case, revision=revision), climb(case)
    by_unit = state.definition.by == "unit"
    bucket = bucket_of(encoded, state.definition.seed) if encoded is not None and by_unit else None
    said = answers(UnitQuestion(case, revision, decision.version, decision.reason), fleet)
    explained = FleetExplanation(state.split, decision.version, decision.reason, bucket, revision, ladder, None, said)
    first = Rung(OFF, _off_words(explained.live), None)
    return _where_all_differ(explained._replace(ladder=(first, *ladder[1:]), note=note))


def _where_all_differ(explanation: FleetExplanation) -> FleetExplanation:
    """Return what is in force where every live process is known to answer otherwise than the store."""
    said = {answer.version for answer in explanation.live}
    if len(said) != 1 or said <= {None, explanation.version}:
        return explanation
    first = explanation.live[0]
    version, step = first.version or "", Rung(first.reason, _everywhere(explanation.live), first.version)
    ladder = (step._replace(asked=explanation.ladder[0].asked),) if first.reason == OFF else (*explanation.ladder, step)
    by_store = (explanation.version, explanation.reason, explanation.ladder[-1].asked)
    return explanation._replace(version=version, reason=first.reason, ladder=ladder, store_says=by_store)


def _everywhere(live: Sequence[Answer]) -> str:
    says = list(dict.fromkeys(answer.says for answer in live))
    return f"in all live processes: {says[0]}{' and others' if says[1:] else ''}"


def _off_words(live: Sequence[Answer]) -> str:
    """Return how far break-glass is in force."""
    if not live:
        return "break-glass: no live process reports it"
    silent = sum(answer.off is None for answer in live)
    untold = f", not known on {silent}" if silent else ""
    return f"break-glass: in force on {sum(answer.off is True for answer in live)} of {len(live)}{untold}"
