"""Of what the live parts of a page are made, by their names on the page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from graysplit.console.console import Console, Visit
from graysplit.console.picture import Picture
from graysplit.console.render import PageParts, PartSource
from graysplit.console.screen import FirstScreen, screen_of
from graysplit.console.split_screen import processes_of, split_screen
from graysplit.words.texts import age

# Counts and clocks on the first screen: how long they wait where there are few splits, and how many come in a second
# where there are many, so that hundreds of open pages cost no more than they should.
PATIENCE_S: Final = 0.9
MINOR_EACH_S: Final = 20.0


def index_parts(console: Console, picture: Picture, visit: Visit) -> PageParts:
    """Return the parts of the first screen."""
    root, may_lower = visit.root, console.may_lower(visit.person)
    page = ("index", root, may_lower)
    made = console.parts.is_made(page, picture.number)
    if made is not None:
        return made
    screen = screen_of(picture)
    sources = {"contact": contact_source(picture)}
    if screen is not None:
        sources |= _screen_sources(screen, may_lower, root)
    return console.parts.made(page, picture.number, sources)


def split_parts(console: Console, picture: Picture, visit: Visit, split: str) -> PageParts:
    """Return the parts of a split's page."""
    root, may_lower, may_operate = visit.root, console.may_lower(visit.person), console.may_operate(visit.person)
    page = ("split", split, root, may_lower, may_operate)
    made = console.parts.is_made(page, picture.number)
    if made is not None:
        return made
    screen = split_screen(picture, split)
    sources = {"contact": contact_source(picture)}
    if screen is not None:
        last = picture.lasts.get(split)
        processes = processes_of(picture, screen)
        sources["state"] = PartSource("part_state.html", screen, {})
        sources["fleet"] = PartSource("part_fleet.html", processes, {"names": screen.candidates})
        if may_lower:
            more = {"here": f"{root}/splits/{split}", "may_operate": may_operate}
            sources["acts"] = PartSource("part_acts.html", screen.offered, more)
        sources["history"] = PartSource("part_signal.html", (last.id if last else "", picture.notes.get(split)), {})
    return console.parts.made(page, picture.number, sources)


def contact_source(picture: Picture) -> PartSource:
    """Return what is said while the store does not answer."""
    return PartSource("part_contact.html", contact_of(picture), {})


def contact_of(picture: Picture) -> Mapping[str, object]:
    """Return why the store does not answer, since when, and of when what is shown is; empty words where it does."""
    if not picture.lost:
        return {"lost": "", "lost_ms": 0, "lost_for": "", "shown_ms": 0, "refused": False}
    since_s = time.monotonic() - picture.lost_at
    lost_ms = int(1000 * (time.time() - since_s)) if picture.look is None else picture.now_ms(picture.lost_at)
    shown_ms = 0 if picture.look is None else picture.look.overview.now_ms
    words = {"lost": picture.lost, "lost_for": age(int(1000 * since_s)), "refused": picture.refused}
    return {**words, "lost_ms": lost_ms, "shown_ms": shown_ms}


def _screen_sources(screen: FirstScreen, may_lower: bool, root: str) -> dict[str, PartSource]:  # noqa: FBT001 - what the page shows
    said = (*screen.said, screen.processes, *screen.guard)
    names = tuple(line.split for line in screen.lines)
    in_order = sorted(screen.lines, key=lambda line: line.rank)
    patience_s = PATIENCE_S + len(screen.lines) / MINOR_EACH_S
    rows = {f"row-{line.split}": PartSource("part_row.html", line, {}, line.gist, patience_s) for line in screen.lines}
    listed = PartSource(
        "part_list.html",
        (names, screen.is_empty),
        {"lines": in_order, "root": root, "may_lower": may_lower, "is_empty": screen.is_empty},
    )
    return {"list": listed, "said": PartSource("part_said.html", said, {}), **rows}
