"""What a contributor is told to type, and what CI runs, is what the Makefile has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_snippets import LINK, anchors

TARGETS: Final = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TOLD: Final = (
    ROOT / "CONTRIBUTING.md",
    ROOT / "CODE_OF_CONDUCT.md",
    ROOT / "SECURITY.md",
    ROOT / ".pre-commit-config.yaml",
    *sorted((ROOT / ".github").rglob("*.*")),
)
MAKE: Final = re.compile(r"(?:^|`|run: )make ([a-z][a-z-]*)", re.MULTILINE)


@pytest.mark.parametrize("file", TOLD, ids=lambda file: file.name)
def test_what_is_made_can_be_made(file: Path) -> None:
    """Each `make ...` that is named is a target."""
    assert set(MAKE.findall(file.read_text("utf-8"))) <= TARGETS


def test_ci_runs_what_a_developer_types() -> None:
    """`make test` in CI, before a release, and in the first hour."""
    for name in ("CONTRIBUTING.md", ".github/workflows/ci.yml", ".github/workflows/release.yml"):
        assert "test" in MAKE.findall((ROOT / name).read_text("utf-8")), name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_takes_released_actions_and_few_rights(workflow: Path) -> None:
    """Each action has a version, and the workflow begins with the right to read alone."""
    text = workflow.read_text("utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [action for action in used if not re.search(r"@v\d+(\.\d+)*$", action)] == []
    assert "\npermissions:\n  contents: read\n\n" in text


def test_a_commit_is_checked_by_the_tools_of_the_lint_group() -> None:
    """What runs before a commit is installed by `make env`, and named in CONTRIBUTING."""
    config = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lint = {re.split(r"[~=<>]", item)[0] for item in project["dependency-groups"]["lint"]}
    commands = set(re.findall(r"entry: \.venv/bin/(\S+)", config))
    assert commands <= {"python", "ruff", "lint-imports", "mypy"}
    assert {"ruff", "import-linter", "mypy"} <= lint
    told = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert all(f".venv/bin/{command}" in told for command in commands)


@pytest.mark.parametrize("page", [file for file in TOLD if file.suffix == ".md"], ids=lambda file: file.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files exist, and so do the headings that are pointed at."""
    for target in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve()
        assert file.exists(), f"{page.name} points at {target}, which is not there"
        assert not anchor or anchor in anchors(file), f"{page.name} points at {target}: no such heading"
