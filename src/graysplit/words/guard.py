"""How a guard is told: what it was armed with, and its verdict on each candidate that runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graysplit.control.guard.guard_changes import guard_words
from graysplit.control.guard.verdicts import Armed, Heard
from graysplit.control.views import Overview, Row, SplitView
from graysplit.core.address import version_of
from graysplit.words.texts import note_words, when


def guard_lines(view: SplitView) -> Iterator[str]:
    """Return whether a split is watched, since when, by whom and how; and the verdict on each candidate above zero."""
    split, found, definition = view.split, view.guard, view.definition
    if definition is None:
        return
    if found is None:
        yield f"no guard. Arm one with: graysplit guard {split}"
        return
    if found.fault:
        yield f"this graysplit does not understand the guard; use a newer one: {found.fault}"
        return
    guard = found.guard
    by = f" by {guard.by}" if guard.by else ""
    yield f"guard armed since {when(guard.at_ms)}{by}: {guard_words(guard)}"
    for heard in view.verdicts.values():
        yield f"{heard.field} is {verdict_words(heard)}"
        yield from (f"  {line}" for line in _counts(heard, definition.baseline))
        if heard.verdict.note:
            yield f"  {note_words(heard.verdict.note, heard.field)}"
        if heard.doubted:
            yield f"  to continue anyway: graysplit approve {split}; to roll back: graysplit rollback {split}"


def verdict_words(heard: Heard) -> str:
    """Return a verdict with its reason."""
    return f"{heard.verdict.word}: {heard.verdict.why}"


def worse_lines(view: Overview) -> Iterator[str]:
    """Return for each candidate above zero whether the guard finds it worse, or that no guard watches."""
    running = [row for row in view.rows if row.effective != "0"]
    if not view.guards and not view.rows and (view.unread or view.loss is not None):
        yield "guard: unknown, the definitions cannot be read"
        return
    if not view.guards:
        splits = sorted({row.split for row in running or view.rows})
        arm = f" (graysplit guard {splits[0] if len(splits) == 1 else 'SPLIT'})" if splits else ""
        yield f"guard: none{arm}"
        return
    if not running:
        yield f"guard: armed for {', '.join(guard.split for guard in view.guards)}; no candidate is above zero"
    watched = {guard.split for guard in view.guards}
    for row in running:
        yield f"guard: {_answer(row, view.verdicts.get(row.field), watched)}"


def guard_json(armed_guard: Armed | None) -> dict[str, object] | None:
    """Return a guard for scripts; null where none is armed."""
    if armed_guard is None:
        return None
    guard = armed_guard.guard
    lists = {"stop_on": list(guard.stop_on), "ignore": list(guard.ignore)}
    return {**guard._asdict(), **lists, "fault": armed_guard.fault or None}


def verdict_json(heard: Heard) -> dict[str, object]:
    """Return a verdict for scripts, with the counts of the stage that it speaks of."""
    return {
        "word": heard.verdict.word,
        "why": heard.verdict.why,
        "note": heard.verdict.note or None,
        "release": heard.release,
        "stage": heard.stage,
        "at_ms": heard.at_ms,
        "calls": heard.calls._asdict(),
        "failures": heard.failures._asdict(),
        "cuts": heard.cuts._asdict(),
        "overdue": heard.overdue._asdict(),
        "units": heard.exposed._asdict(),
    }


def verdicts_json(said: Mapping[str, Heard]) -> dict[str, object]:
    """Return verdicts for scripts, by the candidate's address."""
    return {field: verdict_json(heard) for field, heard in said.items()}


def guards_json(armed_guards: Iterable[Armed]) -> dict[str, object]:
    """Return guards for scripts, by split."""
    return {armed.split: guard_json(armed) for armed in armed_guards}


def _answer(row: Row, heard: Heard | None, watched: set[str]) -> str:
    if heard is not None:
        return f"{row.field} is {verdict_words(heard)}"
    if row.split in watched:
        return f"no verdict on {row.field}. See: graysplit show {row.split}"
    return f"none for {row.field} (graysplit guard {row.split})"


def _counts(heard: Heard, old: str) -> Iterator[str]:
    if not sum(heard.calls):
        return
    new = version_of(heard.field)
    for name, side in ((new, 1), (old, 0)):
        parts = [f"{name}: {heard.calls[side]:,} calls", f"{heard.failures[side]:,} failed"]
        parts += [f"{heard.cuts[side]:,} cut short"] if any(heard.cuts) else []
        parts += [f"{heard.overdue[side]:,} past the deadline"] if any(heard.overdue) else []
        yield ", ".join([*parts, f"{heard.exposed[side]:,} users"])
