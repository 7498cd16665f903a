"""Follow a namespace as a process does, and print what happens."""

from __future__ import annotations

import gc
from collections.abc import Iterable

from graysplit.cli.output import fold, is_screen, say, say_json
from graysplit.cli.render import entry_line, overview_lines
from graysplit.cli.session import Session
from graysplit.cli.values import entry_json
from graysplit.cli.words import when
from graysplit.core.record import Entry

LOOK_AGAIN_S = 1.0


def follow(session: Session, split: str | None, count: int | None) -> None:
    """Print changes as they come, until interrupted or `count` have come; on a screen redraw the whole."""
    gc.enable()  # this run may be long
    feed = session.control.store.follow()
    try:
        position = feed.load("", whole=True).position
        seen = 0
        _begin(session)
        while count is None or seen < count:
            feed.wait(LOOK_AGAIN_S)
            load = feed.load(position, whole=True)
            position = load.position
            fresh = [entry for entry in load.entries if split is None or _concerns(entry, split)]
            fresh = fresh[: None if count is None else count - seen]
            seen += len(fresh)
            _print(session, fresh)
    finally:
        feed.close()


def _begin(session: Session) -> None:
    if is_screen() and not session.json:
        _redraw(session)


def _print(session: Session, entries: Iterable[Entry]) -> None:
    if session.json:
        for entry in entries:
            say_json(entry_json(entry))
    elif is_screen():
        _redraw(session)
    else:
        say(*(f"{when(entry.at_ms)}  {entry_line(entry)}" for entry in entries))


def _redraw(session: Session) -> None:
    """Draw the overview from the top of the screen, leaving nothing of the last one."""
    import sys

    lines = [folded for line in overview_lines(session.control.overview()) for folded in fold(line)]
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
    sys.stdout.flush()


def _concerns(entry: Entry, split: str) -> bool:
    fields = (at.partition(" ")[2].partition("/")[0] for at in (*entry.before, *entry.after))
    return entry.split == split or split in fields
