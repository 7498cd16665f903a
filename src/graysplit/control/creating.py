"""Make the record of a split that live code declares and the store does not know yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from graysplit.core.changes import create
from graysplit.core.fleet import Declared, Fleet, declarations
from graysplit.core.snapshot import Change, Snapshot
from graysplit.errors import RefusedError, UnknownSplitError


def create_declared(
    snapshot: Snapshot, fleet: Fleet, split: str, *, by: Literal["unit", "instance"] | None = None
) -> Change:
    """Give the change that creates a split with all versions that live processes declare for it.

    Refused where they differ on the baseline, or on who crosses over; `UnknownSplitError` where none declares it.
    """
    declared = declarations(fleet.live, split)
    if not declared:
        names = {name for process in fleet.live for name in process.declared}
        raise UnknownSplitError(split, names | snapshot.splits.keys())
    baselines = {found.baseline for found in declared.values()}
    if len(baselines) > 1:
        raise RefusedError(
            f"live processes differ on the baseline of '{split}': {told_apart(declared)}. "
            f"Deploy one of them everywhere, or say which: graysplit create {split} --versions BASELINE,CANDIDATE"
        )
    versions = {version: None for label in sorted(declared) for version in declared[label].versions}
    baseline = baselines.pop()
    ordered = [baseline, *(version for version in versions if version != baseline)]
    return create(snapshot, split, ordered, by=by or declared_by(fleet, split))


def declared_by(fleet: Fleet, split: str) -> Literal["unit", "instance"]:
    """Say whether hosts cross over or units, as live processes declare it; units where none does.

    Refused where they differ.
    """
    said = {label: found.by for label, found in declarations(fleet.live, split).items()}
    rolling = sorted(label for label, by in said.items() if by == "instance")
    if not rolling:
        return "unit"
    if len(rolling) < len(said):
        others = sorted(said.keys() - rolling)
        raise RefusedError(
            f"live processes differ on who crosses over in '{split}': the instance on {', '.join(rolling)}, the unit "
            f"on {', '.join(others)}. Deploy one of them everywhere, or say which: graysplit create {split} --by unit"
        )
    return "instance"


def told_apart(declared: Mapping[str, Declared]) -> str:
    """Say which process declares which baseline: `'old' on web-1/7, 'v1' on web-2/9`."""
    by_baseline: dict[str, list[str]] = {}
    for label, found in sorted(declared.items()):
        by_baseline.setdefault(found.baseline, []).append(label)
    return ", ".join(f"'{baseline}' on {', '.join(labels)}" for baseline, labels in sorted(by_baseline.items()))
