"""A browser that runs no script: the same buttons, as plain forms."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.console.browser.visitor import PHONE, visitor
from tests.incident_fleet import IncidentFleet

pytestmark = pytest.mark.xdist_group("browser")  # one worker starts it


def test_a_rollback_is_a_plain_form(browser: Browser, address: str, checkout: IncidentFleet) -> None:
    """One press; what it did is a page, and so is the way back to the first screen."""
    with visitor(browser, address, width=PHONE, hand="touch", has_script=False) as anna:
        anna.open()
        anna.press("Roll back checkout")
        anna.reads("written: rollback checkout", "4/4 processes stopped sending calls to new")
        assert checkout.gives("old")
        anna.press("Back", "link")
        anna.shows("0%")


def test_a_raise_is_shown_and_then_done(browser: Browser, address: str, checkout: IncidentFleet) -> None:
    """Preview and change are pages of their own anyway."""
    with visitor(browser, address, has_script=False) as anna:
        anna.open("/splits/checkout")
        anna.write("Weight in percent, or preview", "60")
        anna.press("Preview the change…")
        anna.reads("checkout/new 50% -> 60%")
        anna.press("Set a weight")
        anna.reads("written: set checkout", "4/4 confirmed")
        assert checkout.stands_at(60)
