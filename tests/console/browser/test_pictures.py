"""The pictures in the documentation: made here, and held against the pages by what these consist of, not by pixels.

make screenshots        writes docs/images/console-*.png anew, and what each shows
"""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from tests.console.browser.axe import names
from tests.console.browser.visitor import DESK, PHONE, Hand, visitor
from tests.incident_fleet import IncidentFleet

pytestmark = pytest.mark.xdist_group("browser")  # one worker starts it

IMAGES: Final = Path(__file__).parents[3] / "docs" / "images"
SHOWN: Final = Path(__file__).with_name("pictures.json")
AT_MOST: Final = 60_000  # bytes
COLOURS: Final = 64
ASKED_FOR: Final = "GRAYSPLIT_PICTURES" in os.environ
ROLES: Final = ("heading", "button", "link", "textbox", "combobox")


class Picture(NamedTuple):
    """One picture: its page, how wide, and a word that shows that the page is complete."""

    name: str
    path: str
    width: int
    hand: Hand
    word: str


PICTURES: Final = (
    Picture("console-first-screen", "/", PHONE, "touch", "on 4 of 4 processes"),
    Picture("console-split", "/splits/checkout", DESK, "mouse", "Approve the step to 50%"),
    Picture("console-raise", "/splits/checkout/set?to=100", PHONE, "touch", "20% -> 100%"),
)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_the_page_has(
    browser: Browser, address: str, checkout: IncidentFleet, picture: Picture
) -> None:
    """Headings, buttons, links and fields, by the names that a screen reader says."""
    checkout.weigh(100, "search")
    checkout.weigh(20, "ranking")
    checkout.control.rollback("ranking", why="errors doubled")
    checkout.weigh(5)
    checkout.control.ramp("checkout", "20,50,100", approve=True, guard=False, replace=True, why="new tariff")
    with visitor(browser, address, width=picture.width, hand=picture.hand, color_scheme="light") as anna:
        anna.open(picture.path)
        anna.reads(picture.word)
        shown = {role: names(anna.page, role) for role in ROLES}
        if ASKED_FOR:
            write(picture, anna.page, shown)
    assert json.loads(SHOWN.read_text())[picture.name] == shown, "the page has changed: make screenshots"
    assert (IMAGES / f"{picture.name}.png").stat().st_size <= AT_MOST


def write(picture: Picture, page: Page, shown: dict[str, list[str]]) -> None:
    """Write a picture with few colours, and what it shows."""
    from PIL import Image

    IMAGES.mkdir(exist_ok=True)
    with Image.open(BytesIO(page.screenshot())) as image:
        image.convert("RGB").quantize(COLOURS).save(IMAGES / f"{picture.name}.png", optimize=True)
    known = json.loads(SHOWN.read_text()) if SHOWN.exists() else {}
    SHOWN.write_text(json.dumps({**known, picture.name: shown}, indent=1, ensure_ascii=False) + "\n")
