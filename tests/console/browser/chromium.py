"""Debian's Chromium, driven by Playwright; where there is none, the tests are skipped and say how to install it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.support import skip_or_fail

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# One machine, no display, nothing asked of any other host.
FLAGS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser, and end it; while it runs, this thread cannot run coroutines of its own."""
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    if binary is None:
        skip_or_fail(f"no browser: none of {', '.join(NAMES)} is on PATH. Install one: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, chromium_sandbox=False, args=[*FLAGS])
        try:
            yield browser
        finally:
            browser.close()
