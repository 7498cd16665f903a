"""Look for what is wrong or about to be; each finding says where, what, and the next command to type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from graysplit import native
from graysplit.control.create import told_apart
from graysplit.control.freeze import declaring, freeze_words, freezes_in_effect, unfreeze_command
from graysplit.control.guard.guard_changes import NOTHING, is_watched
from graysplit.control.guard.verdicts import Heard, armed
from graysplit.control.plan.running_plan import running
from graysplit.control.reading import Reading
from graysplit.control.recovery.loss import GO_BACK, emptied, loss_of, loss_words, shares
from graysplit.control.undelivered import hook_states, owed_words
from graysplit.control.views import finished
from graysplit.control.waves import all_crossings, rebalance_command, short_words
from graysplit.core.address import EVERYTHING, field_of, split_of
from graysplit.core.fleet import PROMISES, Fleet, declarations
from graysplit.core.plan.plan import BadPlanError, parse_plan, ungated
from graysplit.core.replica.adoption import unknown_fields
from graysplit.core.replica.cap import overfull_words
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.weights import format_weight
from graysplit.errors import RefusedError
from graysplit.stores.port import Advice, CursorReading

SAID_AT_MOST: Final = 20
UNJUDGED_MS: Final = 30_000  # a guard that nobody has judged for so long is told


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
        """Return what may lose weights: persistence, eviction, an old server."""
        ...


@runtime_checkable
class NoticesStore(Protocol):
    """A store that knows how far hooks have been told."""

    def read_cursors(self) -> CursorReading:
        """Read it."""
        ...


def examine(
    reading: Reading, fleet: Fleet, store: object = None, said: Mapping[str, Heard] = {}, drop: str = "redis-cli HDEL"
) -> tuple[Finding, ...]:
    """Return all findings, problems first.

    `said` is what guards say of the candidates that run; `drop` takes out a field of the weights by hand.
    """
    found = [*_lost(reading, fleet), *_keys(reading), *_values(reading, drop), *_splits(reading)]
    found += [*_baselines(reading, fleet), *_processes(fleet)]
    found += [*_modes(fleet), *_declarations(reading, fleet), *_freezes(reading), *_finished(reading, fleet)]
    found += [*_waves(reading, fleet), *_guards(reading, fleet), *_unjudged(reading, fleet, said)]
    found += [*_break_glass(fleet), *_versions(reading, fleet), *_plans(reading)]
    if isinstance(store, Advising):
        found += [
            Finding("problem" if advice.serious else "note", "server", advice.what, advice.command)
            for advice in store.advice()
        ]
    if isinstance(store, NoticesStore):
        found += _untold(store)
    if native.refusal is not None:
        found.append(Finding("note", "compiled core", f"{native.reason}: pure Python runs", native.remedy))
    return tuple(sorted(found, key=lambda finding: finding.severity != "problem"))


def _plans(reading: Reading) -> Iterator[Finding]:
    """Name plans that this library does not understand, and those that run without gates."""
    for split, split_state in sorted(reading.snapshot.splits.items()):
        running_plan = running(reading, split)
        if running_plan is not None and running_plan.plan is None:
            what = f"it runs, but this library does not understand it and does not drive it: {running_plan.fault}"
            back = f"graysplit set {split} {format_weight(running_plan.progress.at)} --replace"
            yield Finding("problem", f"plan of {split}", what, f"use a newer graysplit, or end the plan: {back}")
        elif running_plan is not None and running_plan.plan is not None and ungated(running_plan.plan):
            steps = ", ".join(str(number + 1) for number in ungated(running_plan.plan))
            what = f"step {steps} has no gate: the next one follows at once (an older library started the plan)"
            yield Finding("note", f"plan of {split}", what, f"graysplit pause {split}")
        elif running_plan is None and split_state.definition.plan is not None:
            try:
                parse_plan(split_state.definition.plan)
            except BadPlanError as fault:
                what = f"this library does not understand its last plan: {fault}"
                yield Finding("note", f"plan of {split}", what, f"graysplit ramp {split} 5,20,50 --every 10m")


def _lost(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    loss = loss_of(reading, fleet)
    if loss is None:
        return
    told = shares(loss)
    more = f" and {len(told) - SAID_AT_MOST} more" if len(told) > SAID_AT_MOST else ""
    instead = f": {', '.join(told[:SAID_AT_MOST])}{more}" if told else ""
    yield Finding("problem", "store", f"{loss_words(loss)}{instead}", f"{loss.recover}, or at once: {GO_BACK}")


def _guards(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    for name, split_state in sorted(reading.snapshot.splits.items()):
        armed_guard = armed(name, split_state.definition)
        if armed_guard is not None and armed_guard.fault:
            what = f"this library does not understand it and does not use it: {armed_guard.fault}"
            yield Finding("problem", f"guard of {name}", what, f"graysplit unguard {name}")
        elif armed_guard is not None and not is_watched(name, fleet):
            yield Finding("problem", f"guard of {name}", f"it is armed, but {NOTHING}", "graysplit fleet")


def _unjudged(reading: Reading, fleet: Fleet, said: Mapping[str, Heard]) -> Iterator[Finding]:
    """Name armed guards that no process judges though there is something to judge, or has yet begun to."""
    for field, heard in sorted(said.items()):
        split = split_of(field)
        age_ms = reading.load.now_ms - (heard.at_ms or reading.held.releases.get(field, 0))
        if age_ms <= UNJUDGED_MS or not fleet.live or not is_watched(split, fleet):
            continue
        since = f"for {age_ms // 1000} s" if heard.at_ms else "since its release began"
        if heard.unjudged:
            what = f"calls are counted, but {field} has no verdict {since}: no live process may write one"
            yield Finding("problem", f"guard of {split}", what, "graysplit acl app, and the logs of the processes")
        elif not heard.at_ms:
            what = f"{field} has no verdict {since}, because no call has been counted"
            yield Finding("note", f"guard of {split}", what, "graysplit fleet")


def _break_glass(fleet: Fleet) -> Iterator[Finding]:
    for names, labels in sorted(break_glass(fleet).items()):
        what = (
            f"in force for {names} on {len(labels)} of {len(fleet.live)} live processes ({some(labels)}): they give "
            "the baseline and ignore the store"
        )
        command = "graysplit fleet; there: empty the file of GRAYSPLIT_OFF_FILE, or restart without GRAYSPLIT_OFF"
        yield Finding("problem", "break-glass", what, command)


def break_glass(fleet: Fleet) -> Mapping[str, tuple[str, ...]]:
    """Return what is switched off, as it is named there, with the live processes that do it."""
    found: dict[str, list[str]] = {}
    for process in fleet.live:
        names = process.receipt.off
        if names is None:  # an older library: it shows in what its splits do
            names = tuple(sorted({split for split in process.declared if process.switched_off(split)}))
        if names:
            found.setdefault(EVERYTHING if EVERYTHING in names else ", ".join(names), []).append(process.label)
    return {names: tuple(labels) for names, labels in found.items()}


def some(labels: Sequence[str]) -> str:
    """Name some processes, and how many more there are."""
    more = f" and {len(labels) - SAID_AT_MOST} more" if len(labels) > SAID_AT_MOST else ""
    return f"{', '.join(labels[:SAID_AT_MOST])}{more}"


def _versions(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    """Name versions that the code declares and the store lacks, and candidates above zero that live code lacks."""
    for split, split_state in sorted(reading.snapshot.splits.items()):
        declared = declarations(fleet.live, split)
        known = split_state.definition.names
        candidates = {
            label: {*declaration.versions} - {declaration.baseline} for label, declaration in declared.items()
        }
        for version in sorted(set[str]().union(*candidates.values()) - {*known}):
            labels = [label for label, names in candidates.items() if version in names]
            what = f"'{version}' is declared by {some(labels)}, but not in the store: nobody gets it"
            yield Finding("note", f"code {split}", what, f"graysplit show {split}")
        for version in (
            candidate.name for candidate in split_state.definition.candidates if split_state.in_force(candidate.name)
        ):
            labels = [label for label, declaration in declared.items() if version not in declaration.versions]
            if labels:
                asked = format_weight(split_state.in_force(version))
                what = f"'{version}' is at {asked} and not registered on {some(labels)}: they give the baseline instead"
                yield Finding("problem", f"code {split}", what, "graysplit fleet")


def _untold(store: NoticesStore) -> Iterator[Finding]:
    try:
        read = store.read_cursors()
    except RefusedError as fault:
        yield Finding("problem", "fleet:notices", str(fault), "graysplit acl app")
        return
    for state in hook_states(read):
        where = f"notices {state.hook}"
        if state.unread:
            what = "its position in the log cannot be read: it begins at the end, and undelivered notices may be lost"
            yield Finding("note", where, what, "graysplit history")
        if state.owed:
            yield Finding("problem", where, owed_words(state), "graysplit notices")
        if state.refused:
            what = f"it has refused the next change {state.refused} times; graysplit tries again"
            yield Finding("note", where, what, "graysplit history")
        if state.given_up:
            what = f"{_changes(state.given_up)} given up after all attempts failed; the last: {state.last_given_up}"
            yield Finding("note", where, what, "graysplit history")
        if state.missed:
            what = f"up to {_changes(state.missed)} never sent: no longer in the log, or older than a day"
            yield Finding("note", where, what, "graysplit history")


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"


def _keys(reading: Reading) -> Iterator[Finding]:
    if reading.empty:
        return
    for key, reason in sorted(reading.held.lost.items()):
        what = f"the key is {reason}: it counts as lost, and processes keep their values"
        yield Finding("problem", key, what, "graysplit recover, or at once: graysplit rollback --all")


def _values(reading: Reading, drop: str) -> Iterator[Finding]:
    unreadable = {("splits", split): reason for split, reason in reading.unread.items()}
    for (key, field), reason in sorted({**reading.held.refused, **unreadable}.items()):
        if field == EVERYTHING and key in reading.load.excess:
            yield Finding("problem", key, f"it holds {reason}", f"redis-cli HLEN {key}")
            continue
        command = f"graysplit show {field.removeprefix(WAVE).partition('/')[0]}"
        falls = ", and its weights can only go down" if key == "splits" else ""
        yield Finding(
            "problem", f"{key} {field}", f"refused, the last good value stays in force{falls}: {reason}", command
        )
    known = {name: split_state.definition.names for name, split_state in reading.snapshot.splits.items()}
    for field in unknown_fields(reading.held, {**known, **dict.fromkeys(reading.unread, ())}):
        if split_of(field) in reading.unread:
            continue
        key = "weights" if field in reading.held.weights else "stops"
        what = "not a split or candidate: mistyped, or set before the split was created"
        command = f"{drop} {field}" if key == "weights" else f"graysplit unstop {field}"
        yield Finding("problem", f"{key} {field}", what, command)


def _splits(reading: Reading) -> Iterator[Finding]:
    for name, split_state in sorted(reading.snapshot.splits.items()):
        definition = split_state.definition
        if split_state.overfull():
            what = overfull_words(split_state)
            yield Finding("problem", f"weights {name}", what, f"graysplit show {name}")
        for field in reading.mistyped(name, definition).fields:
            what = f"this field sets all of '{name}' to zero although it names no candidate"
            yield Finding("problem", f"weights {field}", what, f"graysplit show {name}")
        own = field_of(name, definition.baseline)
        if own in split_state.stops:
            what = f"'{definition.baseline}' is the baseline and cannot be stopped: the stop has no effect"
            yield Finding("problem", f"stops {own}", what, f"graysplit unstop {own}")


def _freezes(reading: Reading) -> Iterator[Finding]:
    for freeze in freezes_in_effect(reading):
        severity: Literal["problem", "note"] = "note" if freeze.at_ms else "problem"  # written by hand, or garbage
        yield Finding(severity, "meta freezes", freeze_words(freeze), unfreeze_command(freeze.pattern))


def _finished(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    for split in finished(reading):
        first, *others = declaring(fleet, split) or ("",)
        if not first:
            what = "finished, and no live code declares it: its record can be deleted"
            yield Finding("note", f"splits {split}", what, f"graysplit delete {split}")
            continue
        more = f" and {len(others)} more" if others else ""
        what = f"finished, but code still declares both paths: {first}{more}. Remove the route from the code"
        yield Finding("note", f"code {split}", what, f"graysplit delete {split}, once that runs everywhere")


def _waves(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    for crossing in all_crossings(reading.snapshot, fleet):
        if crossing.short:
            severity: Literal["problem", "note"] = "note" if crossing.recorded else "problem"
            what = (
                f"{len(crossing.crossed)} of {crossing.instances} instances have crossed where {short_words(crossing)}"
            )
            yield Finding(severity, f"instances {crossing.field}", what, rebalance_command(crossing.split))
        if crossing.missing:
            what = f"{len(crossing.missing)} instances of its wave are not live; they keep their places until then"
            yield Finding("note", f"instances {crossing.field}", what, rebalance_command(crossing.split))
    for split, split_state in sorted(reading.snapshot.splits.items()):
        said = {declared.by for declared in declarations(fleet.live, split).values()}
        if said and said != {split_state.definition.by}:
            code = "on whom live processes differ" if len(said) > 1 else f"and in the code the {said.pop()}"
            what = f"the {split_state.definition.by} crosses over by the store's record, {code}"
            yield Finding("problem", f"code {split}", what, f"graysplit show {split}")


def _baselines(reading: Reading, fleet: Fleet) -> Iterator[Finding]:
    for split in sorted({name for process in fleet.live for name in process.declared}):
        declared = declarations(fleet.live, split)
        baselines = {declaration.baseline for declaration in declared.values()}
        split_state = reading.snapshot.splits.get(split)
        if len(baselines) > 1:
            what = f"live processes differ on the baseline: {told_apart(declared)}"
            yield Finding("problem", f"code {split}", what, "graysplit fleet")
        elif split_state is not None and baselines != {split_state.definition.baseline}:
            what = (
                f"the store's baseline is '{split_state.definition.baseline}', the code's: {told_apart(declared)}. "
                "These processes answer with their own, and no weight reaches them"
            )
            anew = f"graysplit rollback {split}, then graysplit delete {split} and graysplit create {split}"
            yield Finding("problem", f"code {split}", what, anew)


def _processes(fleet: Fleet) -> Iterator[Finding]:
    for process in fleet.silent:
        seconds = (fleet.now_ms - process.seen_ms) // 1000
        what = f"silent for {seconds} s: dead, or cut off from the store"
        if seconds < 0:
            what = "last heard in the future: the server's clock was set back, and it was not heard since"
        yield Finding("problem", f"process {process.label}", what, "graysplit fleet")
    for process in fleet.live:
        for reason in process.receipt.refused:
            yield Finding("problem", f"process {process.label}", f"refused: {reason}", "graysplit fleet")
        if process.receipt.held:
            kept = some([held_words(*pair) for pair in process.receipt.held.items()])
            what = f"SOURCE_REGRESSED: the store has lost changes, and this process keeps its values: {kept}"
            yield Finding("problem", f"process {process.label}", what, "graysplit recover")
        if not process.receipt.durable:
            what = "its last-known-good file cannot be written: after a restart without the store it has no data"
            yield Finding("problem", f"process {process.label}", what, "graysplit fleet")


def held_words(where: str, word: str) -> str:
    """Return what is held against the store, without the texts that are not for people."""
    key, _, field = where.partition(" ")
    return {"weights": f"{field} at {word}", "stops": f"the stop {field}"}.get(key, f"the definition of {field}")


def _modes(fleet: Fleet) -> Iterator[Finding]:
    told: dict[tuple[str, str], list[str]] = {}
    for process in fleet.live:
        if process.receipt.mode in {"redirect", "log", "poll"} or process.receipt.mode_why:
            told.setdefault((process.receipt.mode, process.receipt.mode_why), []).append(process.label)
    for (mode, why), labels in sorted(told.items()):
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        cause = why or "it does not report why: the server or the user's rights lack it"
        lesser_than = "" if mode == "tracking" else ", not by tracking"
        what = f"follows by '{mode}'{lesser_than}: {PROMISES.get(mode, 'no promise known')}. Why: {cause}"
        yield Finding("note", f"process {labels[0]}{more}", what, "graysplit acl app")


def _declarations(reading: Reading, fleet: Fleet) -> Iterable[Finding]:
    known = reading.snapshot.splits.keys() | reading.unread.keys()
    lost = bool(reading.held.lost) and (not reading.empty or emptied(reading, fleet))
    kept = {where for process in fleet.live for where in process.receipt.held}
    for split in sorted({name for process in fleet.live for name in process.declared}):
        declared = declarations(fleet.live, split)
        if split not in known and not lost and f"splits {split}" not in kept:
            count = "1 live process" if len(declared) == 1 else f"{len(declared)} live processes"
            what = f"declared by {count} but not in the store: everybody gets the baseline"
            yield Finding("note", f"code {split}", what, f"graysplit set {split} 5")
        if all(declaration.kind == "route" and not declaration.calls for declaration in declared.values()):
            what = "no live process has called this route: another decorator replaces it, or it has had no traffic yet"
            yield Finding("note", f"code {split}", what, f"graysplit show {split}")
