"""Make the record of a split that live code declares and the store does not know yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from graysplit.core.address import split_of
from graysplit.core.changes import add_version, create
from graysplit.core.definition import Definition
from graysplit.core.fleet import Declared, Fleet, baseline_words, declarations
from graysplit.core.split_state import Change, Snapshot, apply
from graysplit.core.weights import Weight
from graysplit.errors import BadDefinitionError, RefusedError, UnknownSplitError
from graysplit.stores.text.records import raw_of

if TYPE_CHECKING:
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.core.entry import Entry

    History: TypeAlias = Callable[[str, int], tuple[Entry, ...]]

# How many changes of a deleted split are looked through for its last record.
LOOKED_AT: Final = 50


def create_declared(
    snapshot: Snapshot, fleet: Fleet, split: str, *, by: Literal["unit", "instance"] | None = None
) -> Change:
    """Return the change that creates a split with all versions that live processes declare for it.

    Refused where they differ on the baseline, or on who crosses over; `UnknownSplitError` where none declares it.
    """
    declared = declarations(fleet.live, split)
    if not declared:
        names = {name for process in fleet.live for name in process.declared}
        raise UnknownSplitError(split, names | snapshot.splits.keys())
    baselines = {declaration.baseline for declaration in declared.values()}
    if len(baselines) > 1:
        raise RefusedError(
            f"live processes differ on the baseline of '{split}': {told_apart(declared)}. "
            f"Deploy one of them everywhere, or choose one: graysplit create {split} --versions BASELINE,CANDIDATE"
        )
    versions = {version: None for label in sorted(declared) for version in declared[label].versions}
    baseline = baselines.pop()
    ordered = [baseline, *(version for version in versions if version != baseline)]
    return create(snapshot, split, ordered, by=by or declared_by(fleet, split))


def add_declared(
    snapshot: Snapshot, fleet: Callable[[], Fleet], split: str, versions: Iterable[str]
) -> tuple[Snapshot, Change | None]:
    """Return a definition with those named versions added that live code declares, each in a place of its own.

    What nobody declares is left to whoever looks it up: `UnknownVersionError`.
    """
    names = snapshot.splits[split].definition.names
    missing = [version for version in versions if version and version not in names]
    if not missing:
        return snapshot, None
    declared = {name for declaration in declarations(fleet().live, split).values() for name in declaration.versions}
    weights: dict[str, Weight | None] = {}
    change: Change | None = None
    for version in missing:
        if version in declared:
            change = add_version(snapshot, split, version)
            snapshot = apply(snapshot, change)
            weights |= change.weights
    return snapshot, change and change._replace(weights=weights)


def made(created: Change | None) -> tuple[str, ...]:
    """Name the versions of a split that is created on the way, the baseline first; none where it stands already."""
    definition = created.definition if created is not None and created.cause == "create" else None
    return definition.names if isinstance(definition, Definition) else ()


def joined(snapshot: Snapshot, change: Change) -> Iterator[str]:
    """Return which candidates come to a split that stands, and which leave it."""
    state, written = snapshot.splits.get(change.split), change.definition
    if state is None or not isinstance(written, Definition):
        return
    known = state.definition.names
    for version in written.candidates:
        if version.name not in known:
            yield f"{version.name} is a new candidate of {change.split}, in place {version.place}; the others stay"
    for name in known:
        if name not in written.names:
            again = f"graysplit create {change.split} --add {name}"
            yield f"{name} is no longer a version of {change.split}; the others stay. Add it again with: {again}"


def declared_by(fleet: Fleet, split: str) -> Literal["unit", "instance"]:
    """Return whether hosts cross over or units, as live processes declare it; units where none does.

    Refused where they differ.
    """
    said = {label: declaration.by for label, declaration in declarations(fleet.live, split).items()}
    rolling = sorted(label for label, by in said.items() if by == "instance")
    if not rolling:
        return "unit"
    if len(rolling) < len(said):
        others = sorted(said.keys() - rolling)
        raise RefusedError(
            f"live processes differ on who crosses over in '{split}': the instance on {', '.join(rolling)}, the unit "
            f"on {', '.join(others)}. Deploy one of them everywhere, or choose one: graysplit create {split} --by unit"
        )
    return "instance"


def check_baseline(reading: Reading, change: Change, fleet: Callable[[], Fleet], history: History) -> None:
    """Raise `RefusedError` where a change would write a record with another baseline than the code's.

    Without code that declares it, the last record of that name counts, as far as its baseline is still among the
    versions: a name may be used again for something else. Everybody would move at once to a version that
    was never tried on them, and no rollback would bring them back: they would be on the baseline.
    """
    split, written, state = change.split, change.definition, reading.snapshot.splits.get(change.split)
    if not isinstance(written, Definition):
        return
    if state is not None and state.definition.baseline == written.baseline:
        return
    declared = {
        label: declaration
        for label, declaration in declarations(fleet().processes, split).items()
        if declaration.baseline
    }
    if any(declaration.baseline == written.baseline for declaration in declared.values()):
        return
    if declared:
        raise RefusedError(
            f"'{written.baseline}' cannot be the baseline of '{split}': the code that runs declares "
            f"{told_apart(declared)}. Nothing was written. Create it as the code declares it: graysplit create {split}"
        )
    was = None if state is not None else last_baseline(reading, split, history)
    if was in written.names and was != written.baseline:
        others = [name for name in written.names if name != was]
        raise RefusedError(
            f"'{written.baseline}' cannot be the baseline of '{split}': its last record has '{was}', and no "
            f"live process declares another. Nothing was written. Make it with: graysplit create {split} --versions "
            f"{','.join([was or '', *others])}; or start a process whose code has '{written.baseline}' as its baseline "
            "first: then the code decides"
        )


def last_baseline(reading: Reading, split: str, history: History) -> str | None:
    """Return the baseline of the last record of a deleted split, by its tombstone, else by the history, or None."""
    from graysplit.codec import buried_baseline, parse_definition

    raw, at = reading.raw("splits", split), f"splits {split}"
    if raw is None:
        return None  # a name that was used has a tombstone
    found = buried_baseline(raw)
    texts = (text for entry in history(split, LOOKED_AT) for text in (entry.after.get(at), entry.before.get(at)))
    while found is None and (text := next((text for text in texts if text), None)) is not None:
        with suppress(BadDefinitionError):
            definition = parse_definition(split, raw_of(text))
            found = definition and definition.baseline
    return found


def check_one_baseline(reading: Reading, proposal: Proposal, fleet: Fleet) -> None:
    """Raise `RefusedError` where a raise would not reach live processes: their code names another baseline."""
    splits = {*map(split_of, proposal.effects.risen), proposal.change.split}
    written = proposal.change.definition
    for split in sorted(splits):
        state = reading.snapshot.splits.get(split)
        definition = written if split == proposal.change.split and isinstance(written, Definition) else None
        definition = definition or (state and state.definition)
        for label, declaration in declarations(fleet.live, split).items():
            if definition is not None and declaration.baseline not in {"", definition.baseline}:
                raise RefusedError(
                    f"'{split}' may not rise: {label} has {baseline_words(declaration.baseline, definition.baseline)}, "
                    "and answers with its own. Deploy one of them everywhere; see who differs with: graysplit doctor. "
                    f"Lowering stays free: graysplit rollback {split}"
                )


def told_apart(declared: Mapping[str, Declared]) -> str:
    """Return which process declares which baseline: `'old' on web-1/7, 'v1' on web-2/9`."""
    by_baseline: dict[str, list[str]] = {}
    for label, declaration in sorted(declared.items()):
        by_baseline.setdefault(declaration.baseline, []).append(label)
    return ", ".join(f"'{baseline}' on {', '.join(labels)}" for baseline, labels in sorted(by_baseline.items()))
