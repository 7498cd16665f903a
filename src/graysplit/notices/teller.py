"""Tell hooks what the log holds: this process's part in what the whole fleet does once.

The follower's thread only sees that the log has grown, and hands a job over; reading, sending and writing down happen
there. Whoever told last tells at once; the others look a little later, and mostly find it done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.telling import (
    ATTEMPTS,
    OLDEST_MS,
    Step,
    Telling,
    begun,
    done,
    failed,
    is_before,
    passed_over,
    taken,
    told,
    wait_ms,
)
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.notices.hooks import WITHIN_S, Hook, NotTakenError, Webhook
from graysplit.notices.payload import notice_of, token
from graysplit.stores.tellings import read_telling, write_telling

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.core.record import Entry
    from graysplit.events import Events
    from graysplit.stores.port import Store, Told

NEVER: Final = float("inf")
LOOK_AGAIN_S: Final = 60.0  # +-25 %: the net under what a process sees by itself
UNREACHABLE_S: Final = 5.0
SPREAD_S: Final = (0.25, 2.0)  # after how long those look who did not tell last
BATCH: Final = 100


class Desk(NamedTuple):
    """What all tellers of a process share."""

    boot: str
    store: Store
    namespace: str
    events: Events
    clock: Clock


class Notices:
    """The hooks of one router's life: made when it starts, and again in a forked child."""

    def __init__(self, hooks: Sequence[Hook], desk: Desk, submit: Callable[[str, Callable[[], object]], bool]) -> None:
        """Take whom to tell, and who runs jobs; import what hooks need."""
        for hook in hooks:
            hook.prepare()
        self._tellers = [Teller(hook, desk) for hook in hooks]
        self._submit = submit

    def turn(self, now: float, position: str) -> None:
        """Hand over what is due; `position` is the log's, as far as this process has read it ("" for not yet)."""
        for teller in self._tellers:
            if teller.begin(now, position) and not self._submit(f"tell {teller.hook.name}", teller.run):
                teller.put_off(now)

    def untold(self) -> dict[str, int]:
        """Give, by hook, how many changes it was not told of, as last read."""
        return {teller.hook.name: teller.untold for teller in self._tellers}


class Teller:
    """One hook in one process. `begin` belongs to the follower's thread, `run` to a job; one is in flight at most."""

    def __init__(self, hook: Hook, desk: Desk) -> None:
        """Begin with nothing read."""
        self.hook = hook
        self.busy = False
        self.untold = 0
        self._desk = desk
        self._ours = False  # whether this process told last
        self._seen = ""
        # Written by the follower's thread alone; at once at first, so that a new hook begins before the next change.
        self._wanted_at = 0.0
        self._again_at = NEVER  # written by the job alone, or where none runs

    def begin(self, now: float, position: str) -> bool:
        """Say whether a job is to run now: the log has grown, or something is due."""
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

    def run(self) -> None:
        """Tell what is to be told; whatever happens, look again some time."""
        again_s = _jittered(LOOK_AGAIN_S)
        try:
            again_s = min(again_s, self._tell())
        except StoreUnreachableError:
            again_s = _jittered(UNREACHABLE_S)  # the follower says so
        except GraysplitError as fault:
            self._desk.events.warning(
                f"{self.hook.name} barred", f"{self.hook.name} is told nothing from here: {fault}"
            )
        finally:
            self._again_at = self._desk.clock.monotonic() + again_s
            self.busy = False

    def _tell(self) -> float:
        """Take the turn if it is to be had, and tell; give the seconds until it is worth looking again."""
        read = self._desk.store.told()
        text = read.texts.get(self.hook.name)
        telling = read_telling(text)
        if telling is None or is_before(read.position, telling.position):
            return self._begin(telling, text, read)
        self._note(telling)
        if telling.position == read.position:
            return NEVER
        if wait := wait_ms(telling, self._desk.boot, read.now_ms):
            return wait / 1000 + (0.0 if self._ours else _spread_s())
        turn = Turn(self.hook, self._desk, telling, text, read)
        try:
            return turn.take()
        finally:
            self._note(turn.telling)

    def _begin(self, telling: Telling | None, text: str | None, read: Told) -> float:
        """Begin at the log's end: the hook is new, or the log has lost what it was told of."""
        fresh = begun(telling, read.position, read.revision)._replace(teller=self._desk.boot)
        if not self._desk.store.tell(self.hook.name, text, write_telling(fresh)):
            return _spread_s()
        self._note(fresh)
        return NEVER

    def _note(self, telling: Telling) -> None:
        self._ours = telling.teller == self._desk.boot
        self.untold = telling.dead + telling.missed


class Turn:
    """One turn: this process tells, and writes down each step before the next."""

    def __init__(self, hook: Hook, desk: Desk, telling: Telling, text: str | None, read: Told) -> None:
        """Take what was read; the turn is not taken yet."""
        self.telling = telling
        self._hook = hook
        self._desk = desk
        self._text = text
        self._read = read
        self._began = desk.clock.monotonic()

    def take(self) -> float:
        """Tell one entry after the other; give the seconds until it is worth looking again."""
        if not self._write(taken(self.telling, self._desk.boot, self._now_ms())):
            return _spread_s()
        for position, entry in self._ahead():
            step = Step(position, entry.revision, token(entry.id))
            if entry.cause not in self._hook.causes:
                self.telling = told(self.telling, step, self._now_ms())
                continue
            if fault := self._deliver(entry):
                return self._fail(step, entry.split, fault)
            if not self._write(told(self.telling, step, self._now_ms())):
                return _spread_s()  # too slow: somebody else has the turn, and tells it again
            if self._desk.clock.monotonic() - self._began > WITHIN_S:
                break  # other jobs want their turn
        self._write(done(self.telling))
        return 0.0 if self.telling.position != self._read.position else NEVER

    def _ahead(self) -> list[tuple[str, Entry]]:
        """Read what comes next, passing over what is gone or too old."""
        oldest = f"{max(0, self._read.now_ms - OLDEST_MS)}-0"
        start = oldest if is_before(self.telling.position, oldest) else self.telling.position
        rows = [*self._desk.store.log(start, BATCH)]
        if rows and rows[0][0] == self.telling.position:
            return rows[1:]
        missed = self.telling.missed
        if rows:
            self.telling = passed_over(self.telling, start, rows[0][1].revision)
        else:
            over = passed_over(self.telling, self._read.position, self._read.revision + 1)
            self.telling = over._replace(position=self._read.position)
        if gap := self.telling.missed - missed:
            self._warn("gone", f"up to {gap} changes are not told: gone from the log, or a day old")
        return rows

    def _deliver(self, entry: Entry) -> str:
        """Hand an entry over; give why it was not taken, or ""."""
        try:
            self._hook.deliver(notice_of(entry, self._desk.namespace))
        except NotTakenError as fault:
            return str(fault)
        except Exception as fault:  # noqa: BLE001 - one entry that cannot be told must not keep the others
            return type(fault).__name__
        self._desk.events.over(f"{self._hook.name} failed")
        return ""

    def _fail(self, step: Step, split: str, fault: str) -> float:
        attempt = self.telling.attempts + 1
        if not self._write(failed(self.telling, step, self._now_ms(), _chance())):
            return _spread_s()
        what = f"change {step.change} of '{split}' was not taken: {fault}"
        if self.telling.attempts:
            self._warn("failed", f"{what}; attempt {attempt} of {ATTEMPTS}")
            return wait_ms(self.telling, self._desk.boot, self._now_ms()) / 1000
        self._warn("dead", f"{what}; given up after {ATTEMPTS} attempts. Count them with: graysplit doctor")
        return 0.0

    def _write(self, telling: Telling) -> bool:
        text = write_telling(telling)
        if not self._desk.store.tell(self._hook.name, self._text, text):
            return False
        self.telling, self._text = telling, text
        return True

    def _now_ms(self) -> int:
        """Give the server's time."""
        return self._read.now_ms + int((self._desk.clock.monotonic() - self._began) * 1000)

    def _warn(self, kind: str, what: str) -> None:
        self._desk.events.warning(f"{self._hook.name} {kind}", f"{self._hook.name}: {what}")


def hooks_of(url: str) -> tuple[Hook, ...]:
    """Give the webhooks that the environment names: addresses, parted by blanks; raises `ConfigurationError`."""
    return tuple(Webhook(one) for one in url.split())


def _spread_s() -> float:
    shortest, longest = SPREAD_S
    return shortest + (longest - shortest) * _chance()


def _jittered(seconds: float) -> float:
    return seconds * (0.75 + _chance() / 2)


def _chance() -> float:
    """Give a number from 0 to 1 (`random` would cost the import, and be the same in forked children)."""
    return int.from_bytes(os.urandom(4), "big") / (1 << 32)
