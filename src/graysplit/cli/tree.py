"""The live picture of a namespace: split, candidate, plan, gate by gate; one line for each, the deeper the finer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graysplit.control.plan.awaited import Awaited
from graysplit.control.views import Overview, Row
from graysplit.words.entries import entry_line
from graysplit.words.guard import verdict_words
from graysplit.words.loss import loss_lines
from graysplit.words.notes import freeze_lines
from graysplit.words.plan import gate_lines, plan_lines
from graysplit.words.texts import age, note_words, percent, plural, stop_words, when


def tree_lines(view: Overview, split: str | None = None) -> list[str]:
    """Draw all splits, or one."""
    lines = [f"namespace {view.namespace}, revision {view.revision}, {when(view.now_ms)}"]
    lines = [*loss_lines(view.loss, split), *lines]
    names = sorted({row.split for row in view.rows} | view.unread.keys())
    plans = {plan.split: plan for plan in view.plans}
    for name in names if split is None else [split]:
        lines += _split_lines(view, name, plans.get(name))
    if not names and view.loss is None:
        lines.append("no splits yet. Create one with: graysplit create checkout --versions old,new")
    lines += [f"stop {stop_words(field, text)}" for field, text in sorted(view.stops.items())]
    lines += freeze_lines(view.freezes)
    silent = f", {view.silent} silent: graysplit fleet" if view.silent else ""
    lines.append(f"{plural(view.live, 'live process', 'live processes')}{silent}")
    if view.last is not None:
        lines.append(f"last change: {entry_line(view.last)}, {age(view.now_ms - view.last.at_ms)} ago")
    return lines


def row_words(row: Row) -> str:
    """Return a candidate's three weights in one line."""
    why = f" ({row.why})" if row.why else ""
    shown = "reported by no process" if row.actual == "-" else f"reported by {row.actual} processes"
    return f"set {percent(row.asked)}, in force {percent(row.effective)}, {shown}{why}"


def _split_lines(view: Overview, split: str, plan: Awaited | None) -> Iterator[str]:
    yield split if split not in view.unread else f"{split}: unreadable. See: graysplit show {split}"
    for row in _rows(view.rows, split):
        yield f"  {row.version}: {row_words(row)}"
        if row.field in view.verdicts:
            heard = view.verdicts[row.field]
            yield f"    {verdict_words(heard)}"
            if heard.verdict.note:
                yield f"    {note_words(heard.verdict.note, row.field)}"
        if plan is not None and plan.version in {row.version, ""}:
            yield from (f"    {line}" for line in plan_lines(plan))
            yield from gate_lines(plan, "      ")
            if plan.driven and plan.driver:
                yield f"      driven by {plan.driver}"


def _rows(rows: Iterable[Row], split: str) -> Iterator[Row]:
    return (row for row in rows if row.split == split)
