"""Tell people what happened: one log line per state change, repeats counted instead of printed.

The logger is `graysplit`; graysplit configures no logging: in a program that configures none,
Python prints the warnings to standard error.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.limits import shown
from graysplit.log_writer import WRITER

# Per kind of line: the first at once, then at most one a minute, with the number left out meanwhile.
QUIET_S: Final = 60.0
# What comes and goes is told at once so many times a minute, and then once it has stood for so long: the last word is
# always what is so.
AT_ONCE: Final = 3
SETTLE_S: Final = 1.0
# The events, each the first word of a kind of line. What stands behind it is a split or a candidate's address, but for
# those that are named here.
OTHERS: Final = frozenset({
    "configuration", "contact", "content_not_told", "edits_unrecorded", "follower_failed", "fork", "fork_unrecorded",
    "goal_not_counted", "listener_failed",
    "hook_failed", "hook_refused", "job_failed", "job_not_run", "key_lost", "known_good_aside", "known_good_ignored",
    "known_good_unwritten", "not_started", "notices_dead", "notices_gone", "notices_owed", "off", "off_unknown",
    "process_not_told", "store_regressed", "thread_ended", "unknown_fields", "unknown_splits", "values_refused",
})  # fmt: skip
KINDS_AT_MOST: Final = 1_000
KIND_AT_MOST: Final = 300  # characters: it may hold a name out of a request
TROUBLE: Final = "trouble"
OVER: Final = "over"


class _Condition:
    """How one thing stands, and what was last told of it."""

    __slots__ = ("kind", "left_out", "level", "message", "said", "said_at", "since", "state")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.state = self.said = ""
        self.level = self.message = ""
        self.since = 0.0
        self.said_at: dict[str, deque[float]] = {}  # state to when it was told, the last times
        self.left_out = 0

    def is_due(self, now: float) -> bool:
        """Return whether the present word is to be told now."""
        said_at = self.said_at.get(self.state)
        if said_at is None:
            return True
        if self.state == self.said:
            return now - said_at[-1] >= QUIET_S
        often = len(said_at) == AT_ONCE and now - said_at[0] < QUIET_S
        return not often or now - self.since >= SETTLE_S


class Events:
    """The lines one router logs. Never raises into its caller, never holds a unit id."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        """Begin with nothing said."""
        self._clock = clock
        self.left_out = 0  # lines that were counted instead of printed
        self._said: dict[str, tuple[float, int]] = {}  # kind to when it was last printed, and how many since
        self._conditions: dict[str, _Condition] = {}  # by kind: what stands until something else does

    def info(self, kind: str, message: str) -> None:
        """Log that something changed as it should."""
        self._say("info", kind, message)

    def warning(self, kind: str, message: str) -> None:
        """Log that something needs a person's eye, and has no end that would be told."""
        self._say("warning", kind, message)

    def forget(self) -> None:
        """Begin again with nothing said."""
        self._said.clear()
        self._conditions.clear()

    def again(self, kind: str) -> None:
        """Let the next warning of a kind be printed at once: it tells of something else."""
        self._said.pop(kind[:KIND_AT_MOST], None)

    def trouble(self, kind: str, message: str) -> None:
        """Log that something is wrong from now on, until `over` says that it is not; repeats are counted."""
        self.stands(kind, TROUBLE, message)

    def over(self, kind: str, message: str) -> None:
        """Log that a trouble has ended, where one was; as loud as the trouble was."""
        condition = self._conditions.get(kind)
        if condition is not None and condition.state == TROUBLE:
            self.stands(kind, OVER, message)

    def stands(
        self, kind: str, state: str, message: str, *, level: str = "warning", since: float | None = None
    ) -> None:
        """Log how something stands, since a monotonic time (now, if none is given).

        A state is told at once, three times in a minute. What comes and goes faster is told once it has stood for
        `SETTLE_S`, so that the last line printed is what is so; the lines between are counted, and their number told.
        """
        now = self._clock.monotonic()
        condition = self._conditions.get(kind)
        if condition is None:
            if len(self._conditions) >= KINDS_AT_MOST:
                self._conditions.clear()
            condition = self._conditions[kind] = _Condition(kind)
        repeated = condition.state == state
        if not repeated:
            if condition.state != condition.said:
                self._leave_out(condition)  # it had no time to be told
            condition.state, condition.since = state, now
        condition.since = min(condition.since, now if since is None else since)
        condition.level, condition.message = level, message
        if condition.is_due(now):
            self._tell(condition, now)
        elif state == condition.said:
            self._leave_out(condition)

    def turn(self) -> None:
        """Let time pass: tell what has stood for long enough, and how many lines were left out."""
        now = self._clock.monotonic()
        for condition in tuple(self._conditions.values()):
            if (condition.state != condition.said or condition.left_out) and condition.is_due(now):
                self._tell(condition, now)

    def _leave_out(self, condition: _Condition) -> None:
        condition.left_out += 1
        self.left_out += 1

    def _tell(self, condition: _Condition, now: float) -> None:
        more = f" ({condition.left_out} more like this since)" if condition.left_out else ""
        condition.said, condition.left_out = condition.state, 0
        condition.said_at.setdefault(condition.state, deque(maxlen=AT_ONCE)).append(now)
        _print(condition.level, condition.kind, condition.message, more)

    def _say(self, level: str, kind: str, message: str) -> None:
        now, kind = self._clock.monotonic(), kind[:KIND_AT_MOST]
        last, left_out = self._said.get(kind, (float("-inf"), 0))
        if now - last < QUIET_S:
            self._said[kind] = (last, left_out + 1)
            self.left_out += 1
            return
        if len(self._said) >= KINDS_AT_MOST:
            self._said.clear()
        self._said[kind] = (now, 0)
        _print(level, kind, message, f" ({left_out} more like this since)" if left_out else "")


def _print(level: str, kind: str, message: str, more: str) -> None:
    """Have one line printed, whoever wrote what is in it."""
    WRITER.put(level, f"{shown(message)}{more}", _extra(kind))


def _extra(kind: str) -> dict[str, object]:
    """Return what a log record carries beside its text: the event, and the split and version that it is about."""
    event, _, subject = kind.partition(" ")
    split, _, version = ("" if event in OTHERS else subject.partition(" ")[0]).partition("/")
    return {
        "graysplit_event": event,
        "graysplit_split": shown(split) or None,
        "graysplit_version": shown(version) or None,
    }
