"""What the reading commands print: lines from values, nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

from graysplit.cli.entries import entry_line
from graysplit.cli.guard.lines import guard_lines, worse_lines
from graysplit.cli.loss_lines import loss_lines
from graysplit.cli.output import COPY, WIDTH
from graysplit.cli.plan.lines import gate_lines, plan_lines
from graysplit.cli.wave_lines import crossing_lines
from graysplit.cli.words import age, plural, stop_words, table, when
from graysplit.control.doctor import Finding, break_glass, held_words, some
from graysplit.control.explain import FleetExplanation
from graysplit.control.freeze import freeze_words, unfreeze_command
from graysplit.control.undelivered import HookState, owed_words
from graysplit.control.views import Overview, Row, SplitView
from graysplit.control.waves import Crossing, hosts_words
from graysplit.core.entry import Entry
from graysplit.core.fleet import PROMISES, Fleet, Process
from graysplit.core.freeze import Freeze


def overview_lines(view: Overview) -> list[str]:
    """Answer the bare command: where, what is routed whither, what changed last, and what makes it safe."""
    server = view.store.removesuffix(f" namespace {view.namespace}")
    lines = [*loss_lines(view.loss), f"namespace {view.namespace} on {server}, revision {view.revision}"]
    if view.rows:
        lines += weight_lines(view.rows)
    elif not view.unread and view.loss is None:
        lines.append("no splits yet. Create one with: graysplit create checkout --versions old,new")
    lines += [
        f"{split}: unreadable; its weights can only go down. See: graysplit show {split}"
        for split in sorted(view.unread)
    ]
    lines += [f"stop {stop_words(field, text)}" for field, text in sorted(view.stops.items())]
    lines += [*freeze_lines(view.freezes)]
    lines += [f"{split}: finished {age(view.now_ms - ms)} ago" for split, ms in sorted(view.finished.items())]
    lines += [line for plan in view.plans for line in plan_lines(plan, f"{plan.split}: plan")]
    if view.undefined and view.loss is None:
        lines.append(
            f"declared in code, but not in the store: {', '.join(view.undefined)}. "
            f"Start one with: graysplit set {view.undefined[0]} 5"
        )
    lines.append(_processes(view.live, view.silent))
    lines += undelivered_lines(view.owed)
    if view.last is not None:
        lines.append(f"last change: {entry_line(view.last)}, {age(view.now_ms - view.last.at_ms)} ago")
    lines += worse_lines(view)
    lines.append("to roll back everything: graysplit rollback --all")
    return lines


def undelivered_lines(owed: Iterable[HookState] | None) -> Iterable[str]:
    """Return the lines on which hooks were not told of a rollback or a trip."""
    if owed is None:
        return ("undelivered notices: unknown, this user may not read them. See: graysplit doctor",)
    return (f"notices {state.hook}: {owed_words(state)}. See: graysplit notices" for state in owed)


def weight_lines(rows: Iterable[Row]) -> list[str]:
    """Lay out candidates with their weights: as asked, in force, and as processes say."""
    cells = [(row.field, row.asked, row.effective, row.actual, _why(row)) for row in rows]
    return table(("candidate", "set", "in force", "processes", "why"), cells)


def _why(row: Row) -> str:
    """Return how many hosts a weight is, where they cross over, and why it is not what was asked for."""
    hosts = "" if row.crossing is None else hosts_words(row.crossing)
    return "; ".join(filter(None, (hosts, row.why)))


def show_lines(view: SplitView, namespace: str, redis_cli: str | None) -> list[str]:
    """Show a split in full, with the lines that work without this program."""
    lines = [*loss_lines(view.loss, view.split), f"{view.split} in namespace {namespace}, revision {view.revision}"]
    if view.definition is not None:
        definition = view.definition
        names = ", ".join(name for name in definition.names if name != definition.baseline)
        lines.append(f"baseline {definition.baseline}; candidates {names}; salt {definition.salt}")
        lines.append(f"pins: {len(definition.pins)}, denied: {len(definition.denied)}")
        if definition.stale_limit is not None:
            lines.append(f"without contact to the store for {definition.stale_limit} s everybody gets the baseline")
    if view.unread is not None:
        lines.append(
            f"the definition is refused; the last good one stays in force, and weights can only go down: {view.unread}"
        )
    lines += weight_lines(view.rows) if view.rows else []
    lines += [*crossing_lines(view.crossings)]
    lines += [f"stop {stop_words(field, text)}" for field, text in sorted(view.stops.items())]
    lines += [*plan_lines(view.plan), *gate_lines(view.plan, "  ")] if view.plan else []
    lines += guard_lines(view)
    lines += [*freeze_lines(view.freezes)]
    if view.definition is not None and view.definition.protected:
        lines.append("protected: a raise needs --why and the typed name")
    if view.finished_ms is not None:
        lines.append(f"finished {age(view.now_ms - view.finished_ms)} ago: rollback --all leaves it alone")
    lines.append("values in Redis:")
    lines += [f"  {at} = {value}" for at, value in sorted(view.raw.items()) if not at.startswith("stops")] or [
        "  nothing"
    ]
    lines += [f"  refused: {at}: {why}" for at, why in sorted(view.refused.items())]
    if view.last is not None:
        lines.append(f"last change: {entry_line(view.last)}, {age(view.now_ms - view.last.at_ms)} ago")
    return lines + emergency_lines(view, namespace, redis_cli)


def freeze_lines(freezes: Iterable[Freeze]) -> Iterable[str]:
    """Return what may not rise, and how that ends."""
    return (f"{freeze_words(freeze)}. End it: {unfreeze_command(freeze.pattern)}" for freeze in freezes)


def emergency_lines(view: SplitView, namespace: str, redis_cli: str | None) -> list[str]:
    """Return the commands that bring a split to zero from anywhere, whole, and what their answers mean.

    `redis_cli` is the program with what reaches the server; None where the store has none.
    """
    own = "" if namespace == "default" else f" --namespace {shlex.quote(namespace)}"
    lines = ["in an emergency:", f"{COPY}graysplit rollback {view.split}{own}"]
    if redis_cli is None:
        return lines
    fields = [row.field for row in view.rows] or [f"{view.split}/new"]
    weights, stops = (shlex.quote(f"graysplit:{{{namespace}}}:{key}") for key in ("weights", "stops"))
    return [
        *lines,
        "or without graysplit (0: the weight was set and is zero now; 1: no such weight",
        "was set, so check the name):",
        *(f"{COPY}{redis_cli} HSET {weights} {field} 0" for field in fields),
        "when Redis is out of memory (1: removed, which means zero; 0: it was not set):",
        *(f"{COPY}{redis_cli} HDEL {weights} {field}" for field in fields),
        "to stop the whole split (1: stopped now; 0: it was stopped already):",
        f"{COPY}{redis_cli} HSETNX {stops} {view.split} by-hand",
    ]


def history_lines(entries: Iterable[Entry]) -> list[str]:
    """Return changes, newest first."""
    return [f"{when(entry.at_ms)}  {entry_line(entry)}" for entry in entries] or ["no change yet"]


def fleet_lines(fleet: Fleet, crossings: Iterable[Crossing] = ()) -> list[str]:
    """Return the processes: the live, the silent, and those that are gone."""
    states = (("live", fleet.live), ("silent", fleet.silent), ("gone", fleet.gone))
    rows = [
        (
            process.label,
            age(fleet.now_ms - process.seen_ms) if process.seen_ms <= fleet.now_ms else "future",
            state,
            str(process.receipt.revision),
            process.receipt.mode or "-",
            " ".join(sorted(process.declared)),
        )
        for state, processes in states
        for process in processes
    ]
    lines = table(("process", "seen", "state", "rev", "follows by", "splits"), rows, 30) if rows else []
    modes = {process.receipt.mode for process in fleet.live}
    lines += [f"{mode}: {promise}" for mode, promise in PROMISES.items() if mode in modes]
    lines += [*off_lines(fleet), *held_lines(fleet), *durable_lines(fleet), *unready_lines(fleet)]
    lines += [*ended_lines(fleet)]
    return [*lines, *crossing_lines(crossings), _processes(len(fleet.live), len(fleet.silent))]


def ended_lines(fleet: Fleet) -> Iterable[str]:
    """Return why who is gone is not counted any more, and how a silent one that is dead is taken out."""
    named = [f"{process.label} (now {process.successor})" for process in fleet.gone if process.successor]
    if named:
        yield f"gone (connection ended): {some(named)}"
    named = [process.label for process in fleet.gone if not process.successor]
    if named:
        yield f"gone (not heard for ten minutes): {some(named)}"
    if fleet.silent:
        yield f"to remove a dead process: graysplit fleet --forget {fleet.silent[0].label}"


def forgotten_lines(taken: Iterable[Process]) -> list[str]:
    """Return who was taken out, and what that does not do."""
    return [
        *(f"forgotten: {process.label}" for process in taken),
        "a forgotten process that still runs keeps its weights, and is listed again once heard",
    ]


def held_lines(fleet: Fleet) -> list[str]:
    """Return what processes hold against the store, and how to settle it."""
    counts: dict[str, int] = {}
    for process in fleet.live:
        for place, word in process.receipt.held.items():
            said = held_words(place, word)
            counts[said] = counts.get(said, 0) + 1
    if not counts:
        return []
    kept = some([f"{said} ({plural(count, 'process', 'processes')})" for said, count in sorted(counts.items())])
    return [f"SOURCE_REGRESSED: the store has lost changes; kept: {kept}. Settle it with: graysplit recover"]


def durable_lines(fleet: Fleet) -> list[str]:
    """Name the processes that cannot write their last-known-good file."""
    labels = [process.label for process in fleet.live if not process.receipt.durable]
    if not labels:
        return []
    return [f"cannot write the last-known-good file: {some(labels)}"]


def unready_lines(fleet: Fleet) -> list[str]:
    """Name the versions that are being prepared or cannot be, with where: `graysplit switch` refuses them."""
    found: dict[str, list[str]] = {}
    for process in fleet.live:
        for split, declared in process.declared.items():
            for version, why in declared.warm.items():
                if why:
                    found.setdefault(f"{split}/{version}", []).append(f"{process.label} ({why})")
    return [f"{field} is not ready on: {some(labels)}" for field, labels in sorted(found.items())]


def off_lines(fleet: Fleet) -> list[str]:
    """Return where break-glass is in force: there the store's word does not count."""
    return [
        f"break-glass is in force for {names} on {len(labels)} of {len(fleet.live)} live processes: {some(labels)}"
        for names, labels in sorted(break_glass(fleet).items())
    ]


def explain_lines(explanation: FleetExplanation) -> list[str]:
    """Return the ladder from the top to the rung that answered."""
    bucket = "" if explanation.bucket is None else f", hashed to {explanation.bucket}"
    where = _where(explanation)
    lines = [
        (
            f"{explanation.split}: {explanation.version} "
            f"({explanation.reason}{bucket}, revision {explanation.revision}){where}"
        )
    ]
    for step in explanation.ladder:
        mark = f"-> {step.version}" if step.version is not None else "passed"
        lines.append(f"  {step.reason:9} {mark:12} {step.asked}")
    if explanation.note:
        lines.append(explanation.note)
    if explanation.store_says is not None:
        version, reason, asked = explanation.store_says
        lines.append(f"by the store alone: {version} ({reason}: {asked})")
    apart: dict[str, list[str]] = {}
    for answer in explanation.apart:
        said = "not known" if answer.version is None else f"{answer.version} ({answer.reason})"
        apart.setdefault(f"{said}: {answer.says}", []).append(answer.process)
    return lines + [f"{some(labels)}: {said}" for said, labels in apart.items()]


def _where(explanation: FleetExplanation) -> str:
    """Return in how many of the live processes the answer is this one."""
    if not explanation.live:
        return "; no live process"
    same = sum(answer.version == explanation.version for answer in explanation.live)
    return f" in {same} of {plural(len(explanation.live), 'live process', 'live processes')}"


# A longer command is not folded, so that it can be copied.
NEXT: Final = WIDTH - len("  next: ")


def doctor_lines(findings: Iterable[Finding]) -> list[str]:
    """Return each finding with the next command."""
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.severity}: {finding.where}: {finding.what}")
        lines += (
            ["  next:", f"{COPY}{finding.command}"]
            if len(finding.command) > NEXT and finding.command.startswith("redis-cli -")
            else [f"  next: {finding.command}"]
        )
    return lines or ["no problems found"]


def _processes(live: int, silent: int) -> str:
    if not live and not silent:
        return "no process follows this namespace"
    named = f", {silent} silent: graysplit fleet" if silent else ""
    return f"{plural(live, 'live process', 'live processes')}{named}"
