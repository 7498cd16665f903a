"""Choose a winner of a split: what one change gives to everybody, and what is not shown of the one that is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from graysplit.control.guard.report import SplitReport
from graysplit.core.changes import known
from graysplit.core.definition import candidate
from graysplit.core.guard.interval import Interval
from graysplit.core.guard.report import Compared
from graysplit.core.split_state import Snapshot
from graysplit.core.weights import FULL, Weight
from graysplit.errors import RefusedError

DOUBTS_AT_MOST = 10  # that are told; more do not make it more doubtful


class _Beside(NamedTuple):
    """How the chosen version compares with another, in the last stage that both shared."""

    other: str
    failing: Compared | None
    goals: tuple[tuple[str, Compared | None], ...]
    invalid: str
    turned: bool  # the bounds are of the other less the chosen one


def others_of(snapshot: Snapshot, split: str, version: str, *, planned: bool) -> dict[str, Weight]:
    """Return the weight of nothing for every candidate but the winner; raise where it cannot be chosen so."""
    definition = known(snapshot, split).definition
    if version != definition.baseline:
        candidate(split, definition, version)
    elif planned:
        raise RefusedError(
            f"'{version}' is the baseline of '{split}' and gets the rest, and a plan never lowers. "
            f"Without a plan: graysplit winner {split} {version}"
        )
    return {one.name: 0 for one in definition.candidates if one.name != version}


def weights_of(snapshot: Snapshot, split: str, version: str) -> dict[str, Weight]:
    """Return the weights of all candidates once a version has won."""
    others = others_of(snapshot, split, version, planned=False)
    return others if version == snapshot.splits[split].definition.baseline else {version: FULL, **others}


def doubts_of(report: SplitReport, version: str, baseline: str, candidates: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is not shown of a winner: against each other version, by the bounds of all comparisons together."""
    rivals = [name for name in (baseline, *candidates) if name != version]
    beside = {one.other: one for one in _all_beside(report, version)}
    said = [
        f"{version} is {release.verdict.word}: {release.verdict.why}"
        for release in report.releases
        if release.subject.version == version and release.verdict.word in {"worse", "suspect"}
    ]
    said += [
        f"a note on {version}: {release.verdict.note}"
        for release in report.releases
        if release.subject.version == version and release.verdict.note
    ]
    for rival in rivals:
        said += _doubts(version, rival, beside.get(rival))
    more = len(said) - DOUBTS_AT_MOST
    return (*said[:DOUBTS_AT_MOST], *([f"and {more} more doubts: graysplit report {report.split}"] if more > 0 else []))


def _all_beside(report: SplitReport, version: str) -> Iterator[_Beside]:
    for release in report.releases:
        subject, stages = release.subject, [stage for stage in release.stages if stage.control]
        if not stages or version not in {subject.version, subject.baseline}:
            continue
        last, turned = stages[-1], version == subject.baseline
        other = subject.version if turned else subject.baseline
        yield _Beside(other, last.failing, tuple((one.name, one.rates) for one in last.goals), last.invalid, turned)
    for pair in report.pairs:
        if pair.stages and version in {pair.first, pair.second}:
            shared, turned = pair.stages[-1], version == pair.second
            goals = tuple((one.name, one.rates) for one in shared.goals)
            yield _Beside(pair.first if turned else pair.second, shared.failing, goals, shared.invalid, turned)


def _doubts(version: str, rival: str, beside: _Beside | None) -> Iterator[str]:
    if beside is None or beside.failing is None:
        yield f"{version} was not compared with {rival}: nothing was counted of both at the same time"
        return
    if beside.invalid:
        yield f"the counts of {version} and {rival} are not valid: {beside.invalid}"
        return
    low, high = _points(beside.failing, turned=beside.turned)
    if low > 0:
        yield f"{version} fails more often than {rival}: {_words(low, high)}"
    shown = [(name, _points(rates, turned=beside.turned)) for name, rates in beside.goals if rates is not None]
    if not shown:
        yield f"no goal was counted of {version} and {rival}: nothing shows that it does better"
    for name, (low, high) in shown:
        if high < 0:
            yield f"{version} does worse than {rival} on {name}: {_words(low, high)}"
        elif low <= 0:
            yield f"nothing shows that {version} does better than {rival} on {name}: {_words(low, high)}"


def _points(compared: Compared, *, turned: bool) -> Interval:
    low, high = compared.jointly.difference
    return Interval(-high, -low) if turned else Interval(low, high)


def _words(low: float, high: float) -> str:
    return f"{100 * low:+.2f} to {100 * high:+.2f} points"
