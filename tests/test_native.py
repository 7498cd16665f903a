"""The compiled core is used if it is graysplit's own, whole and not turned off; else pure Python runs, and says why."""

from __future__ import annotations

import subprocess
import sys
from importlib import machinery
from pathlib import Path
from types import ModuleType

import pytest

from graysplit import __version__, native


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look anew, as at the first import, and without the settings of whoever runs the tests."""
    monkeypatch.delenv("GRAYSPLIT_PURE", raising=False)
    for name in ("graysplit_speed", "graysplit_speed.core"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def _installed(monkeypatch: pytest.MonkeyPatch, version: object) -> ModuleType:
    """Stand in for an installed core of another version than the one that is there."""
    core = ModuleType("graysplit_speed.core")
    core.VERSION = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "graysplit_speed", ModuleType("graysplit_speed"))
    monkeypatch.setitem(sys.modules, "graysplit_speed.core", core)
    return core


def test_its_own_version_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same version on both sides: it runs."""
    core = _installed(monkeypatch, __version__)
    assert native.find() == (core, "", "")


@pytest.mark.parametrize("version", ["0.0.9", f"{__version__}.1", f"{__version__}rc1", "", None])
def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, version: object) -> None:
    """Only exactly its own version runs: a state is laid out for one."""
    _installed(monkeypatch, version)
    wrong = f"graysplit-speed {version} does not match graysplit {__version__}"
    assert native.find() == (None, wrong, f"pip install graysplit-speed=={__version__}")


def test_one_that_is_not_installed_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional: nothing is wrong."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "graysplit_speed").exists()])
    assert native.find() == (None, "graysplit-speed is not installed", "")


@pytest.mark.parametrize("package", [True, False], ids=["damaged file", "no file"])
def test_a_broken_build_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, package: bool) -> None:
    """A damaged or missing file is said, and nothing raises."""
    folder = tmp_path / "graysplit_speed"
    folder.mkdir()
    (folder / "__init__.py").touch()
    if package:
        (folder / f"core{machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF and nothing more")
    monkeypatch.syspath_prepend(tmp_path)
    core, reason, remedy = native.find()
    assert core is None
    assert reason.startswith("graysplit-speed cannot be imported (")
    assert remedy == f"pip install --force-reinstall graysplit-speed=={__version__}"


def test_whatever_a_build_raises_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No import of graysplit fails for it."""
    folder = tmp_path / "graysplit_speed"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemError('unknown slot')")
    monkeypatch.syspath_prepend(tmp_path)
    assert native.find()[1] == "graysplit-speed cannot be imported (unknown slot)"


@pytest.mark.parametrize(("setting", "off"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_variable_turns_it_off(monkeypatch: pytest.MonkeyPatch, setting: str, *, off: bool) -> None:
    """Empty and 0 say nothing, as elsewhere."""
    core = _installed(monkeypatch, __version__)
    monkeypatch.setenv("GRAYSPLIT_PURE", setting)
    assert native.find() == ((None, "GRAYSPLIT_PURE is set", "") if off else (core, "", ""))


PROGRAM = """
import logging, sys
import graysplit
from graysplit import native
from graysplit.cli.app import run

logging.basicConfig(format="%(message)s", stream=sys.stdout)
print("loaded:", "graysplit_speed.core" in sys.modules, native.refusal)
with graysplit.Router("memory://") as gray:
    gray.wait_ready(10)
    print("status:", gray.status().core)
from graysplit.log_writer import WRITER
WRITER.flush(10)
run(["--url", "memory://", "doctor"])
run(["--url", "memory://", "doctor", "--json"])
"""


def _told(**environment: str) -> str:
    """Return what a process says of its core: its status, its log, `doctor` in both forms."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("setting", "loaded", "words"),
    [("0", True, f"compiled {__version__}"), ("1", False, "pure Python: GRAYSPLIT_PURE is set")],
    ids=["compiled", "turned off"],
)
def test_a_process_says_what_runs(setting: str, words: str, *, loaded: bool) -> None:
    """Where the tests' environment has built it, a process runs it and says so; turned off it is not even loaded."""
    pytest.importorskip("graysplit_speed", reason="no compiled core here: tools/bootstrap.py says why")
    told = _told(GRAYSPLIT_PURE=setting)
    assert told.startswith(f"loaded: {loaded} None status: {words} no problems found core here: {words} {{")
    assert f'"core": "{words}"' in told


def test_a_process_says_what_it_refuses(tmp_path: Path) -> None:
    """In its log and by the doctor, with the command; nobody's exit code changes for it, since decisions are alike."""
    folder = tmp_path / "graysplit_speed"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "core.py").write_text("VERSION = '0.0.9'\n")
    told = _told(PYTHONPATH=str(tmp_path))
    wrong, command = f"graysplit-speed 0.0.9 does not match graysplit {__version__}", "pip install graysplit-speed=="
    assert f"{wrong}: pure Python runs. Run: {command}{__version__} status: pure Python: {wrong} " in told
    assert f"note: compiled core: {wrong}: pure Python runs next: {command}" in told
    assert '"healthy": true' in told
