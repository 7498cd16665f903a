"""An operator's ten incidents, over four real processes and a real server: what is typed, and how soon it is safe.

    pytest -s tests/cli/test_ten_incidents.py        prints the table

Safe is what the processes answer over a pipe, not what a receipt says. At most two commands each, and the last line of
the last one is held against the processes too.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.cli.output import WIDTH, fold
from graysplit.core.bucketing import bucket_of, encode_unit, hash32
from tests import warm
from tests.incident_fleet import SAFE_WITHIN_S, SPLITS, USERS, IncidentFleet
from tests.support import eventually

# What may stand behind the receipts: who was killed before, and is gone; and the command that takes it back.
BESIDE = ("gone (connection ended, not counted)", "the way back")


class CursorReading(NamedTuple):
    """How one incident went."""

    incident: str
    typed: tuple[str, ...]
    safe_s: float
    said: str  # the last line of the last graysplit command

    def lines(self) -> list[str]:
        """Print it."""
        head = f"{self.incident[:30]:30}  {len(self.typed)}  {self.safe_s:5.2f} s  "
        rest = [f"  $ {typed}"[:WIDTH] for typed in self.typed]
        return [head.rstrip(), *rest, *fold(f"  {self.said}")]


class Shop(IncidentFleet):
    """A server, four processes, and an operator who types."""

    def __init__(self, server: embedded.Server, folder: Path) -> None:
        """Start the processes."""
        super().__init__(server, folder)
        self.out = self.said = ""  # what the last command printed, and its last word on the fleet
        self._typed: list[str] = []
        self._began = self._safe_s = 0.0

    def weigh(self, weight: int = 50, *splits: str) -> None:
        """Begin an incident: these splits at this weight in all four, whatever stood before."""
        super().weigh(weight, *splits)
        self.begin()

    def begin(self) -> None:
        """Count what is typed from here on."""
        self._typed, self._began = [], 0.0

    def types(self, line: str, safe: Callable[[], bool] | None = None) -> int:
        """Type a command of graysplit; while it runs, look for the moment from which on it is safe."""
        self._began = self._began or time.monotonic()
        self._typed.append(f"graysplit {line}")
        with warm.Program(
            "graysplit.cli",
            *shlex.split(line),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            try:
                if safe is not None:
                    self.becomes(safe)
                out = process.communicate(timeout=60)[0]
            finally:
                process.kill()
        assert all(len(row) <= WIDTH or row.startswith("  $ ") for row in out.splitlines()), out
        self.out = out.replace("\n  ", " ")
        self.said = [line for line in self.out.splitlines() if not line.startswith(BESIDE)][-1]
        return process.wait()

    def confirmed_by_all(self, said: str = "processes stopped sending calls to ") -> bool:
        """Return whether the last command ended with all four."""
        return self.said.startswith(f"4/4 {said}")

    def shell(self, line: str, act: Callable[[], object], safe: Callable[[], bool]) -> None:
        """Do what a person types at a machine."""
        self._typed.append(line)
        act()
        self.becomes(safe)

    def becomes(self, safe: Callable[[], bool]) -> None:
        """Wait for the moment."""
        eventually(safe, SAFE_WITHIN_S)
        self._safe_s = time.monotonic() - self._began

    def told(self, incident: str) -> CursorReading:
        """Close an incident."""
        assert len(self._typed) <= 2, self._typed
        return CursorReading(incident, tuple(self._typed), self._safe_s, self.said)


@contextmanager
def opened(folder: Path) -> Iterator[Shop]:
    """Return a shop with its four processes."""
    with embedded.server() as server:
        shop = Shop(server, folder)
        try:
            yield shop
        finally:
            shop.close()


def wrong_weight(shop: Shop) -> CursorReading:
    """Take back 50 where 5 was meant."""
    shop.weigh(5)
    shop.control.set("checkout", 50, why="step 2")
    eventually(lambda: shop.stands_at(50), SAFE_WITHIN_S)
    assert shop.types("undo checkout --why '5 was meant'", lambda: shop.stands_at(5)) == 0
    assert shop.confirmed_by_all("confirmed"), shop.out
    return shop.told("wrong weight")


def new_fails(shop: Shop) -> CursorReading:
    """Go back."""
    shop.weigh()
    assert shop.types("rollback checkout --why 'errors doubled'", lambda: shop.gives("old")) == 0
    assert shop.confirmed_by_all(), shop.out
    return shop.told("new fails")


def one_process_stuck(shop: Shop) -> CursorReading:
    """Go back with one process stopped as in a debugger: it is named with its id, and ended."""
    shop.weigh()
    stuck, *others = shop.workers
    stuck.signal(signal.SIGSTOP)
    shop.workers = others
    assert shop.types("rollback checkout --why 'errors doubled'", lambda: shop.gives("old")) == 6
    assert f"/{stuck.pid}" in shop.said, shop.said
    assert not any(f"/{worker.pid}" in shop.said for worker in others), shop.said
    shop.shell(f"kill -9 {stuck.pid}", lambda: (stuck.signal(signal.SIGKILL), stuck.end()), lambda: not stuck.lives)
    told = shop.told("one process stuck")
    shop.workers = [*others, shop.start()]
    assert shop.gives("old")
    shop.forget(stuck)
    return told


def two_operators(shop: Shop) -> CursorReading:
    """Go back, and raise as a colleague would who saw what stood before: that one is told, and writes nothing."""
    shop.weigh()
    assert shop.types("rollback checkout --why 'errors doubled'", lambda: shop.gives("old")) == 0
    code = shop.types("set checkout 60 --from 50 --why 'step 2'")
    assert code in {1, 4}, (code, shop.said)
    assert "graysplit" in shop.said, shop.said  # the way on
    assert shop.gives("old")
    return shop.told("two operators")


def frozen_weekend(shop: Shop) -> CursorReading:
    """Try to raise in a freeze, and go back."""
    shop.weigh()
    shop.control.freeze("*", why="weekend")
    assert shop.types("set checkout 60 --why 'step 2'") == 1
    assert shop.stands_at(50)
    assert shop.types("rollback checkout --why 'errors doubled'", lambda: shop.gives("old")) == 0
    assert shop.confirmed_by_all(), shop.out
    shop.control.unfreeze("*", confirm=True)
    return shop.told("frozen weekend")


def who_changed_this(shop: Shop) -> CursorReading:
    """Read the last change, by whom and why: it is what the processes do."""
    shop.weigh()
    assert shop.types("history checkout -n 1") == 0
    shop.becomes(lambda: shop.stands_at(50))
    assert "checkout/new 0% -> 50%" in shop.said, shop.said
    assert "by bob@lab: step 1" in shop.said, shop.said
    return shop.told("who changed this")


def why_this_user(shop: Shop) -> CursorReading:
    """Read the comparison that put a user there: all four give that."""
    shop.weigh()
    user = next(user for user, version in zip(USERS, shop.workers[0].given(), strict=True) if version == "new")
    assert shop.types(f"explain checkout {user}") == 0
    shop.becomes(lambda: shop.stands_at(50))
    bucket = bucket_of(encode_unit(user) or b"", hash32(b"checkout", 0))
    assert shop.said.endswith(f"bucket    -> new       bucket {bucket} < 50000 (new)"), shop.said
    assert "in 4 of 4 live processes" in shop.said, shop.said
    assert {version for worker in shop.workers for version in worker.given(users=[user])} == {"new"}
    return shop.told("why this user")


def everything_back(shop: Shop) -> CursorReading:
    """Go back with everything."""
    shop.weigh(30, *SPLITS)

    def safe() -> bool:
        return shop.gives("old") and shop.gives("old", "search") and shop.gives("a", "ranking")

    assert shop.types("rollback --all --why 'not sure which'", safe) == 0
    assert shop.confirmed_by_all(), shop.out
    return shop.told("everything back")


def blue_green_back(shop: Shop) -> CursorReading:
    """Switch, and go back."""
    shop.weigh()
    assert shop.types("switch checkout --to new --yes", lambda: shop.gives("new")) == 0
    shop.begin()
    assert shop.types("rollback checkout --why 'new is slow'", lambda: shop.gives("old")) == 0
    assert shop.confirmed_by_all(), shop.out
    return shop.told("blue-green back")


def redis_hung(shop: Shop) -> CursorReading:
    """Go back while Redis answers nothing."""
    shop.weigh()
    shop.server.pause()
    try:
        told = without_redis(shop, "Redis hung")
    finally:
        shop.server.resume()
    return ended(shop, told)


def redis_gone(shop: Shop) -> CursorReading:
    """Go back while nothing listens."""
    shop.weigh()
    shop.server.kill()
    return without_redis(shop, "Redis gone")


def without_redis(shop: Shop, incident: str) -> CursorReading:
    """Do what the last line says."""
    assert shop.types("rollback checkout --why 'errors doubled'") == 5
    assert "GRAYSPLIT_OFF_FILE" in shop.said, shop.said
    assert not shop.gives("old")
    files = [worker.off_file for worker in shop.workers]
    line = "echo '*' > $GRAYSPLIT_OFF_FILE    (on each machine)"
    shop.shell(line, lambda: [file.write_text("*") for file in files], lambda: shop.gives("old"))
    return shop.told(incident)


def ended(shop: Shop, told: CursorReading) -> CursorReading:
    """End break-glass again."""
    for worker in shop.workers:
        worker.off_file.unlink()
    return told


def redis_back_empty(shop: Shop) -> CursorReading:
    """Go back after Redis has started with nothing in it, the processes still on what they held."""
    for worker in shop.workers:
        worker.off_file.unlink(missing_ok=True)
    shop.server.start()
    eventually(lambda: shop.stands_at(50), SAFE_WITHIN_S)
    eventually(lambda: len(shop.control.fleet().live) == 4, SAFE_WITHIN_S)
    shop.begin()
    assert shop.types("rollback checkout --why 'errors doubled'", lambda: shop.gives("old")) == 0
    assert shop.confirmed_by_all(), shop.out
    with Redis.from_url(shop.server.url) as client:
        assert client.hexists("graysplit:{default}:stops", "checkout")
    return shop.told("Redis back empty")


INCIDENTS = (
    *(wrong_weight, new_fails, one_process_stuck, two_operators, frozen_weekend, who_changed_this, why_this_user),
    *(everything_back, blue_green_back, redis_hung, redis_gone, redis_back_empty),
)


@pytest.mark.timeout(900)
def test_ten_incidents(tmp_path: Path) -> None:
    """At most two commands each, safe in the processes, and a true last line. Redis hung, gone, empty are one."""
    with opened(tmp_path) as shop:
        told = [incident(shop) for incident in INCIDENTS]
    table = ["", f"{'incident':30}  n  safe in", *(line for found in told for line in found.lines())]
    assert all(len(line) <= WIDTH for line in table)
    assert len(told) == len(INCIDENTS)
    print("\n".join(table))  # noqa: T201 - with `-s`, the table
