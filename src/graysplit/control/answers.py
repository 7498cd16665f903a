"""What each live process answers for a unit, as far as its receipt and what its code declares tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from graysplit.core.address import field_of
from graysplit.core.decision import DecisionInput, answer, climb
from graysplit.core.fleet import OFF, Effect, Fleet, Process, baseline_words
from graysplit.core.split_state import SplitState
from graysplit.core.waves import instance_of
from graysplit.core.weights import Weight, format_weight, parse_weight
from graysplit.errors import BadWeightError

# Reasons of effects that change a weight only: every other one holds the whole split at the code's baseline.
_OF_A_WEIGHT: Final = ("stopped by its guard",)
_BY_DEFINITION: Final = frozenset(("denied", "pin"))
DIFFERS: Final = "baseline_differs"
SILENT: Final = "silent"
_WORDS: Final[Mapping[str, str]] = {
    "version_absent": "the store's baseline is not registered there",
    "stale": "it has not heard the store for too long",
    "not_ready": "it has not loaded trusted data yet",
    "empty_namespace": "its namespace held nothing when it last looked",
    "closed": "its router is closed",
    "unknown_split": "it does not know the split yet",
}


class Answer(NamedTuple):
    """What one process answers, and why that is not what the store's word would be."""

    process: str
    version: str | None  # None: not known
    reason: str  # a decision's; or held, behind, differs, silent, not known; "": it is the store's word
    says: str  # the same in words
    off: bool | None = False  # whether break-glass holds the split there; None: it does not tell


class UnitQuestion(NamedTuple):
    """One question, and the store's word on it."""

    case: DecisionInput
    revision: int
    version: str
    reason: str


def answers(asked: UnitQuestion, fleet: Fleet) -> tuple[Answer, ...]:
    """Return the answer of every process that may be asked, the silent ones last.

    Where some process declares the split, those that do not are left out. Where instances cross over, a process
    answers for its own.
    """
    split, by_instance = asked.case.split_state.split, asked.case.split_state.definition.by == "instance"
    unit = (asked.case.unit or b"").decode(errors="surrogateescape")
    found = [p for p in fleet.processes if not by_instance or instance_of(p) == unit]
    declaring = [process for process in found if split in process.declared] or found
    silent = set(map(id, fleet.silent))
    live = [_live(asked, process) for process in declaring if id(process) not in silent]
    return (*live, *(_silent(process, fleet.now_ms) for process in declaring if id(process) in silent))


def _silent(process: Process, now_ms: int) -> Answer:
    seconds = (now_ms - process.seen_ms) // 1000
    said = f"silent for {seconds} s: dead, or cut off from the store"
    if seconds < 0:
        said = "not heard since the server's clock was set back"
    return Answer(process.label, None, SILENT, said, None)


def _live(asked: UnitQuestion, process: Process) -> Answer:
    state = asked.case.split_state
    off, constant = process.switched_off(state.split), _constant(process, state)
    declared = process.declared.get(state.split)
    own = declared.baseline if declared else state.definition.baseline
    weights = _weights(process, asked)
    nobody = weights is not None and not any(weights.values())
    if off:
        return Answer(process.label, own, OFF, "break-glass is in force there", off)
    differs = process.receipt.baselines.get(state.split)
    if differs:
        return Answer(process.label, own, DIFFERS, differs, off)
    if constant:
        return Answer(process.label, own, constant, _WORDS.get(constant, constant), off)
    # Unless it says that a candidate has a weight there, as older libraries may.
    if own != state.definition.baseline and (nobody or not _tells_above_zero(process, state)):
        return Answer(process.label, own, DIFFERS, baseline_words(own, state.definition.baseline), off)
    unknown = "" if nobody else _unknown(asked, process, weights)
    if weights is None or unknown:
        return Answer(process.label, None, "not known", unknown, off)
    return _computed(asked, process, weights, off)


def _unknown(asked: UnitQuestion, process: Process, weights: Mapping[str, Weight] | None) -> str:
    """Return why what a process answers cannot be told from what it says, or nothing."""
    split, receipt = asked.case.split_state.split, process.receipt
    if f"splits {split}" in receipt.held:
        return "it keeps its own definition instead of the store's (held): graysplit recover"
    refused = next((why for why in receipt.refused if why.startswith(f"splits {split}: ")), "")
    if refused:
        return f"it keeps an older definition, and refuses the store's: {refused}"
    behind = receipt.revision < asked.revision
    if weights is None or (behind and asked.reason in _BY_DEFINITION):
        return (
            f"it is behind, at revision {receipt.revision} of {asked.revision}" if behind else "it does not report it"
        )
    if process.switched_off(split) is None:
        return "its library does not report whether break-glass is in force"
    return ""


def _computed(asked: UnitQuestion, process: Process, weights: Mapping[str, Weight], off: bool | None) -> Answer:  # noqa: FBT001 - what was asked before
    """Put the question to the ladder with the weights as the process says, and the versions that its code has."""
    state, declared = asked.case.split_state, process.declared.get(asked.case.split_state.split)
    present = None if declared is None else frozenset(declared.versions)
    instance = instance_of(process) if state.definition.by == "instance" else None
    there = state._replace(weights=weights, stops={})
    version, reason = answer(climb(asked.case._replace(split_state=there, present=present, instance=instance)))
    if version == asked.version:
        return Answer(process.label, version, "", "", off)
    if reason == "version_absent":
        return Answer(process.label, version, reason, f"'{asked.version}' is not registered there", off)
    return Answer(process.label, version, *_difference(asked, process, weights), off)


def _difference(asked: UnitQuestion, process: Process, weights: Mapping[str, Weight]) -> tuple[str, str]:
    """Return why a process has other weights than the store: in one word, and with the weights."""
    state, receipt = asked.case.split_state, process.receipt
    differing = [version for version in weights if weights[version] != state.in_force(version)]
    fields = [field_of(state.split, version) for version in differing]
    said = ", ".join(f"{version} is at {format_weight(weights[version])} there" for version in differing)
    if any(f"{key} {field}" in receipt.held for field in fields for key in ("weights", "stops")):
        return "held", f"{said}, held although the store differs: graysplit recover"
    why = next((receipt.effects[field].why for field in fields if field in receipt.effects), "")
    if why:
        return why, f"{said}, {why}"
    if receipt.revision < asked.revision:
        return "behind", f"{said}: it is behind, at revision {receipt.revision} of {asked.revision}"
    return "differs", said


def _constant(process: Process, state: SplitState) -> str:
    """Return the reason for which a process gives everybody its baseline, or nothing."""
    whys = (effect.why for effect in _effects(process, state).values())
    return next((why for why in whys if why not in ("", *_OF_A_WEIGHT)), "")


def _tells_above_zero(process: Process, state: SplitState) -> bool:
    return any(effect.weight != "0" for effect in _effects(process, state).values())


def _effects(process: Process, state: SplitState) -> Mapping[str, Effect]:
    told = process.receipt.effects
    fields = {version.name: field_of(state.split, version.name) for version in state.definition.candidates}
    return {version: told[field] for version, field in fields.items() if field in told}


def _weights(process: Process, asked: UnitQuestion) -> dict[str, Weight] | None:
    """Return the weights in force in a process; None where it does not tell them all."""
    state, effects = asked.case.split_state, _effects(process, asked.case.split_state)
    weights: dict[str, Weight] = {}
    for version in state.definition.candidates:
        if version.name not in effects and process.receipt.revision < asked.revision:
            return None
        try:  # a receipt names what changed lately; the rest is as the store says at that revision
            told = effects.get(version.name)
            weights[version.name] = parse_weight(told.weight) if told else state.in_force(version.name)
        except BadWeightError:
            return None
    return weights
