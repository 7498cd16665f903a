"""`graysplit rollback` by the command line, with 64 processes following: when the last one obeys, and who is named.

The processes have the rights of `graysplit acl app`, the operator those of `graysplit acl ops`; for the last rollbacks
the operator may touch nothing but weights, stops and the fleet. The time is from the write (server time, which is this
machine's) to the last process's first decision by it; the start of the command line's interpreter is no part of it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.processes import ROOT, surroundings
from benchmarks.propagation.crowds import SPLIT, Crowd, percentile, processes
from benchmarks.report import Row, progress
from benchmarks.setting import fill, plain, until
from graysplit import embedded
from graysplit.core.fleet import LIVE_MS
from graysplit.stores import store_from_url
from graysplit.stores.redis.keys import keys_of
from graysplit.stores.redis.roles import rules

P99_MS: Final = 250.0
LONGEST_MS: Final = 1_000.0
CLOCKS_MS: Final = 1.0  # the server tells whole milliseconds
NARROW: Final = 5  # the last rollbacks are made by somebody who may hardly do anything


class Rolled(NamedTuple):
    """One rollback: when each process obeyed, when the command knew, and what it counted."""

    times_ms: list[float]
    confirmed_ms: float
    confirmed: int
    code: int


def run_cli(url: str, *words: str) -> tuple[int, Any]:  # Any: JSON
    """Run `graysplit ... --json`."""
    ended = subprocess.run(
        [sys.executable, "-m", "graysplit.cli", *words, "--json"],
        env=surroundings({"GRAYSPLIT_URL": url}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, json.loads(ended.stdout)


def measure(count: int, rollbacks: int, stopped: int) -> list[Row]:
    """Roll back that often, then with so many processes stopped."""
    narrow = min(NARROW, rollbacks // 2)
    progress(f"{rollbacks} rollbacks of {count} processes")
    with embedded.server() as server:
        store = store_from_url(server.url)
        fill(store, {SPLIT: plain(SPLIT, "0")})
        store.close()
        urls = _users(server)
        with (
            processes(urls["app"], count) as crowd,
            graysplit.Control(server.url, actor="benchmarks", confirm=True) as control,
        ):
            until(lambda: len(control.fleet().live) == count, "all are counted")
            found = [
                _roll_back(control, crowd, urls["narrow" if number >= rollbacks - narrow else "ops"])
                for number in range(rollbacks)
            ]
            named = _named(urls["ops"], control, crowd, stopped) if stopped else []
    return [*_rows(count, found, narrow), *named]


def _users(server: embedded.Server) -> dict[str, str]:
    """Make users of the roles that `graysplit acl` prints, and one with hardly any rights; return their addresses."""
    keys = keys_of("default")
    prefix = keys.weights.removesuffix("weights")
    granted = {
        "app": rules("app", "default"),
        "ops": rules("ops", "default"),
        "narrow": ("+@all", f"~{keys.weights}", f"~{keys.stops}", f"~{prefix}fleet:*"),
    }
    with redis.Redis.from_url(server.url) as client:
        for name, rights in granted.items():
            client.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", *rights)
    return {name: server.url.replace("redis://", f"redis://{name}:pw@") for name in granted}


def _roll_back(control: graysplit.Control, crowd: Crowd, url: str) -> Rolled:
    crowd.watch("new")
    control.set(SPLIT, 100, allow_needless=True, unstop=True)
    crowd.seen()
    crowd.watch("old")
    ahead_s = time.time() - time.monotonic()
    code, said = run_cli(url, "rollback", SPLIT)
    began = said["at_ms"] / 1000 - ahead_s
    times = [(stamp - began) * 1000 + CLOCKS_MS if stamp else float("inf") for stamp in crowd.seen()]
    return Rolled(times, said["seconds"] * 1000, said["confirmed"], code)


def _named(url: str, control: graysplit.Control, crowd: Crowd, count: int) -> list[Row]:
    """Stop some processes; count how many of them a rollback names as lagging, and a later one as silent."""
    crowd.watch("new")
    control.wait_confirmed(control.set(SPLIT, 100, allow_needless=True, unstop=True))
    crowd.seen()
    stopped = crowd.companions[:count]
    for process in stopped:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        first, said = run_cli(url, "rollback", SPLIT, "--wait", "1s")
        lagging = _count(said["lagging"], stopped)
        time.sleep(LIVE_MS / 1000 + 1)
        second, said = run_cli(url, "rollback", SPLIT, "--wait", "1s")
        silent = _count(said["silent"], stopped)
    finally:
        for process in stopped:
            os.kill(process.pid, signal.SIGCONT)
    return [
        Row("  stopped processes named as lagging", lagging, count, "", at_least=True, note=f"exit {first}"),
        Row("  the same, as silent 7 s later", silent, count, "", at_least=True, note=f"exit {second}"),
    ]


def _count(named: Sequence[object], stopped: Sequence[Any]) -> int:  # Any: Popen
    return sum(any(f"/{process.pid}" in str(label) for label in named) for process in stopped)


def _rows(count: int, found: list[Rolled], narrow: int) -> list[Row]:
    last = [max(rolled.times_ms) for rolled in found]
    known = [rolled.confirmed_ms for rolled in found]
    return [
        Row(
            f"rollback to last of {count} processes, p99",
            percentile(last, 99),
            P99_MS,
            "ms",
            note=f"{len(found)} rollbacks",
        ),
        Row("  p50", percentile(last, 50), unit="ms"),
        Row("  longest", max(last), LONGEST_MS, "ms"),
        Row("  with rights on those keys alone, longest", max(last[-narrow:]), LONGEST_MS, "ms"),
        Row("  known to the command, p99", percentile(known, 99), unit="ms", note=f"p50 {percentile(known, 50):.0f}"),
        Row("  not confirmed by all", sum(r.confirmed != count or r.code != 0 for r in found), 0, ""),
    ]
