"""A comment, docstring or page that cites something names what exists: a page, an anchor, a number, a path."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_snippets import anchors

ITSELF: Final = Path(__file__).resolve()
ROOMS: Final = ("src", "tests", "benchmarks", "examples", "tools", "docs")
KINDS: Final = (".py", ".lua", ".md", ".toml")
TOP: Final = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml", ".pre-commit-config.yaml")
LINEAGE: Final = "docs/design/lineage.md"

PAGE: Final = re.compile(r"(?<![\w/.-])(docs/[\w./-]+\.md)(?:#([\w-]+))?")
PLACE: Final = re.compile(r"(?<![\w/.-])((?:src/graysplit|tests|benchmarks|tools)/[\w./-]*\w)")
NUMBERS: Final = r"(\d+(?:(?:, (?:and )?| and | to |-)\d+)*)"
LAW: Final = re.compile(rf"\b[Ll]aws? {NUMBERS}")
TIMELINE: Final = re.compile(rf"\b[Tt]imelines? {NUMBERS}")
TARGET: Final = re.compile(rf"\b[Tt]argets? {NUMBERS}")
ADR: Final = re.compile(r"\bADRs? (\d+)")
# Modules by their dotted names, with what is in them, and files of the code by their names alone. The rooms that are
# also words for objects (`router.choose`) count with the package before them only.
MODULE: Final = re.compile(
    r"`(?:graysplit\.(?=control|router|testing)|(?:graysplit\.)?(?=core|stores|follower|routes|notices|telemetry|cli))"
    r"(\w+(?:\.\w+)+)(?:\([^`]*\))?`"
)
FILE: Final = re.compile(r"`(\w+\.(?:py|lua))`")
TEST_OF: Final = re.compile(r"def test_f(\d\d)_")
# A number or a document that nobody can look up: the page is to be named, with its heading as the anchor.
NOWHERE: Final = (
    re.compile(r"\b[Ss]ections? \d"),
    re.compile(r"\bF\d{1,2}\b"),
    re.compile(r"\b(?:of|by) (?:the|our) design\b|\bthe design (?:says|asks|wants)|\bdesign, section\b"),
    re.compile(r"(?<![\w/.-])(?:design|lineage|propagation|guard-statistics|failure-notes|house|hot-path)\.md\b"),
    re.compile(r"\bguard(?:'s)? statistics\b|\bfailure notes\b"),
)


class Source(NamedTuple):
    """A file's name in the repository, and its text."""

    name: str
    text: str

    @property
    def is_page(self) -> bool:
        """Return whether its links are relative, and checked with the pages."""
        return self.name.startswith("docs/")


@cache
def sources() -> tuple[Source, ...]:
    """Return all files that may cite something."""
    found = [ROOT / name for name in TOP if (ROOT / name).exists()]
    found += [file for room in ROOMS for file in sorted((ROOT / room).rglob("*")) if file.suffix in KINDS]
    return tuple(
        Source(file.relative_to(ROOT).as_posix(), file.read_text("utf-8"))
        for file in found
        if file != ITSELF and not any(part.startswith((".venv", ".envs")) for part in file.parts)
    )


def spread(numbers: str) -> Iterator[int]:
    """Return the numbers of a citation: "1, 3 and 5 to 7" are five."""
    for part in re.split(r", and |, | and ", numbers):
        first, *last = re.split(r" to |-", part)
        yield from range(int(first), int(last[0] if last else first) + 1)


def cited(pattern: re.Pattern[str], source: Source) -> set[int]:
    """Return the numbers that a source cites of one kind."""
    return {number for found in pattern.findall(source.text) for number in spread(found)}


def wrong_pages(source: Source) -> Iterator[str]:
    """Name the pages and anchors that are not there."""
    for page, anchor in PAGE.findall(source.text):
        file = ROOT / page
        if not file.exists():
            yield f"{source.name}: {page} does not exist"
        elif anchor and anchor not in anchors(file):
            yield f"{source.name}: {page} has no heading #{anchor}"


def wrong_places(source: Source) -> Iterator[str]:
    """Name the files and folders of the code that a page or docstring names and that are not there."""
    for place in PLACE.findall(source.text):
        made = "/." in place  # a folder that tools make
        if not made and not (ROOT / place).exists() and not (ROOT / f"{place}.py").exists():
            yield f"{source.name}: {place} does not exist"


def wrong_modules(source: Source) -> Iterator[str]:
    """Name the modules, and what is said to be in them, that are not there."""
    for dotted in MODULE.findall(source.text):
        if not is_there(dotted):
            yield f"{source.name}: there is no `{dotted}`"
    for file in () if source.is_page else FILE.findall(source.text):
        if file not in files():
            yield f"{source.name}: no file is named `{file}`"


@cache
def is_there(dotted: str) -> bool:
    """Return whether the longest part that is a module has the rest of a dotted name in its text."""
    at, rest = ROOT / "src" / "graysplit", dotted.split(".")
    while rest and at.is_dir() and ((at / rest[0]).is_dir() or (at / f"{rest[0]}.py").exists()):
        at /= rest.pop(0)
    file = at / "__init__.py" if at.is_dir() else at.with_suffix(".py")
    text = file.read_text("utf-8")
    return all(re.search(rf"\b{name}\b", text) for name in rest)


@cache
def files() -> frozenset[str]:
    """Return the names of all files of the code."""
    return frozenset(Path(source.name).name for source in sources())


def wrong_numbers(source: Source) -> Iterator[str]:
    """Name laws, timelines, decisions and targets that no page has."""
    kinds = (
        ("law", LAW, numbered("docs/explanation/laws.md", r'<a id="law-(\d+)">')),
        ("timeline", TIMELINE, numbered(LINEAGE, r"^### Timeline (\d+)$")),
        ("timeline", TEST_OF, numbered(LINEAGE, r"^### Timeline (\d+)$")),
        ("ADR", ADR, {int(file.name[:4]) for file in (ROOT / "docs" / "adr").glob("0*.md")}),
    )
    for word, pattern, known in kinds:
        for number in sorted(cited(pattern, source) - known):
            yield f"{source.name}: no {word} {number}"
    if source.name.startswith("benchmarks/guard/"):
        for number in sorted(cited(TARGET, source) - numbered("docs/design/guard.md", r"^\| (\d+) \|")):
            yield f"{source.name}: no target {number}"


def unnamed(source: Source) -> Iterator[str]:
    """Name citations that lead nowhere, and timelines in a file that does not say where they are told."""
    for pattern in NOWHERE:
        if source.is_page and pattern is NOWHERE[3]:
            continue  # a page's links are relative
        for found in pattern.finditer(source.text):
            line = source.text.count("\n", 0, found.start()) + 1
            yield f"{source.name}:{line}: '{found[0]}' names no page; write docs/....md#heading"
    if TIMELINE.search(source.text) and "lineage.md" not in source.text and source.name != LINEAGE:
        yield f"{source.name}: cites a timeline and does not name {LINEAGE}"


@cache
def numbered(page: str, pattern: str) -> set[int]:
    """Return the numbers that a page has, and fail where it has none."""
    found = {int(number) for number in re.findall(pattern, (ROOT / page).read_text("utf-8"), re.MULTILINE)}
    assert found, f"{page} has nothing like {pattern}"
    return found


CHECKS: Final = (wrong_pages, wrong_places, wrong_modules, wrong_numbers, unnamed)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_cited_exists(check: object) -> None:
    """In source, tests, benchmarks, tools and pages."""
    assert callable(check)
    wrong = [line for source in sources() for line in check(source)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "see docs/design/nosuch.md",
        "see docs/design/lineage.md#timeline-99",
        "in src/graysplit/core/nosuch.py",
        "as `core.nosuch` says",
        "as `graysplit.router.nosuch.Thing` says",
        "see `core.in_force.nosuch`",
        "as `nosuch.lua` does",
        "keeps law 13",
        "(laws 4, 8 and 14)",
        "docs/design/lineage.md, timelines 30 to 33",
        "def test_f40_nothing() -> None:",
        "as ADR 99 says",
        "Section 6 of it",
        "a rollback is lost (F4)",
        "as of the design",
        "see lineage.md",
        "timeline 3",
    ],
)
def test_a_citation_of_nothing_fails(text: str) -> None:
    """The checks themselves can fail."""
    source = Source("src/graysplit/core/example.py", text)
    assert [line for check in CHECKS for line in check(source)]


def test_a_citation_that_leads_somewhere_passes() -> None:
    """As it is to be written."""
    source = Source(
        "src/graysplit/core/example.py",
        "Laws 4, 8 and 9; docs/design/lineage.md, timelines 5 to 7; ADR 4; `core.in_force`",
    )
    assert not [line for check in CHECKS for line in check(source)]


def test_every_timeline_has_a_test() -> None:
    """A sequence of events that nothing holds is a story."""
    held = {number for source in sources() if source.name.startswith("tests/") for number in cited(TIMELINE, source)}
    held |= {number for source in sources() for number in cited(TEST_OF, source)}
    assert held == numbered(LINEAGE, r"^### Timeline (\d+)$")


def test_the_picture_of_the_floors_is_that_of_the_contract() -> None:
    """Each floor of the page has the rooms of the import contract, from the top down; and no room has none."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
    picture = page.split("```text\n")[1].split("```")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {path.stem for path in (ROOT / "src" / "graysplit").iterdir() if path.suffix in {"", ".py"}}
    floors = [set(re.findall(r"\w+", floor)) & rooms for floor in layers]
    drawn = [set(re.split(r"  +", floor.strip("\n "))) & rooms for floor in re.split(r"\n-+\n", picture)]
    lowest = len(drawn) - 1
    assert drawn[:lowest] == floors[:lowest]
    assert drawn[lowest] == set().union(*floors[lowest:])
