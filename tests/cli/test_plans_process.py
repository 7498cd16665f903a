"""Plans as a process at a terminal and a pipeline see them, on a real server."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.control import Control
from graysplit.control.steps import Step
from tests.cli.test_process import CLI, running, surroundings
from tests.support import eventually


@pytest.fixture
def own() -> Iterator[embedded.Server]:
    """Return a server of this test's own that keeps its data over a crash."""
    with embedded.server(appendonly=True, arguments=("--appendfsync", "always")) as found:
        yield found


@contextmanager
def following(url: str, namespace: str = "default") -> Iterator[graysplit.Router]:
    """Have a process that declares `checkout`, follows, and may drive."""
    router = graysplit.Router(url, namespace=namespace)
    router.split("checkout", "old", "new")
    try:
        router.start()
        assert router.wait_ready(10.0)
        yield router
    finally:
        router.close()


@pytest.mark.usefixtures("server")
def test_a_pipeline_lives_through_a_restart_of_redis(own: embedded.Server) -> None:
    """Killed and started again while a plan runs: the outage is said, and the plan's end is exit 0."""
    with following(own.url), closing(Control(own.url, actor="ada@lab")) as control:
        control.ramp("checkout", (Step(5, approve=True), Step(20)))
        before = _clients(own.url)
        with running(own.url, "default", "wait", "checkout", "--until", "done", "--timeout", "90s", "--json") as ran:
            said = _told(ran)
            eventually(lambda: _settled(own.url, before), 20.0)
            own.kill()
            eventually(lambda: any("no contact" in line for line in said), 20.0)
            own.start()
            eventually(lambda: "contact to the store again" in said, 20.0)
            assert ran.poll() is None
            control.set("checkout", 20)  # a driver would wait for ten seconds now: the server has just started
            assert ran.wait(30) == 0
            assert ran.stdout is not None
            found = json.loads(ran.stdout.read())
    assert (found["outcome"], found["why"]) == ("met", "its plan is done, at 20%")


def test_a_terminal_shows_the_live_tree(redis_url: str, namespace: str) -> None:
    """Redrawn each second though nothing changes, so that the countdown moves; within 80 columns, without colour."""
    with closing(Control(redis_url, namespace=namespace, actor="ada@lab")) as control:
        control.create("checkout", ["old", "new"])
        control.ramp("checkout", (Step(5, 600, approve=True), Step(20)))
        mine, its = pty.openpty()
        with subprocess.Popen(
            [*CLI, "watch", "checkout"],
            env={**surroundings(redis_url, namespace), "TERM": "xterm", "NO_COLOR": "1"},
            stdin=its,
            stdout=its,
            stderr=its,
        ) as process:
            try:
                shown = _Screen(mine)
                eventually(lambda: shown.frames() >= 3, 30.0)
                control.pause("checkout", why="lunch")
                last = eventually(lambda: shown.text("paused by ada@lab"), 10.0)
            finally:
                process.send_signal(signal.SIGINT)
                assert process.wait(20) == 130
                os.close(its)
                os.close(mine)
    for part in ("new: set 5%, in force 5%", "shown by all", "after 10m", "approve", "last change: "):
        assert part in last, last
    assert "\x1b[3" not in last  # no colour
    assert all(len(line) <= 80 for line in last.replace("\x1b[K", "").splitlines()), last


def test_lines_tell_each_turn_of_a_plan_once(redis_url: str, namespace: str) -> None:
    """Changes, and what the plan waits for when that changes; nothing as time goes by."""
    with (
        following(redis_url, namespace),
        closing(Control(redis_url, namespace=namespace, actor="ada@lab")) as control,
    ):
        control.ramp("checkout", (Step(5, 600), Step(20)))
        eventually(lambda: _state(control) == "counts", 20.0)
        with running(redis_url, namespace, "watch", "checkout", "--json") as ran:
            said = _told(ran, of="stdout")
            eventually(lambda: _events(said) == ["plan"], 20.0)
            control.pause("checkout", why="lunch")
            eventually(lambda: _events(said) == ["plan", "change", "plan"], 10.0)
            control.resume("checkout")
            eventually(lambda: _events(said) == ["plan", "change", "plan", "change", "plan"], 10.0)
            control.rollback("checkout")
            eventually(lambda: _events(said)[5:7] == ["change", "weights"], 10.0)
            ran.send_signal(signal.SIGINT)
            assert ran.wait(20) == 130
    *states, ended = [json.loads(line) for line in said]
    assert [state["state"] for state in states if state["event"] == "plan"] == ["counts", "stands", "counts"]
    assert ended["exit"] == 130
    assert states[-1]["effective"] == 0


@pytest.mark.usefixtures("server")
def test_a_watch_lives_through_a_restart_of_redis(own: embedded.Server) -> None:
    """What changed afterwards is told, and nothing twice."""
    with closing(Control(own.url, actor="ada@lab")) as control:
        control.create("checkout", ["old", "new"])
        before = _clients(own.url)
        with running(own.url, "default", "watch", "--json", "--count", "2") as ran:
            said = _told(ran, of="stdout")
            eventually(lambda: _settled(own.url, before), 20.0)
            control.set("checkout", 5)
            eventually(lambda: "change" in _events(said), 10.0)
            own.kill()
            own.start()
            control.set("checkout", 7)
            assert ran.wait(30) == 0
    changes = [json.loads(line) for line in said if json.loads(line)["event"] == "change"]
    assert [change["after"]["weights checkout/new"] for change in changes] == ["5", "7"]


def test_wait_without_a_store_ends_with_5_at_once() -> None:
    """A mistyped address keeps no pipeline waiting."""
    ran = subprocess.run(
        [*CLI, "wait", "checkout", "--until", "done", "--timeout", "10m"],
        env=surroundings("redis://127.0.0.1:1", "default"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 5


class _Screen:
    """What a terminal has been sent."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._sent = ""

    def text(self, part: str) -> str:
        """Return the last whole frame that holds a text, or nothing."""
        self._read()
        frames = self._sent.split("\x1b[H")
        return next((frame for frame in reversed(frames) if "\x1b[J" in frame and part in frame), "")

    def frames(self) -> int:
        """Count the frames."""
        self._read()
        return self._sent.count("\x1b[H")

    def _read(self) -> None:
        while select.select([self._end], [], [], 0)[0]:
            try:
                self._sent += os.read(self._end, 65_536).decode()
            except OSError:
                return


def _told(process: subprocess.Popen[str], of: str = "stderr") -> list[str]:
    """Collect the lines of a process as they come."""
    lines: list[str] = []
    stream = process.stderr if of == "stderr" else process.stdout
    assert stream is not None

    def read() -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))  # noqa: PERF401 - each is there as soon as it comes

    threading.Thread(target=read, daemon=True).start()
    return lines


def _events(lines: list[str]) -> list[str]:
    return [json.loads(line)["event"] for line in lines]


def _clients(url: str) -> dict[str, tuple[int, str]]:
    """Return the clients of a server, each with the seconds since it connected and its last command."""
    with closing(redis.Redis.from_url(url)) as client:
        return {found["id"]: (int(found["age"]), found["cmd"]) for found in client.client_list()}


def _settled(url: str, before: dict[str, tuple[int, str]]) -> bool:
    """Return whether a new client has been there for long enough to have looked, and has read."""
    return any(age >= 2 and cmd == "exec" for id_, (age, cmd) in _clients(url).items() if id_ not in before)


def _state(control: Control) -> str:
    plan = control.show("checkout").plan
    return plan.state if plan else ""
