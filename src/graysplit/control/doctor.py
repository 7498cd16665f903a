"""Look for what is wrong or about to be; each finding says where, what, and the next command to type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from graysplit.control.creating import told_apart
from graysplit.control.reading import Reading
from graysplit.control.views import empty
from graysplit.core.adoption import unknown_fields
from graysplit.core.fleet import PROMISES, Fleet, declarations
from graysplit.core.weights import field_of
from graysplit.stores.port import Advice

SAID_AT_MOST: Final = 20


class Finding(NamedTuple):
    """One thing found; a `note` is worth knowing and makes nothing unhealthy."""

    severity: Literal["problem", "note"]
    where: str
    what: str
    command: str


@runtime_checkable
class Advising(Protocol):
    """A store that can judge how its server is kept."""

    def advice(self) -> list[Advice]:
        """Give what may lose weights: persistence, eviction, an old server."""
        ...


def examine(reading: Reading, fleet: Fleet, store: object = None) -> tuple[Finding, ...]:
    """Give all findings, problems first."""
    found = [*_keys(reading), *_values(reading), *_splits(reading), *_baselines(reading, fleet), *_processes(fleet)]
    found += [*_modes(fleet), *_declarations(reading, fleet)]
    if isinstance(store, Advising):
        found += [
            Finding("problem" if advice.serious else "note", "server", advice.what, advice.command)
            for advice in store.advice()
        ]
    return tuple(sorted(found, key=lambda finding: finding.severity != "problem"))


def _keys(reading: Reading) -> Iterator[Finding]:
    if empty(reading):
        return
    for key, reason in sorted(reading.held.lost.items()):
        what = f"the key is {reason}: it counts as lost, and processes keep what they had"
        yield Finding("problem", key, what, "graysplit recover, or at once: graysplit rollback --all")


def _values(reading: Reading) -> Iterator[Finding]:
    for (key, field), reason in sorted(reading.held.refused.items()):
        command = f"graysplit show {field.partition('/')[0]}"
        yield Finding("problem", f"{key} {field}", f"refused, the last good value stands: {reason}", command)
    known = {name: standing.definition.names for name, standing in reading.snapshot.splits.items()}
    for field in unknown_fields(reading.held, {**known, **dict.fromkeys(reading.unread, ())}):
        if field.partition("/")[0] in reading.unread:
            continue
        key = "weights" if field in reading.held.weights else "stops"
        what = "names no split or candidate: mistyped, or set before the split was created"
        yield Finding("problem", f"{key} {field}", what, f"redis-cli HDEL the field {field}, or graysplit list")


def _splits(reading: Reading) -> Iterator[Finding]:
    for name, standing in sorted(reading.snapshot.splits.items()):
        definition = standing.definition
        if standing.overfull():
            what = "the weights add up to more than 100 %; the later candidates get what is left"
            yield Finding("problem", f"weights {name}", what, f"graysplit show {name}")
        for field in reading.mistyped(name, definition).fields:
            what = f"this field holds all of '{name}' at zero although it names no candidate"
            yield Finding("problem", f"weights {field}", what, f"graysplit show {name}")
        own = field_of(name, definition.baseline)
        if own in standing.stops:
            what = f"'{definition.baseline}' is the baseline and cannot be stopped: nothing comes of it"
            yield Finding("problem", f"stops {own}", what, f"graysplit unstop {own}")


def _baselines(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    for split in sorted({name for process in fleet.live for name in process.declared}):
        declared = declarations(fleet.live, split)
        baselines = {found.baseline for found in declared.values()}
        standing = reading.snapshot.splits.get(split)
        if len(baselines) > 1:
            what = f"live processes differ on the baseline: {told_apart(declared)}"
            yield Finding("problem", f"code {split}", what, "graysplit fleet")
        elif standing is not None and baselines != {standing.definition.baseline}:
            what = f"the store's baseline is '{standing.definition.baseline}', the code's: {told_apart(declared)}"
            yield Finding("problem", f"code {split}", what, f"graysplit rollback {split}")


def _processes(fleet: Fleet) -> Iterator[Finding]:
    for process in fleet.silent:
        seconds = (fleet.now_ms - process.seen_ms) // 1000
        what = f"silent for {seconds} s: dead, or cut off from the store"
        yield Finding("problem", f"process {process.label}", what, "graysplit fleet")
    for process in fleet.live:
        for reason in process.receipt.refused:
            yield Finding("problem", f"process {process.label}", f"refused: {reason}", "graysplit fleet")
        if process.receipt.held:
            words = [held_words(*pair) for pair in process.receipt.held.items()]
            more = f" and {len(words) - SAID_AT_MOST} more" if len(words) > SAID_AT_MOST else ""
            kept = ", ".join(words[:SAID_AT_MOST]) + more
            what = f"SOURCE_REGRESSED: the store has lost changes, and this process keeps what it had: {kept}"
            yield Finding("problem", f"process {process.label}", what, "graysplit recover")
        if not process.receipt.durable:
            what = "its last-known-good file cannot be written: after a restart without the store it knows nothing"
            yield Finding("problem", f"process {process.label}", what, "graysplit fleet")


def held_words(where: str, word: str) -> str:
    """Say what is held against the store, without the texts that are not for people."""
    key, _, field = where.partition(" ")
    return {"weights": f"{field} at {word}", "stops": f"the stop {field}"}.get(key, f"the definition of {field}")


def _modes(fleet: Fleet) -> Iterator[Finding]:
    for mode in ("redirect", "log", "poll"):
        lesser = [process.label for process in fleet.live if process.receipt.mode == mode]
        if lesser:
            more = f" and {len(lesser) - 1} more" if len(lesser) > 1 else ""
            what = f"follows by '{mode}', not by tracking: {PROMISES[mode]}. The server, or its user's rights, lack it"
            yield Finding("note", f"process {lesser[0]}{more}", what, "graysplit acl app")


def _declarations(reading: Reading, fleet: Fleet) -> Iterable[Finding]:
    known = reading.snapshot.splits.keys() | reading.unread.keys()
    for split in sorted({name for process in fleet.live for name in process.declared}):
        declared = declarations(fleet.live, split)
        if split not in known:
            what = f"declared by {len(declared)} live processes and unknown to the store: everybody gets the baseline"
            yield Finding("note", f"code {split}", what, f"graysplit set {split} 5")
        if all(found.kind == "route" and not found.calls for found in declared.values()):
            what = "a route that no live process has called: a decorator outside of it, or no traffic yet"
            yield Finding("note", f"code {split}", what, f"graysplit show {split}")
