"""The pages that only look."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from graysplit.console.console import Console, Visit
from graysplit.console.evidence import lines_of, tables_of
from graysplit.console.forms import form_of, split_of_path
from graysplit.console.screen import screen_of
from graysplit.console.sources import contact_of, index_parts, split_parts
from graysplit.console.split_screen import processes_of, split_screen
from graysplit.console.stream import events, mark_of
from graysplit.control.control import Control
from graysplit.control.guard.report import SplitReport
from graysplit.control.views import SplitView
from graysplit.core.entry import Entry
from graysplit.core.limits import check_typed
from graysplit.errors import GraysplitError, UnknownSplitError
from graysplit.words.commands import paragraphs
from graysplit.words.emergency import emergency_lines
from graysplit.words.entries import entry_line
from graysplit.words.explain import explain_lines

HISTORY_AT_MOST: Final = 30
PINS_AT_MOST: Final = 100


async def index(console: Console, visit: Visit) -> Response:
    """Show all splits: the weight in force, who shows it, the worst verdict, and the way back."""
    picture = await console.picture()
    index_parts(console, picture, visit)  # numbered before the page says what it has
    screen = screen_of(picture)
    lines = () if screen is None else sorted(screen.lines, key=lambda line: line.rank)
    values = {
        "contact": contact_of(picture),
        "screen_said": () if screen is None else (*screen.said, screen.processes, *screen.guard),
        "lines": lines,
        "is_empty": screen is not None and screen.is_empty,
        "since": mark_of(console, picture.number),
    }
    return console.page(visit, "index.html", values)


async def index_events(console: Console, visit: Visit) -> Response:
    """Send the parts of the first screen as they change."""
    return events(console, visit, lambda picture: index_parts(console, picture, visit))


async def split(console: Console, visit: Visit) -> Response:
    """Show one split in full."""
    name = split_of_path(visit)
    picture = await console.picture()
    split_parts(console, picture, visit, name)  # numbered before the page says what it has
    screen = split_screen(picture, name)
    if screen is None and picture.look is not None:
        raise UnknownSplitError(name, {row.split for row in picture.look.overview.rows})
    here = f"{visit.root}/splits/{name}"
    if screen is None or picture.look is None:
        lines = [f"Nothing was read yet: {picture.lost or 'the store does not answer'}.", "A rollback is still tried."]
        nothing = {"split": name, "lines": lines, "contact": contact_of(picture)}
        return console.page(visit, "unread.html", nothing, HTTPStatus.SERVICE_UNAVAILABLE)
    control = console.control(console.name_of(visit))
    more = await run_in_threadpool(_read, control, name)
    by_hand = await run_in_threadpool(control.redis_cli)
    view = picture.look.split(name, picture.lasts.get(name))
    values: dict[str, object] = {
        "split": name,
        "here": here,
        "contact": contact_of(picture),
        "screen": screen,
        "processes": processes_of(picture, screen),
        "names": screen.candidates,
        "offered": screen.offered,
        "emergency": paragraphs(emergency_lines(view, console.namespace, by_hand)),
        "since": mark_of(console, picture.number),
        "pins": _pins(view) if console.may_operate(visit.person) else [],
        "entries": _told(more.entries),
        **_evidence(more.report, more.fault),
    }
    return console.page(visit, "split.html", values)


async def split_events(console: Console, visit: Visit) -> Response:
    """Send the parts of a split's page as they change."""
    name = split_of_path(visit)
    return events(console, visit, lambda picture: split_parts(console, picture, visit, name))


async def history(console: Console, visit: Visit) -> Response:
    """Return the split's newest changes, as a part of its page."""
    control = console.control(console.name_of(visit))
    entries = await run_in_threadpool(control.history, split_of_path(visit), HISTORY_AT_MOST)
    return console.page(visit, "part_history.html", {"entries": _told(entries)})


async def evidence(console: Console, visit: Visit) -> Response:
    """Return what was counted of the split's releases, as a part of its page."""
    report = await run_in_threadpool(console.control(console.name_of(visit)).report, split_of_path(visit))
    return console.page(visit, "part_evidence.html", _evidence(report, ""))


async def lines(console: Console, visit: Visit) -> Response:
    """Return the lines of the split's picture as numbers."""
    report = await run_in_threadpool(console.control(console.name_of(visit)).report, split_of_path(visit))
    return JSONResponse(lines_of(report))


async def explain(console: Console, visit: Visit) -> Response:
    """Say why a unit gets its version; the unit comes in the body, so that no log of addresses has it."""
    name, form = split_of_path(visit), await form_of(visit)
    unit = check_typed("unit", form.text("unit"))
    explanation = await run_in_threadpool(console.control(console.name_of(visit)).explain, name, unit)
    return console.message(visit, HTTPStatus.OK, name, explain_lines(explanation), f"/splits/{name}")


class _Read(NamedTuple):
    """What a split's page reads beside the follower's picture."""

    entries: tuple[Entry, ...]
    report: SplitReport | None
    fault: str


def _read(control: Control, split: str) -> _Read:
    """Read history and evidence; a store that does not answer now leaves both empty, and says why."""
    entries: tuple[Entry, ...] = ()
    try:
        entries = control.history(split, HISTORY_AT_MOST)
        return _Read(entries, control.report(split), "")
    except GraysplitError as fault:
        return _Read(entries, None, str(fault))


def _told(entries: tuple[Entry, ...]) -> list[dict[str, object]]:
    return [{"id": entry.id, "at_ms": entry.at_ms, "words": entry_line(entry)} for entry in entries]


def _pins(view: SplitView) -> list[tuple[str, str]]:
    """Return the first pinned and denied units, each with what it gets: for those alone who may change it."""
    definition = view.definition
    if definition is None:
        return []
    denied = ((unit, f"{definition.baseline} (denied)") for unit in definition.denied)
    return sorted([*definition.pins.items(), *denied])[:PINS_AT_MOST]


def _evidence(report: SplitReport | None, fault: str) -> dict[str, object]:
    if report is None:
        return {"tables": [], "uncounted": [("not read", fault)]}
    return {"tables": tables_of(report), "uncounted": [*report.uncounted.items()]}
