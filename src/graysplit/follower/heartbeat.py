"""Tell the fleet of this process: who it is, what its code declares, and the receipt of what is in force here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.address import field_of
from graysplit.core.fleet import KEPT_AT_MOST, Declared, Receipt
from graysplit.follower.recent_changes import REMEMBERED
from graysplit.stores.port import Report
from graysplit.stores.text.content import pack

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.follower.break_glass import BreakGlass
    from graysplit.follower.history_writer import HistoryWriter
    from graysplit.follower.port import Audience
    from graysplit.follower.recent_changes import Recent
    from graysplit.follower.replica import Replica
    from graysplit.stores.port import Feed

REFUSED_AT_MOST: Final = 50  # values that a heartbeat names
ABOUT_S: Final = 30.0  # how often a heartbeat tells again what hardly changes


class Sender(NamedTuple):
    """Who a heartbeat is from."""

    boot: str  # random, one for each start
    library: str  # graysplit's version
    instance: str
    zone: str


class Heartbeat:
    """What one process tells the fleet; used by its follower's thread alone."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that it tells of
        self,
        sender: Sender,
        replica: Replica,
        audience: Audience,
        break_glass: BreakGlass,
        recent: Recent,
        clock: Clock,
        books: HistoryWriter,
    ) -> None:
        """Begin with nothing told; `books` attempt what a server may refuse, and say why it was refused."""
        self._sender = sender
        self._replica = replica
        self._audience = audience
        self._break_glass = break_glass
        self._recent = recent
        self._clock = clock
        self._books = books
        self._applied = ("", 0)  # the last change of which everything is in force here, and its revision
        self._born_ms = 0  # when this process began by the server's time, once that is known
        self._declared: Mapping[str, Declared] | None = None  # as the router gave it last
        self._told: Mapping[str, Declared] = {}  # the same, with how often each split was asked, as it was told last
        self._tell_again = 0.0  # when to tell again what hardly changes; 0: it has changed
        self._answered = ""  # the last request to tell what is held
        self.durable = True  # whether what was lowered outlives this process
        self.refused = ""  # why the server takes no heartbeat
        self.crowd = 0  # how many processes the store has counted
        self.joined = False  # whether the present connection has told the fleet of this process

    def note_birth(self, born_ms: int | None) -> None:
        """Tell once when this process was born by the server's time; None where that is not known."""
        if born_ms is not None and not self._born_ms:
            self._born_ms = max(1, born_ms)
            self._tell_again = 0.0

    def note_applied(self) -> None:
        """Note that everything of the last change read is in force here."""
        self._applied = (self._replica.past.change, self._replica.adopted.revision)

    def send(self, feed: Feed, *, about: bool) -> None:
        """Send a heartbeat: `about` with all that hardly changes; and answer a request for what is held."""
        import socket

        self.joined = True
        about = self._tells_about() or about
        report = Report(
            self._sender.boot,
            socket.gethostname(),
            os.getpid(),
            self._sender.library,
            self._told,
            self._receipt(feed),
            self._sender.instance,
            self._sender.zone,
            self._born_ms,
            self._replica.past.highest,
        )
        self.refused = self._books.attempt(
            "process_not_told", "this process is missing from the fleet", lambda: feed.report(report, about=about)
        )
        self.crowd = feed.counted or self.crowd
        if feed.asked not in {"", self._answered}:
            self._send_content(feed, feed.asked)

    def _tells_about(self) -> bool:
        """Return whether what hardly changes has changed: code may declare more, and is asked more often.

        How often it was asked is looked at now and then alone.
        """
        now, declared = self._clock.monotonic(), self._audience.declared()
        changed = declared is not self._declared or not self._tell_again
        if not changed and now < self._tell_again:
            return False
        calls, before = self._audience.asked(), self._told
        self._told = {split: one._replace(calls=calls.get(split, 0)) for split, one in declared.items()}
        self._declared, self._tell_again = declared, now + ABOUT_S
        return changed or self._told != before

    def _send_content(self, feed: Feed, request: str) -> None:
        """Answer a request to tell what is held, once."""
        self._answered, replica = request, self._replica
        content = pack(replica.adopted, replica.distrusted, replica.past.lineage)
        failing = "this process cannot send its content"
        self._books.attempt("content_not_told", failing, lambda: feed.tell_content(self._sender.boot, request, content))

    def _receipt(self, feed: Feed) -> Receipt:
        replica = self._replica
        planned = (
            field_of(split, version)
            for split, mark in replica.adopted.planned.items()
            for version in mark.partition(" ")[2].split("+")
        )
        fields = dict.fromkeys((*self._recent.fields, *planned))  # a plan waits for those born later, too
        return Receipt(
            *self._applied,
            self._audience.effects(fields),
            feed.mode,
            _refusals(replica.adopted.refused),
            replica.in_force(KEPT_AT_MOST),
            self.durable,
            self._audience.baselines(),
            tuple(sorted(self._break_glass.names)[:REMEMBERED]),
            feed.mode_why,
            self._audience.sweeps(self._recent.swept),
        )


def _refusals(refused: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    """Return the first of what is refused, and how many more: a heartbeat is no larger for what anybody writes."""
    told = tuple(f"{key} {field}: {reason}" for (key, field), reason in islice(refused.items(), REFUSED_AT_MOST))
    more = len(refused) - len(told)
    return (*told, f"{more} more values: graysplit doctor") if more > 0 else told
