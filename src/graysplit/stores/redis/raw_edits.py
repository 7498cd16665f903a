"""Raw edits into the history: everything in one step while it is little, else what differs a portion at a time.

What differs is found out here, a piece at a time: a script that compared a hundred thousand fields would hold the
server up, and a follower that did so in one go would send no heartbeat meanwhile. Each portion is compared once more
where it is written, so that processes that race book once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

from graysplit.stores.redis.client import Reply
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.differences import Differing
from graysplit.stores.redis.faults import lacks_scripts, refused
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.without_scripts import book_by_watching
from graysplit.stores.text.records import BRAKE, GUARD, ROLLBACK, TRIP, new_id, raw_of
from graysplit.stores.write_rules import OUTSIDE

# Up to so many fields of weights, stops and books together all is compared in one step: about 10 ms of the server.
LITTLE: Final = 1_000
# So many fields make a portion, each being a split of its own: fewer while the server takes longer than this for one.
PORTIONS: Final = (5, 50)
PORTION_S: Final = 0.015
# How long one call goes on: a process has heartbeats to send and changes to hear of.
WITHIN_S: Final = 0.1
# When it looks again where another process books what this one has found: a random time of these.
AGAIN_S: Final = (4.0, 6.0)

WHAT: Final = "raw edits cannot be recorded in the history"


class RawEdits:
    """What one process has found to book; it continues with each call."""

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Begin with nothing found."""
        self._line = line
        self._keys = keys
        self._found: Differing | None = None
        self._portion = PORTIONS[0]
        self._not_before = 0.0
        self.left = 0  # 1: there is more to look at, or to book

    def record(self, actor: str) -> int:
        """Write history entries for some time; return their number. Raises `RefusedError` where this role may not."""
        ends = time.monotonic() + WITHIN_S
        if ends < self._not_before + WITHIN_S:
            return 0
        if self._found is None:
            answer = self._send(actor, (), 0)
            if lacks_scripts(answer):
                return self._by_watching(actor)
            if _number(answer) >= 0:
                self.left = 0
                return _number(answer)
            self._found = Differing(self._line, self._keys)
        try:
            return self._go_on(self._found, actor, ends)
        except BaseException:
            self._found, self.left = None, 0
            raise

    def _by_watching(self, actor: str) -> int:
        most = PORTIONS[1]
        count = book_by_watching(self._line, self._keys, actor, most)
        self.left = int(count >= most)
        return count

    def _go_on(self, differing: Differing, actor: str, ends: float) -> int:
        """Look for what differs, then book it, until the time is over; edits made meanwhile are looked for again."""
        count, self.left = 0, 1
        while time.monotonic() < ends:
            if differing.looking:
                differing.look_on()
                continue
            portion = differing.take(self._portion)
            if not portion:
                self._found, self.left = None, int(differing.any)
                break
            written = _number(self._timed(actor, portion, differing.left))
            count += written
            if not written and differing.writes and differing.left:  # another process is at it
                self._found, self._not_before = None, time.monotonic() + _again_s()
                break
        return count

    def _timed(self, actor: str, portion: Sequence[str], rest: int) -> Reply:
        """Write a portion, and have the next one larger or smaller by how long it took."""
        began = time.monotonic()
        answer = self._send(actor, portion, rest)
        least, most = PORTIONS
        slow = time.monotonic() - began > PORTION_S
        self._portion = max(least, self._portion // 2) if slow else min(most, self._portion + least)
        return answer

    def _send(self, actor: str, portion: Sequence[str], rest: int) -> Reply:
        keys = self._keys
        own = (raw_of(actor), new_id(), OUTSIDE, LOG_AT_MOST, keys.stops, GUARD, TRIP, BRAKE, ROLLBACK, LITTLE, rest)
        written = (keys.booked, keys.log, keys.meta, keys.plans, keys.weights)
        return self._line.evaluate(script("record_raw_edits"), written, (*own, *map(raw_of, portion)))


def _number(answer: Reply) -> int:
    if not isinstance(answer, int):
        raise refused(WHAT, answer)
    return answer


def _again_s() -> float:
    shortest, longest = AGAIN_S
    return shortest + (longest - shortest) * os.urandom(1)[0] / 255
