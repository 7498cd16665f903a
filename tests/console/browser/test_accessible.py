"""Each page as a screen reader has it, and on a phone: axe's rules, names that tell buttons apart, nothing too wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser

from graysplit.console import Person
from tests.console.browser.axe import names, violations
from tests.console.browser.visitor import ANNA, DESK, PHONE, Visitor, visitor
from tests.incident_fleet import IncidentFleet

pytestmark = pytest.mark.xdist_group("browser")  # one worker starts it

LOOKS: Final = Person("lia", "look")
NOBODY: Final = None


def first_screen(anna: Visitor, fleet: IncidentFleet) -> None:
    """Show a freeze, and who has stopped what."""
    fleet.control.freeze("checkout", why="weekend")
    anna.open()
    anna.reads("frozen")


def split_page(anna: Visitor, fleet: IncidentFleet) -> None:
    """Show a split with a plan that waits for somebody."""
    fleet.control.ramp("checkout", "60,80", approve=True, guard=False, replace=True)
    anna.open("/splits/checkout")
    anna.reads("Approve the step to 80%")
    assert names(anna.page, "button")[0] == "Roll back checkout"


def receipts(anna: Visitor, fleet: IncidentFleet) -> None:
    """Press, and read what it has done."""
    anna.open()
    anna.press("Roll back checkout")
    anna.reads("4/4 processes stopped sending calls to new")


def preview_of_a_raise(anna: Visitor, fleet: IncidentFleet) -> None:
    """Look at a raise, with the name to be typed."""
    anna.open("/splits/checkout/set?to=100")
    anna.reads("checkout/new 50% -> 100%")


def conflict(anna: Visitor, fleet: IncidentFleet) -> None:
    """Be slower than somebody else."""
    anna.open("/splits/checkout/set?to=60")
    fleet.control.set("checkout", 40, why="slower")
    anna.press("Set a weight")
    anna.reads("conflict", "slower")


def approve(anna: Visitor, fleet: IncidentFleet) -> None:
    """Come by a notice's link."""
    fleet.control.ramp("checkout", "60,80", approve=True, guard=False, replace=True)
    fleet.control.show("checkout")
    anna.open("/splits/checkout/approve?step=80")
    anna.reads("80")


def refused(anna: Visitor, fleet: IncidentFleet) -> None:
    """Want a raise in a freeze."""
    fleet.control.freeze("checkout", why="weekend")
    anna.open("/splits/checkout/set?to=60")
    anna.reads("Refused", "frozen")


def explained(anna: Visitor, fleet: IncidentFleet) -> None:
    """Ask why a unit gets its version."""
    anna.open("/splits/checkout")
    anna.write("Unit", "u-17")
    anna.press("Explain")
    anna.reads("bucket")


def no_such_split(anna: Visitor, fleet: IncidentFleet) -> None:
    """Open a wrong address."""
    anna.open("/splits/nope")


def without_store(anna: Visitor, fleet: IncidentFleet) -> None:
    """Read the page as it was, and since when."""
    anna.open()
    with hung(fleet):
        anna.reads("No contact to the store for", "What is shown is from")
        assert_accessible(anna)


@contextmanager
def hung(fleet: IncidentFleet) -> Iterator[None]:
    """Have the server answer nothing for a while."""
    fleet.server.pause()
    try:
        yield
    finally:
        fleet.server.resume()


def assert_accessible(anna: Visitor) -> None:
    """Hold the page as it is against all rules."""
    assert violations(anna.page) == []
    for role in ("button", "link"):
        told = names(anna.page, role)
        assert len({*told}) == len(told), told
    assert not anna.is_too_wide
    assert anna.page.get_by_role("heading", level=1).count() == 1


PAGES: Final[tuple[tuple[Callable[[Visitor, IncidentFleet], None], Person | None], ...]] = (
    (first_screen, ANNA),
    (first_screen, LOOKS),
    (split_page, ANNA),
    (receipts, ANNA),
    (preview_of_a_raise, ANNA),
    (conflict, ANNA),
    (approve, ANNA),
    (refused, ANNA),
    (explained, LOOKS),
    (no_such_split, ANNA),
    (without_store, ANNA),
)


@pytest.mark.parametrize(("page", "login"), PAGES)
def test_no_rule_is_broken(
    browser: Browser,
    address: str,
    checkout: IncidentFleet,
    page: Callable[[Visitor, IncidentFleet], None],
    login: Person | None,
) -> None:
    """On a phone in the dark and at a desk by day."""
    with visitor(browser, address, login=login, width=PHONE, hand="touch", color_scheme="dark") as anna:
        page(anna, checkout)
        assert_accessible(anna)
        anna.page.emulate_media(color_scheme="light")
        anna.page.set_viewport_size({"width": DESK, "height": 800})
        assert violations(anna.page, "color-contrast") == []
        assert not anna.is_too_wide


def test_nobody_is_logged_in(browser: Browser, address: str, checkout: IncidentFleet) -> None:
    """The page says so, and shows nothing else."""
    with visitor(browser, address, login=NOBODY, width=PHONE, hand="touch") as somebody:
        somebody.open()
        somebody.reads("nobody is logged in")
        assert_accessible(somebody)
        assert names(somebody.page, "button") == []
