"""Who ends in an ordinary way says goodbye; of the others those are told apart that are gone, stopped and cut off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.core.fleet import LIVE_MS
from graysplit.stores.redis.keys import keys_of
from tests.faults.command_line import Ran, graysplit_cli
from tests.faults.followers import ROOT, Follower
from tests.faults.proxy import Proxy
from tests.support import eventually, skip_or_fail

GONE_WITHIN_S: Final = 30.0  # the promise
ENDS_WITHIN_S: Final = 20.0  # what a crowded machine makes of a third of a second


@contextmanager
def follower(url: str, namespace: str, **settings: object) -> Iterator[Follower]:
    """Return a process that follows; it is killed if it still runs."""
    process = Follower(url=url, namespace=namespace, splits=["checkout"], **settings)
    try:
        process.ready()
        yield process
    finally:
        process.process.kill()
        process.stop()


def command(url: str, namespace: str, *words: str) -> Ran:
    """Run a command for scripts."""
    return graysplit_cli(url, namespace, "--json", *words)


@pytest.fixture
def own() -> Iterator[embedded.Server]:
    """Return a server of this test's own."""
    with embedded.server() as running:
        yield running


def pids(control: graysplit.Control, state: str) -> list[int]:
    """Return the processes that the fleet counts as such."""
    return [process.pid for process in getattr(control.fleet(), state)]


def side_by_side(control: graysplit.Control, number: int) -> bool:
    """Return whether so many live, and each was heard after the last of them was born: none is a successor."""
    live = control.fleet().live
    born_ms = [process.born_ms for process in live]
    return len(live) == number and 0 not in born_ms and all(process.seen_ms > max(born_ms) for process in live)


# --- goodbyes --------------------------------------------------------------------------------------------------------


def test_a_program_ended_by_sigterm_says_goodbye(redis_url: str, namespace: str) -> None:
    """It ends by the signal, as it would have, and nobody is left in the fleet."""
    with graysplit.Control(redis_url, namespace=namespace) as control, follower(redis_url, namespace) as one:
        assert pids(control, "live") == [one.pid]
        one.process.terminate()
        assert one.process.wait(ENDS_WITHIN_S) == -signal.SIGTERM
        assert control.fleet()[1:] == ((), ())


def test_more_of_sigterm_does_not_cut_the_goodbye_short(redis_url: str, namespace: str) -> None:
    """A parent that ends its daemonic children sends two, milliseconds apart."""
    with graysplit.Control(redis_url, namespace=namespace) as control, follower(redis_url, namespace) as one:

        def ended() -> bool:
            one.process.terminate()
            return one.process.poll() is not None

        eventually(ended, ENDS_WITHIN_S)
        assert one.process.wait(ENDS_WITHIN_S) == -signal.SIGTERM
        assert control.fleet()[1:] == ((), ())


def test_a_program_may_keep_its_sigterm_to_itself(redis_url: str, namespace: str) -> None:
    """Switched off, the default stands: it ends at once, and is counted."""
    with (
        graysplit.Control(redis_url, namespace=namespace) as control,
        follower(redis_url, namespace, sigterm=False) as one,
    ):
        one.process.terminate()
        assert one.process.wait(ENDS_WITHIN_S) == -signal.SIGTERM
        assert [process.pid for process in control.fleet().processes] == [one.pid]


def test_sigterm_ends_a_program_whose_redis_hangs(server: embedded.Server, namespace: str) -> None:
    """It is not kept by a goodbye that nobody hears."""
    with Proxy(server.port) as proxy, follower(proxy.url(server.url), namespace) as one:
        proxy.blackhole()
        one.process.terminate()
        assert one.process.wait(ENDS_WITHIN_S) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("own", "code"),
    [("lambda *_: sys.exit(3)", 3), ("signal.SIG_IGN", 0)],
)
def test_a_handler_of_the_program_is_left_alone(redis_url: str, namespace: str, own: str, code: int) -> None:
    """Whatever it does on SIGTERM, it does; and what ends it in the ordinary way says goodbye."""
    text = (
        "import os, signal, sys, graysplit\n"
        f"signal.signal(signal.SIGTERM, {own})\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "assert graysplit.Router(sys.argv[1], namespace=sys.argv[2]).wait_ready(20)\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", text, redis_url, namespace], timeout=60, check=False)
    assert done.returncode == code
    with graysplit.Control(redis_url, namespace=namespace) as control:
        assert control.fleet()[1:] == ((), ())


@contextmanager
def uvicorn(app: str, url: str, namespace: str, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Return a uvicorn that has answered."""
    if find_spec("uvicorn") is None:
        skip_or_fail("uvicorn is not installed here: its end is not tried")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = os.pathsep.join((str(folder), str(ROOT)))
    with (folder / "uvicorn.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--port", str(port), *words, app],
            cwd=folder,
            env={**os.environ, "GRAYSPLIT_URL": url, "GRAYSPLIT_NAMESPACE": namespace, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

        def serves() -> bool:
            with suppress(OSError), closing(urllib.request.urlopen(f"http://127.0.0.1:{port}/")) as answer:
                return bool(answer.read() == b"old")
            assert process.poll() is None, (folder / "uvicorn.log").read_text()
            return False

        try:
            eventually(serves, 60)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


APP: Final = """
import graysplit
gray = graysplit.Router()

async def app(scope, receive, send):
    if scope["type"] == "http":
        said = gray.choose("checkout", unit="user-1").encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})
"""


@pytest.mark.parametrize("how", ["by a request", "at import"])
def test_uvicorn_says_goodbye_without_a_line(redis_url: str, namespace: str, tmp_path: Path, how: str) -> None:
    """It sends itself its SIGTERM again when all is shut down; wherever its router started."""
    more = "gray.wait_ready(10)\n" if how == "at import" else ""
    (tmp_path / "shop.py").write_text(f"{APP}{more}")
    with graysplit.Control(redis_url, namespace=namespace) as control:
        with uvicorn("shop:app", redis_url, namespace, tmp_path) as web:
            eventually(lambda: pids(control, "live") == [web.pid], 20)
            web.terminate()
            assert web.wait(ENDS_WITHIN_S) == -signal.SIGTERM
        assert control.fleet()[1:] == ((), ())


def test_each_reload_of_uvicorn_says_goodbye(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """The old one leaves the fleet when the new one comes."""
    (tmp_path / "shop.py").write_text(f"{APP}gray.wait_ready(10)\n")
    with (
        graysplit.Control(redis_url, namespace=namespace) as control,
        uvicorn("shop:app", redis_url, namespace, tmp_path, "--reload", "--reload-dir", str(tmp_path)),
    ):
        (before,) = eventually(lambda: pids(control, "live"), 20)
        (tmp_path / "shop.py").write_text(f"{APP}gray.wait_ready(10)  # another\n")

        def replaced() -> bool:
            return before not in pids(control, "processes") and len(pids(control, "live")) == 1

        eventually(replaced, 60)


# --- gone, stopped, cut off ------------------------------------------------------------------------------------------


def test_who_was_killed_and_has_a_successor_is_gone(
    redis_url: str, namespace: str, record_property: Callable[[str, object], None]
) -> None:
    """CursorReading as gone within 30 s: named, not counted, and no command fails for it."""
    with graysplit.Control(redis_url, namespace=namespace) as control, follower(redis_url, namespace) as one:
        control.create("checkout")
        one.kill()
        killed = time.monotonic()
        with follower(redis_url, namespace) as two:
            eventually(lambda: pids(control, "gone") == [one.pid], GONE_WITHIN_S)
            record_property("gone after s", round(time.monotonic() - killed, 1))
            ran = command(redis_url, namespace, "rollback", "checkout")
            host = socket.gethostname()
            assert (ran.code, ran.json["lagging"], ran.json["silent"]) == (0, [], []), ran
            assert ran.json["gone"] == [f"{host}/{one.pid} (now {host}/{two.pid})"]
            assert (ran.json["confirmed"], ran.json["processes"]) == (1, 1)


def test_a_stopped_process_is_silent_whoever_comes_after_it(redis_url: str, namespace: str) -> None:
    """SIGSTOP keeps the connection: it may send calls again at any moment, so a command names it and ends with 6."""
    with graysplit.Control(redis_url, namespace=namespace) as control, follower(redis_url, namespace) as one:
        control.create("checkout")
        one.process.send_signal(signal.SIGSTOP)
        with follower(redis_url, namespace):
            eventually(lambda: pids(control, "silent") == [one.pid], 20)
            ran = command(redis_url, namespace, "rollback", "checkout")
            assert (ran.code, len(ran.json["silent"]), ran.json["gone"]) == (6, 1, []), ran


def test_two_that_were_killed_are_not_replaced_by_one(redis_url: str, namespace: str) -> None:
    """Each that comes takes one place."""
    with (
        graysplit.Control(redis_url, namespace=namespace) as control,
        follower(redis_url, namespace) as one,
        follower(redis_url, namespace) as two,
    ):
        eventually(lambda: side_by_side(control, 2), 20)
        one.kill()
        two.kill()
        with follower(redis_url, namespace):
            eventually(lambda: (len(pids(control, "gone")), len(pids(control, "silent"))) == (1, 1), GONE_WITHIN_S)


def test_where_connections_are_not_told_nobody_is_gone(own: embedded.Server, namespace: str) -> None:
    """A managed server may refuse CLIENT in any words: then a dead process is silent, for ten minutes as ever."""
    with redis.Redis.from_url(own.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-client|list")
    with graysplit.Control(own.url, namespace=namespace) as control, follower(own.url, namespace) as one:
        control.create("checkout")
        one.kill()
        with follower(own.url, namespace):
            eventually(lambda: pids(control, "silent") == [one.pid], 20)
            assert pids(control, "gone") == []
            ran = command(own.url, namespace, "rollback", "checkout")
            assert (ran.code, len(ran.json["silent"])) == (6, 1), ran


def test_after_a_restart_of_the_server_nothing_is_known_of_connections(namespace: str) -> None:
    """Client ids begin anew: a process that a run before had heard is silent, not gone."""
    with (
        embedded.server(appendonly=True) as own,
        graysplit.Control(own.url, namespace=namespace) as control,
        follower(own.url, namespace) as one,
    ):
        one.kill()
        own.kill()
        own.start()
        with follower(own.url, namespace):
            eventually(lambda: pids(control, "silent") == [one.pid], 20)
            assert pids(control, "gone") == []


def test_a_dead_process_does_not_live_in_the_future(redis_url: str, namespace: str) -> None:
    """The server's clock was set back by an hour: it is silent at once, and so counted for ten minutes."""
    hour_ms = 3_600_000
    with graysplit.Control(redis_url, namespace=namespace) as control, follower(redis_url, namespace) as one:
        boot = control.fleet().processes[0].boot
        one.kill()
        with redis.Redis.from_url(redis_url) as client:
            seen = keys_of(namespace).seen
            client.zadd(seen, {boot: int(client.time()[0]) * 1000 + hour_ms})
            assert (pids(control, "live"), pids(control, "silent")) == ([], [one.pid])
            with follower(redis_url, namespace) as two:
                eventually(lambda: pids(control, "live") == [two.pid], 20)
                score = client.zscore(seen, boot)
                assert score is not None
                assert score < control.fleet().now_ms - LIVE_MS


def test_who_is_known_to_be_dead_is_forgotten_by_hand(redis_url: str, namespace: str) -> None:
    """`fleet --forget` takes it out; one that lives is refused, and a name that nobody has gets the nearest."""
    host = socket.gethostname()
    with (
        graysplit.Control(redis_url, namespace=namespace) as control,
        follower(redis_url, namespace) as one,
        follower(redis_url, namespace) as two,
    ):
        control.create("checkout")
        eventually(lambda: side_by_side(control, 2), 20)
        one.kill()
        eventually(lambda: pids(control, "silent") == [one.pid], 20)
        ran = command(redis_url, namespace, "fleet", "--forget", f"{host}/{two.pid}")
        assert ran.code == 1, ran
        assert "is live" in ran.err
        ran = command(redis_url, namespace, "fleet", "--forget", f"{host}/{one.pid}0")
        assert ran.code == 1, ran
        assert f"graysplit fleet --forget {host}/{one.pid}" in ran.err
        ran = command(redis_url, namespace, "fleet", "--forget", f"{host}/{one.pid}")
        assert [found["process"] for found in ran.json["forgotten"]] == [f"{host}/{one.pid}"], ran
        assert (pids(control, "processes"), pids(control, "gone")) == ([two.pid], [])
        assert command(redis_url, namespace, "rollback", "checkout").code == 0
