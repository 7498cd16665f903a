"""The ways to be signalled, best first; which one a server and a user's rights allow is found out at connect.

Each keeps its promise (`graysplit.core.fleet.PROMISES`) or breaks, and is then opened anew as a whole: a subscription
that connects again by itself is silent for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from redis import exceptions

from graysplit.core.record import Load
from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.client import Command, Reply
from graysplit.stores.redis.faults import missing, reason, unreachable
from graysplit.stores.redis.feed import PONG_WITHIN_S, SILENCE_S, RedisFeed, is_due, prove
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.line import IsPush, Line, LostReplyError, is_invalidation, is_message
from graysplit.stores.redis.topology import RESP2, RESP3, Timeouts, Topology

TIMEOUTS: Final = Timeouts(connect_s=1.0, answer_s=1.0)
POLL_S: Final = 2.0
WHY_AT_MOST: Final = 400  # characters that a heartbeat may carry each time
KEPT_BACK_MS: Final = 20  # how long the log is listened to at connect, to see whether that works
CHANNEL: Final = "__redis__:invalidate"


def open_feed(topology: Topology, keys: Keys) -> RedisFeed:
    """Connect and subscribe in the best way there is, before anything is read; raises `StoreUnreachableError`."""
    primary = topology.primary()
    feed = _best(topology, keys)
    if primary is not None:
        feed.stay_with(lambda: topology.primary() not in (primary, None))
    return feed


def _best(topology: Topology, keys: Keys) -> RedisFeed:
    """Open the best feed there is; a lesser one tells why each better one was not to be had."""
    tracking = _tracking(topology, keys)
    if isinstance(tracking, TrackingFeed):
        return tracking
    line = _plain_line(topology, keys)
    try:
        feed, whys = _lesser(topology, keys, line)
    except BaseException:
        line.close()
        raise
    feed.mode_why = "; ".join(dict.fromkeys((tracking, *whys)))[:WHY_AT_MOST]
    return feed


def _lesser(topology: Topology, keys: Keys, line: Line) -> tuple[RedisFeed, tuple[str, ...]]:
    """Open the best feed by the old protocol, and say why the ones before it were not to be had."""
    check_transactions(line)
    try:
        signals = _redirected(topology, keys)
    except LostReplyError as fault:
        signals = fault.reason
    if isinstance(signals, Line):
        return RedirectFeed(line, keys, signals), ()
    no_log = _without_log(line, keys)
    return (PollFeed(line, keys), (signals, no_log)) if no_log else (LogFeed(line, keys), (signals,))


class _PushedFeed(RedisFeed):
    """The server tells of each change of the followed keys, whoever made it, by a frame that comes by itself."""

    def __init__(self, line: Line, keys: Keys, signals: Line) -> None:
        """Take over the connection to read from, and the one that is subscribed; they may be one."""
        super().__init__(line, keys)
        self._signals = signals
        self._signals.dirty = True  # nothing has been read yet

    def wait(self, timeout_s: float) -> bool:
        """Wait for a signal; each connection is asked after half a second of silence whether it lives."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._signals.drain()
            if self._signals.dirty:
                return True
            now = time.monotonic()
            silent = [line for line in (self._signals, self._line) if is_due(line, now)]
            if silent:
                prove(silent[0])
                continue
            if now >= deadline:
                return False
            ping_at = min(self._signals.heard, self._line.heard) + SILENCE_S
            self._signals.readable(min(deadline, ping_at) - now)

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment; what was signalled before is answered by it, unless it fails."""
        self._signals.drain()
        self._signals.dirty = False
        try:
            return super().load(since, whole=whole)
        except BaseException:
            self._signals.dirty = True
            raise

    def close(self) -> None:
        """Let go of both."""
        self._signals.close()
        super().close()


class TrackingFeed(_PushedFeed):
    """RESP3: pushes arrive on the connection that is read from."""

    mode = "tracking"

    def __init__(self, line: Line, keys: Keys) -> None:
        """Take over a connection that is tracking."""
        super().__init__(line, keys, line)


class RedirectFeed(_PushedFeed):
    """RESP2: a second connection tracks, is told what it tracks, and can do nothing else."""

    mode = "redirect"


class PollFeed(RedisFeed):
    """The server tells nothing: everything is read every two seconds."""

    mode = "poll"

    def __init__(self, line: Line, keys: Keys) -> None:
        """Take over a plain connection; the first look is due at once."""
        super().__init__(line, keys)
        self._poll_at = 0.0

    def load(self, since: str, *, whole: bool) -> Load:
        """Read everything at one moment; a look that is due is a whole one, for no log tells of raw edits."""
        whole = whole or time.monotonic() >= self._poll_at
        load = super().load(since, whole=whole)
        if whole:
            self._poll_at = time.monotonic() + POLL_S
        return load

    def wait(self, timeout_s: float) -> bool:
        """Wait until a look is due, or for a signal where this mode has one."""
        deadline = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if now >= self._poll_at:
                return True
            if is_due(self._line, now):
                prove(self._line)
                continue
            if now >= deadline:
                return False
            if self._listen(min(deadline, self._poll_at, self._line.heard + SILENCE_S) - now):
                return True

    def _listen(self, timeout_s: float) -> bool:
        self._line.readable(timeout_s)  # nothing comes by itself, but the end of the connection does
        return False


class LogFeed(PollFeed):
    """The server is asked for the log's next entry, and keeps the answer back until there is one."""

    mode = "log"

    def __init__(self, line: Line, keys: Keys) -> None:
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

    def wait(self, timeout_s: float) -> bool:
        """Wait for an entry, or until a look is due."""
        return self._signalled or super().wait(timeout_s)

    def _listen(self, timeout_s: float) -> bool:
        """Ask for the next entry; a server that keeps the answer back for too long is lost, so no PING is needed."""
        block_ms = int(timeout_s * 1000)
        blocking = ("BLOCK", block_ms) if block_ms else ()  # 0 would be for ever
        question: Command = ("XREAD", "COUNT", 1, *blocking, "STREAMS", self._keys.log, self._position)
        (answer,) = self._line.ask(question, within_s=timeout_s + PONG_WITHIN_S)
        if isinstance(answer, exceptions.ResponseError):
            raise unreachable(self._line.name, answer)  # opened anew, in another mode if need be
        self._signalled = bool(answer)
        return self._signalled


def _tracking(topology: Topology, keys: Keys) -> TrackingFeed | str:
    """Try RESP3; or say why the server or this user has no such thing."""
    if topology.protocol < RESP3:
        return "the address asks for protocol=2"
    try:
        pool = topology.pool(keys.weights, TIMEOUTS, protocol=RESP3)
        line = Line(pool, topology.name, TIMEOUTS.answer_s, is_push=is_invalidation)
        (answer,) = line.ask(("CLIENT", "TRACKING", "ON", "BCAST", *_prefixes(keys)))
    except exceptions.ResponseError as error:  # it does not speak it, or not to us
        return reason(error)
    except StoreUnreachableError as fault:  # some answer what they do not know by ending the connection
        if fault.silent or fault.patient:
            raise
        return fault.reason
    if isinstance(answer, exceptions.ResponseError):
        line.close()
        return reason(answer)
    return TrackingFeed(line, keys)


def _redirected(topology: Topology, keys: Keys) -> Line | str:
    """Try RESP2's way: a connection that tracks, told on the same connection, and that can then only listen."""
    line = _plain_line(topology, keys, is_push=is_message)
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


def check_transactions(line: Line) -> None:
    """Raise where `MULTI` is not to be had; some proxies say so by ending the connection."""
    line.ask(("PING",))
    try:
        begun, _ = line.ask(("MULTI",), ("EXEC",))
    except LostReplyError as fault:
        raise LostReplyError(line.name, missing("MULTI", fault.reason)) from None
    if isinstance(begun, exceptions.ResponseError):
        raise unreachable(line.name, begun, needed="MULTI")


def _without_log(line: Line, keys: Keys) -> str:
    """Say why the log cannot be read, or nothing where it can."""
    began = time.monotonic()
    blocking = ("XREAD", "COUNT", 1, "BLOCK", KEPT_BACK_MS, "STREAMS", keys.log, "$")
    answers = line.ask(("XREVRANGE", keys.log, "+", "-", "COUNT", 1), blocking)
    # An entry may come within this time; else it must have been waited for.
    early = answers[1] is None and time.monotonic() - began < KEPT_BACK_MS / 2000
    return _refusal(answers) or ("it does not keep the answer to XREAD BLOCK back" if early else "")


def _refusal(answers: Iterable[Reply]) -> str:
    """Say why the first refused command was, or nothing."""
    return next((reason(answer) for answer in answers if isinstance(answer, exceptions.ResponseError)), "")


def _plain_line(topology: Topology, keys: Keys, is_push: IsPush | None = None) -> Line:
    try:
        pool = topology.pool(keys.weights, TIMEOUTS, protocol=RESP2)
        return Line(pool, topology.name, TIMEOUTS.answer_s, is_push=is_push)
    except exceptions.ResponseError as error:
        raise unreachable(topology.name, error) from None


def _prefixes(keys: Keys) -> list[str]:
    return [word for key in keys.followed for word in ("PREFIX", key)]
