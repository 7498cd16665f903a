"""The pages are a site: it is built without a warning, and what it links to in itself is there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest
import sphinx

from tests.docs.pages import PAGES, ROOT, blocks_of

pytestmark = pytest.mark.xdist_group("site")  # one worker builds it, once

DOCS: Final = ROOT / "docs"
BUILD: Final = (sys.executable, "-m", sphinx.__name__, "-q", "-W", "--keep-going", "-b", "html")
INTEGRATION: Final = re.compile(r"graysplit\.integrations\.\w+")


class Targets(HTMLParser):
    """What a page of the site leads to, and the places in it that can be led to."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag's addresses and its id."""
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name in {"href", "src"} and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = folder / "html"
    command = [*BUILD, "-d", str(folder / "doctrees"), str(DOCS), str(built)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return built


@pytest.fixture(scope="module")
def targets(site: Path) -> Mapping[Path, Targets]:
    """Return what each page leads to and can be led to."""
    return {page: read_page(page) for page in site.rglob("*.html")}


def read_page(page: Path) -> Targets:
    """Return the targets of one page."""
    found = Targets()
    found.feed(page.read_text("utf-8"))
    return found


def dead_links(targets: Mapping[Path, Targets]) -> list[str]:
    """Name the links inside a site that lead to no file, or to no place in it."""
    return [
        f"{page.name}: {link}"
        for page, found in targets.items()
        for link in found.links
        if not urlsplit(link).scheme and not leads_somewhere(page, link, targets)
    ]


def leads_somewhere(page: Path, link: str, targets: Mapping[Path, Targets]) -> bool:
    """Return whether a relative link has a file, and its fragment an id in there."""
    parts = urlsplit(link)
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not parts.fragment or file not in targets:
        return file.is_file()
    return unquote(parts.fragment) in targets[file].ids


def test_every_page_is_in_the_site(site: Path, targets: Mapping[Path, Targets]) -> None:
    """Each page is built, and the navigation of the entry leads to it."""
    entry = targets[site / "index.html"].links
    for page in (page for page in PAGES if page.is_relative_to(DOCS) and page != DOCS / "index.md"):
        place = page.relative_to(DOCS).with_suffix(".html")
        assert (site / place).is_file()
        assert place.as_posix() in entry


def test_every_link_in_the_site_leads_somewhere(targets: Mapping[Path, Targets]) -> None:
    """Each relative address has a file, and each fragment an id in it."""
    assert sum(len(found.links) for found in targets.values()) > 1000
    assert dead_links(targets) == []


def test_a_dead_link_is_noted(tmp_path: Path) -> None:
    """The check itself can fail, by a file and by a place in it."""
    page = tmp_path / "page.html"
    page.write_text('<p id="here"><a href="#here"></a><a href="#there"></a><a href="gone.html"></a>')
    assert dead_links({page: read_page(page)}) == ["page.html: #there", "page.html: gone.html"]


def test_links_out_of_the_pages_lead_to_files_of_the_repository(targets: Mapping[Path, Targets]) -> None:
    """Each file is there."""
    place = re.compile(r"https://github\.com/graysplit/graysplit/(blob|tree)/main/([^#?]+)")
    outside = {found[2] for page in targets.values() for link in page.links if (found := place.match(link))}
    assert {"README.md", "examples/quickstart.py"} <= outside
    assert [path for path in outside if not (ROOT / path).exists()] == []


def test_every_public_name_has_its_docstring_in_the_site(targets: Mapping[Path, Targets]) -> None:
    """The names of `graysplit`, of its tests' tools, and of each integration that a page uses."""
    ids = set().union(*(found.ids for found in targets.values()))
    used = {module for page in PAGES for block in blocks_of(page) for module in INTEGRATION.findall(block.text)}
    assert "graysplit.integrations.asgi" in used
    for module in ("graysplit", "graysplit.testing", "graysplit.embedded", *used):
        names = [name for name in public_names(module) if name[0] != "_"]
        assert names, module
        assert [name for name in names if f"{module}.{name}" not in ids] == [], module


@cache
def public_names(module: str) -> tuple[str, ...]:
    """Return the names of a module's `__all__`, without which the site has nothing of it."""
    found = import_module(module)
    assert hasattr(found, "__all__"), f"a page uses {module}: name in its __all__ what is public"
    return tuple(found.__all__)


def test_prose_leads_into_the_api(targets: Mapping[Path, Targets]) -> None:
    """A function, and a method, that a page names is a link to the docstring."""
    links = {link for found in targets.values() for link in found.links}
    assert {"../reference/api.html#graysplit.context", "../reference/api.html#graysplit.Router.choose"} <= links


def test_programs_can_read_it(site: Path) -> None:
    """`llms.txt` lists the pages as the index does, and the Markdown of each lies beside it."""
    told = (site / "llms.txt").read_text("utf-8")
    assert told.startswith("# graysplit\n\n> ")
    listed = [link for link in re.findall(r"\]\(([^)]+)\)", told) if "://" not in link]
    assert len(listed) > 50
    assert [link for link in listed if not (site / link).is_file()] == []
    assert "### forced" in (site / "reference" / "api-testing.md").read_text("utf-8")
