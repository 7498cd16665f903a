"""What a page consists of: files by others as they were published, nothing inline, and few enough bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import httpx
import pytest

from graysplit import Control
from graysplit.console import Person, app
from graysplit.console.render import STATIC
from tests.console.site import Page, served

PAGE_AT_MOST: Final = 150_000  # bytes, uncompressed


@pytest.fixture
def client(control: Control) -> Iterator[httpx.Client]:
    """Serve a console in which everything may be done."""
    with served(app(control, auth=lambda _: Person("anna", "operate"), read_only=False)) as made:
        yield made


def test_files_by_others_are_as_published() -> None:
    """Each is named with its source, its version, its licence and its hash; there are no others."""
    rows = re.findall(r"^\| `(\S+)` \|.* `([0-9a-f]{64})` \|$", (STATIC / "ASSETS.md").read_text(), re.MULTILINE)
    own = {"console.css", "console.js", "chart.js", "icon.svg", "ASSETS.md"}
    assert {file.name for file in STATIC.iterdir()} == own | {name for name, _ in rows}
    for name, digest in rows:
        assert sha256((STATIC / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", ["/", "/splits/checkout"])
def test_a_page_is_light_and_holds_nothing_inline(client: httpx.Client, path: str) -> None:
    """HTML and all that it loads are at most 150 kB; no script, style or handler stands in the HTML itself."""
    response = client.get(path)
    page = Page(response.text)
    loaded = [one.attributes["src"] for one in page.all("script")] + [
        one.attributes["href"] for one in page.all("link")
    ]
    weights = [len(client.get(str(address)).raise_for_status().content) for address in loaded]
    assert len(response.content) + sum(weights) <= PAGE_AT_MOST
    assert page.all("style") == []
    assert [one.text for one in page.all("script") if one.text] == []
    assert [name for one in page.elements for name in one.attributes if name == "style" or name.startswith("on")] == []


def test_a_file_is_kept_and_a_page_is_not(client: httpx.Client) -> None:
    """Browsers keep what has its content's mark in its address."""
    page = Page(client.get("/").text)
    script = page.all("script")[0].attributes["src"]
    assert "immutable" in client.get(str(script)).headers["cache-control"]
    assert client.get("/").headers["cache-control"] == "no-store"
