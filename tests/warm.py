"""Programs forked from an interpreter that has imported already what they need: half a second of CPU less for each.

    with warm.Program("graysplit.cli", "watch", "checkout", stdout=subprocess.PIPE) as program: ...

Each is a process with its own arguments, environment, folder, streams and exit code, as under a server that loads its
application before it forks. The interpreter that is forked has one thread, opens nothing and decides nothing, and ends
with the process that started it. Not for tests that speak of a fresh interpreter: what it imports, how it is started,
what it ends with. `anew=True` starts one; so does coverage, which begins with the interpreter.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self

from tests.support import MEASURED

ROOT: Final = Path(__file__).parents[1]
# What a program may load, but for other libraries' integrations.
PACKAGES: Final = ("cli", "control", "core", "follower", "router", "routes", "stores")
OTHERS: Final = ("graysplit.codec", "graysplit.embedded", "tests.faults.shares", "redis", "click", "rich.console")
_REQUEST_AT_MOST: Final = 1 << 17
_DESCRIPTORS: Final = 4  # the three streams, and where its number and its end are told
_READY: Final = b"ready"


class Job(NamedTuple):
    """What a forked process is to be."""

    module: str
    words: list[str]
    environment: dict[str, str]
    folder: str
    anew: bool


class Program:
    """One program, with what tests use of `subprocess.Popen`; its streams are text."""

    def __init__(
        self,
        module: str,
        *words: str,
        env: dict[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        anew: bool = False,
    ) -> None:
        """Start `python -m MODULE WORDS...`; the streams as for Popen."""
        self.args = (module, *words)
        self.returncode: int | None = None
        self._said = b""
        self._lent: list[int] = []  # what this process closes once the program has it
        its_in, self.stdin = self._stream(0, stdin)
        its_out, self.stdout = self._stream(1, stdout)
        its_err, self.stderr = (its_out, None) if stderr == subprocess.STDOUT else self._stream(2, stderr)
        reads, tells = os.pipe()
        self._lent.append(tells)
        self._told = os.fdopen(reads, "rb", 0)
        environment = dict(os.environ if env is None else env)
        job = Job(
            module,
            list(words),
            environment,
            str(cwd or Path.cwd()),
            anew or any(name.startswith(MEASURED) for name in environment),
        )
        try:
            _send(_preloaded(), job, (its_in, its_out, its_err, tells))
        finally:
            for descriptor in self._lent:
                os.close(descriptor)
        self.pid = int(self._line(None))

    def _stream(self, number: int, wanted: int | None) -> tuple[int, IO[str] | None]:
        """Return a stream of the program's, and this process's end of it."""
        if wanted == subprocess.DEVNULL:
            self._lent.append(os.open(os.devnull, os.O_RDWR))
            return self._lent[-1], None
        if wanted != subprocess.PIPE:
            return number if wanted is None else wanted, None
        reads, writes = os.pipe()
        self._lent.append(reads if number == 0 else writes)
        mine = os.fdopen(writes, "w") if number == 0 else os.fdopen(reads)
        return self._lent[-1], mine

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; below zero the signal that ended it."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code."""
        if self.returncode is None:
            self.returncode = int(self._line(timeout))
            self._told.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """End its input, and return what it writes until its end."""
        if self.stdin is not None:
            self.stdin.close()
        found = ["", ""]

        def read(number: int, stream: IO[str]) -> None:
            with stream:
                found[number] = stream.read()

        readers = [
            threading.Thread(target=read, args=(number, stream), daemon=True)
            for number, stream in enumerate((self.stdout, self.stderr))
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return found[0], found[1]

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close its streams and wait for its end."""
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self.wait()

    def _line(self, timeout: float | None) -> bytes:
        """Return the next line that is told of it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._said:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._told], [], [], left)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            read = self._told.read(100)
            assert read, "the interpreter that is forked has ended"
            self._said += read
        line, _, self._said = self._said.partition(b"\n")
        return line


def run(
    module: str, *words: str, timeout: float, **streams: Any
) -> subprocess.CompletedProcess[str]:  # Any: as Program
    """Run a program to its end, without input, and return its exit code and what it wrote."""
    pipe = subprocess.PIPE
    with Program(module, *words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, **streams) as program:
        try:
            out, err = program.communicate(timeout)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(program.args, program.wait(), out, err)


@cache
def _preloaded() -> socket.socket:
    """Start the interpreter that is forked, and return the connection to it; it ends when that is closed."""
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, "-m", "tests.warm", str(its.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=(its.fileno(),), stdin=subprocess.DEVNULL)
    assert mine.recv(len(_READY)) == _READY, "the interpreter that is forked has not begun"

    def end() -> None:
        mine.close()
        process.wait()

    atexit.register(end)
    return mine


_sending: Final = threading.Lock()


def _send(connection: socket.socket, job: Job, descriptors: tuple[int, ...]) -> None:
    """Ask for a program."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    with _sending:
        connection.sendmsg([json.dumps(job).encode()], [rights])


def _serve(connection: socket.socket) -> Job | None:
    """Fork for each request; return the job in the process that is to do it, None at the end."""
    space = socket.CMSG_SPACE(_DESCRIPTORS * array.array("i").itemsize)
    while True:
        asked, rights, _, _ = connection.recvmsg(_REQUEST_AT_MOST, space)
        if not asked:
            return None
        descriptors = array.array("i", rights[0][2])
        if os.fork() == 0:
            connection.close()
            return _born(Job(*json.loads(asked)), tuple(descriptors))
        for descriptor in descriptors:
            os.close(descriptor)


def _born(job: Job, descriptors: tuple[int, ...]) -> Job:
    """Fork once more, tell the program's number and its end, and return the job in the program."""
    tells = descriptors[-1]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid:
        for descriptor in (0, 1, 2, *descriptors[:-1]):  # whoever reads them is to see the program's end
            os.close(descriptor)
        os.write(tells, b"%d\n" % pid)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError):  # nobody may wait for it
            os.write(tells, b"%d\n" % code)
        os._exit(0)
    for number, descriptor in enumerate(descriptors[:-1]):  # twice, so that none is written over before it is read
        os.dup2(descriptor, number + 100)
    for number in range(len(descriptors) - 1):
        os.dup2(number + 100, number, inheritable=True)
    os.closerange(3, 1_000)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return job


def _do(job: Job) -> None:
    """Be the program."""
    os.environ.clear()
    os.environ.update(job.environment)
    os.chdir(job.folder)
    if job.anew:
        os.execve(sys.executable, [sys.executable, "-m", job.module, *job.words], job.environment)  # noqa: S606 - no shell is wanted
    sys.path[0] = job.folder
    sys.argv[:] = [job.module, *job.words]
    runpy.run_module(job.module, run_name="__main__", alter_sys=True)


def _preload() -> None:
    """Import what programs need; none of it does anything yet (law 12)."""
    packages = [import_module(f"graysplit.{name}") for name in PACKAGES]
    for package in packages:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                import_module(found.name)
    for name in OTHERS:
        import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _preload()
    with socket.socket(fileno=int(sys.argv[1])) as _connection:
        _connection.send(_READY)
        _job = _serve(_connection)
    if _job is not None:
        _do(_job)
