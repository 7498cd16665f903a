"""What a page costs on a bad line, and that nothing of it comes from anywhere else, or stands inline."""

from __future__ import annotations

from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Request

from tests.console.browser.visitor import Visitor, visitor
from tests.incident_fleet import IncidentFleet

pytestmark = pytest.mark.xdist_group("browser")  # one worker starts it

PAGE_AT_MOST: Final = 150_000  # bytes, uncompressed
OWN_TALK: Final = frozenset({"EventSource", "Fetch", "XHR"})  # what a page asks once it is there
ICON: Final = "/icon.svg?"  # asked by the window and not by the page; a link in the HTML names it

_INLINE: Final = """() => [...document.querySelectorAll("*")].filter((one) =>
  (one.tagName === "SCRIPT" && !one.src) || one.tagName === "STYLE" ||
  one.getAttributeNames().some((name) => name.startsWith("on"))).map((one) => one.outerHTML)"""


def loaded(open_page: Visitor) -> list[Request]:
    """Return the requests of a page, all that is no event stream, once it has loaded."""
    open_page.page.wait_for_load_state("load")
    return [one for one in open_page.requests if one.resource_type != "eventsource"]


@pytest.mark.parametrize("path", ["/", "/splits/checkout"])
def test_a_page_weighs_at_most_150_kb(browser: Browser, address: str, checkout: IncidentFleet, path: str) -> None:
    """All that the browser receives, the numbers of the picture too, uncompressed."""
    with visitor(browser, address) as anna:
        anna.open(path)
        weights = {one.url: len(one.response().body()) for one in loaded(anna)}  # type: ignore[union-attr] # it has come
        assert anna.page.evaluate(_INLINE) == []
    assert sum(weights.values()) <= PAGE_AT_MOST, weights
    assert any("htmx" in url for url in weights)


@pytest.mark.parametrize("path", ["/", "/splits/checkout"])
def test_all_that_a_page_needs_is_named_in_its_html(
    browser: Browser, address: str, checkout: IncidentFleet, path: str
) -> None:
    """One round trip after the HTML: no file is known only by way of another file."""
    with visitor(browser, address) as anna:
        asked: list[dict[str, Any]] = []
        network = anna.page.context.new_cdp_session(anna.page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", lambda said: asked.append(said))  # noqa: PLW0108 - Playwright marks what it is given
        anna.open(path)
        loaded(anna)
        html = anna.page.url
    files = [one for one in asked if one["type"] not in OWN_TALK and ICON not in one["request"]["url"]]
    named = [one["request"]["url"] for one in files if one["initiator"].get("url") == html]
    assert [one["request"]["url"] for one in files] == [html, *named]
    assert any("console.css" in url for url in named)


def test_the_policy_is_in_force(browser: Browser, address: str, checkout: IncidentFleet) -> None:
    """A script that slipped into a page is refused by the browser, which says so."""
    script = "(text) => document.body.append(Object.assign(document.createElement('script'), {textContent: text}))"
    with visitor(browser, address) as anna:
        anna.open()
        with anna.page.expect_console_message(lambda said: "Content Security Policy" in said.text):
            anna.page.evaluate(script, "window.ran = 1")
        assert anna.page.evaluate("window.ran") is None
        assert len(anna.complaints) == 1
        anna.complaints.clear()
