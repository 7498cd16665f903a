"""Notices of a whole fleet on a real server: each change once, at least once, and nobody waits for a hook."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from graysplit import Control, Router
from graysplit.notices import Webhook
from tests.faults.followers import processes
from tests.support import eventually


class Receiver:
    """A webhook's other end: it remembers what it got, and may refuse or let everybody wait."""

    def __init__(self) -> None:
        """Open on a free port."""
        self.got: list[dict[str, Any]] = []  # Any: JSON
        self.status = 204
        self.open = threading.Event()
        self.open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def do_POST(self) -> None:
                """Take it."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.headers["X-Graysplit-Change"] == body["change"]
                receiver.got.append(body)
                receiver.open.wait(20)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Close."""
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def causes(self) -> list[str]:
        """Name what it was told, in order."""
        return [body["cause"] for body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a webhook's other end."""
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[Control]:
    """Give an operator of this test's namespace."""
    with Control(redis_url, namespace=namespace, actor="ana") as found:
        yield found


def begun(control: Control) -> bool:
    """Say whether the hook has been taken note of: what comes from now on is told."""
    from graysplit.stores.redis.store import RedisStore

    assert isinstance(control.store, RedisStore)
    return bool(control.store.told().texts)


def test_three_processes_tell_each_change_once(
    redis_url: str, namespace: str, control: Control, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, with one id each, and nothing of what was before the hook."""
    control.create("checkout", ("old", "new"))
    control.rollback("checkout", why="before there was a hook")
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", receiver.url)
    with processes(3, redis_url, namespace):
        eventually(lambda: begun(control), within=20)
        for weight in range(1, 6):
            control.set("checkout", weight)
            control.rollback("checkout", why=f"number {weight}")
        eventually(lambda: len(receiver.got) >= 5, within=30)
        control.freeze("*", why="night")
        eventually(lambda: "freeze" in receiver.causes(), within=30)
    assert receiver.causes() == ["rollback"] * 5 + ["freeze"]
    assert [body["why"] for body in receiver.got[:5]] == [f"number {weight}" for weight in range(1, 6)]
    assert max(Counter(body["change"] for body in receiver.got).values()) == 1


def test_a_hook_that_hangs_delays_nobody(redis_url: str, namespace: str, control: Control, receiver: Receiver) -> None:
    """While it keeps the second thread waiting, changes arrive as ever, and closing is prompt."""
    control.create("checkout", ("old", "new"))
    receiver.open.clear()
    router = Router(redis_url, namespace=namespace, notify=Webhook(receiver.url))
    try:
        assert router.wait_ready(5)
        eventually(lambda: begun(control), within=20)
        control.rollback("checkout")
        eventually(lambda: receiver.got, within=20)
        control.set("checkout", 100, yes=True)
        eventually(lambda: router.choose("checkout", "ana") == "new", within=2)
        control.rollback("checkout")
        eventually(lambda: router.choose("checkout", "ana") == "old", within=2)
    finally:
        began = time.monotonic()
        router.close()
    assert time.monotonic() - began < 5
    assert len(receiver.got) == 1


def test_what_was_refused_is_told_again_with_the_same_id(
    redis_url: str, namespace: str, control: Control, receiver: Receiver
) -> None:
    """A hook that answers 500 gets it once more, and the next change after it."""
    control.create("checkout", ("old", "new"))
    receiver.status = 500
    with Router(redis_url, namespace=namespace, notify=Webhook(receiver.url)) as router:
        assert router.wait_ready(5)
        eventually(lambda: begun(control), within=20)
        control.rollback("checkout", why="first")
        eventually(lambda: receiver.got, within=20)
        receiver.status = 204
        control.rollback("checkout", why="second")
        eventually(lambda: [body["why"] for body in receiver.got] == ["first", "first", "second"], within=30)
    assert receiver.got[0]["change"] == receiver.got[1]["change"] != receiver.got[2]["change"]


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_who_dies_while_telling_is_followed_by_another(
    redis_url: str, namespace: str, control: Control, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: it is told again, with the same change id."""
    control.create("checkout", ("old", "new"))
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", receiver.url)
    with processes(2, redis_url, namespace) as followers:
        eventually(lambda: begun(control), within=20)
        receiver.open.clear()
        control.rollback("checkout", why="once at least")
        eventually(lambda: receiver.got, within=20)
        boots = {follower.pid: follower.ask("status") for follower in followers}
        teller = json.loads(next(iter(control_told(control).values())))["teller"]
        dying = next(f for f in followers if teller in json.dumps(boots[f.pid]))
        dying.kill()
        receiver.open.set()
        eventually(lambda: len(receiver.got) >= 2, within=60)
    assert {body["change"] for body in receiver.got} == {receiver.got[0]["change"]}


def control_told(control: Control) -> dict[str, str]:
    """Give what stands of each hook."""
    from graysplit.stores.redis.store import RedisStore

    assert isinstance(control.store, RedisStore)
    return dict(control.store.told().texts)
