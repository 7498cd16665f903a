"""What the reading commands print: lines from values, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from graysplit import native
from graysplit.cli.output import WIDTH
from graysplit.cli.table import table
from graysplit.control.doctor import Finding
from graysplit.control.views import Overview, Row, SplitView
from graysplit.control.waves import Crossing, hosts_words
from graysplit.core.entry import Entry
from graysplit.core.fleet import PROMISES, Fleet, Process
from graysplit.words.commands import COPY
from graysplit.words.emergency import emergency_lines
from graysplit.words.entries import entry_line
from graysplit.words.fleet import durable_lines, ended_lines, held_lines, off_lines, unready_lines
from graysplit.words.guard import guard_lines, worse_lines
from graysplit.words.loss import loss_lines
from graysplit.words.notes import freeze_lines, process_line, undelivered_lines
from graysplit.words.plan import gate_lines, plan_lines
from graysplit.words.texts import age, stop_words, when
from graysplit.words.waves import crossing_lines


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
    lines.append(process_line(view.live, view.silent))
    lines += undelivered_lines(view.owed)
    if view.last is not None:
        lines.append(f"last change: {entry_line(view.last)}, {age(view.now_ms - view.last.at_ms)} ago")
    lines += worse_lines(view)
    lines.append("to roll back everything: graysplit rollback --all")
    return lines


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
    return [*lines, *crossing_lines(crossings), process_line(len(fleet.live), len(fleet.silent))]


def forgotten_lines(taken: Iterable[Process]) -> list[str]:
    """Return who was taken out, and what that does not do."""
    return [
        *(f"forgotten: {process.label}" for process in taken),
        "a forgotten process that still runs keeps its weights, and is listed again once heard",
    ]


# A longer command is not folded, so that it can be copied.
NEXT: Final = WIDTH - len("  next: ")


def doctor_lines(findings: Iterable[Finding]) -> list[str]:
    """Return each finding with the next command, and which core decides in this environment."""
    lines: list[str] = []
    for finding in findings:
        lines.append(f"{finding.severity}: {finding.where}: {finding.what}")
        lines += (
            ["  next:", f"{COPY}{finding.command}"]
            if len(finding.command) > NEXT and finding.command.startswith("redis-cli -")
            else [f"  next: {finding.command}"]
        )
    return [*(lines or ["no problems found"]), f"core here: {native.words}"]
