"""What the evidence of a fleet costs its server: CPU, bytes and pushes of 1,000 processes that flush once a second.

A server of its own takes 1,000 buffers' batches over one connection; its CPU time is the whole process's (`INFO cpu`),
beside that of the scripts alone (`INFO commandstats`). A fleet of that size tells a quarter as often in truth: 250
batches a second are the most that `follower.guard.reporter` sends. Then ten million failing units are told of one
window, thinned by the levels that a judge publishes, and what the server keeps of them is counted.
"""

# ruff: noqa: FBT003 - a side is yes or no
from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from redis import Redis

from benchmarks.report import Row, program, progress
from graysplit import embedded
from graysplit.core.guard.admission import Levels, admits, bits_at, first_levels, next_levels
from graysplit.core.guard.sequential_test import STOPWATCHES_S
from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Judgement, Pair, RunningCalls, Stage
from graysplit.core.guard.verdict import What
from graysplit.core.guard.windows import Span, span_of, totals
from graysplit.stores import store_from_url

PROCESSES: Final = 1_000
FIELD: Final = "checkout/new"
RELEASE: Final = "5f1d3c9a7b2e4068"
STAGE: Final = Stage(20_000, 80_000, 7)
UNITS: Final = 10_000_000
AGE_S: Final = 250  # of the release
WARM: Final = 12  # rounds that are not measured
AT_ONCE: Final = 5_000  # units that fail in one second
_QUIET_S: Final = 0.2
_CORE_GOAL: Final = 50.0  # per cent of a core, in ordinary times


class Kind(NamedTuple):
    """A process's second."""

    name: str
    calls: int
    failing: int
    slow: int
    met: int  # units that this process has not seen before
    goal: float | None = None  # per cent of a core


TYPICAL: Final = Kind("100 calls/s, 1 failing unit", 100, 1, 0, 20, _CORE_GOAL)
KINDS: Final = (
    Kind("no call", 0, 0, 0, 0),
    TYPICAL,
    Kind("100 calls/s, 1 failing, 1 slow unit", 100, 1, 1, 20),
    Kind("100 calls/s, 50 failing units", 100, 50, 0, 20),
)


class CursorReading(NamedTuple):
    """Of what, and by whom."""

    started_s: int
    second: int
    buffer: int
    number: int


class Spent(NamedTuple):
    """What a server says it has spent so far."""

    cpu_s: float
    scripts_s: float
    received: int
    sent: int


def measured(quick: bool) -> list[Row]:  # noqa: FBT001 - the port of `report.program`
    """Measure all kinds, a look and a judgement, and the room that many units take."""
    rounds = 1 if quick else 5
    with embedded.server() as server, Redis.from_url(server.url) as client:
        rows: list[Row] = []
        for kind in KINDS:
            progress(kind.name)
            rows += _flushes(server.url, client, kind, rounds)
        progress("judging")
        rows += _judging(server.url, client, rounds)
        units = UNITS // 50 if quick else UNITS
        progress(f"{units:,} failing units")
        rows += _failing(server.url, client, units)
    return rows


def _flushes(url: str, client: Redis, kind: Kind, rounds: int) -> Iterator[Row]:
    chance = Random(kind.name)
    store = store_from_url(url, kind.name.replace(" ", "-"))
    feed, follower = store.follow(), store.follow()
    follower.load("", whole=True)
    feed.load("", whole=True)
    now_s = feed.tally(FIELD, RELEASE, 0).now_ms // 1000
    for round_ in range(WARM):  # stage and windows are found, and units are many
        for buffer in range(PROCESSES):
            feed.flush(_batch(kind, chance, CursorReading(now_s - AGE_S, now_s - 50 + round_, buffer, round_ + 1)))
    before = spent(client)
    for round_ in range(rounds):
        for buffer in range(PROCESSES):
            feed.flush(
                _batch(kind, chance, CursorReading(now_s - AGE_S, now_s - 30 + round_, buffer, round_ + WARM + 1))
            )
    after = spent(client)
    pushes = follower.wait(_QUIET_S)
    yield Row(f"{kind.name}: server", 100 * (after.cpu_s - before.cpu_s) / rounds, kind.goal, "%", note="of a core")
    yield Row(f"{kind.name}: scripts", 100 * (after.scripts_s - before.scripts_s) / rounds, None, "%", note="of a core")
    yield Row(f"{kind.name}: received", (after.received - before.received) / rounds / 1e6, None, "MB", note="a second")
    yield Row(f"{kind.name}: sent", (after.sent - before.sent) / rounds / 1e6, None, "MB", note="a second")
    yield Row(f"{kind.name}: pushes", float(pushes), 0.0, "", note="to a follower")
    follower.close()
    feed.close()
    store.close()


def _judging(url: str, client: Redis, rounds: int) -> Iterator[Row]:
    """Look and judge as the elected process does once a second, among what 1,000 typical processes have told."""
    store = store_from_url(url, TYPICAL.name.replace(" ", "-"))
    feed = store.follow()
    feed.load("", whole=True)
    started_s = feed.tally(FIELD, RELEASE, 0).now_ms // 1000 - AGE_S
    text, running = "", tuple[RunningCalls, ...]()
    before = spent(client)
    for number in range(10 * rounds):
        tally = feed.tally(FIELD, RELEASE, started_s)
        running = tally.running
        feed.judge(Judgement(FIELD, RELEASE, text, f"{number}", settled_s=tally.now_ms // 1000 - 40))
        text = f"{number}"
    after = spent(client)
    cpu_s, sent = (after.cpu_s - before.cpu_s) / rounds / 10, (after.sent - before.sent) / rounds / 10
    note = f"of a core, with the calls of {len(running):,} buffers under way"
    yield Row("one look and judgement: server", 100 * cpu_s, 5.0, "%", note=note)
    yield Row("one look and judgement: sent", sent / 1e6, None, "MB", note="a second")
    feed.close()
    store.close()


def _failing(url: str, client: Redis, units: int) -> Iterator[Row]:
    """Let so many units fail in one window of six hours, each second's thinned by the levels of that second."""
    store = store_from_url(url, "failing")
    feed = store.follow()
    feed.load("", whole=True)
    started_s = feed.tally(FIELD, RELEASE, 0).now_ms // 1000 - units // AT_ONCE - 10
    memory = int(client.info("memory")["used_memory"])
    watched: dict[Span, tuple[Levels, int]] = {}
    text = ""
    chance = Random(units)
    for second in range(units // AT_ONCE):
        at_s = started_s + second
        errors = tuple(Failed(at_s, chance.getrandbits(64), unit % 5 == 0) for unit in range(AT_ONCE))
        feed.flush(Batch(FIELD, RELEASE, started_s, "tape", second + 1, STAGE, errors=errors))
        said: list[tuple[What, Span, tuple[tuple[int, int], ...]]] = []
        for span in (span_of(length_s, at_s, started_s) for length_s in STOPWATCHES_S):
            levels, inside = watched.get(span, (first_levels(span.begin_s), 0))
            bits = bits_at(levels, at_s)
            inside += sum(admits(bits, error.unit) for error in errors)
            watched[span] = (next_levels(levels, inside, at_s), inside)
            if watched[span][0] != levels:
                said.append(("errors", span, tuple((level.from_s, level.bits) for level in watched[span][0])))
        feed.judge(Judgement(FIELD, RELEASE, text, str(second), tuple(said)))
        text = str(second)
    longest = span_of(STOPWATCHES_S[-1], started_s, started_s)
    found = feed.tally(FIELD, RELEASE, started_s).kept
    kept = next(totals(one.window.books).units for one in found if one.window.span == longest)
    levels = watched[longest][0]
    used = int(client.info("memory")["used_memory"]) - memory
    yield Row(f"{units:,} failing units: kept", float(kept), 100_000.0, "", note=f"at {levels[-1].bits} bits")
    yield Row(f"{units:,} failing units: room", used / 1e6, 50.0, "MB", note="all windows and the stage")
    feed.close()
    store.close()


def _batch(kind: Kind, chance: Random, told: CursorReading) -> Batch:
    """Return what one process tells of a second and the one before; every fifth call is on new."""
    second = told.second
    calls = tuple(
        Begun(at, on_new, kind.calls * (1 if on_new else 4) // 10)
        for at in (second - 1, second)
        for on_new in (False, True)
    )
    timed = tuple(one._replace(calls=max(1, one.calls // 16)) for one in calls)
    buckets = {100 + bucket: 1 for bucket in range(max(1, kind.calls // 16 // 2))}
    return Batch(
        FIELD,
        RELEASE,
        told.started_s,
        f"{told.buffer:016x}",
        told.number,
        STAGE,
        calls if kind.calls else (),
        Pair(kind.failing, kind.failing // 5),
        _units(kind.failing, chance, second),
        timed if kind.slow else (),
        _units(kind.slow, chance, second),
        (Begun(second, False, kind.failing),) if kind.failing else (),
        tuple(Exposed(chance.getrandbits(32), unit % 5 == 0) for unit in range(kind.met)),
        (buckets, buckets) if kind.calls else ({}, {}),
        running=(Begun(second, False, 2), Begun(second, True, 1)) if kind.calls else (),
        hanging=_units(1, chance, second) if kind.calls else (),
    )


def _units(count: int, chance: Random, second: int) -> tuple[Failed, ...]:
    return tuple(Failed(second, chance.getrandbits(64), unit % 5 == 0) for unit in range(count))


def spent(client: Redis) -> Spent:
    """Ask a server what it has spent."""
    info = client.info("all")
    scripts = sum(
        float(found["usec"])
        for name in ("cmdstat_evalsha", "cmdstat_eval")
        if isinstance(found := info.get(name), dict)
    )
    return Spent(
        float(info["used_cpu_user"]) + float(info["used_cpu_sys"]),
        scripts / 1e6,
        int(info["total_net_input_bytes"]),
        int(info["total_net_output_bytes"]),
    )


def main() -> int:
    """Print the figures."""
    return program(f"what a fleet of {PROCESSES:,} costs its server in a second", measured, __doc__)


if __name__ == "__main__":
    sys.exit(main())
