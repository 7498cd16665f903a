"""Two processes of each kind of gRPC server under load while the weight flips: no call is told two versions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

import graysplit
from graysplit import embedded
from tests.faults.shares import units
from tests.integrations.test_load import CLIENTS, ROOT, WORKERS, Flips, LoadAnswer, judge, read_answer

KINDS: Final = ("sync", "async")


def hold(kind: str, calls: int, folder: Path) -> None:
    """Serve calls by two processes under a flipping weight, and check all answers and the end."""
    log = folder / "server.log"
    with embedded.server() as own, graysplit.Control(own.url, confirm=True) as control, log.open("wb") as written:
        control.create("checkout")
        flips = Flips(own.url)
        crew = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.integrations.grpc_app", kind],
                cwd=ROOT,
                env={**os.environ, "GRAYSPLIT_URL": own.url, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=written,
            )
            for _ in range(WORKERS)
        ]
        try:
            answers = flood([port_of(process) for process in crew], calls)
            flips.end()
            for process in crew:
                process.terminate()
            assert [process.wait(30) for process in crew] == [-signal.SIGTERM] * WORKERS
        finally:
            flips.end()
            for process in crew:
                process.kill()
                process.communicate()
        judge(f"gRPC {kind}", answers, flips.zeros)
        assert "Traceback" not in log.read_text()
        assert control.fleet().processes == (), "a server ended without a goodbye"


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Return where a server listens, once it does."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def flood(ports: list[int], calls: int) -> list[LoadAnswer]:
    """Make that many calls by several clients, each to both servers in turn."""
    users = units("checkout")

    def client(number: int) -> list[LoadAnswer]:
        channels = [grpc.insecure_channel(f"127.0.0.1:{port}") for port in ports]
        stubs: list[Any] = [channel.unary_unary("/load/ask") for channel in channels]
        answers: list[LoadAnswer] = []
        for turn in range(calls // CLIENTS):
            user = users[(7 * number + 13 * turn) % 100]
            began = time.monotonic()
            said: bytes = stubs[turn % WORKERS](user.encode(), metadata=[("x-user", user)], timeout=30)
            answers.append(read_answer(began, said.decode()))
        for channel in channels:
            channel.close()
        return answers

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [answer for answers in pool.map(client, range(CLIENTS)) for answer in answers]


@pytest.mark.parametrize("kind", KINDS)
def test_no_call_is_told_two_versions(kind: str, tmp_path: Path) -> None:
    """Hundreds of calls, the first of each process among them; both say goodbye."""
    hold(kind, 500, tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_none_of_ten_thousand_is_told_two_versions(kind: str, tmp_path: Path) -> None:
    """The same at length."""
    hold(kind, 10_000, tmp_path)
