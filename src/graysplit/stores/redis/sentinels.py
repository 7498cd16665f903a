"""Ask the Sentinels who the primary is. The newest word counts, not the first one.

A Sentinel that was cut off together with a demoted primary still names that. Each failover has a number of its own
(the `config-epoch`), so that of several words the newest is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from redis import exceptions

from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.client import Pool, Reply, mapping_of
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import reason
from graysplit.stores.text.records import exact

Host: TypeAlias = tuple[str, int]

# How often a follower asks, and how long after one did not answer.
WAY_S: Final = 1.0
LEFT_ALONE_S: Final = 5.0
ANSWER_S: Final = 0.25
BLIND: Final = "no Sentinel answers, so that a failover would not be known while the server still answers"
_DOWN: Final = frozenset(("s_down", "o_down"))


class Word(NamedTuple):
    """What one Sentinel says of the primary."""

    epoch: int  # the number of the failover that made it one
    primary: Host
    up: bool


def newest(words: Iterable[Word]) -> frozenset[Host]:
    """Return what the newest words name as primary: one address, or several where Sentinels write it differently."""
    found = list(words)
    last = max((word.epoch for word in found), default=0)
    return frozenset(word.primary for word in found if word.epoch == last)


class Sentinels:
    """Connections to the Sentinels of one service, made when first asked and kept until one does not answer."""

    def __init__(self, name: str, service: str, pools: Iterable[Callable[[], Pool]]) -> None:
        """Take the address for people, the service, and what gives each Sentinel's connections."""
        self.name = name
        self._service = service
        self._doors = list(pools)
        self._lines: dict[int, Connection] = {}
        self._again_at: dict[int, float] = {}
        self._whys: dict[int, str] = {}

    def primary(self) -> Host:
        """Ask until most of them agree, or all were asked; raises `StoreUnreachableError` where none names one."""
        words: list[Word] = []
        for number in range(len(self._doors)):
            word = self._ask(number)
            words += [word] if word is not None else []
            if word is not None and 2 * words.count(word) > len(self._doors):
                break
        if not words:
            why = next(iter(self._whys.values()), "it has no Sentinel")
            raise StoreUnreachableError(self.name, f"no Sentinel names the primary: {why}", written=False)
        last = newest(words)
        up = next((word.primary for word in words if word.up and word.primary in last), None)
        if up is None:
            host, port = next(iter(last))
            raise StoreUnreachableError(self.name, f"its primary {host}:{port} is down, say Sentinels", written=False)
        return up

    def now(self) -> frozenset[Host]:
        """Ask each that is there what the primary's address is now; one that failed is left alone for a while."""
        asked_at = time.monotonic()
        due = [number for number in range(len(self._doors)) if asked_at >= self._again_at.get(number, 0.0)]
        words = [word for number in due if (word := self._ask(number)) is not None]
        return newest(words)

    def close(self) -> None:
        """Let go of all connections; never raises."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()

    def _ask(self, number: int) -> Word | None:
        """Ask one Sentinel, over the connection that it had before if there was one."""
        try:
            if number not in self._lines:
                self._lines[number] = Connection(self._doors[number](), self.name, ANSWER_S)
            (answer,) = self._lines[number].ask(("SENTINEL", "MASTER", self._service), within_s=ANSWER_S)
        except StoreUnreachableError as fault:
            self._leave_alone(number, fault.reason)
            return None
        word = _word(answer)
        if word is None:
            why = reason(answer) if isinstance(answer, exceptions.ResponseError) else "the server is not a Sentinel"
            self._leave_alone(number, why)
        return word

    def _leave_alone(self, number: int, why: str) -> None:
        self._whys[number] = why
        self._again_at[number] = time.monotonic() + LEFT_ALONE_S
        if number in self._lines:
            self._lines.pop(number).close()


class Way:
    """Whether a follower's server is still the primary; asked about once a second."""

    def __init__(self, sentinels: Sentinels, followed: Host) -> None:
        """Begin with the server that was just connected to."""
        self._sentinels = sentinels
        self._followed = followed
        self._ask_at = _soon()

    def why_blind(self, before: str) -> str:
        """Ask if it is due; return why it is not known who the primary is, or an empty text where it is this server.

        `before` is what was said last. Raises `StoreUnreachableError` where another server is the primary now.
        """
        if time.monotonic() < self._ask_at:
            return before
        named = self._sentinels.now()
        self._ask_at = _soon()
        if named and self._followed not in named:
            host, port = next(iter(named))
            raise StoreUnreachableError(
                self._sentinels.name, f"it is no longer the primary: its Sentinels name {host}:{port}", written=False
            )
        return "" if named else BLIND

    def close(self) -> None:
        """Let go of the Sentinels."""
        self._sentinels.close()


def _word(answer: Reply) -> Word | None:
    """Read what a Sentinel says; None where it says nothing of use."""
    fields = mapping_of(answer)
    with suppress(KeyError, ValueError):
        flags = set(exact(fields[b"flags"]).split(","))
        host, port = exact(fields[b"ip"]), int(fields[b"port"])
        return Word(int(fields[b"config-epoch"]), (host, port), flags.isdisjoint(_DOWN))
    return None


def _soon() -> float:
    """Return when to ask next: never two processes in step."""
    return time.monotonic() + WAY_S * (0.75 + os.urandom(1)[0] / 1024)
