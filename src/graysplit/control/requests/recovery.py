"""Repair a store from what processes or a file know: read, ask, and write unless it has changed meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.control.inputs import check_reason, check_texts, new_id
from graysplit.control.recovery.recover import recover
from graysplit.control.recovery.recovery import RecoverRequest, Recovery, Take
from graysplit.control.recovery.sources import of_file, of_fleet
from graysplit.errors import ConflictError

if TYPE_CHECKING:
    from graysplit.control.agreement import Agreement
    from graysplit.control.ask import RememberedAnswers
    from graysplit.control.operator import Operator

# More than a store keeps.
WHOLE_HISTORY: Final = 1_000_000


class RepairRequest(NamedTuple):
    """What is to be repaired, and from what."""

    splits: frozenset[str]  # none: all
    source: str | os.PathLike[str]  # "fleet", or a file
    take: Take
    seen: Recovery | None  # what was shown to whoever agrees


def repair(operator: Operator, request: RepairRequest, agreement: Agreement, answers: RememberedAnswers) -> Recovery:
    """Write what a recovery proposes, and return it; raise `ConflictError` where it is not what was seen."""
    check_texts(operator.actor, agreement.why)
    recovery = _proposed(operator, request, answers, new_id())
    if agreement.dry_run or not recovery.needed:
        return recovery
    check_reason(recovery.guarded, agreement.why)
    seen = request.seen
    if recovery.ask is not None and operator.ask(recovery, agreement.confirm):
        seen = seen or recovery
        recovery = _proposed(operator, request, answers, recovery.id)
    if seen is not None and seen.told != recovery.told:
        raise ConflictError(recovery.target, "the state that was shown", "something else")
    with operator.submitting(recovery.id):
        return recovery.done(operator.store.submit(recovery.submission(operator.actor, agreement.why)))


def _proposed(operator: Operator, request: RepairRequest, answers: RememberedAnswers, id_: str) -> Recovery:
    reading = operator.read()  # first: where nobody answers, nothing else is needed to say so
    file = None if request.source == "fleet" else of_file(Path(request.source))
    fleet = operator.store.fleet()
    told = of_fleet(fleet, answers.contents(reading.held.lost, fleet), reading.held.lost)
    wanted = RecoverRequest(request.splits, request.take, operator.actor, operator.namespace, id_)
    return recover(reading, told, file, lambda: operator.store.history(None, WHOLE_HISTORY), wanted)
