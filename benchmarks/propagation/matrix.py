"""Faults, and how long what they hide stays unseen, in each way of following: a table of promises and figures.

    python -m benchmarks.propagation --matrix

R3 is `tracking`, R2 `redirect`, RX `log` (see docs/explanation/consistency.md). A whole router follows a real server
through a TCP proxy and is looked at every millisecond. Each figure is the longest staleness seen, in seconds: from the
write, or from the moment the fault was over, to the router's decision by the last value. `noticed` is from the fault to
the status `lost`; `kept` counts decisions that changed though nobody had written. iptables is the black hole's twin.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import redis

import graysplit
from benchmarks.propagation.crowds import FIELD, SPLIT
from benchmarks.report import Row, progress
from benchmarks.setting import WEIGHTS_KEY, until
from graysplit import embedded
from tests.faults.proxy import Proxy

LOOK_EVERY_S: Final = 0.001
UNIT: Final = "user-1"
# A user without CLIENT gets neither way of being signalled, and asks the log.
LOG_USER: Final = ("--user", "log", "on", ">pw", "~*", "&*", "+@all", "-client")
BALLAST: Final = 12_000  # keys that take a second to load
ROUNDS: Final = 5
UNEVEN_S: Final = 0.6
SETTLE_S: Final = 0.5
BUSY_S: Final = 0.25  # room for whatever else this machine does
AT_ONCE_S: Final = 0.1 + BUSY_S
POLLED_S: Final = 2.0 + BUSY_S
CONTACT_S: Final = 1.5 + BUSY_S
FULL_READ_S: Final = 15.0 * 1.25 + BUSY_S


class Way(NamedTuple):
    """One way of following, and how to bring it about."""

    name: str
    mode: str
    user: str = ""
    query: str = ""


WAYS: Final = (
    Way("R3", "tracking"),
    Way("R2", "redirect", query="?protocol=2"),
    Way("RX", "log", user="log:pw@"),
)


class Scene(NamedTuple):
    """A server, the proxy before it, somebody who writes, and a router that follows."""

    server: embedded.Server
    proxy: Proxy
    control: graysplit.Control
    client: Any  # Any: redis-py's answers are unions
    router: graysplit.Router
    changes: list[tuple[float, str]]  # when the decision changed, and to what

    def current(self, version: str, since: float) -> float:
        """Wait until the decision is a version's, and return the seconds since a time; 0 if it was so before."""
        until(lambda: bool(self.changes) and self.changes[-1][1] == version, f"{version} decides")
        return max(0.0, self.changes[-1][0] - since)

    def noticed(self, since: float) -> float:
        """Wait until the loss of contact shows, and return the seconds since a time."""
        until(lambda: self.router.status().mode == "lost", "the loss is noticed")
        return time.monotonic() - since

    def write(self, version: str) -> float:
        """Edit the weight by hand; give when."""
        began = time.monotonic()
        self.client.hset(WEIGHTS_KEY, FIELD, "100" if version == "new" else "0")
        return began

    def sow(self) -> float:
        """Make an emptied store whole from what the router runs on, and lower the weight; give when.

        Any other first write is refused there; the recovery itself changes no decision.
        """
        until(lambda: any(process.receipt.revision for process in self.control.fleet().live), "the router tells")
        self.control.recover(source="fleet", why="emptied", confirm=True)
        began = time.monotonic()
        self.control.set(SPLIT, 0)
        return began

    def followed(self) -> None:
        """Wait until the router has contact again."""
        until(lambda: self.router.status().mode not in ("lost", "starting"), "the router follows")


Found = dict[str, float]  # by what was measured: current, noticed, kept


class Fault(NamedTuple):
    """One row: what happens, how to do it, and what is promised (seconds; another for RX where it has less)."""

    name: str
    act: Callable[[Scene], Found]
    current_s: float = CONTACT_S
    log_s: float | None = None
    noticed_s: float = CONTACT_S

    def promised(self, what: str, way: Way) -> float:
        """Return the bound of one figure."""
        if what == "kept":
            return 0.0
        if what == "noticed":
            return self.noticed_s
        return self.log_s if self.log_s is not None and way.mode == "log" else self.current_s


def raw_edit(scene: Scene) -> Found:
    """Write by hand, several times."""
    found = [scene.current(version, scene.write(version)) for version in ("old", "new") * ROUNDS]
    return {"current": max(found)}


def by_command(scene: Scene) -> Found:
    """Write by graysplit, several times."""
    found: list[float] = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        scene.control.rollback(SPLIT)
        found.append(scene.current("old", began))
        began = time.monotonic()
        scene.control.set(SPLIT, 100, allow_needless=True, unstop=True)
        found.append(scene.current("new", began))
    return {"current": max(found)}


def rapid_writes(scene: Scene) -> Found:
    """Write ten thousand times; the last counts."""
    for start in range(0, 10_000, 100):
        pipe = scene.client.pipeline(transaction=False)
        for number in range(start, start + 100):
            pipe.hset(WEIGHTS_KEY, FIELD, str(number % 100))
        pipe.execute()
    return {"current": scene.current("old", scene.write("old"))}


def killed_connection(scene: Scene) -> Found:
    """Kill the follower's connections and write right behind."""
    found: list[float] = []
    for version in ("old", "new") * ROUNDS:
        scene.client.client_kill_filter(_type="normal", skipme=True)
        found.append(scene.current(version, scene.write(version)))
        scene.followed()
    return {"current": max(found)}


def restarted_empty(scene: Scene) -> Found:
    """Kill the server and its data; then sow anew from what the router holds, and write."""
    began, before = time.monotonic(), len(scene.changes)
    scene.server.kill()
    noticed = scene.noticed(began)
    shutil.rmtree(scene.server.folder / "appendonlydir")
    scene.server.start()
    scene.followed()
    began = scene.sow()
    kept = sum(at < began for at, _ in scene.changes[before:])
    return {"noticed": noticed, "kept": kept, "current": scene.current("old", began)}


def restarted(scene: Scene) -> Found:
    """Kill the server; it comes back with its data, and is written to."""
    before = len(scene.changes)
    began = time.monotonic()
    scene.server.kill()
    noticed = scene.noticed(began)
    kept = len(scene.changes) - before
    scene.server.start()
    scene.client.ping()
    return {"noticed": noticed, "kept": kept, "current": scene.current("old", scene.write("old"))}


def loading(scene: Scene) -> Found:
    """Kill the server; it takes a second to load its data."""
    pipe = scene.client.pipeline(transaction=False)
    for number in range(BALLAST):
        pipe.set(f"ballast-{number}", "x")
    pipe.execute()
    before = len(scene.changes)
    scene.server.kill()
    scene.server._arguments += ("--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")  # noqa: SLF001 - settings for one start
    scene.server.start()
    kept = len(scene.changes) - before
    return {"kept": kept, "current": scene.current("old", scene.write("old"))}


def stopped(scene: Scene) -> Found:
    """Stop the server's process for three seconds."""
    return _silenced(scene, scene.server.pause, scene.server.resume, 3.0)


def black_hole(scene: Scene) -> Found:
    """Let nothing through for three seconds, connections open."""
    return _silenced(scene, scene.proxy.blackhole, scene.proxy.heal, 3.0)


def paused(scene: Scene) -> Found:
    """`CLIENT PAUSE` for three seconds: connections open, answers late."""
    return _silenced(scene, lambda: scene.client.client_pause(3_000), scene.client.ping, 3.0)


def _silenced(scene: Scene, begin: Callable[[], object], end: Callable[[], object], seconds: float) -> Found:
    found: list[tuple[float, int, float]] = []
    for number, version in enumerate(("old", "new", "old")):
        before, began = len(scene.changes), time.monotonic()
        begin()
        noticed = scene.noticed(began)
        time.sleep(max(0.0, began + seconds + number * UNEVEN_S - time.monotonic()))  # at another point of an attempt
        kept = len(scene.changes) - before
        over = time.monotonic()
        end()
        scene.write(version)
        found.append((noticed, kept, scene.current(version, over)))
        scene.followed()
    return dict(zip(("noticed", "kept", "current"), map(max, zip(*found, strict=True)), strict=True))


def flushed(scene: Scene) -> Found:
    """`FLUSHALL`; then sow anew from what the router holds, and write."""
    before = len(scene.changes)
    scene.client.flushall()
    until(lambda: bool(scene.router.status().lost), "the keys are lost")
    began = scene.sow()
    kept = sum(at < began for at, _ in scene.changes[before:])
    return {"kept": kept, "current": scene.current("old", began)}


def swapped(scene: Scene) -> Found:
    """Swap in a database that holds another weight: nothing is pushed, the full reading finds it."""
    for key in scene.client.keys("graysplit:*"):
        scene.client.copy(key, key, destination_db=1)
    with redis.Redis(port=scene.server.port, db=1) as other:
        other.hset(WEIGHTS_KEY, FIELD, "0")
    time.sleep(SETTLE_S)  # the same key's name in another database is pushed: that reading is over
    began = time.monotonic()
    scene.client.swapdb(0, 1)
    return {"current": scene.current("old", began)}


FAULTS: Final = (
    Fault("raw HSET", raw_edit, AT_ONCE_S, POLLED_S),
    Fault("set and rollback", by_command, AT_ONCE_S),
    Fault("10,000 writes, the last", rapid_writes, AT_ONCE_S, POLLED_S),
    Fault("CLIENT KILL, write behind", killed_connection),
    Fault("kill -9, restart empty", restarted_empty, CONTACT_S, POLLED_S),
    Fault("kill -9, restart with AOF", restarted),
    Fault("restart, 1 s of loading", loading),
    Fault("SIGSTOP for 3 s", stopped),
    Fault("black hole for 3 s", black_hole),
    Fault("CLIENT PAUSE for 3 s", paused),
    Fault("FLUSHALL, sown anew", flushed, AT_ONCE_S, POLLED_S),
    Fault("SWAPDB, another weight", swapped, FULL_READ_S, POLLED_S),
)


@contextmanager
def scene_of(way: Way) -> Iterator[Scene]:
    """Return a scene at 100 %, followed one way."""
    with (
        embedded.server(appendonly=True, arguments=LOG_USER) as server,
        Proxy(server.port) as proxy,
        graysplit.Control(server.url, actor="benchmarks", confirm=True) as control,
        redis.Redis.from_url(server.url) as client,
    ):
        control.create(SPLIT)
        control.set(SPLIT, 100, allow_needless=True)
        url = proxy.url(server.url).replace("redis://", f"redis://{way.user}") + way.query
        with graysplit.Router(url) as router:
            router.wait_ready(20)
            until(lambda: router.status().mode == way.mode, way.mode)
            ending = threading.Event()
            changes: list[tuple[float, str]] = []
            looking = threading.Thread(target=_look, args=(router, changes, ending))
            looking.start()
            try:
                scene = Scene(server, proxy, control, client, router, changes)
                scene.current("new", time.monotonic())
                yield scene
            finally:
                ending.set()
                looking.join()


def _look(router: graysplit.Router, changes: list[tuple[float, str]], ending: threading.Event) -> None:
    while not ending.wait(LOOK_EVERY_S):
        version = router.choose(SPLIT, UNIT)
        if not changes or changes[-1][1] != version:
            changes.append((time.monotonic(), version))


def measure(faults: tuple[Fault, ...] = FAULTS) -> list[tuple[Fault, Way, Found]]:
    """Do every fault in every way, each in a scene of its own."""
    found: list[tuple[Fault, Way, Found]] = []
    for fault in faults:
        for way in WAYS:
            progress(f"{fault.name}, {way.name}")
            with scene_of(way) as scene:
                found.append((fault, way, fault.act(scene)))
    return found


def rows(found: list[tuple[Fault, Way, Found]]) -> list[Row]:
    """Return every figure with its promise."""
    return [
        Row(f"{fault.name}, {way.name}: {what}", value, fault.promised(what, way), "" if what == "kept" else "s")
        for fault, way, figures in found
        for what, value in figures.items()
    ]


HEADER: Final = ("fault", "", "promised", *(way.name for way in WAYS), "")


def grid(found: list[tuple[Fault, Way, Found]]) -> list[tuple[str, ...]]:
    """Return one line for each fault and figure, the ways beside each other."""
    lines: list[tuple[str, ...]] = []
    for fault in dict.fromkeys(fault for fault, _, _ in found):
        figures = {way: figure for other, way, figure in found if other is fault}
        for what in next(iter(figures.values())):
            name = fault.name if what == next(iter(next(iter(figures.values())))) else ""
            bounds = dict.fromkeys(f"{fault.promised(what, way):.2f}" for way in WAYS)
            broken = any(figure[what] > fault.promised(what, way) for way, figure in figures.items())
            cells = [f"{figure[what]:.3f}" if what != "kept" else f"{figure[what]:.0f}" for figure in figures.values()]
            promised = "0" if what == "kept" else " / ".join(bounds)
            lines.append((name, "changed" if what == "kept" else what, promised, *cells, "over" if broken else "ok"))
    return lines
