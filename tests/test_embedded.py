"""A real server without root: starts, answers, hangs, dies and comes back on command, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from graysplit import embedded
from graysplit.errors import ConfigurationError, StoreUnreachableError
from tests.support import eventually


def ask(running: embedded.Server, command: bytes) -> bytes:
    """Send one inline command and return the first bytes of the answer."""
    with socket.create_connection((embedded.HOST, running.port), timeout=5) as line:
        line.sendall(command + b"\r\n")
        return line.recv(1000)


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    return Path(f"/proc/{pid}").exists() if Path("/proc/self").exists() else os.kill(pid, 0) is None


def test_a_server_answers_as_soon_as_it_is_handed_out() -> None:
    """Inside the block it answers; after it process and folder are gone."""
    with embedded.server() as running:
        assert ask(running, b"PING") == b"+PONG\r\n"
        assert running.url == f"redis://127.0.0.1:{running.port}/0"
        pid, folder = running.pid, running.folder
    assert not is_alive(pid)
    assert not folder.exists()
    running.stop()


def test_data_is_kept_only_where_asked_for() -> None:
    """After a crash a server is empty, unless it was started to keep what it is told."""
    for kept, answer in ((False, b"$-1\r\n"), (True, b"$1\r\nx\r\n")):
        with embedded.server(appendonly=kept) as running:
            port = running.port
            ask(running, b"SET key x")
            running.kill()
            assert running.pid == 0
            running.start()
            assert running.port == port
            assert ask(running, b"GET key") == answer


def test_a_paused_server_accepts_and_does_not_answer() -> None:
    """It hangs as a stopped machine does, until it is resumed; stopping works all the same."""
    with embedded.server() as running:
        running.pause()
        with socket.create_connection((embedded.HOST, running.port), timeout=5) as line:
            line.settimeout(0.1)
            line.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                line.recv(10)
            running.resume()
            line.settimeout(5)
            assert line.recv(10) == b"+PONG\r\n"
        running.pause()


def test_two_servers_do_not_meet() -> None:
    """Ports are free ones, below the range that Cluster and the system use."""
    with embedded.server() as first, embedded.server() as second:
        assert first.port != second.port
        assert max(first.port, second.port) < 55_535


def test_a_server_that_cannot_start_says_what_it_said() -> None:
    """The error repeats the server's own last words."""
    with pytest.raises(StoreUnreachableError, match=r"did not start.*no-such-option"):
        embedded.server(arguments=("--no-such-option", "1"))


def test_a_missing_binary_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any server the error says what to install; a wrong GRAYSPLIT_SERVER_BINARY is named."""
    monkeypatch.setenv("GRAYSPLIT_SERVER_BINARY", "/nowhere/redis-server")
    with pytest.raises(ConfigurationError, match="/nowhere/redis-server"):
        embedded.server()
    monkeypatch.delenv("GRAYSPLIT_SERVER_BINARY")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"graysplit\[embedded\]"):
        embedded.find_binary()


def test_the_variable_of_before_counts_and_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """REDIS_SERVER names a program for one minor version; the new name wins, without a warning."""
    monkeypatch.delenv("GRAYSPLIT_SERVER_BINARY", raising=False)
    monkeypatch.setenv("REDIS_SERVER", sys.executable)
    with pytest.warns(DeprecationWarning, match="GRAYSPLIT_SERVER_BINARY"):
        assert embedded.find_binary() == sys.executable
    monkeypatch.setenv("GRAYSPLIT_SERVER_BINARY", "/bin/sh")
    assert embedded.find_binary() == "/bin/sh"


def test_a_server_ends_with_its_program_and_not_with_its_forks() -> None:
    """A forked child that exits leaves the server to its parent; when the parent ends the server does."""
    code = """
import os, sys
from graysplit import embedded
running = embedded.server()
if not (child := os.fork()):
    sys.exit(0)
os.waitpid(child, 0)
assert running._pong()
print(running.pid)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    eventually(lambda: not is_alive(int(done.stdout)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_a_program_that_is_killed(number: signal.Signals) -> None:
    """Nothing of the program runs any more; a paused server ends too, and its folder is gone."""
    code = """
import signal
from graysplit import embedded
running = embedded.server()
running.pause()
print(running.pid, running.folder, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        pid, folder = program.stdout.readline().split()
        assert is_alive(int(pid))
        program.send_signal(number)
    eventually(lambda: not is_alive(int(pid)))
    eventually(lambda: not Path(folder).exists())
