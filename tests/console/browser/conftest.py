"""A browser, a console that it reaches, and four processes of the application; one of each for all tests here.

What other packages are needed for is imported by who asks for it: without them only this file is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from graysplit import embedded
from tests.incident_fleet import SAFE_WITHIN_S, IncidentFleet
from tests.support import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return the browser."""
    from tests.console.browser.chromium import chromium

    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def fleet(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IncidentFleet]:
    """Return four processes on a server of their own, which a test may stop."""
    with embedded.server() as server:
        fleet = IncidentFleet(server, tmp_path_factory.mktemp("fleet"))
        try:
            yield fleet
        finally:
            fleet.close()


@pytest.fixture(scope="package")
def address(fleet: IncidentFleet) -> Iterator[str]:
    """Return where the console is served, to whom the host's cookie names."""
    from graysplit.console import app
    from tests.console.browser.visitor import person_of_cookie
    from tests.console.site import served

    with served(app(fleet.server.url, auth=person_of_cookie, read_only=False)) as client:
        yield str(client.base_url).rstrip("/")


@pytest.fixture
def checkout(fleet: IncidentFleet) -> IncidentFleet:
    """Return the fleet with `checkout` at half, nothing frozen or lost, and four processes there."""
    fleet.mend()
    for freeze in fleet.control.overview().freezes:
        fleet.control.unfreeze(freeze.pattern, confirm=True)
    fleet.weigh()
    eventually(lambda: len(fleet.control.fleet().live) == len(fleet.workers), SAFE_WITHIN_S)
    return fleet
