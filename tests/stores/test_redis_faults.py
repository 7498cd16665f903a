"""What a server says when it is of no use: again soon, again seldom, or one key's fault; by real answers."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

import pytest
from redis import Redis, exceptions
from redis.connection import Connection

from graysplit import embedded
from graysplit.errors import ConfigurationError, StoreUnreachableError
from graysplit.router.router import Router
from graysplit.stores import store_from_url
from graysplit.stores.redis.faults import fault, is_condition, is_fatal, unreachable
from graysplit.testing.contract import seed
from tests.stores.proxy import Proxy
from tests.stores.test_redis_feed import fill
from tests.support import eventually
from tests.topologies.servers import server as started

_COMMAND: Final = re.compile(rb"(?:^|\r\n)\*\d+(?=\r\n)")


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """Return the address of something that says the same to each command."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                lines.append(line)
                threading.Thread(target=reply, args=(line,), daemon=True).start()

    def reply(line: socket.socket) -> None:
        with suppress(OSError):
            while data := line.recv(65_536):
                line.sendall(answer * len(_COMMAND.findall(data)))

    lines: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for line in lines:
        line.close()


def why(act: Callable[[], object]) -> StoreUnreachableError:
    """Return the error with which something ends."""
    with pytest.raises(StoreUnreachableError) as found:
        act()
    return found.value


@pytest.mark.parametrize(
    ("answer", "words", "patient"),
    [
        ("-LOADING Redis is loading the dataset in memory", "loading", False),
        ("-READONLY You can't write against a read only replica.", "replica", False),
        ("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "cut off", False),
        ("-CLUSTERDOWN The cluster is down", "cluster is down", False),
        ("-TRYAGAIN Multiple keys request during rehashing of slot", "on the way", False),
        ("-MOVED 866 127.0.0.1:7001", "another node", False),
        ("-ASK 866 127.0.0.1:7001", "another node", False),
        ("-BUSY Redis is busy running a script. You can only call SCRIPT KILL.", "script", False),
        ("-ERR max number of clients reached", "connections", False),
        ("-NOAUTH Authentication required.", "requires a user", True),
        ("-WRONGPASS invalid username-password pair or user is disabled.", "refuses the user", True),
        ("-NOPERM User u has no permissions to run the 'hello' command", "rights", True),
    ],
)
def test_each_answer_is_told_in_words_and_known_to_pass_or_not(answer: str, words: str, patient: bool) -> None:
    """Operators and followers read the same words; only what a person must mend makes a follower patient."""
    with saying(f"{answer}\r\n".encode()) as url:
        store = store_from_url(url)
        for act in (store.load, store.fleet, lambda: store.follow().load("", whole=True)):
            found = why(act)
            assert words in found.reason, (act, found.reason)
            assert found.patient is patient, act
        store.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b":many\r\n",
        b"$many\r\n",
        b"*2\r\n:1\r\n?\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"\r\n\r\n\r\n",
    ],
)
def test_what_is_no_redis_is_an_outage(answer: bytes) -> None:
    """A web server, a shell, a TLS port, rubbish: the store cannot be reached, and that is all."""
    with saying(answer * 3) as url:
        store = store_from_url(url)
        began = time.monotonic()
        for act in (store.load, store.fleet, store.follow):
            assert not why(act).patient
        assert time.monotonic() - began < 10
        store.close()


@pytest.mark.parametrize("text", ["WRONGTYPE Operation against a key holding the wrong kind of value", "NOPERM x"])
def test_what_concerns_a_key_ends_no_connection(text: str) -> None:
    """A key of the wrong type, or a forbidden one, is that key's fault alone."""
    error = exceptions.ResponseError(text)
    assert not is_condition(error)
    assert not is_fatal(error)
    assert fault(error) in ("of the wrong type", "not readable (no permission)")


def test_a_right_that_is_missing_makes_patient() -> None:
    """Asked again every second a server would log every second what only a person can end."""
    assert unreachable("store", exceptions.NoPermissionError("x")).patient
    assert not unreachable("store", exceptions.OutOfMemoryError("x")).patient
    assert not unreachable("store", exceptions.ConnectionError("x")).patient


def test_a_wrong_password_is_tried_seldom(record_property: Callable[[str, object], None]) -> None:
    """The first refusal is told at once; the next attempt is half a minute away, and closing does not wait for it."""
    with started() as own, Redis.from_url(own.url) as client:
        client.execute_command("ACL", "SETUSER", "u", "on", ">right", "~*", "&*", "+@all")
        with closing(Router(own.url.replace("redis://", "redis://u:wrong@"))) as router:
            router.start()
            eventually(lambda: "refuses the user" in router.status().reason, 10)
            before = _refused(client)
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 3.0, 5)
            record_property("attempts in 3 s", _refused(client) - before)
            assert _refused(client) == before
            began = time.monotonic()
        assert time.monotonic() - began < 1.0


def _refused(client: Redis) -> int:
    entries = client.acl_log()
    return sum(int(entry["count"]) for entry in entries if entry["reason"] == "auth")


@pytest.mark.parametrize("greeting", [b"*14\r\n$6\r\nserver\r\n", b""])
def test_a_greeting_that_drips_in_ends(greeting: bytes) -> None:
    """HELLO, AUTH and SELECT have one end in time, however slowly their answers come."""

    def drip() -> None:
        with suppress(OSError):
            while True:
                line, _ = listener.accept()
                threading.Thread(target=one, args=(line,), daemon=True).start()

    def one(line: socket.socket) -> None:
        with suppress(OSError), line:
            line.recv(65_536)
            for byte in greeting + b"$9999\r\n" + b"x" * 9_999:
                line.sendall(bytes([byte]))
                if ended.wait(0.1):
                    return

    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        store = store_from_url(f"redis://u:hush@127.0.0.1:{listener.getsockname()[1]}/3")
        for act in (store.load, store.follow):
            began = time.monotonic()
            assert "no answer in time" in why(act).reason
            assert time.monotonic() - began < 4
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        store.close()


@pytest.mark.skipif(
    "timeout" not in (Connection.read_response.__kwdefaults__ or {}), reason="redis-py 6 waits for bytes"
)
def test_a_big_reading_that_drips_in_ends(server: embedded.Server, redis_url: str, namespace: str) -> None:
    """A refresh has an end in all, also where its definitions come in pieces."""
    store = store_from_url(redis_url, namespace)
    seed(store)
    with Redis.from_url(redis_url) as client:
        fill(client, namespace, 1_500)
    with Proxy(server.port) as proxy:
        feed = store_from_url(proxy.url(server.url), namespace).follow()
        feed.load("", whole=True)
        proxy.drip_s = 0.002
        began = time.monotonic()
        why(lambda: feed.load("", whole=True))
        assert time.monotonic() - began < 8
        feed.close()
    store.close()


def test_an_address_that_cannot_be_read_is_no_outage() -> None:
    """What a person typed wrong is told as such, at once."""
    with pytest.raises(ConfigurationError):
        store_from_url("redis://host:port/0")
