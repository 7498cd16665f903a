"""What a router has counted of its calls, for metrics: by split and version, never by unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from graysplit.core.address import field_of, parse_address
from graysplit.core.counters import Measure
from graysplit.core.weights import share
from graysplit.router.call_counts import UNKNOWN, CallCounts

if TYPE_CHECKING:
    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.replica.adopted import Adopted
    from graysplit.follower.guard.reporter import Times


def measures(held: Adopted, counts: CallCounts, state_of: Callable[[str], CompiledSplit]) -> list[Measure]:
    """Return what has been counted so far of every version of every split that was asked for or declared.

    All that neither code nor store knows is one (`(unknown)`). Nobody who publishes waits for it.
    """
    measured: list[Measure] = []
    for split, versions in counts.measured():
        state = state_of(split) if split != UNKNOWN else None
        candidates = state.names[1:] if state is not None else ()
        for version, (evaluations, failures, running) in versions.items():
            asked = actual = None
            if state is not None and version in candidates:
                asked = share(held.weights.get(field_of(split, version), 0))
                actual = share(state.weights[state.names.index(version)])
            if state is not None or any(evaluations.values()):
                measured.append(Measure(split, version, evaluations, failures, running, asked, actual))
    return measured


def with_durations(counted: list[Measure], times: Mapping[str, Times]) -> list[Measure]:
    """Return measures with the durations that a guard has timed, by field."""
    taken: dict[tuple[str, str], Mapping[int, int]] = {}
    for field, timed in times.items():
        split, version = parse_address(field)
        taken[split, version] = timed.new.copy()
        taken.setdefault((split, ""), timed.old.copy())  # of several candidates each has counted the same calls
    return [
        one._replace(durations=taken.get((one.split, "" if one.asked is None else one.version), {})) for one in counted
    ]
