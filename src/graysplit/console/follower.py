"""The one thread of a console that follows the store; pages and event streams take its picture from here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from graysplit.console.picture import Picture, RecentChanges, emptied
from graysplit.console.verdicts import KeptVerdicts
from graysplit.control.look import NamespaceLook, look
from graysplit.control.operator import Operator
from graysplit.control.undo import LOOKED_AT
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.stores.port import Feed

LOOK_AGAIN_S: Final = 1.0  # without a signal: receipts, verdicts and a plan's clock send none
SOON_S: Final = 0.15  # after a change, while receipts come in
SOON_FOR_S: Final = 3.0
AT_MOST_EACH_S: Final = 0.1  # changes that come quicker are looked at together
IDLE_S: Final = 60.0  # nobody has looked for so long: the thread ends, and the next page starts it again
REMEMBERED: Final = 2_000  # changes that are read at first


class ConsoleFollower:
    """Follows one namespace from the first page until nobody looks any more."""

    def __init__(self, operator: Operator) -> None:
        """Take whose store it is; nothing is opened before the first page."""
        self._operator = operator
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._wake = threading.Event()
        self._taken = threading.Event()
        self._listeners: set[Callable[[], None]] = set()
        self._wanted_at = 0.0
        self._changes = RecentChanges()
        self._verdicts = KeptVerdicts()
        self._position = ""
        self._met_at = 0.0
        self._changed_at = 0.0
        self._looked_at = 0.0
        self._picture = Picture(0, None, None, {}, {})

    def picture(self, within_s: float = 0.0) -> Picture:
        """Return the last picture; of a follower that has just started, once there is one or the time is up."""
        self._want()
        self._taken.wait(within_s)
        return self._picture

    @property
    def last(self) -> Picture:
        """Return the last picture as it is, without asking for another."""
        return self._picture

    @property
    def is_fresh(self) -> bool:
        """Return whether there is a picture already, so that nobody waits for it."""
        return self._taken.is_set()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a function called after each picture, from the follower's thread; return what ends that."""
        self._want()
        with self._lock:
            self._listeners.add(listener)

        def leave() -> None:
            with self._lock:
                self._listeners.discard(listener)

        return leave

    def look_soon(self) -> None:
        """NamespaceLook again now and for a while: a change was just written here."""
        self._changed_at = time.monotonic()
        self._wake.set()

    def close(self) -> None:
        """End the thread, and do not wait for it."""
        self._closed = True
        self._wake.set()

    def _want(self) -> None:
        self._wanted_at = time.monotonic()
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="graysplit console", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ended():
            try:
                feed = self._operator.store.follow()
                try:
                    self._read(feed)
                finally:
                    with suppress(GraysplitError):
                        feed.close()
            except StoreUnreachableError as lost:
                self._lose(lost.reason, refused=lost.answered or lost.patient)
            except Exception as defect:  # noqa: BLE001 - a page that stands still must say so, whatever the reason
                self._lose(str(defect) if isinstance(defect, GraysplitError) else f"internal error: {defect!r}")

    def _ended(self) -> bool:
        """Return whether nobody looks any more; then the next page starts another thread."""
        with self._lock:
            ended = self._closed or self._is_idle()
            if ended:
                self._thread = None
                self._picture = Picture(self._picture.number + 1, None, None, {}, {})  # what is old is not shown as new
                self._taken.clear()
            return ended

    def _is_idle(self) -> bool:
        return not self._listeners and time.monotonic() - self._wanted_at > IDLE_S

    def _read(self, feed: Feed) -> None:
        """NamespaceLook again with each change that comes over one connection."""
        if not self._position:
            position = feed.load("", whole=False).position
            self._changes.note(reversed(self._operator.store.history(None, REMEMBERED)))
            self._position = position
        self._look()
        while not (self._closed or self._is_idle()):
            soon = time.monotonic() - self._changed_at < SOON_FOR_S
            if not self._wake.is_set():
                feed.wait(SOON_S if soon else LOOK_AGAIN_S)
            self._wake.clear()
            rest = AT_MOST_EACH_S - (time.monotonic() - self._looked_at)
            if rest > 0:
                threading.Event().wait(rest)
            load = feed.load(self._position, whole=False)
            self._position = load.position
            if load.entries:
                self._changes.note(load.entries)
                self._changed_at = time.monotonic()
            self._look()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        seen = look(self._operator, partial(self._verdicts.read, self._operator))
        self._met_at = time.monotonic()
        self._publish(self._made(seen))

    def _made(self, seen: NamespaceLook) -> Picture:
        splits = {row.split for row in seen.overview.rows} | seen.overview.unread.keys()
        earlier = emptied(self._picture, seen)
        if earlier is not None and earlier != self._picture.earlier:
            self._changes = RecentChanges()  # what is remembered is another history's
        changes = self._changes
        for split in changes.unknown(splits):
            changes.note_older(split, self._operator.store.history(split, LOOKED_AT))
        fields = [row.field for row in seen.overview.rows]
        number = self._picture.number + 1
        lasts, since = changes.of_splits(splits), changes.since(fields)
        return Picture(number, seen, changes.last, lasts, since, self._met_at, earlier=earlier, notes=changes.notes)

    def _lose(self, reason: str, *, refused: bool = False) -> None:
        """Keep the last picture, with the reason why it is no longer one of now, and let a moment pass."""
        picture = self._picture
        if picture.lost != reason:
            lost_at = picture.lost_at or self._met_at or time.monotonic()
            number = picture.number + 1
            self._publish(picture._replace(number=number, lost=reason, lost_at=lost_at, refused=refused))
        self._wake.wait(LOOK_AGAIN_S)
        self._wake.clear()

    def _publish(self, picture: Picture) -> None:
        self._picture = picture
        self._taken.set()
        with self._lock:
            listeners = [*self._listeners]
        for listener in listeners:
            listener()
