"""Who wins: the ladder that turns a split's state, a unit and its attributes into a version with a reason.

This is the law in its readable form. `compiled.py` compiles the same ladder for speed, and a property holds the two
together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, cast

from graysplit.core.allocation import Run, owner
from graysplit.core.bucketing import bucket_of
from graysplit.core.weights import format_weight, share

if TYPE_CHECKING:
    from graysplit.core.split_state import SplitState

# Why a version was chosen: docs/reference/reasons-and-status.md#reasons. A later version may add some.
Reason: TypeAlias = Literal[
    "off",
    "stopped",
    "kept",
    "denied",
    "pin",
    "bucket",
    "baseline",
    "forced",
    "no_unit",
    "version_absent",
    "baseline_differs",
    "unknown_split",
    "not_ready",
    "empty_namespace",
    "closed",
    "not_configured",
    "stale",
    "error",
]

# The reasons that the hash has drawn: counted as exposures. Any other (pinned, forced, absent, ...) is counted apart,
# and is never evidence for or against a version.
DRAWN: Final = frozenset(("bucket", "kept", "baseline", "stopped"))


class Decision(NamedTuple):
    """The version chosen for a unit, and why."""

    split: str
    version: str
    reason: Reason
    revision: int = 0  # the store's revision when this process took up the split's present state
    stale: bool = False  # whether contact with the store was lost at that time


class DecisionInput(NamedTuple):
    """One question put to the ladder."""

    split_state: SplitState
    unit: bytes | None  # encoded; None for what is not a unit
    attributes: Mapping[str, object]
    present: Collection[str] | None  # the versions registered in this process; None: choose by name only
    off: bool = False  # break-glass
    kept: str | None = None  # the version kept in this request for this unit
    instance: str | None = None  # where it is asked; None: on the instance that the unit names


class Rung(NamedTuple):
    """One rung as `explain` prints it: what it asked, and the version it gave, if it answered."""

    reason: str  # a `Reason`; of what other processes say also their own words (held, behind, ...)
    asked: str
    version: str | None


_Rung = Callable[[DecisionInput], tuple[str, str | None]]


def _off(case: DecisionInput) -> tuple[str, str | None]:
    return "break-glass (environment or file)", case.split_state.definition.baseline if case.off else None


def _stopped(case: DecisionInput) -> tuple[str, str | None]:
    split_state = case.split_state
    open_ones = [v.name for v in split_state.definition.candidates if split_state.in_force(v.name) != 0]
    if open_ones:
        return f"at zero: all but {', '.join(open_ones)}", None
    stops = sorted({stop for v in split_state.definition.candidates if (stop := split_state.stop_on(v.name))})
    if _lingers(split_state, case.kept):
        return f"at zero, and {case.kept} may finish", None
    asked = f"stopped by {', '.join(stops)}" if stops else "every weight is zero"
    return asked, split_state.definition.baseline if stops else None


def _kept(case: DecisionInput) -> tuple[str, str | None]:
    found = _reachable(case.split_state, case.kept) or _lingers(case.split_state, case.kept)
    return "the choice kept in this request", case.kept if found else None


def _denied(case: DecisionInput) -> tuple[str, str | None]:
    definition = case.split_state.definition
    denied = _text(case.unit) in definition.barred
    return f"deny pins ({len(definition.denied)})", definition.baseline if denied else None


def _pinned(case: DecisionInput) -> tuple[str, str | None]:
    definition = case.split_state.definition
    version = definition.pinned.get(_text(case.unit))
    if version is None or _reachable(case.split_state, version):
        return f"pins ({len(definition.pins)})", version
    return f"pinned to {version}, which is at zero", None


def _bucket(case: DecisionInput) -> tuple[str, str | None]:
    split_state = case.split_state
    shares = {v.name: share(split_state.in_force(v.name)) for v in split_state.definition.candidates}
    if not any(shares.values()) or case.unit is None:
        return "no weight above zero", None
    if split_state.definition.by == "instance":
        return _waved(case)
    bucket, runs = bucket_of(case.unit, split_state.definition.seed), split_state.runs()
    return _compared(bucket, runs), owner(runs, bucket) or split_state.definition.baseline


def _compared(bucket: int, runs: Sequence[Run]) -> str:
    """Write the comparison that finds a bucket's owner, or those that all fail."""
    owned = [run for run in runs if run.start <= bucket < run.end]
    tried = [f"{f'{run.start} <= ' if run.start else ''}{bucket} < {run.end} ({run.version})" for run in owned or runs]
    return f"bucket {tried[0]}" if owned else f"bucket {bucket}, not {' or '.join(tried)}"


def _waved(case: DecisionInput) -> tuple[str, str | None]:
    """Answer by the recorded waves: the same for every unit of an instance."""
    split_state = case.split_state
    instance = _text(case.unit) if case.instance is None else case.instance
    version = split_state.crossed_to(instance)
    if version is None:
        return f"the instance {instance} has not crossed", split_state.definition.baseline
    asked = format_weight(split_state.in_force(version))
    at = split_state.waves[version].at.get(instance)
    when = "with everybody" if at is None else f"at {format_weight(at)} %"
    return f"the instance {instance} has crossed to {version} {when}, of {asked} % now", version


def _baseline(case: DecisionInput) -> tuple[str, str | None]:
    return "the baseline gets the rest", case.split_state.definition.baseline


# Top to bottom, the first that gives a version answers: docs/reference/reasons-and-status.md#reasons. Overrides and
# handed-over decisions belong below `pin`; prerequisites, layers and rules above `bucket`.
LADDER: Final[tuple[tuple[Reason, _Rung], ...]] = (
    ("off", _off),
    ("stopped", _stopped),
    ("kept", _kept),
    ("denied", _denied),
    ("pin", _pinned),
    ("bucket", _bucket),
    ("baseline", _baseline),
)


def decide(case: DecisionInput, *, revision: int = 0, stale: bool = False) -> Decision:
    """Return the decision for a case: the same in every process, on every Python (law 1)."""
    version, reason = answer(climb(case))
    return Decision(case.split_state.split, version, reason, revision, stale)


def climb(case: DecisionInput) -> tuple[Rung, ...]:
    """Return the rungs from the top down to the one that answered."""
    steps: list[Rung] = []
    for reason, rung in LADDER:
        asked, version = rung(case)
        steps.append(Rung(reason, asked, version))
        if version is not None:
            break
    landed = _landed(case, *answer(tuple(steps)))
    return tuple(steps) if landed is None else (*steps, landed)


def answer(steps: tuple[Rung, ...]) -> tuple[str, Reason]:
    """Return version and reason of the rung that answered."""
    last = steps[-1]
    return last.version or "", cast("Reason", last.reason)  # the ladder's own rungs have no other


def _landed(case: DecisionInput, version: str, reason: Reason) -> Rung | None:
    """Bring an answer down to what can be answered here (law 5), or None where it stands."""
    baseline = case.split_state.definition.baseline
    if case.unit is None and reason != "off":
        return Rung("no_unit", "invalid unit: not a text, int, UUID or bytes", baseline)
    if case.present is not None and version not in case.present:
        return Rung("version_absent", f"'{version}' is not registered in this process", baseline)
    return None


def _reachable(split_state: SplitState, version: str | None) -> bool:
    """Law 4: whatever names a version, at weight zero it is not reached."""
    return version is not None and (version == split_state.definition.baseline or split_state.in_force(version) != 0)


def _lingers(split_state: SplitState, kept: str | None) -> bool:
    """Return whether a choice kept in a request outlives a plain zero: the law's one exception, never across a stop."""
    definition = split_state.definition
    candidate = kept is not None and kept != definition.baseline
    return candidate and definition.in_flight == "finish" and split_state.stop_on(kept or "") is None


def _text(unit: bytes | None) -> str:
    return unit.decode(errors="surrogateescape") if unit is not None else ""
