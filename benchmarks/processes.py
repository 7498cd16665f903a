"""Start Python programs of our own, and measure what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent


class Ended(NamedTuple):
    """What a program left: its CPU time (user and system, in ms), its exit code and what it said."""

    cpu_ms: float
    code: int
    said: str


def python(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a Python text in a fresh process and wait for its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=surroundings(environment),
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    said = process.stdout.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return Ended((used.ru_utime + used.ru_stime) * 1000, process.returncode, said)


def companion(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module of ours that is spoken to line by line."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=surroundings(None), bufsize=0
    )


def surroundings(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of a program: ours, without what would steer graysplit or stop the caching of bytecode."""
    unwanted = ("GRAYSPLIT_", "COV_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, **(more or {})}


def median_cpu_ms(
    texts: Mapping[str, str], rounds: int, environment: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Return the median CPU time of each text, run in turns; the first round writes bytecode and does not count."""
    found: dict[str, list[float]] = {name: [] for name in texts}
    for number in range(rounds + 1):
        for name, text in texts.items():
            ended = python(text, environment=environment)
            if ended.code:
                raise RuntimeError(f"{name} ended with {ended.code}: {ended.said.strip()[-500:]}")
            if number:
                found[name].append(ended.cpu_ms)
    return {name: median(times) for name, times in found.items()}


def tell(process: subprocess.Popen[bytes], line: str) -> None:
    """Send a line to a companion."""
    assert process.stdin is not None  # noqa: S101 - a companion has one
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[bytes]) -> str:
    """Wait for a companion's next line."""
    assert process.stdout is not None  # noqa: S101 - a companion has one
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} has ended with {process.wait()}")
    return line.decode().rstrip("\n")


def dismiss(processes: Sequence[subprocess.Popen[bytes]], within_s: float = 10.0) -> None:
    """Close the companions' input, which ends them, and wait."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
    for process in processes:
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
