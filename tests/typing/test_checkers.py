"""The faces as both type checkers see them: what is right passes, and each wrong line is found."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _mypy(file: str) -> set[int]:
    arguments = ["--strict", "--no-error-summary", "--hide-error-context", "--output", "json", "--cache-dir"]
    command = [sys.executable, "-m", "mypy", *arguments, str(ROOT / ".mypy_cache" / "typing"), f"tests/typing/{file}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return _lines(file, [(one["file"], one["line"], one["message"], one["severity"]) for one in found])


def _basedpyright(file: str) -> set[int]:
    command = [sys.executable, "-m", "basedpyright", "--outputjson", f"tests/typing/{file}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return _lines(
        file, [(one["file"], one["range"]["start"]["line"] + 1, one["message"], one["severity"]) for one in found]
    )


def _lines(file: str, found: list[tuple[str, int, str, str]]) -> set[int]:
    """Return the lines with errors, all of them in the file asked about."""
    errors = [(Path(path).name, line, message) for path, line, message, severity in found if severity == "error"]
    elsewhere = [error for error in errors if error[0] != file]
    assert not elsewhere, elsewhere
    sys.stdout.write("\n".join(f"{path}:{line}: {message}" for path, line, message in errors) + "\n")
    return {line for _, line, _ in errors}


CHECKERS = pytest.mark.parametrize("check", [_mypy, _basedpyright], ids=["mypy", "basedpyright"])


@CHECKERS
def test_right_uses_are_no_errors(check: object) -> None:
    """Right candidates, bound methods, tasks, endpoints and handles pass both checkers."""
    assert callable(check)
    assert check("good.py") == set()


@CHECKERS
def test_each_wrong_use_is_an_error(check: object) -> None:
    """The six wrong candidates, and other wrong uses, are errors on exactly the lines marked so."""
    marked = {
        number
        for number, line in enumerate((HERE / "bad.py").read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"# error\b", line)
    }
    assert callable(check)
    assert check("bad.py") == marked
