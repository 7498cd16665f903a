"""The compiled core is released with graysplit: one version, one licence, one small wheel for each platform."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from graysplit import __version__
from tests.docs.pages import ROOT

SPEED: Final = ROOT / "speed"
BUILD: Final = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # which the builders write themselves
print(build_meta.build_sdist(folder), build_meta.build_wheel(folder))
"""


def _described(folder: Path) -> dict[str, Any]:  # Any: TOML
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))


class Built(NamedTuple):
    """What a build of the folder made."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build both as a release does, warnings being errors."""
    pytest.importorskip("graysplit_speed", reason="no compiled core here: tools/bootstrap.py says why")
    folder = tmp_path_factory.mktemp("speed")
    shutil.copytree(SPEED, folder / "source")
    environment = {**os.environ, "GRAYSPLIT_SPEED_STRICT": "1"}
    command = [sys.executable, "-c", BUILD, str(folder)]
    done = subprocess.run(
        command, cwd=folder / "source", env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sdist, wheel = done.stdout.splitlines()[-1].split()
    return Built(folder / sdist, folder / wheel)


def test_both_have_one_version() -> None:
    """The compiled core takes exactly its own graysplit, and the extra asks for exactly that."""
    assert _described(SPEED)["project"]["version"] == __version__
    assert _described(ROOT)["project"]["optional-dependencies"]["speed"] == [f"graysplit-speed=={__version__}"]


def test_both_say_the_same_of_themselves() -> None:
    """Licence, people and addresses are graysplit's, and so are the Pythons that it is for."""
    ours, its = _described(ROOT)["project"], _described(SPEED)["project"]
    for field in ("requires-python", "license", "license-files", "authors", "maintainers"):
        assert its[field] == ours[field]
    assert {*its["urls"].items()} - {*ours["urls"].items()} == {("Documentation", its["urls"]["Documentation"])}
    assert (ROOT / its["urls"]["Documentation"].partition("/blob/main/")[2]).exists()
    pythons = {item for item in ours["classifiers"] if ":: Python :: 3." in item}
    assert pythons <= {*its["classifiers"]}
    assert (SPEED / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.xdist_group("wheel")
def test_one_small_wheel_is_for_all_pythons(built: Built) -> None:
    """Its tag says so, the file in it has the name that they all load, and it has at most 60 kB."""
    assert built.wheel.name.startswith(f"graysplit_speed-{__version__}-cp311-abi3-")
    assert built.wheel.stat().st_size <= 60_000
    names = {name for name in zipfile.ZipFile(built.wheel).namelist() if not name.endswith("/")}
    code = {name for name in names if name.startswith("graysplit_speed/")}
    assert code == {f"graysplit_speed/{name}" for name in ("__init__.py", "core.abi3.so", "core.pyi", "py.typed")}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.xdist_group("wheel")
def test_it_shows_nothing_but_its_start(built: Built) -> None:
    """A symbol that were seen from outside could meet another library's of the same name."""
    if (nm := shutil.which("nm")) is None:
        pytest.skip("no nm here")
    with zipfile.ZipFile(built.wheel) as archive:
        core = archive.extract("graysplit_speed/core.abi3.so", built.wheel.parent / "unpacked")
    told = subprocess.run([nm, "-D", "--defined-only", core], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in told.splitlines()] == ["PyInit_core"]


@pytest.mark.xdist_group("wheel")
def test_the_sdist_can_be_compiled(built: Built) -> None:
    """It holds the source, and what says how."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "setup.py", "README.md", "LICENSE", "src/graysplit_speed/core.c"} <= names


@pytest.mark.skipif(sys.version_info < (3, 13), reason="headers of free-threaded Pythons begin with 3.13")
def test_the_lines_of_free_threaded_pythons_are_c() -> None:
    """What only they compile is read by a compiler here too, warnings being errors."""
    if (gcc := shutil.which("gcc")) is None:
        pytest.skip("no gcc here")
    macros = ["-DPy_GIL_DISABLED=1", f"-DGRAYSPLIT_VERSION={__version__}", f"-I{sysconfig.get_path('include')}"]
    source = str(SPEED / "src/graysplit_speed/core.c")
    command = [gcc, "-fsyntax-only", "-std=c11", "-Wall", "-Wextra", "-Werror", *macros, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_release_builds_each_platform_and_waits_for_all() -> None:
    """The workflow builds wheels by cibuildwheel and publishes nothing before each of its jobs has ended well."""
    workflow = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    jobs = dict(
        re.findall(r"^  (\w+):\n(.*?)(?=^  \w+:\n|\Z)", workflow.partition("\njobs:\n")[2], re.MULTILINE | re.DOTALL)
    )
    (machines,) = re.findall(r"machine: \[(.*)\]", jobs["wheels"])
    assert {name.partition("-")[0] for name in machines.split(", ")} == {"ubuntu", "macos", "windows"}
    assert "uses: pypa/cibuildwheel@" in jobs["wheels"]
    assert "package-dir: speed" in jobs["wheels"]
    assert "abi3audit --strict" in jobs["wheels"]
    assert "build --sdist --outdir dist speed" in jobs["wheels"]
    assert "needs: [build, wheels]" in jobs["publish"]
    assert "pattern: speed-*" in jobs["publish"]
    settings = _described(SPEED)["tool"]["cibuildwheel"]
    assert settings["build"] == ["cp311-*", "cp314t-*"]
    assert "skip" not in settings
    assert "tools/alike.py" in settings["test-command"]
