"""One delivery to a webhook or a command: what is sent, and what counts as taken."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from graysplit import CommandHook, Webhook
from graysplit.notices import hooks
from graysplit.notices.hooks import Hook
from graysplit.notices.not_taken import NotTakenError
from graysplit.notices.payload import Notice
from tests.notices.recorder import Recorder
from tests.support import eventually, skip_or_fail

PATH = "known-to-few"
NOTICE = Notice("c0ffee", "checkout", "rollback", b'{"change":"c0ffee"}')


def refusal(hook: Hook) -> str:
    """Deliver what is not taken, and return the reason."""
    with pytest.raises(NotTakenError) as caught:
        hook.deliver(NOTICE)
    return str(caught.value)


def test_a_webhook_gets_the_json_and_the_change(recorder: Recorder) -> None:
    """By POST, with the change's id in a header, and user and password as HTTP wants them."""
    url = recorder.url.replace("//", "//ada:p%40ss@")
    Webhook(f"{url}/hook?x=1").deliver(NOTICE)
    assert recorder.bodies == [{"change": "c0ffee"}]
    assert recorder.paths == ["/hook?x=1"]
    (headers,) = recorder.headers
    assert headers["X-Graysplit-Change"] == "c0ffee"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic YWRhOnBAc3M="


@pytest.mark.parametrize(("status", "said"), [(500, "it answered 500"), (404, "it answered 404"), (302, "no redirect")])
def test_what_is_not_2xx_is_not_taken(recorder: Recorder, status: int, said: str) -> None:
    """A redirect is followed nowhere: the other host would be told."""
    recorder.answer = lambda _: status
    assert said in refusal(Webhook(recorder.url))
    assert recorder.paths == ["/"]


def test_nobody_there_is_said_without_the_address() -> None:
    """The system's word for it, and nothing of the path."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert refusal(Webhook(f"http://127.0.0.1:{port}/{PATH}")) == "Connection refused"


@pytest.mark.parametrize("drip", [b"", b"x"])
def test_a_webhook_that_hangs_or_drips_is_given_up(drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is for the whole answer: a byte now and then does not lengthen it."""
    monkeypatch.setattr(hooks, "WITHIN_S", 0.3)
    with dripping(drip) as port:
        assert refusal(Webhook(f"http://127.0.0.1:{port}/")) == "no answer within 0.3 s"


@contextmanager
def dripping(drip: bytes) -> Iterator[int]:
    """Serve one connection a header without end."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.05):
                try:
                    connection.sendall(drip)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


def test_a_certificate_that_nobody_signed_is_not_trusted(tmp_path: Path) -> None:
    """Whoever answers in the host's place is told nothing."""
    tool = shutil.which("openssl") or skip_or_fail("TLS needs openssl: install Debian's package openssl")
    names = ("-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1")
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", *names, "-keyout", "key", "-out", "own")
    subprocess.run([tool, *words], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    with posing(tmp_path) as (port, heard):
        assert "its certificate is not valid: self" in refusal(Webhook(f"https://127.0.0.1:{port}/"))
    assert heard == []


@contextmanager
def posing(folder: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection with a certificate of one's own, and keep what is heard."""
    papers = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    papers.load_cert_chain(folder / "own", folder / "key")
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError), papers.wrap_socket(connection, server_side=True) as safe:
            heard.append(safe.recv(1))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(10)


def test_a_command_is_run_without_a_shell(tmp_path: Path) -> None:
    """The JSON comes by standard input, and cause, split and change beside the process's own environment."""
    out = tmp_path / "out"
    script = 'cat > "$1"; echo " $GRAYSPLIT_CAUSE $GRAYSPLIT_SPLIT $GRAYSPLIT_CHANGE ${PATH:+path} $2" >> "$1"'
    hook = CommandHook(["sh", "-c", script, "hook", str(out), "$(id)"])
    hook.prepare()
    hook.deliver(NOTICE)
    assert out.read_text() == '{"change":"c0ffee"} rollback checkout c0ffee path $(id)\n'


def test_a_command_that_reads_nothing_may_take_it() -> None:
    """A closed pipe is no failure: the exit code counts."""
    CommandHook(["true"]).deliver(NOTICE._replace(body=b"x" * 200_000))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["sh", "-c", "exit 3"], "it ended with 3"),
        (["sh", "-c", "kill -9 $$"], "it ended with -9"),
        (["/no/such"], "started"),
    ],
    ids=["exit code", "signal", "absent"],
)
def test_a_command_that_fails_has_not_taken_it(command: list[str], said: str) -> None:
    """Its exit code says so, or the signal that ended it; one that is not there is told as that."""
    hook = CommandHook(command)
    hook.prepare()
    assert said in refusal(hook)


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has started does not stay behind."""
    monkeypatch.setattr(hooks, "WITHIN_S", 0.3)
    alive = tmp_path / "alive"
    script = f"(while :; do echo x >> {alive}; sleep 0.02; done) & wait"
    assert "not done within 0.3 s" in refusal(CommandHook(["sh", "-c", script]))
    sizes: list[int] = []

    def still() -> bool:
        sizes.append(alive.stat().st_size)
        return len(sizes) > 10 and len(set(sizes[-10:])) == 1

    eventually(still)
