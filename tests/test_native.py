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
    assert native.find() == (core, "", False)


@pytest.mark.parametrize("version", ["0.0.9", f"{__version__}.1", f"{__version__}rc1", "", None])
def test_another_version_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch, version: object) -> None:
    """Only exactly its own version runs: a state is laid out for one."""
    _installed(monkeypatch, version)
    sentence = (
        f"graysplit-speed {version} does not match graysplit {__version__}: pure Python runs. "
        f"Run: pip install graysplit-speed=={__version__}"
    )
    assert native.find() == (None, sentence, True)


def test_one_that_is_not_installed_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is optional: nothing is wrong."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "graysplit_speed").exists()])
    assert native.find() == (None, "graysplit-speed is not installed", False)


@pytest.mark.parametrize("package", [True, False], ids=["damaged file", "no file"])
def test_a_broken_build_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, package: bool) -> None:
    """A damaged or missing file is said, and nothing raises."""
    folder = tmp_path / "graysplit_speed"
    folder.mkdir()
    (folder / "__init__.py").touch()
    if package:
        (folder / f"core{machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF and nothing more")
    monkeypatch.syspath_prepend(tmp_path)
    core, reason, refused = native.find()
    assert (core, refused) == (None, True)
    assert reason.startswith("graysplit-speed cannot be imported (")
    assert reason.endswith(f"pure Python runs. Run: pip install --force-reinstall graysplit-speed=={__version__}")


def test_whatever_a_build_raises_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No import of graysplit fails for it."""
    folder = tmp_path / "graysplit_speed"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemError('unknown slot')")
    monkeypatch.syspath_prepend(tmp_path)
    assert native.find()[1].startswith("graysplit-speed cannot be imported (unknown slot): pure Python runs.")


@pytest.mark.parametrize(("setting", "off"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_a_variable_turns_it_off(monkeypatch: pytest.MonkeyPatch, setting: str, *, off: bool) -> None:
    """Empty and 0 say nothing, as elsewhere."""
    core = _installed(monkeypatch, __version__)
    monkeypatch.setenv("GRAYSPLIT_PURE", setting)
    assert native.find() == ((None, "GRAYSPLIT_PURE is set", False) if off else (core, "", False))


def test_the_installed_one_is_in_use() -> None:
    """Where the tests' environment has built it, a process runs it, and says so; turned off it is not even loaded."""
    pytest.importorskip("graysplit_speed", reason="no compiled core here: tools/bootstrap.py says why")
    program = "import sys; from graysplit import native; print(native.words, 'graysplit_speed.core' in sys.modules)"
    for setting, words in {
        "0": f"compiled {__version__} True\n",
        "1": "pure Python: GRAYSPLIT_PURE is set False\n",
    }.items():
        done = subprocess.run(
            [sys.executable, "-c", program], env={"GRAYSPLIT_PURE": setting}, capture_output=True, text=True, check=True
        )
        assert done.stdout == words
