"""What a screen reader would miss on a page: axe-core's rules, all of them."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from playwright.sync_api import Page

_RUN: Final = """(rules) => axe.run(document, {resultTypes: ["violations"], ...rules}).then(
  (told) => told.violations.flatMap((rule) => rule.nodes.map(
    (node) => rule.id + ": " + node.target.join(" ") + ": " + node.failureSummary)))"""
_NAMED: Final = re.compile(r'- \'?(heading|button|link|textbox|combobox) "((?:[^"\\]|\\.)*)"')


def violations(page: Page, *rules: str) -> list[str]:
    """Return what axe finds by these rules, or by all, one line for each element."""
    page.evaluate(_source())
    told: list[str] = page.evaluate(_RUN, {"runOnly": {"type": "rule", "values": rules}} if rules else {})
    return told


def names(page: Page, role: str) -> list[str]:
    """Return what a screen reader calls the elements of a role, in their order."""
    return [name for kind, name in _NAMED.findall(page.locator("body").aria_snapshot()) if kind == role]


@cache
def _source() -> str:
    spec = find_spec("axe_playwright_python")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("axe.min.js").read_text()
