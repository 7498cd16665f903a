"""What strangers can write, and long histories: how long the server answers nobody else, and whether followers notice.

    python -m benchmarks.propagation.sizes [--small]

A namespace with 20,000 splits is filled; then come 100,000 raw edits, a value of 64 MB, 10,000 pins, 100,000 changes.
A process follows it and is rolled back again and again meanwhile; another client asks PING all the time; the server's
own log of slow commands tells the longest of each. `--small` is a twentieth of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import redis

from benchmarks.propagation.process import PATIENCE_S
from benchmarks.report import Row, table
from graysplit import embedded
from graysplit.control import Control
from graysplit.core.bucketing import seed_of
from graysplit.core.fleet import LIVE_MS
from graysplit.errors import RefusedError
from graysplit.stores.redis.keys import Keys, keys_of

BLOCKED_MS: Final = 50.0
BOOKED_WITHIN_S: Final = 300.0
ROLLBACK_EVERY_S: Final = 2.0
SECOND_MS: Final = 1_000.0
VERB_MS: Final = 5_000.0
KEPT_MB: Final = 32.0  # what it may keep beyond what a fresh one needs for what is there now
SETTLED_S: Final = 10.0  # in which a process that starts has looked at all definitions
_MB: Final = 1 << 20
LOOKED: Final = ("list", "show split-00007", "explain split-00007 u1", "history", "history split-00007", "doctor")
CHANGED: Final = (
    "create new-one",
    "set split-00007 30",
    "pin split-00007 u1 new",
    "unpin split-00007 u1",
    "rollback split-00007",
    "undo split-00007 --force --unstop",
    "ramp split-00008 50,100 --every 10m",
    "pause split-00008",
    "resume split-00008",
    "preview split-00009",
    "switch split-00010 --to old",
    "protect split-00011",
    "unprotect split-00011",
    "freeze split-1*",
    "unfreeze split-1*",
    "finish split-00012",
    "recover",
    "rollback --all",
)


class Amounts(NamedTuple):
    """How much there is of each."""

    splits: int
    edits: int
    value: int  # bytes
    pins: int
    entries: int
    after_s: float  # how long after it all it is asked what the follower keeps


FULL: Final = Amounts(20_000, 100_000, 64 << 20, 10_000, 100_000, 60.0)
SMALL: Final = Amounts(1_000, 5_000, 4 << 20, 500, 5_000, 1.0)
LEAST: Final = Amounts(50, 300, 1 << 20, 20, 100, 0.0)  # shows that it runs


class Scene(NamedTuple):
    """A server, and a client past the library."""

    url: str
    client: redis.Redis
    keys: Keys
    rows: list[Row]

    @contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """Time what is done, and tell how long the server held others up meanwhile."""
        ended, longest = threading.Event(), [0.0]
        pinging = threading.Thread(target=_ping, args=(self.url, ended, longest))
        self.client.slowlog_reset()
        pinging.start()
        began = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - began
            ended.set()
            pinging.join()
        told = self.client.slowlog_get(1_000)
        worst = max(told, key=lambda entry: entry["duration"], default=None)
        note = "" if worst is None else worst["command"][:24].decode(errors="replace").replace("\n", " ")
        self.rows.extend(
            [
                Row(what, took_s * 1000, unit="ms"),
                Row(
                    "  longest command of the server",
                    worst["duration"] / 1000 if worst else 0.0,
                    BLOCKED_MS,
                    "ms",
                    note=note,
                ),
                Row("  longest PING of another client", longest[0] * 1000, unit="ms"),
            ]
        )


def measure(amounts: Amounts, *, verbs: bool = True) -> list[Row]:
    """Fill a namespace, and do to it what is promised to harm nobody; then give each command of the CLI."""
    with embedded.server() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("slowlog-log-slower-than", 3_000)
        client.config_set("slowlog-max-len", 1_000)
        scene = Scene(server.url, client, keys_of("default"), [])
        _fill(scene, amounts.splits)
        with Control(server.url, actor="benchmarks") as control:
            control.set("seed", 100, confirm=True)
        used = _used(client)
        with followed(server.url) as follower:
            kept = follower.ask("rss")
            _raw_edits(scene, amounts.edits, follower)
            _huge_value(scene, amounts.value)
            _pins(scene, amounts.pins)
            time.sleep(amounts.after_s)
            keeps = {"server": _used(client), "follower": follower.ask("rss")}
            scene.rows.append(Row("the follower, without contact", follower.ask("lost"), 0.0, "times"))
        anew = {"server": _anew(client), "follower": _started_now(server.url, amounts.after_s)}
        after = f", more than before {amounts.after_s:.0f} s after"
        for who, before in (("server", used), ("follower", kept)):
            more, beyond = (keeps[who] - before) / _MB, (keeps[who] - anew[who]) / _MB
            scene.rows.append(Row(f"memory of the {who}{after}", more, unit="MB"))
            scene.rows.append(Row("  more than a fresh one that holds the same", beyond, KEPT_MB, "MB"))
        _history(scene, amounts.entries)
        return scene.rows + (list(_verbs(scene)) if verbs else [])


def _fill(scene: Scene, splits: int) -> None:
    with Control(scene.url, actor="benchmarks") as control:
        control.create("seed", ("old", "new"))
    record = json.loads(scene.client.hget(scene.keys.splits, "seed") or "")
    for first in range(0, splits, 1_000):
        names = [f"split-{number:05}" for number in range(first, min(splits, first + 1_000))]
        own = {name: json.dumps(record | {"salt": name, "seed": seed_of(name)}) for name in names}
        weights = {f"{name}/new": str(number % 99 + 1) for number, name in enumerate(names)}
        scene.client.hset(scene.keys.splits, mapping=own)
        scene.client.hset(scene.keys.booked, mapping={f"weights {field}": text for field, text in weights.items()})
        scene.client.hset(scene.keys.weights, mapping=weights)


class Follower(NamedTuple):
    """A process that follows, and is asked."""

    process: subprocess.Popen[str]

    def ask(self, words: str) -> float:
        """Ask, and wait for the answer."""
        put, got = self.process.stdin, self.process.stdout
        if put is None or got is None:
            raise RuntimeError("it has no pipes")
        put.write(f"{words}\n")
        put.flush()
        got.readline()
        return float(got.readline())


@contextmanager
def followed(url: str) -> Iterator[Follower]:
    """Run a process that follows `seed`."""
    words = [sys.executable, "-m", "benchmarks.propagation.process", url, "seed"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        if process.stdout is not None:
            process.stdout.readline()
        yield Follower(process)
        if process.stdin is not None:
            process.stdin.close()


def _raised(control: Control, ended: threading.Event) -> None:
    """Raise `seed` again; a raise that rests on too old a reading is refused, and asked for again."""
    while True:
        try:
            control.unstop("seed", confirm=True)
            control.set("seed", 100, confirm=True)
        except RefusedError:
            if ended.is_set():
                return
        else:
            return


def _rolled_back(scene: Scene, follower: Follower, ended: threading.Event, took_ms: list[float]) -> None:
    """Roll `seed` back again and again, and time until that is in force."""
    with Control(scene.url, actor="benchmarks") as control:
        while not took_ms or not ended.wait(ROLLBACK_EVERY_S):
            began = time.monotonic()
            control.rollback("seed")
            known = follower.ask("until old")
            took_ms.append((known - began if known else PATIENCE_S) * 1000)
            _raised(control, ended)
            follower.ask("until new")


def _raw_edits(scene: Scene, count: int, follower: Follower) -> None:
    ended, took_ms = threading.Event(), list[float]()
    quiet_s = [0.0]
    beside = [
        threading.Thread(target=_rolled_back, args=(scene, follower, ended, took_ms)),
        threading.Thread(target=_listened, args=(scene, ended, quiet_s)),
    ]
    for thread in beside:
        thread.start()
    try:
        _booked(scene, count)
    finally:
        ended.set()
        for thread in beside:
            thread.join()
    note = f"the longest of {len(took_ms)}"
    scene.rows.append(Row("  a rollback meanwhile, in force", max(took_ms, default=0.0), SECOND_MS, "ms", note=note))
    scene.rows.append(Row("  longest between two heartbeats", quiet_s[0] * 1000, LIVE_MS, "ms"))


def _listened(scene: Scene, ended: threading.Event, quiet_s: list[float]) -> None:
    """Note how long the one follower's heartbeat stays away at most."""
    last, since = object(), time.monotonic()
    with redis.Redis.from_url(scene.url) as client:
        while not ended.wait(0.05):
            beat, now = client.zrange(scene.keys.seen, -1, -1, withscores=True), time.monotonic()
            quiet_s[0] = max(quiet_s[0], now - since)
            if beat != last:
                last, since = beat, now


def _booked(scene: Scene, count: int) -> None:
    with scene.watched(f"{count:,} raw edits, written and booked"):
        for first in range(0, count, 1_000):
            numbers = range(first, min(count, first + 1_000))
            scene.client.hset(scene.keys.weights, mapping={f"raw-{number:06}/new": "5" for number in numbers})
        _until(lambda: scene.client.hlen(scene.keys.booked) >= scene.client.hlen(scene.keys.weights), BOOKED_WITHIN_S)
    left = scene.client.hlen(scene.keys.weights) - scene.client.hlen(scene.keys.booked)
    scene.rows.append(Row("  not booked then", max(0, left), 0.0, "edits"))
    names = scene.client.hkeys(scene.keys.weights)
    raw = [name for name in names if name.startswith(b"raw-")]
    with scene.watched("  and taken away again"):
        for first in range(0, len(raw), 1_000):
            scene.client.hdel(scene.keys.weights, *raw[first : first + 1_000])
        _until(
            lambda: scene.client.hlen(scene.keys.booked) <= scene.client.hlen(scene.keys.weights) + 1, BOOKED_WITHIN_S
        )


def _huge_value(scene: Scene, size: int) -> None:
    text = "x" * size
    scene.client.hset(scene.keys.stops, "split-00003", text)  # its arrival is the writer's doing
    with scene.watched(f"a stop of {size >> 20} MB, followed and booked"):
        _until(lambda: scene.client.hexists(scene.keys.booked, "stops split-00003"), 60)
        with Control(scene.url, actor="benchmarks") as control:
            control.show("split-00003")
    scene.client.hdel(scene.keys.stops, "split-00003")


def _pins(scene: Scene, count: int) -> None:
    record = json.loads(scene.client.hget(scene.keys.splits, "split-00004") or "")
    record["pins"] = {f"user-{number:06}": "new" for number in range(count)}
    scene.client.hset(scene.keys.splits, "split-00004", json.dumps(record))
    with scene.watched(f"one pin more beside {count:,}"), Control(scene.url, actor="benchmarks") as control:
        control.pin("split-00004", "one-more", "new", confirm=True)


def _history(scene: Scene, entries: int) -> None:
    with Control(scene.url, actor="benchmarks") as control:
        control.set("split-00005", 1, confirm=True)
    pipe = scene.client.pipeline(transaction=False)
    for number in range(entries):
        entry = {"id": f"e{number}", "rev": number, "split": f"other-{number % 500}", "cause": "set", "actor": "b"}
        pipe.xadd(scene.keys.log, {**entry, "why": "", "from": "{}", "to": "{}"})
        if number % 5_000 == 0:
            pipe.execute()
    pipe.execute()
    with scene.watched(f"history S behind {entries:,} entries that an older version wrote"):
        _one(scene, lambda control: control.history("split-00005"))
    since = scene.client.hget(scene.keys.latest, "_").split()[0].decode()
    ((last, _),) = scene.client.xrevrange(scene.keys.log, count=1)
    scene.client.hset(scene.keys.latest, "_", f"{since} {last.decode()}")  # as if this version had written them
    for what, act in (
        ("history S", lambda control: control.history("split-00005")),
        ("show", lambda control: control.show("split-00005")),
        ("undo", lambda control: control.undo("split-00005", confirm=True)),
    ):
        with scene.watched(f"{what} behind {entries:,} entries"):
            _one(scene, act)
        scene.rows[-3] = scene.rows[-3]._replace(goal=SECOND_MS)


def _one(scene: Scene, act: Callable[[Control], object]) -> None:
    with Control(scene.url, actor="benchmarks") as control:
        act(control)


def _verbs(scene: Scene) -> Iterator[Row]:
    for verb in (*LOOKED, *CHANGED):
        options = [] if verb in LOOKED else ["--yes", "--no-wait", "--why", "benchmark"]
        words = [sys.executable, "-m", "graysplit.cli", *verb.split(), "--url", scene.url, *options]
        began = time.monotonic()
        done = subprocess.run(words, capture_output=True, check=False, timeout=300)
        took_ms = (time.monotonic() - began) * 1000
        yield Row(f"graysplit {verb}", took_ms, VERB_MS, "ms", note=f"exit {done.returncode}")


def _anew(client: redis.Redis) -> int:
    """Return what a server needs that begins with the same content."""
    with embedded.server() as other, redis.Redis.from_url(other.url) as fresh:
        for key in client.scan_iter():
            fresh.restore(key, 0, client.dump(key) or b"")
        return _used(fresh)


def _started_now(url: str, settled_s: float) -> float:
    """Return what a process keeps that begins to follow now."""
    with followed(url) as fresh:
        time.sleep(min(settled_s, SETTLED_S))
        return fresh.ask("rss")


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _until(so: Callable[[], object], within_s: float) -> None:
    ends = time.monotonic() + within_s
    while not so() and time.monotonic() < ends:
        time.sleep(0.02)


def _ping(url: str, ended: threading.Event, longest: list[float]) -> None:
    with redis.Redis.from_url(url) as client:
        while not ended.wait(0.001):
            began = time.monotonic()
            client.ping()
            longest[0] = max(longest[0], time.monotonic() - began)


def main() -> int:
    """Measure and print; 0 also where goals are missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a twentieth of it: shows that it runs")
    amounts = SMALL if parser.parse_args().small else FULL
    sys.stdout.write(table("Sizes", measure(amounts)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
