"""Report on a split's releases: read what was counted of each candidate, and say what can be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from graysplit.control.guard.verdicts import armed
from graysplit.control.inputs import split_and_version
from graysplit.control.reading import Reading
from graysplit.core.address import field_of
from graysplit.core.definition import candidate
from graysplit.core.guard.pairs import Counted, PairReport, pairs_of
from graysplit.core.guard.report import ReleaseReport, Subject, release_of
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.stage import terms_of
from graysplit.core.guard.tally import Stage
from graysplit.core.split_state import SplitState
from graysplit.stores.port import Store
from graysplit.stores.text.judge import read_judge

# How many of a split's newest changes are looked through for those of its releases.
CHANGES_AT_MOST: Final = 1_000


class SplitReport(NamedTuple):
    """What is known of a split's candidates."""

    split: str
    namespace: str
    now_ms: int  # server time
    releases: tuple[ReleaseReport, ...]  # of the candidates of which something was counted
    uncounted: Mapping[str, str]  # the others, by field: why, and the next command
    pairs: tuple[PairReport, ...] = ()  # candidates beside each other, with a named one: those that it is in


def report(reading: Reading, store: Store, namespace: str, target: str) -> SplitReport:
    """Report on all candidates of a split, or on the one that is named; raises `UnknownVersionError`."""
    split, version = split_and_version(target)
    state = reading.snapshot.splits[split]
    definition = state.definition
    chosen = candidate(split, definition, version).name if version else ""
    history = store.history(split, CHANGES_AT_MOST)
    releases: list[ReleaseReport] = []
    uncounted: dict[str, str] = {}
    counted: list[Counted] = []
    for name in (one.name for one in definition.candidates):
        subject = subject_of(reading, state, name)
        tally = store.tally(subject.field, subject.release, subject.began_ms // 1000) if subject.release else None
        if tally is not None and tally.stages:
            counted.append(Counted(subject, tally))
        if chosen not in {"", name}:
            continue
        if tally is not None and tally.stages:
            releases.append(release_of(subject, tally, read_judge(tally.judge), history))
        else:
            uncounted[subject.field] = _why_nothing(subject)
    found = pairs_of(counted, len(definition.candidates))
    pairs = tuple(pair for pair in found if chosen in {"", pair.first, pair.second})
    return SplitReport(split, namespace, reading.load.now_ms, tuple(releases), uncounted, pairs)


def subject_of(reading: Reading, state: SplitState, version: str) -> Subject:
    """Return how a candidate stands now."""
    definition, field = state.definition, field_of(state.split, version)
    armed_guard = armed(state.split, definition)
    only = b"" if definition.by == "instance" else None
    terms = terms_of(state, reading.held, armed_guard.guard if armed_guard else Guard(), None, only)
    stage = next((one.stage for one in terms.candidates if one.field == field), Stage(0, 0))
    stop = state.stop_on(version)
    return Subject(
        state.split,
        version,
        definition.baseline,
        reading.held.begun.get(field, ""),
        reading.held.releases.get(field, 0),
        reading.load.now_ms,
        stage.new,
        stage.old,
        None if stop is None else (stop, state.stops[stop]),
        armed_guard.guard if armed_guard else None,
        armed_guard.fault if armed_guard else "",
    )


def _why_nothing(subject: Subject) -> str:
    if not subject.release:
        return f"no release has begun. Begin one with: graysplit ramp {subject.field}"
    if subject.guard is None:
        return f"it has no guard, so nothing is counted. Arm one with: graysplit guard {subject.split}"
    if not subject.share:
        return f"nobody is on it, so nothing is counted. Begin again with: graysplit ramp {subject.field}"
    return "no call has been counted yet. See which processes declare it with: graysplit fleet"
