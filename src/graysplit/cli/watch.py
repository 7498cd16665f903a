"""Follow a namespace as a process does, and print what happens; an outage is said and outlived."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from graysplit.cli.exits import DONE, UNHEALTHY
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.screen import Screen
from graysplit.cli.session import Session
from graysplit.cli.tree import row_words, tree_lines
from graysplit.cli.watch_keys import keys_of
from graysplit.control.plan.awaited import SHOWN, Awaited
from graysplit.control.views import Overview
from graysplit.core.address import split_of
from graysplit.core.entry import Entry
from graysplit.errors import StoreUnreachableError, UnknownSplitError
from graysplit.stores.port import Feed
from graysplit.stores.text.records import HOST_LOST, TRIP
from graysplit.words.entries import entry_json, entry_line
from graysplit.words.guard import verdict_json, verdict_words
from graysplit.words.plan import plan_json, plan_words
from graysplit.words.texts import note_words, when
from graysplit.words.values import row_json

LOOK_AGAIN_S: Final = 1.0
MOMENT_MS: Final = 5_000


def follow(session: Session, split: str | None, count: int | None) -> int:
    """Print changes as they come, until interrupted or `count` have come; on a screen redraw the whole.

    Gives the exit code: whether a guard has rolled back meanwhile.

    Raises what the first look raises; once there was contact, an outage is waited through.
    """
    gc.enable()  # this run may be long
    screen = Screen(json=session.json)
    watch = _Watch(session, screen, split, count)
    with keys_of(session, screen, split):
        while not watch.enough:
            feed = watch.connect()
            try:
                watch.read(feed)
            except StoreUnreachableError as lost:
                watch.lose(lost)
            finally:
                feed.close()
    return UNHEALTHY if watch.tripped else DONE


def _went_back(entry: Entry) -> bool:
    """Return whether a change is an automatic rollback; a lost host may also be told and leave all as it is."""
    return entry.cause == TRIP or (entry.cause == HOST_LOST and bool(entry.after))


class _State(NamedTuple):
    """Something that stands, as far as it does not change by the clock alone; and how it is told."""

    mark: object
    line: str
    told: Mapping[str, object]


class _Watch:
    """What has been told so far, over all connections."""

    def __init__(self, session: Session, screen: Screen, split: str | None, count: int | None) -> None:
        self._session = session
        self._screen = screen
        self._split = split
        self._left = count
        self._position = ""
        self._states: dict[str, _State] = {}
        self._lines: list[str] = []  # as last drawn
        self._met = False  # whether there has been contact yet
        self._lost = ""
        self.tripped = False  # whether a guard's rollback was among what was told

    @property
    def enough(self) -> bool:
        """Return whether as many changes have come as were asked for."""
        return self._left is not None and self._left <= 0

    def connect(self) -> Feed:
        """Open a connection; after the first, for as long as it takes."""
        while True:
            try:
                return self._session.store.follow()
            except StoreUnreachableError as lost:
                if not self._met:
                    raise
                self.lose(lost)

    def lose(self, lost: StoreUnreachableError) -> None:
        """Print that there is no contact, once, and let a moment pass."""
        if not self._met:
            raise lost
        if not self._lost:
            self._lost = lost.reason
            if self._screen.draws:
                self._screen.draw([f"no contact to the store ({lost.reason}); the last known state:", *self._lines])
            else:
                tell(f"no contact to the store, still trying: {lost.reason}")
        threading.Event().wait(LOOK_AGAIN_S)

    def read(self, feed: Feed) -> None:
        """Print what comes over one connection."""
        if not self._position:
            self._position = feed.load("", whole=True).position
            self._look(first=True)
            self._met = True
        while not self.enough:
            feed.wait(LOOK_AGAIN_S)
            load = feed.load(self._position, whole=True)
            self._position, self._met = load.position, True
            if self._lost and not self._screen.draws:
                tell("contact to the store again")
            self._lost = ""
            self._tell([entry for entry in load.entries if self._split is None or _concerns(entry, self._split)])
            if not self.enough:
                self._look(first=False)

    def _tell(self, entries: list[Entry]) -> None:
        entries = entries[: self._left]
        self._left = None if self._left is None else self._left - len(entries)
        self.tripped = self.tripped or any(map(_went_back, entries))
        if self._screen.json:
            for entry in entries:
                say_json({"event": "change", **entry_json(entry)})
        elif not self._screen.draws:
            say(*(f"{when(entry.at_ms)}  {entry_line(entry)}" for entry in entries))

    def _look(self, *, first: bool) -> None:
        """Draw what stands now; without a screen tell what of it has changed, at first only the plans."""
        view = self._session.control.overview()
        self._screen.read(view)
        if first and self._split is not None:
            _check_known(view, self._split)
        if self._screen.draws:
            self._lines = tree_lines(view, self._split)
            self._screen.draw(self._lines)
            return
        states = dict(_states(view, self._split))
        for name, state in states.items():
            before = self._states.get(name)
            if (before is None and name.endswith(": plan")) or (before is not None and before.mark != state.mark):
                self._tell_state(view.now_ms, state)
        self._states = states

    def _tell_state(self, now_ms: int, state: _State) -> None:
        if self._screen.json:
            say_json({**state.told, "at_ms": now_ms})
        else:
            say(f"{when(now_ms)}  {state.line}")


def _states(view: Overview, split: str | None) -> Iterator[tuple[str, _State]]:
    """Return what stands, by a name of its own."""
    for plan in view.plans:
        if split in {None, plan.split} and not _in_between(plan):
            gates = tuple((gate.name, gate.open) for gate in plan.gates)
            mark = (plan.name, plan.step, plan.steps, plan.state, gates, plan.driven, plan.paused)
            words = plan_words(plan) if plan.driven else f"{plan_words(plan)}; no driver: run graysplit drive"
            yield f"{plan.split}: plan", _State(mark, f"{plan.split}: plan: {words}", _event("plan", plan_json(plan)))
    for heard in view.verdicts.values():
        if split in {None, split_of(heard.field)}:
            said = _event("verdict", {"field": heard.field, **verdict_json(heard)})
            line = f"{heard.field} is {verdict_words(heard)}"
            if heard.verdict.note:
                line += f"; {note_words(heard.verdict.note, heard.field)}"
            known = (heard.release, heard.verdict.word, heard.verdict.note != "")
            yield f"{heard.field}: verdict", _State(known, line, said)
    for row in view.rows:
        if split in {None, row.split}:
            line = f"{row.field}: {row_words(row)}"
            yield row.field, _State((row.asked, row.effective, row.actual), line, _event("weights", row_json(row)))


def _in_between(plan: Awaited) -> bool:
    """Return whether a step is shown by all and its driver has not counted it yet: no news for a moment."""
    uncounted = any(gate.name == SHOWN and not gate.open and not gate.why for gate in plan.gates)
    return uncounted and plan.tick_age_ms < MOMENT_MS


def _event(name: str, said: Mapping[str, object]) -> Mapping[str, object]:
    return {"event": name, **said}


def _check_known(view: Overview, split: str) -> None:
    names = {row.split for row in view.rows} | view.unread.keys() | {*view.undefined}
    if split not in names:
        raise UnknownSplitError(split, names)


def _concerns(entry: Entry, split: str) -> bool:
    fields = (at.partition(" ")[2].partition("/")[0] for at in (*entry.before, *entry.after))
    return entry.split == split or split in fields
