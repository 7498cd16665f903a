"""A forked program is a process like any other: arguments, environment, folder, streams, signals, exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

PROGRAM = """
import json, os, sys, threading, redis, graysplit
print(json.dumps([sys.argv[1:], os.environ.get("SAID"), os.getcwd(), os.getpid(), threading.active_count(), __name__]))
print(sys.stdin.readline().strip(), file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a program in it."""
    (tmp_path / "said.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.parametrize("anew", [False, True])
def test_a_program_is_as_it_is_started(folder: Path, anew: bool) -> None:
    """Forked or started anew, it has what it was given, and says how it ends."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "SAID": "so"}
    with warm.Program(
        "said", "a", "b c", env=environment, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, anew=anew
    ) as program:
        assert program.stdin is not None
        assert program.poll() is None
        program.stdin.write("heard\n")
        out, err = program.communicate(30)
        assert json.loads(out) == [["a", "b c"], "so", str(folder), program.pid, 1, "__main__"]
        assert err == "heard\n"
        assert program.poll() == 7


def test_a_program_ends_by_a_signal_and_at_the_end_of_its_input(folder: Path) -> None:
    """Ctrl-C, SIGKILL and the end of a pipe reach it, as many as there are."""
    (folder / "waits.py").write_text("import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    pipe = subprocess.PIPE
    programs = [warm.Program("waits", cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(3)]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    programs[0].kill()
    programs[1].send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        programs[2].wait(0.01)
    said = [program.communicate(30) for program in programs]
    assert [program.wait(30) for program in programs] == [-signal.SIGKILL, -signal.SIGINT, 0]
    assert "KeyboardInterrupt" in said[1][1]
    for program in programs:
        with program:
            pass


def test_a_forked_command_answers_as_one_started_anew() -> None:
    """Help, a wrong word and an address where nobody listens: the same words, streams and exit code."""
    nobody = {**os.environ, "GRAYSPLIT_URL": "redis://127.0.0.1:1/0", "COLUMNS": "80"}
    for words, code in ((("--help",), 0), (("lst",), 2), (("list",), 5)):
        forked, anew = (warm.run("graysplit.cli", *words, env=nobody, timeout=60, anew=anew) for anew in (False, True))
        fresh = subprocess.run(
            [sys.executable, "-m", "graysplit.cli", *words], env=nobody, capture_output=True, text=True, check=False
        )
        assert (forked.returncode, forked.stdout, forked.stderr) == (code, fresh.stdout, fresh.stderr)
        assert (anew.returncode, anew.stdout, anew.stderr) == (code, fresh.stdout, fresh.stderr)
