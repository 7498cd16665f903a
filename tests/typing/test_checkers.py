"""The faces as both type checkers see them: what is right passes, and each wrong line is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES: Final = ("tests/typing/good.py", "tests/typing/bad.py")


class Fault(NamedTuple):
    """An error that a checker found."""

    file: str
    line: int
    message: str


@cache
def _mypy() -> tuple[Fault, ...]:
    arguments = ["--strict", "--no-error-summary", "--hide-error-context", "--show-traceback", "--output", "json"]
    command = [sys.executable, "-m", "mypy", *arguments, f"--cache-dir={ROOT / '.mypy_cache' / 'typing'}", *FILES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return _errors([(one["severity"], one["file"], one["line"], one["message"]) for one in found])


@cache
def _basedpyright() -> tuple[Fault, ...]:
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *FILES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return _errors([(one["severity"], one["file"], one["range"]["start"]["line"] + 1, one["message"]) for one in found])


def _errors(found: list[tuple[str, str, int, str]]) -> tuple[Fault, ...]:
    """Return the errors, all of them in the files asked about."""
    errors = tuple(
        Fault(Path(path).name, line, message) for severity, path, line, message in found if severity == "error"
    )
    elsewhere = [error for error in errors if error.file not in {Path(file).name for file in FILES}]
    assert not elsewhere, elsewhere
    return errors


def _lines(check: Callable[[], tuple[Fault, ...]], file: str) -> set[int]:
    """Return the lines of a file with errors; a checker looks at both files at once, and is asked once."""
    errors = [error for error in check() if error.file == file]
    sys.stdout.write("\n".join(f"{error.file}:{error.line}: {error.message}" for error in errors) + "\n")
    return {error.line for error in errors}


CHECKERS = pytest.mark.parametrize(
    "check",
    [  # each by one worker, which asks it once
        pytest.param(check, id=name, marks=pytest.mark.xdist_group(f"typing {name}"))
        for name, check in (("mypy", _mypy), ("basedpyright", _basedpyright))
    ],
)


@CHECKERS
def test_right_uses_are_no_errors(check: Callable[[], tuple[Fault, ...]]) -> None:
    """Right candidates, bound methods, tasks, endpoints and handles pass both checkers."""
    assert _lines(check, "good.py") == set()


@CHECKERS
def test_each_wrong_use_is_an_error(check: Callable[[], tuple[Fault, ...]]) -> None:
    """The six wrong candidates, and other wrong uses, are errors on exactly the lines marked so."""
    marked = {
        number
        for number, line in enumerate((HERE / "bad.py").read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"# error\b", line)
    }
    assert _lines(check, "bad.py") == marked
