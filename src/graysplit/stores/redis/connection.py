"""One connection on which commands are sent and answers awaited, each with a deadline of its own.

redis-py's un-underscored methods only. A push may arrive in front of any answer; here it marks the line as dirty,
and is never lost (the first traps of a tracking connection: an invalidation read as an answer, or thrown away).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from socket import MSG_PEEK
from socket import socket as Socket  # noqa: N812 - a property has its name
from typing import Final, TypeAlias, cast

from redis import connection as redis_connection
from redis import exceptions

from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.client import Command, Pool, RawConnection, Reply, is_list
from graysplit.stores.redis.faults import is_fatal, is_oom, reason, unreachable
from graysplit.stores.redis.handshake import refusal
from graysplit.stores.redis.scripts import Script

# redis-py 6 cannot look without waiting; there each single read waits for at most the connection's timeout.
_READ: Final = redis_connection.Connection.read_response
_AT_ONCE: Final[dict[str, float]] = {"timeout": 0.0} if "timeout" in (_READ.__kwdefaults__ or {}) else {}
# How long to wait for the rest of a frame: twice this at first.
_HALF_A_FRAME_S: Final = 0.0005
_PAUSE_AT_MOST_S: Final = 0.02
# No more of it counts as waiting where an answer came: the process may have stood still for the rest.
_WAIT_AT_MOST_S: Final = 0.25
_TRANSACTIONS_AT_MOST: Final = 12
PING: Final = b"*1\r\n$4\r\nPING\r\n"
PONG: Final = b"+PONG\r\n"
_PINGS: Final = (("PING",),)


# What ends a connection. ValueError: a number that is none, from a server of another kind.
_NO_CONNECTION: Final = (exceptions.RedisError, OSError, ValueError)

IsPush: TypeAlias = Callable[[Reply], bool]


class _AnswerTimes:
    """For how long to wait for answers: in all, and while not a byte comes.

    Only waiting counts. What a process needs to read an answer, and what it stands still for on a crowded machine, is
    no silence of its server.
    """

    __slots__ = ("left_s", "silence_s")

    def __init__(self, left_s: float, silence_s: float) -> None:
        """Begin with nothing waited for."""
        self.left_s = left_s
        self.silence_s = silence_s


class Posted:
    """Commands that were sent while nobody waits: their answers come in front of those to all that is asked later."""

    __slots__ = ("commands", "replies", "sent")

    def __init__(self, commands: Sequence[Command]) -> None:
        """Begin with no answer to these commands, which are sent now, or with what is waited for next."""
        self.commands = commands
        self.replies: list[Reply] = []
        self.sent = time.monotonic()

    @property
    def full(self) -> bool:
        """Return whether all answers are here."""
        return len(self.replies) >= len(self.commands)


class LostReplyError(StoreUnreachableError):
    """A command was sent and the connection broke before its answer: it may have been done."""


class Connection:
    """One connection. Once broken it stays so: redis-py would connect again by itself, without tracking."""

    def __init__(self, pool: Pool, name: str, answer_s: float, *, is_push: IsPush | None = None) -> None:
        """Connect; raises `StoreUnreachableError`. The greeting goes out with what is asked first.

        `is_push` tells frames that come by themselves from answers; without it none does.
        """
        self._pool = pool
        self._is_push = is_push
        self._together: _AnswerTimes | None = None  # for all answers inside `within`
        self._broken: str | None = None
        self._posted = deque[Posted]()  # what is still to be answered, oldest first
        self._drained = False  # whether redis-py has nothing left of what it read
        self.watches = False  # whether the server notes what is written to keys, for `untouched`
        self.name = name
        self.answer_s = answer_s
        self.dirty = False
        self.heard = 0.0
        try:
            self._connection = pool.get_connection()
        except _NO_CONNECTION as error:
            raise unreachable(name, error) from None
        self._greeting = self._connection.take_greeting()  # what is to be said before anything else
        self._greeted: Posted | None = None  # while its answers are not here
        self._unsent: list[Posted] = []  # of what was posted
        self._role: Posted | None = None  # the question for it, behind the last write
        self.heard = time.monotonic()

    @property
    def broken(self) -> bool:
        """Return whether the line is of no use any more."""
        return self._broken is not None

    @property
    def why(self) -> str:
        """Return why it is of no use any more, or an empty text."""
        return self._broken or ""

    @property
    def socket(self) -> Socket | None:
        """Return what may be waited for beside others; None where redis-py, which promises nothing, keeps no such."""
        return cast("Socket | None", getattr(self._connection, "_sock", None))

    @property
    def connection(self) -> int:
        """Tell this connection from others of its pool."""
        return id(self._connection)

    @contextmanager
    def within(self, total_s: float) -> Generator[None]:
        """Wait for several questions, or long answers, this long together; `answer_s` then ends a silence."""
        before, self._together = self._together, _AnswerTimes(total_s, self.answer_s)
        try:
            yield
        finally:
            self._together = before

    def ask(self, *commands: Command, within_s: float | None = None) -> list[Reply]:
        """Send commands together and return their answers; an error that the server answered is given, not raised.

        Pushes that lie before them are met on the way. Looking for them first would cost the interpreter three more
        times, and a program that computes without pause hands it over grudgingly.
        """
        self.greet()
        self._unwatch(commands)
        return self._ask(commands, within_s)

    def post(self, *commands: Command) -> Posted:
        """Send commands together and wait for nothing; whatever is asked later is answered behind them."""
        self.greet()
        posted = self.post_reading(*commands)
        self._send()
        return posted

    def post_reading(self, *commands: Command) -> Posted:
        """Have commands that write nothing sent with whatever is waited for next.

        That may be the greeting; a server that refuses it may have answered them all the same.
        """
        self._unwatch(commands)
        posted = Posted(commands)
        self._posted.append(posted)
        self._unsent.append(posted)
        return posted

    def _unwatch(self, commands: Sequence[Command]) -> None:
        """Have nothing noted any more before a transaction, which would fail by what was written before it."""
        if self.watches and any(command[0] in {"MULTI", "WATCH"} for command in commands):
            self.watches = False
            self.post_reading(("UNWATCH",))

    def begin_transaction(self, *commands: Command) -> Posted:
        """Post a `transaction` that reads; its answers are taken by the same `transaction`, which is given this."""
        return self.post_reading(("MULTI",), *commands, ("EXEC",))

    def greet(self) -> None:
        """Have the greeting answered before anything else is said; raises `StoreUnreachableError` where it is refused.

        Nothing is written before: it could be done by another user, or in another database.
        """
        refused = self.greeting_refused()
        if refused is not None:
            raise unreachable(self.name, refused)

    def greeting_refused(self) -> exceptions.ResponseError | None:
        """Wait for the greeting's answers; return why it was refused, after which the line is of no use any more."""
        if self._greeting:
            self._send()
        greeted, self._greeted = self._greeted, None
        if greeted is None:
            return None
        with self._speaking():
            self._catch_up(_AnswerTimes(self.answer_s, self.answer_s), greeted)
        refused = refusal(greeted.commands, greeted.replies)
        if refused is not None:
            self._broken = reason(refused)
            self.close()
        return refused

    def ping(self) -> Posted:
        """Ask whether the other end lives and wait for nothing."""
        posted = Posted(_PINGS)
        if self._greeting or self._unsent:
            return self.post(*_PINGS)
        with self._speaking() as connection:
            connection.send_packed_command([PING])
        self._posted.append(posted)
        return posted

    def take_pong(self) -> bool:
        """Take the answer to a PING where nothing else is awaited, or lies there: a tenth of what `drain` costs."""
        connection = self.socket
        if len(self._posted) != 1 or not self._drained or connection is None:
            return False
        timeout_s = connection.gettimeout()
        try:
            connection.settimeout(0)
            if connection.recv(len(PONG) + 1, MSG_PEEK) != PONG or connection.recv(len(PONG)) != PONG:
                return False
        except (OSError, ValueError):  # nothing lies there, it has ended, or it is encrypted: `drain` finds out
            return False
        finally:
            connection.settimeout(timeout_s)
        ping = self._posted.popleft()
        ping.replies.append(b"PONG")
        self.heard = max(self.heard, ping.sent)
        return True

    def here(self, posted: Posted, within_s: float) -> bool:
        """Read what has come, after so long a wait at most; return whether all answers to a post are here."""
        until = time.monotonic() + within_s
        while not posted.full:
            with self._speaking(sent=True) as connection:
                if not connection.can_read(max(0.0, until - time.monotonic())):
                    return False
                self._sort(self._patience(None))
        return True

    def replies(self, posted: Posted) -> list[Reply]:
        """Wait for the answers to a post and return them; an error that the server answered is given, not raised."""
        self.greet()
        if posted in self._unsent:
            self._send()
        with self._speaking(sent=True):
            self._catch_up(self._patience(None), posted)
        for reply in posted.replies:
            if _is_error(reply) and is_fatal(reply):
                raise unreachable(self.name, reply)
        return posted.replies

    def transaction(self, *commands: Command, writes: bool = False, begun: Posted | None = None) -> list[Reply]:
        """Ask at one moment (`MULTI`/`EXEC`). What this user or server refuses is left out, its error given.

        A command may be refused in any words: whoever asked knows whether it is needed. `writes`: a proxy that refuses
        one by itself would have the server do the others, so that `EXEC` is sent only when all are queued. `begun`: it
        was sent already, by `begin_transaction`.

        Redis without memory queues nothing, not even reads. Asked one after the other, but in one piece, they are
        answered; should a write come in between, then its signal follows.
        """
        errors: dict[int, exceptions.ResponseError] = {}
        for _ in range(_TRANSACTIONS_AT_MOST):
            places = [place for place in range(len(commands)) if place not in errors]
            sent = [commands[place] for place in places]
            if writes:
                queued = self._queued(sent)
                (done,) = self.ask(("DISCARD",) if any(map(_is_error, queued)) else ("EXEC",))
            else:
                posted, begun = begun or self.begin_transaction(*sent), None
                opened, *queued, done = self.replies(posted)
                self._check_begun(opened)
            refused = {place: error for place, error in zip(places, queued, strict=True) if _is_error(error)}
            if not refused and is_list(done):
                answers = dict(zip(places, done, strict=True))
                return [errors[place] if place in errors else answers[place] for place in range(len(commands))]
            if any(is_oom(error) for error in refused.values()):
                return self.ask(*commands)
            if not refused:
                raise unreachable(self.name, _as_error(done), needed="EXEC")
            errors |= refused
        raise StoreUnreachableError(self.name, "it refuses too many commands", answered=True)

    def commit(self, *commands: Command) -> Reply:
        """Send commands in one `MULTI` after a `WATCH`: their answers, the first error, or None if a key has changed.

        An `EXEC` that did nothing answers null, which looks like a push; so the answer to a PING marks the end. Nothing
        is written where one command is refused, by the server or by a proxy before it.
        """
        error = next(filter(_is_error, self._queued(commands)), None)
        if error is not None:
            self.ask(("DISCARD",))
            return error
        with self._speaking() as connection:
            self._drain()
            connection.send_packed_command(connection.pack_commands([("EXEC",), ("PING",)]))
            sent = True
        done: Reply = None
        with self._speaking(sent=sent):
            patience = self._patience(None)
            self._catch_up(patience)
            while (frame := self._frame(patience)) != b"PONG":
                if frame is None or self._came_by_itself(frame):
                    self.dirty = self.dirty or self._is_push is not None
                elif done is not None and _is_error(frame):
                    break  # a server that cannot save refuses PING too
                else:
                    done = frame
        return done

    def watch(self, keys: Sequence[str]) -> None:
        """Have the server note from now on whether anything is written to keys, where it does such a thing."""
        answers = self.ask(("UNWATCH",), ("WATCH", *keys))
        self.watches = not any(map(_is_error, answers))

    def untouched(self, keys: Sequence[str], *commands: Command) -> list[Reply] | None:
        """Ask at one moment, where nothing was written since `watch`; else None. From then on it is noted anew.

        The answer to a PING marks the end, as in `commit`.
        """
        if not self.watches:
            return None
        self.greet()
        self._send()
        sent = [("MULTI",), *commands, ("EXEC",), ("WATCH", *keys), ("PING",)]
        with self._speaking(sent=True) as connection:
            connection.send_packed_command(connection.pack_commands(sent))
        with self._speaking(sent=True):
            patience = self._patience(None)
            self._catch_up(patience)
            frames = [self._reply(patience) for _ in range(len(commands) + 1)]
            while (frame := self._frame(patience)) != b"PONG" and len(frames) < len(sent):
                if frame is None or self._came_by_itself(frame):
                    self.dirty = self.dirty or self._is_push is not None
                else:
                    frames.append(frame)
        *begun, done, self.watches = (*frames[:-1], frames[-1] == b"OK")
        return done if is_list(done) and not any(map(_is_error, begun)) else None

    def evaluate(
        self, script: Script, keys: tuple[str | bytes, ...], arguments: tuple[str | bytes | int, ...]
    ) -> Reply:
        """Run a script, by its hash where the server knows it."""
        (answer,) = self._run(script, (len(keys), *keys, *arguments), self.ask)
        return answer

    def write(self, script: Script, keys: tuple[str | bytes, ...], arguments: tuple[str | bytes | int, ...]) -> Reply:
        """Run a script that writes, as `evaluate` does, and ask for the server's role in the same trip."""
        answer, self._role = self._run(script, (len(keys), *keys, *arguments), self._with_role)
        return answer

    def role(self) -> Reply:
        """Return the server's role: as it was right behind a `write`, where nothing was asked since, else as it is."""
        (role,) = self.replies(self._role or self.post_reading(("ROLE",)))
        return role

    def _run(self, script: Script, rest: Command, ask: Callable[[Command], Sequence[Reply]]) -> Sequence[Reply]:
        """Ask for a script; a server that did not know one will not know the others, and is sent each of them whole."""
        whole = self._connection.sent_whole
        if whole is None or script.sha in whole:
            answers = ask(("EVALSHA", script.sha, *rest))
            if not isinstance(answers[0], exceptions.NoScriptError):
                return answers
            self.note_unknown_script()
        answers = ask(("EVAL", script.source, *rest))
        if self._connection.sent_whole is not None:
            self._connection.sent_whole.add(script.sha)
        return answers

    def note_unknown_script(self) -> None:
        """Note that the server has answered that it does not know a script."""
        self._connection.sent_whole = self._connection.sent_whole or set()

    def _with_role(self, command: Command) -> tuple[Reply, Posted]:
        self.greet()
        posted, role = self.post_reading(command), self.post_reading(("ROLE",))
        (answer,) = self.replies(posted)
        return answer, role

    def _queued(self, commands: Sequence[Command]) -> list[Reply]:
        """Begin a `MULTI` and queue commands; sent with it, they would be done one by one where it is refused."""
        (begun,) = self.ask(("MULTI",))
        self._check_begun(begun)
        return self.ask(*commands) if commands else []

    def _check_begun(self, begun: Reply) -> None:
        if _is_error(begun):
            raise unreachable(self.name, begun, needed="MULTI")

    def drain(self) -> None:
        """Read what has arrived by itself; a push marks the line as dirty."""
        with self._speaking():
            self._drain()

    def readable(self, within_s: float) -> bool:
        """Wait until something arrives."""
        self._drained = False  # it may be read then, and not looked at
        with self._speaking() as connection:
            return bool(connection.can_read(within_s))

    def close(self) -> None:
        """Let go of the connection; never raises. In a forked child the parent's connection stays up."""
        self._broken = self._broken or "it was closed"
        with suppress(Exception):
            self._connection.disconnect()
            self._connection.give_back()
            self._pool.release(self._connection)

    def release(self) -> None:
        """Return the connection to its pool, closed where something is still to be said or answered on it."""
        if self._greeting or self._posted:
            self.close()
            return
        with suppress(Exception):
            self._connection.give_back()
            self._pool.release(self._connection)

    def _ask(self, commands: Sequence[Command], within_s: float | None) -> list[Reply]:
        self._send(*commands)
        with self._speaking(sent=True):
            patience = self._patience(within_s)
            self._catch_up(patience)
            replies = [self._reply(patience) for _ in commands]
        for reply in replies:
            if _is_error(reply) and is_fatal(reply):
                raise unreachable(self.name, reply)
        return replies

    def _send(self, *commands: Command) -> None:
        """Send commands, behind the greeting and what was posted where those were not sent yet."""
        greeting, self._greeting = self._greeting, ()
        unsent, self._unsent = self._unsent, []
        if greeting:
            self._greeted = Posted(greeting)
            self._posted.appendleft(self._greeted)
        posted = [command for post in unsent for command in post.commands]
        together = [*greeting, *posted, *commands]
        if not together:
            return
        self._role = None
        # Of several commands the first may be done, although not all of them could be sent.
        several = len(posted) + len(commands) > 1 or len(self._posted) > len(unsent) + bool(greeting)
        with self._speaking(sent=several) as connection:
            connection.send_packed_command(connection.pack_commands(together))

    @contextmanager
    def _speaking(self, *, sent: bool = False) -> Generator[RawConnection]:
        """Turn the connection's errors into ours, after which the line is of no use any more."""
        if self._broken is not None:
            raise StoreUnreachableError(self.name, self._broken)
        try:
            yield self._connection
        except _NO_CONNECTION as error:
            self._broken = reason(error)
            self.close()
            lost = sent and isinstance(error, exceptions.ConnectionError)
            if lost and not isinstance(error, (exceptions.AuthenticationError, exceptions.BusyLoadingError)):
                raise LostReplyError(self.name, self._broken) from None
            raise unreachable(self.name, error, sent=sent) from None

    def _drain(self) -> None:
        while self._connection.can_read(0):
            self._sort(self._patience(None))
        self._drained = True

    def _catch_up(self, patience: _AnswerTimes, posted: Posted | None = None) -> None:
        """Read the answers to what was posted before: all, or those up to one post's."""
        while self._posted if posted is None else not posted.full:
            self._sort(patience)

    def _sort(self, patience: _AnswerTimes) -> None:
        """Read a frame and put it where it belongs, while nothing but posts is to be answered."""
        heard, frame = self.heard, self._frame(patience)
        if self._came_by_itself(frame):
            self.dirty = True
        elif self._posted:
            # It may have lain there for a while, and says that the other end has lived since it was asked for.
            self.heard = max(heard, self._posted[0].sent)
            self._posted[0].replies.append(frame)
            if self._posted[0].full:
                self._posted.popleft()
        else:
            raise exceptions.InvalidResponse("an unexpected answer")

    def _reply(self, patience: _AnswerTimes) -> Reply:
        while True:
            frame = self._frame(patience)
            if not self._came_by_itself(frame):
                return frame
            self.dirty = True

    def _patience(self, within_s: float | None) -> _AnswerTimes:
        """Return how long to wait for what is now asked for: for all of it, or, inside `within`, in each silence."""
        if self._together is not None and within_s is None:
            return self._together
        silence_s = within_s or self.answer_s
        return _AnswerTimes(silence_s, silence_s)

    def _frame(self, patience: _AnswerTimes) -> Reply:
        """Read one frame; there is an end to waiting for all of it, however slowly its bytes drip in.

        Bytes that lie there already are an answer, also when the time is over: they are looked for once more.
        """
        connection, silence_s, pause_s = self._connection, patience.silence_s, _HALF_A_FRAME_S
        self._drained = False
        while True:
            left_s = max(0.0, min(patience.left_s, silence_s))
            began = time.monotonic()
            if not connection.can_read(left_s):
                if left_s == 0.0:
                    raise exceptions.TimeoutError("no answer in time")
                silence_s -= left_s
                patience.left_s -= left_s
                continue
            self.heard = arrived = time.monotonic()
            patience.left_s -= min(left_s, arrived - began, _WAIT_AT_MOST_S)
            silence_s = patience.silence_s
            try:
                frame = connection.read_response(disconnect_on_error=False, push_request=True, **_AT_ONCE)
            except exceptions.ResponseError as error:
                frame = error
            except exceptions.TimeoutError:
                if patience.left_s <= 0:
                    raise exceptions.TimeoutError("no answer in time") from None
                # The rest is on its way. All of it is read anew: as long as that took, more can come.
                pause_s = min(max(2 * pause_s, time.monotonic() - arrived), _PAUSE_AT_MOST_S)
                time.sleep(pause_s)  # noqa: TID251 - as said
                patience.left_s -= pause_s
                continue
            self.heard = time.monotonic()
            return frame

    def _came_by_itself(self, frame: Reply) -> bool:
        return self._is_push is not None and self._is_push(frame)


def is_invalidation(frame: Reply) -> bool:
    """Tell RESP3's push from an answer: redis-py hands out None, older ones the frame; no command here answers null."""
    if is_list(frame):
        return len(frame) == 2 and bool(frame[0] == b"invalidate")  # noqa: PLR2004 - the kind, and the keys
    return frame is None


def is_message(frame: Reply) -> bool:
    """Tell a message of a RESP2 subscription from an answer."""
    return is_list(frame) and len(frame) == 3 and bool(frame[0] == b"message")  # noqa: PLR2004 - kind, channel, keys


def _is_error(reply: Reply) -> bool:
    return isinstance(reply, exceptions.ResponseError)


def _as_error(reply: Reply) -> BaseException:
    return reply if isinstance(reply, BaseException) else exceptions.ResponseError("it aborted a transaction")
