"""The wheel holds what the package needs, and asks for no more than four packages."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as a release does."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("graysplit-*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.xdist_group("wheel")
def test_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    """The wheel has each source file, the Lua scripts, the schema, the skill, the console's pages and py.typed."""
    source = ROOT / "src"
    expected = {
        str(path.relative_to(source))
        for path in (source / "graysplit").rglob("*")
        if path.is_file() and path.suffix in {".py", ".lua", ".json", ".typed", ".md", ".html", ".js", ".css", ".svg"}
    }
    assert "graysplit/py.typed" in expected
    assert "graysplit/.agents/skills/graysplit/SKILL.md" in expected
    assert any(name.endswith(".lua") for name in expected)
    assert "graysplit/console/static/htmx.min.js" in expected
    assert expected <= set(wheel.namelist())


@pytest.mark.xdist_group("wheel")
def test_requires_four_packages_at_run_time(wheel: zipfile.ZipFile) -> None:
    """Without extras, graysplit asks for mmh3, opentelemetry-api, pydantic and redis, and nothing else."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(name).decode().splitlines()
    required = [line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: ")]
    always = {item.partition(">=")[0] for item in required if "extra ==" not in item}
    assert always == {"mmh3", "opentelemetry-api", "pydantic", "redis"}


@pytest.mark.xdist_group("wheel")
def test_carries_the_licence(wheel: zipfile.ZipFile) -> None:
    """The licence's text is part of what is given away."""
    (name,) = (name for name in wheel.namelist() if name.endswith("licenses/LICENSE"))
    assert b"Apache License" in wheel.read(name)
