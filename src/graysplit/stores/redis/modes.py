"""The ways to be signalled, best first; which one a server and a user's rights allow is found out at connect.

Each keeps its promise (`graysplit.core.fleet.PROMISES`) or breaks, and is then opened anew as a whole: a subscription
that connects again by itself is silent for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Final, TypeAlias

from redis import exceptions

from graysplit.core.fleet import Mode
from graysplit.core.replica.record import Load
from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.client import Command, Reply
from graysplit.stores.redis.connection import Connection, IsPush, LostReplyError, is_invalidation, is_message
from graysplit.stores.redis.faults import missing, reason, unreachable
from graysplit.stores.redis.feed import RedisFeed
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.ladder import Ladder
from graysplit.stores.redis.pulse import DEAF_S, NEAR_S, PONG_WITHIN_S, SILENCE_S, Pulse, rest
from graysplit.stores.redis.reader import check_role, server_ms
from graysplit.stores.redis.sentinels import Way
from graysplit.stores.redis.topology import RESP2, RESP3, Timeouts, Topology

# Whoever waits comes back so late only from a standstill (a stop, a sleep), and has to hear of that before we ask.
LATE_S: Final = 1.0
TIMEOUTS: Final = Timeouts(connect_s=1.0, answer_s=1.0)
TRIAL: Final = Timeouts(connect_s=0.5, answer_s=0.5)  # a look on the side, while something else waits
POLL_S: Final = 2.0
WHY_AT_MOST: Final = 400  # characters that a heartbeat may carry each time
KEPT_BACK_MS: Final = 20  # how long the log is listened to at connect, to see whether that works
CHANNEL: Final = "__redis__:invalidate"


def open_feed(topology: Topology, keys: Keys, ladder: Ladder) -> RedisFeed:
    """Connect and subscribe in the best way there is, before anything is read; raises `StoreUnreachableError`."""
    suspect = ladder.take_suspect()
    if suspect is not None:
        _checked_line(topology, keys, TRIAL).close()  # else it is the server, and not the way to be signalled
        _blame(ladder, *suspect)
    way = None
    if topology.kind == "sentinel":
        sentinels = topology.sentinels()
        way = Way(sentinels, sentinels.primary())
    try:
        feed = _best(topology, keys, ladder)
    except BaseException:
        if way is not None:
            way.close()
        raise
    feed.stay_with(ladder, lambda: _is_outdone(topology, keys, ladder, feed.mode), way)
    return feed


def _blame(ladder: Ladder, mode: str, why: str) -> None:
    """Count a connection that did not live long against its mode; against none where the last one fails, too."""
    if mode == PollFeed.mode:
        ladder.forget()
    else:
        ladder.fail(mode, why)


def _best(topology: Topology, keys: Keys, ladder: Ladder) -> RedisFeed:
    """Open the best feed there is; a lesser one tells why each better one was not to be had."""
    whys: list[str] = []
    for mode, opener in _OPENERS.items():
        found = ladder.why_left(mode) or _tried(mode, opener, topology, keys, ladder)
        if isinstance(found, RedisFeed):
            break
        whys.append(found)
    else:
        found = PollFeed(_checked_line(topology, keys, TIMEOUTS), keys)
    found.lesser_why = "; ".join(dict.fromkeys(whys))[:WHY_AT_MOST]
    return found


def _tried(mode: str, opener: Opener, topology: Topology, keys: Keys, ladder: Ladder) -> RedisFeed | str:
    """Try one way; or say why it is not to be had. It has two chances: one that only hangs by who opens anew."""
    while True:
        try:
            return opener(topology, keys, TIMEOUTS)
        except StoreUnreachableError as fault:
            if fault.patient:
                raise
            _checked_line(topology, keys, TRIAL).close()  # raises where it is the server that does not answer
            why = ladder.fail(mode, fault.reason)
            if why:
                return why
            if fault.silent:
                raise


def _is_outdone(topology: Topology, keys: Keys, ladder: Ladder, mode: str) -> bool:
    """Try the next better way that was left a minute ago; return whether it works now."""
    above = takewhile(lambda each: each != mode, _OPENERS)
    better = next((each for each in above if ladder.is_due(each)), None)
    if better is None:
        return False
    try:
        found = _OPENERS[better](topology, keys, TRIAL)
    except StoreUnreachableError as fault:
        ladder.fail(better, fault.reason)
        return False
    if isinstance(found, str):
        ladder.fail(better, found)
        return False
    found.close()
    return True


class _PushedFeed(RedisFeed):
    """The server tells of each change of the followed keys, whoever made it, by a frame that comes by itself."""

    def __init__(self, line: Connection, keys: Keys, signals: Connection) -> None:
        """Take over the connection to read from, and the one that is subscribed; they may be one."""
        super().__init__(line, keys)
        self._signals = signals
        self._signals.dirty = True  # nothing has been read yet
        self._pulses = [Pulse(each) for each in dict.fromkeys((signals, line))]
        self._looked = time.monotonic()
        self._watched = (*keys.followed, keys.log)

    def _wait(self, timeout_s: float) -> bool:
        """Wait for a signal; each connection is asked after some silence whether it lives."""
        deadline, waited = time.monotonic() + timeout_s, False
        while True:
            for pulse in self._pulses:
                pulse.read()
            if self._signals.dirty:
                return True
            now = time.monotonic()
            if (self._stood_still(now) and now >= deadline) or self._wakeup.is_set:
                return False
            asked = [pulse for pulse in self._pulses if pulse.check(now)]
            # Whoever waits again and again goes on in step with the PINGs, and wakes once for both.
            if now >= deadline or (waited and asked and now >= deadline - SILENCE_S):
                return False
            due_at = min(pulse.due_at for pulse in self._pulses)
            until = deadline if due_at > deadline - NEAR_S else due_at
            waited = True
            if not rest(self._pulses, until - now, self._wakeup) and until == deadline:
                return False

    def _stood_still(self, now: float) -> bool:
        """Return whether this process stood still since it looked last: no answer is missed for that time."""
        passed_s, self._looked = now - self._looked, now
        if passed_s < LATE_S:
            return False
        for pulse in self._pulses:
            pulse.forgive(passed_s)
        return True

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment; what was signalled before is answered by it, unless it fails."""
        self._signals.drain()
        signalled, self._signals.dirty = self._signals.dirty, False
        try:
            load = super().load(since, whole=whole)
            if load.whole and not signalled:  # somebody waits for what was signalled
                self._line.watch(self._watched)
        except BaseException:
            self._signals.dirty = True
            raise
        return load

    def untouched(self) -> int:
        """Ask the server whether anything was written, by whatever command; it takes note of that for a transaction."""
        answers = self._line.untouched(self._watched, ("TIME",), ("ROLE",))
        if answers is None:
            return 0
        now, role = answers
        check_role(self._line, role)
        return server_ms(self._line, now)

    def lines(self) -> tuple[Connection, ...]:
        """Return both connections."""
        return (self._signals, self._line)


class TrackingFeed(_PushedFeed):
    """RESP3: pushes arrive on the connection that is read from."""

    mode: Mode = "tracking"

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Take over a connection that is tracking."""
        super().__init__(line, keys, line)


class RedirectFeed(_PushedFeed):
    """RESP2: a second connection tracks, is told what it tracks, and can do nothing else."""

    mode: Mode = "redirect"


class PollFeed(RedisFeed):
    """The server tells nothing: everything is read every two seconds."""

    mode: Mode = "poll"

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Take over a plain connection; the first look is due at once."""
        super().__init__(line, keys)
        self._pulses = [Pulse(line)]
        self._poll_at = 0.0

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment; a look that is due is a whole one, for no log tells of raw edits."""
        whole = whole or time.monotonic() >= self._poll_at
        load = super().load(since, whole=whole)
        if whole:
            self._poll_at = time.monotonic() + POLL_S
        return load

    def _wait(self, timeout_s: float) -> bool:
        """Wait until a look is due, or for a signal where this mode has one."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if now >= self._poll_at:
                return True
            if now >= self._line.heard + SILENCE_S and now < deadline + LATE_S:
                self._line.ask(("PING",), within_s=PONG_WITHIN_S)
                continue
            if now >= deadline or self._wakeup.is_set:
                return False
            if self._listen(min(deadline, self._poll_at, self._line.heard + SILENCE_S) - now):
                return True

    def _listen(self, timeout_s: float) -> bool:
        # Nothing comes by itself, but the end of the connection, and answers to what was posted.
        if rest(self._pulses, timeout_s, self._wakeup):
            self._line.drain()
        return False


class LogFeed(PollFeed):
    """The server is asked for the log's next entry, and keeps the answer back until there is one."""

    mode: Mode = "log"

    def __init__(self, line: Connection, keys: Keys) -> None:
        """Take over a plain connection of a user who may read the log."""
        super().__init__(line, keys)
        self._position = "0-0"
        self._signalled = True  # nothing has been read yet

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment, and listen from the end of the log as it was then."""
        self._signalled = True  # it stands should this fail
        load = super().load(since, whole=whole)
        self._position, self._signalled = load.position, False
        return load

    def _wait(self, timeout_s: float) -> bool:
        """Wait for an entry, or until a look is due; who may not wait asks all the same: nothing comes by itself."""
        return self._signalled or super()._wait(timeout_s) or (timeout_s <= 0 and self._listen(0.0))

    def _listen(self, timeout_s: float) -> bool:
        """Ask for the next entry; a server that keeps the answer back for too long is lost, so no PING is needed."""
        timeout_s = min(timeout_s, DEAF_S)
        block_ms = int(timeout_s * 1000)
        blocking = ("BLOCK", block_ms) if block_ms else ()  # 0 would be for ever
        question: Command = ("XREAD", "COUNT", 1, *blocking, "STREAMS", self._keys.log, self._position)
        (answer,) = self._line.ask(question, within_s=timeout_s + PONG_WITHIN_S)
        if isinstance(answer, exceptions.ResponseError):
            raise unreachable(self._line.name, answer)  # opened anew, in another mode if need be
        self._signalled = bool(answer)
        return self._signalled


def _tracking(topology: Topology, keys: Keys, timeouts: Timeouts) -> TrackingFeed | str:
    """Try RESP3; or say why the server or this user has no such thing."""
    if topology.protocol < RESP3:
        return "the address asks for protocol=2"
    pool = topology.pool(keys.weights, timeouts, protocol=RESP3)
    line = Connection(pool, topology.name, timeouts.answer_s, is_push=is_invalidation)
    try:
        tracking = line.post_reading(("CLIENT", "TRACKING", "ON", "BCAST", *_prefixes(keys)))
        feed = TrackingFeed(line, keys)
        feed.ask_ahead()
        refused = line.greeting_refused()  # it does not speak it, or not to us
        why = reason(refused) if refused is not None else _refusal(line.replies(tracking))
    except BaseException:
        line.close()
        raise
    if not why:
        return feed
    line.close()
    return why


def _redirect(topology: Topology, keys: Keys, timeouts: Timeouts) -> RedirectFeed | str:
    """Try RESP2's way: a connection that tracks, told on the same connection, and that can then only listen."""
    line = _checked_line(topology, keys, timeouts)
    try:
        signals = _subscribed(_plain_line(topology, keys, timeouts, is_push=is_message), keys)
    except BaseException:
        line.close()
        raise
    if isinstance(signals, Connection):
        return RedirectFeed(line, keys, signals)
    line.close()
    return signals


def _subscribed(line: Connection, keys: Keys) -> Connection | str:
    (own,) = line.ask(("CLIENT", "ID"))
    if isinstance(own, int):
        tracking: Command = ("CLIENT", "TRACKING", "ON", "REDIRECT", own, "BCAST", *_prefixes(keys))
        why = _refusal(line.ask(tracking, ("SUBSCRIBE", CHANNEL)))
        if not why:
            return line
    else:
        why = _refusal((own,)) or "it does not tell a connection's number"
    line.close()
    return why


def _log(topology: Topology, keys: Keys, timeouts: Timeouts) -> LogFeed | str:
    """Try to listen to the log; or say why it cannot be read."""
    line = _checked_line(topology, keys, timeouts)
    why = _without_log(line, keys)
    if not why:
        return LogFeed(line, keys)
    line.close()
    return why


def check_transactions(line: Connection) -> None:
    """Raise where `MULTI` is not to be had; some proxies say so by ending the connection."""
    line.ask(("PING",))
    try:
        begun, _ = line.ask(("MULTI",), ("EXEC",))
    except LostReplyError as fault:
        raise LostReplyError(line.name, missing("MULTI", fault.reason)) from None
    if isinstance(begun, exceptions.ResponseError):
        raise unreachable(line.name, begun, needed="MULTI")


def _without_log(line: Connection, keys: Keys) -> str:
    """Return why the log cannot be read, or nothing where it can."""
    began = time.monotonic()
    blocking = ("XREAD", "COUNT", 1, "BLOCK", KEPT_BACK_MS, "STREAMS", keys.log, "$")
    answers = line.ask(("XREVRANGE", keys.log, "+", "-", "COUNT", 1), blocking)
    # An entry may come within this time; else it must have been waited for.
    early = answers[1] is None and time.monotonic() - began < KEPT_BACK_MS / 2000
    return _refusal(answers) or ("it does not keep the answer to XREAD BLOCK back" if early else "")


def _refusal(answers: Iterable[Reply]) -> str:
    """Return why the first refused command was, or nothing."""
    return next((reason(answer) for answer in answers if isinstance(answer, exceptions.ResponseError)), "")


def _checked_line(topology: Topology, keys: Keys, timeouts: Timeouts) -> Connection:
    """Connect by the old protocol, without being signalled; raises where the server itself is of no use."""
    line = _plain_line(topology, keys, timeouts)
    check_transactions(line)
    return line


def _plain_line(topology: Topology, keys: Keys, timeouts: Timeouts, is_push: IsPush | None = None) -> Connection:
    pool = topology.pool(keys.weights, timeouts, protocol=RESP2)
    return Connection(pool, topology.name, timeouts.answer_s, is_push=is_push)


def _prefixes(keys: Keys) -> list[str]:
    return [word for key in keys.followed for word in ("PREFIX", key)]


# The ways to be signalled, best first; where none is to be had, everything is read every two seconds.
Opener: TypeAlias = Callable[[Topology, Keys, Timeouts], RedisFeed | str]
_OPENERS: Final[Mapping[str, Opener]] = {"tracking": _tracking, "redirect": _redirect, "log": _log}
