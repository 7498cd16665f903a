"""Tell hooks what the log holds: this process's part in what the whole fleet does once.

The follower's thread only sees that the log has grown, and hands a job over; reading, sending and writing down happen
there, for each hook in a thread of its own. Whoever told last tells at once; the others look a little later, and mostly
find it done. A rollback or a trip that is not taken is owed from then on (`core.notices.debt`): the order goes on
without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from graysplit.core.notices.cursor import (
    ATTEMPTS,
    OLDEST_MS,
    Cursor,
    LogStep,
    begun,
    done,
    failed,
    is_before,
    passed_over,
    taken,
    told,
    wait_ms,
)
from graysplit.core.notices.debt import (
    LASTING,
    Debt,
    HookDebt,
    Owed,
    next_owed,
    not_taken,
    owing,
    pause_ms,
    stand_in,
    taken_over,
)
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.notices.hooks import WITHIN_S, Hook, Webhook
from graysplit.notices.not_taken import NotTakenError
from graysplit.notices.payload import notice_of, token
from graysplit.stores.text.cursors import debt_field, read_cursor, read_debt, write_cursor, write_debt

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.core.entry import Entry
    from graysplit.events import Events
    from graysplit.stores.port import CursorReading, Store

Submit: TypeAlias = Callable[[str, Callable[[], object]], bool]

NEVER: Final = float("inf")
LOOK_AGAIN_S: Final = 60.0  # +-25 %: the net under what a process sees by itself
UNREACHABLE_S: Final = 5.0
SPREAD_S: Final = (0.25, 2.0)  # after how long those look who did not tell last
BATCH: Final = 100


class NoticeStore(NamedTuple):
    """What all notifiers of a process share."""

    boot: str
    store: Store
    namespace: str
    events: Events
    clock: Clock
    console: str = ""  # the console's address, for hooks that name none


class Notices:
    """The hooks of one router's life: made when it starts, and again in a forked child."""

    def __init__(self, hooks: Sequence[Hook], notice_store: NoticeStore, submits: Sequence[Submit]) -> None:
        """Take whom to tell, and who runs the jobs of each; import what hooks need."""
        for hook in hooks:
            hook.prepare()
        self._notifiers = [(Notifier(hook, notice_store), submit) for hook, submit in zip(hooks, submits, strict=True)]

    def turn(self, now: float, position: str) -> None:
        """Hand over what is due; `position` is the log's, as far as this process has read it ("" for not yet)."""
        for notifier, submit in self._notifiers:
            if notifier.begin(now, position) and not submit(f"tell {notifier.hook.name}", notifier.run):
                notifier.put_off(now)

    def untold(self) -> dict[str, int]:
        """Return, by hook, how many changes it was not told of and will not be, as last read."""
        return {notifier.hook.name: notifier.untold for notifier, _ in self._notifiers}

    def owed(self) -> dict[str, HookDebt]:
        """Return, by hook, what it is still to be told, as last read; hooks that are owed nothing are left out."""
        found = ((notifier.hook.name, notifier.owed()) for notifier, _ in self._notifiers)
        return {name: debt for name, debt in found if debt is not None}


class Notifier:
    """One hook in one process. `begin` belongs to the follower's thread, `run` to a job; one is in flight at most."""

    def __init__(self, hook: Hook, notice_store: NoticeStore) -> None:
        """Begin with nothing read."""
        self.hook = hook
        self.busy = False
        self.untold = 0
        self._debt = Debt()
        self._age_s = 0.0  # of the oldest that is owed, when it was read
        self._read_at = 0.0
        self._notice_store = notice_store
        self._ours = False  # whether this process told last
        self._seen = ""
        # Written by the follower's thread alone; at once at first, so that a new hook begins before the next change.
        self._wanted_at = 0.0
        self._again_at = NEVER  # written by the job alone, or where none runs

    def begin(self, now: float, position: str) -> bool:
        """Return whether a job is to run now: the log has grown, or something is due."""
        if position != self._seen:
            self._seen = position
            self._wanted_at = min(self._wanted_at, now if self._ours else now + _spread_s())
        if self.busy or now < min(self._wanted_at, self._again_at):
            return False
        self._wanted_at = NEVER
        self.busy = True
        return True

    def put_off(self, now: float) -> None:
        """Note that the job is not run: too many wait."""
        self._wanted_at = self._again_at = now + UNREACHABLE_S
        self.busy = False

    def owed(self) -> HookDebt | None:
        """Return what the hook is still to be told, as last read; None for nothing."""
        if not self._debt.owed:
            return None
        age_s = self._age_s + self._notice_store.clock.monotonic() - self._read_at
        return HookDebt(len(self._debt.owed), age_s, self._debt.fault)

    def run(self) -> None:
        """Tell what is to be told; whatever happens, look again some time."""
        again_s = _jittered(LOOK_AGAIN_S)
        try:
            again_s = min(again_s, self._tell())
        except StoreUnreachableError:
            again_s = _jittered(UNREACHABLE_S)  # the follower says so
        except GraysplitError as fault:
            self._notice_store.events.warning(
                f"hook_refused {self.hook.name}", f"{self.hook.name} gets nothing from this process: {fault}"
            )
        finally:
            self._again_at = self._notice_store.clock.monotonic() + again_s
            self.busy = False

    def _tell(self) -> float:
        """Take the turn if it is to be had, and tell; return the seconds until it is worth looking again."""
        read = self._notice_store.store.read_cursors()
        text = read.texts.get(self.hook.name)
        cursor = read_cursor(text)
        debt = read_debt(read.texts.get(debt_field(self.hook.name))) or Debt()
        if cursor is None or is_before(read.position, cursor.position):
            return self._begin(cursor, text, read)
        self._note(cursor, debt, read.now_ms)
        wait = _wait_ms(cursor, debt, self._notice_store.boot, read)
        if wait == NEVER:
            return NEVER
        if wait:
            return wait / 1000 + (0.0 if self._ours else _spread_s())
        turn = Turn(self.hook, self._notice_store, cursor, debt, read)
        try:
            return turn.take()
        finally:
            self._note(turn.cursor, turn.debt, read.now_ms)

    def _begin(self, cursor: Cursor | None, text: str | None, read: CursorReading) -> float:
        """Begin at the log's end: the hook is new, or the log has lost what it was told of."""
        fresh = begun(cursor, read.position, read.revision)._replace(teller=self._notice_store.boot)
        if not self._notice_store.store.save_cursor(self.hook.name, text, write_cursor(fresh)):
            return _spread_s()
        self._note(fresh, self._debt, read.now_ms)
        return 0.0

    def _note(self, cursor: Cursor, debt: Debt, now_ms: int) -> None:
        self._ours = cursor.teller == self._notice_store.boot
        self.untold = cursor.dead + cursor.missed + debt.given_up
        self._age_s = max((now_ms - owed.since_ms for owed in debt.owed), default=0) / 1000
        self._read_at = self._notice_store.clock.monotonic()
        self._debt = debt


class Turn:
    """One turn: this process tells, and writes down each step before the next."""

    def __init__(self, hook: Hook, notice_store: NoticeStore, cursor: Cursor, debt: Debt, read: CursorReading) -> None:
        """Take what was read; the turn is not taken yet."""
        self.cursor = cursor
        self.debt = debt
        self._hook = hook
        self._notice_store = notice_store
        self._text = read.texts.get(hook.name)
        self._debt_text = read.texts.get(debt_field(hook.name))
        self._read = read
        self._began = notice_store.clock.monotonic()

    def take(self) -> float:
        """Tell what is new, in its order, then what is owed; return the seconds until it is worth looking again."""
        try:
            self._write(taken(self.cursor, self._notice_store.boot, self._now_ms()))
            self._tell_in_order()
            self._tell_owed()
            self._write(done(self.cursor))
        except _TurnLostError:
            return _spread_s()  # too slow: somebody else has the turn, and tells it again
        wait = _wait_ms(self.cursor, self.debt, self._notice_store.boot, self._read._replace(now_ms=self._now_ms()))
        return wait / 1000

    def _tell_in_order(self) -> None:
        """Tell one entry after the other, until one is not taken; behind that, rollbacks and trips are owed."""
        for position, entry in self._ahead():
            step = LogStep(position, entry.revision, token(entry.id))
            if entry.cause not in self._hook.causes or step.change in self.debt.early:
                self.cursor = told(self.cursor, step, self._now_ms())
            elif self._waits():
                self._look_ahead()
                return
            elif fault := self._deliver(entry):
                if entry.cause in LASTING:
                    self._owe_and_go_on(step, entry, fault)
                else:
                    self._fail(step, entry.split, fault)
                return
            else:
                self._write(told(self.cursor, step, self._now_ms()))
            if self._notice_store.clock.monotonic() - self._began > WITHIN_S:
                return  # whoever looks next goes on
        if self.debt.early and not self.debt.owed and self.cursor.position == self._read.position:
            self._write_debt(self.debt._replace(early=()))

    def _waits(self) -> bool:
        """Return whether the next in order has refused, and its pause is not over."""
        return self.cursor.attempts > 0 and wait_ms(done(self.cursor), self._notice_store.boot, self._now_ms()) > 0

    def _tell_owed(self) -> None:
        """Attempt what is owed and due, one after the other, until one is not taken."""
        while owed := next_owed(self.debt, self._now_ms()):
            self._write(
                taken(self.cursor, self._notice_store.boot, self._now_ms())
            )  # so that nobody else tells it meanwhile
            if fault := self._deliver(self._entry_of(owed)):
                self._not_taken(owed, fault)
                return
            self._write_debt(taken_over(self.debt, owed.change))
            if self._notice_store.clock.monotonic() - self._began > WITHIN_S:
                return

    def _entry_of(self, owed: Owed) -> Entry:
        """Read the entry again; where the log has lost it, what is owed stands in for it."""
        for _, entry in self._notice_store.store.log(owed.position, 1):
            if token(entry.id) == owed.change:
                return entry
        return stand_in(owed)

    def _owe_and_go_on(self, step: LogStep, entry: Entry, fault: str) -> None:
        """Owe what was not taken, and only then let the order go on: a process that dies between owes it already."""
        (owed,) = self._lasting([(step.position, entry)])
        self.debt = owing(self.debt, (owed,))
        self._not_taken(owed, fault)
        self._write(told(self.cursor, step, self._now_ms()))

    def _not_taken(self, owed: Owed, fault: str) -> None:
        over = self.debt.given_up
        self._write_debt(not_taken(self.debt, owed, self._now_ms(), fault, _chance()))
        what = f"change {owed.change} of '{owed.split}' was not accepted: {fault}"
        if self.debt.given_up > over:
            self._warn("dead", f"{what}; given up after a day. See: graysplit doctor")
        else:
            self._warn("owed", f"{what}; attempts continue for a day. See: graysplit notices")

    def _lasting(self, rows: list[tuple[str, Entry]]) -> tuple[Owed, ...]:
        """Return what would be owed of some entries: the rollbacks and trips that the hook wants to hear of."""
        wanted = LASTING & self._hook.causes
        now_ms = self._now_ms()
        return tuple(
            Owed(at, one.revision, token(one.id), token(one.split), one.cause, one.at_ms, now_ms)
            for at, one in rows
            if one.cause in wanted
        )

    def _look_ahead(self) -> None:
        """Owe the rollbacks and trips behind an entry that waits: theirs is not to wait for its pauses."""
        debt, start = self.debt, self.cursor.position
        if not is_before(debt.ahead, start) and not is_before(self._read.position, debt.ahead):
            start = debt.ahead
        while rows := [row for row in self._notice_store.store.log(start, BATCH) if row[0] != start]:
            start = rows[-1][0]
            debt = owing(debt, self._lasting(rows))._replace(ahead=start)
            if self._notice_store.clock.monotonic() - self._began > WITHIN_S:
                break
        if debt != self.debt:
            self._write_debt(debt)

    def _ahead(self) -> list[tuple[str, Entry]]:
        """Read what comes next, passing over what is gone or too old."""
        oldest = f"{max(0, self._read.now_ms - OLDEST_MS)}-0"
        start = oldest if is_before(self.cursor.position, oldest) else self.cursor.position
        rows = [*self._notice_store.store.log(start, BATCH)]
        if rows and rows[0][0] == self.cursor.position:
            return rows[1:]
        missed = self.cursor.missed
        if rows:
            self.cursor = passed_over(self.cursor, start, rows[0][1].revision)
        else:
            over = passed_over(self.cursor, self._read.position, self._read.revision + 1)
            self.cursor = over._replace(position=self._read.position)
        if gap := self.cursor.missed - missed:
            self._warn("gone", f"up to {gap} changes are not delivered: no longer in the log, or a day old")
        return rows

    def _deliver(self, entry: Entry) -> str:
        """Hand an entry over; return why it was not taken, or ""."""
        try:
            console = getattr(self._hook, "console", None) or self._notice_store.console
            self._hook.deliver(notice_of(entry, self._notice_store.namespace, console))
        except NotTakenError as fault:
            return str(fault)
        except Exception as fault:  # noqa: BLE001 - one entry that cannot be told must not keep the others
            return type(fault).__name__
        self._notice_store.events.over(
            f"hook_failed {self._hook.name}", f"{self._hook.name}: changes are accepted again"
        )
        return ""

    def _fail(self, step: LogStep, split: str, fault: str) -> None:
        attempt = self.cursor.attempts + 1
        self._write(failed(self.cursor, step, self._now_ms(), _chance()))
        what = f"change {step.change} of '{split}' was not accepted: {fault}"
        if self.cursor.attempts:
            failing = f"{self._hook.name}: {what}; attempt {attempt} of {ATTEMPTS}"
            self._notice_store.events.trouble(f"hook_failed {self._hook.name}", failing)
        else:
            self._warn("dead", f"{what}; given up after {ATTEMPTS} attempts. See: graysplit doctor")

    def _write(self, cursor: Cursor) -> None:
        """Write down how far it has been told; raises `_TurnLostError` where somebody else has."""
        text = write_cursor(cursor)
        if not self._notice_store.store.save_cursor(self._hook.name, self._text, text):
            raise _TurnLostError
        self.cursor, self._text = cursor, text

    def _write_debt(self, debt: Debt) -> None:
        text = write_debt(debt)
        if not self._notice_store.store.save_cursor(debt_field(self._hook.name), self._debt_text, text):
            raise _TurnLostError
        self.debt, self._debt_text = debt, text

    def _now_ms(self) -> int:
        """Return the server's time."""
        return self._read.now_ms + int((self._notice_store.clock.monotonic() - self._began) * 1000)

    def _warn(self, kind: str, what: str) -> None:
        self._notice_store.events.warning(f"notices_{kind} {self._hook.name}", f"{self._hook.name}: {what}")


class _TurnLostError(Exception):
    """What this process was to write on is no longer as it was read."""


def _wait_ms(cursor: Cursor, debt: Debt, boot: str, read: CursorReading) -> float:
    """Return the time until a turn is worth taking; `NEVER` where nothing is to be told."""
    # Of a turn that somebody has only its end counts; a pause holds up what it belongs to, not the rest.
    turn = wait_ms(cursor._replace(due_ms=0), boot, read.now_ms)
    order = NEVER
    if cursor.position != read.position:
        paused_on = cursor.attempts and debt.ahead == read.position
        order = wait_ms(cursor, boot, read.now_ms) if paused_on else turn
    owed = max(turn, pause_ms(debt, read.now_ms)) if debt.owed else NEVER
    return min(order, owed)


def hooks_of(url: str) -> tuple[Hook, ...]:
    """Return the webhooks that the environment names: addresses, parted by blanks; raises `ConfigurationError`."""
    return tuple(Webhook(one) for one in url.split())


def _spread_s() -> float:
    shortest, longest = SPREAD_S
    return shortest + (longest - shortest) * _chance()


def _jittered(seconds: float) -> float:
    return seconds * (0.75 + _chance() / 2)


def _chance() -> float:
    """Return a number from 0 to 1 (`random` would cost the import, and be the same in forked children)."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)
