"""Somebody at an open page of the console: what they see and press, and what their browser complains of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request
from starlette import requests

from graysplit.console import Person
from tests.support import eventually

Hand: TypeAlias = Literal["touch", "mouse", "keys"]
Kind: TypeAlias = Literal["button", "link"]

PHONE: Final = 360
DESK: Final = 1280
HEIGHT: Final = 800
TABS_AT_MOST: Final = 120
# Chromium notes each answer that is an error, also one that the page itself puts into words.
STATUS_NOTED: Final = "Failed to load resource: the server responded with a status of"

_FOCUS: Final = """(element) => {
  if (element !== document.activeElement) return "";
  const place = element.getBoundingClientRect();
  const seen = place.bottom > 0 && place.top < innerHeight && place.right > 0 && place.left < innerWidth;
  const ringed = element.matches(":focus-visible") && getComputedStyle(element).outlineStyle !== "none";
  return seen && ringed ? "seen" : "not seen";
}"""


ANNA: Final = Person("anna", "operate")


def person_of_cookie(request: requests.Request) -> Person | None:
    """Return whom the host's login knows."""
    match request.cookies.get("who", "").split(":"):
        case [str() as name, ("look" | "lower" | "operate") as role]:
            return Person(name, role)
        case _:
            return None


class Visitor:
    """One person with one browser window; counts what they press."""

    def __init__(self, context: BrowserContext, hand: Hand) -> None:
        """Open a window."""
        self.page: Page = context.new_page()
        self.presses = 0
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        self._hand = hand
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - Playwright marks what it is given

    def open(self, path: str = "/") -> None:
        """Open a page, as from a bookmark or a notice; from here on presses are counted."""
        self.page.goto(path)
        self.presses = 0

    def press(self, name: str, kind: Kind = "button") -> None:
        """Press the one button, or follow the one link, of this name."""
        self._activate(self.page.get_by_role(kind, name=name, exact=True))
        self.presses += 1

    def unfold(self, summary: str) -> None:
        """Open what stands folded under a line; a press like any other."""
        self._activate(self.page.locator("summary").filter(has_text=summary))
        self.presses += 1

    def write(self, label: str, text: str) -> None:
        """Fill a field in."""
        field = self.page.get_by_label(label, exact=True)
        if self._hand == "keys":
            self._tab_to(field)
            self.page.keyboard.type(text)
        else:
            field.fill(text)

    def text(self, selector: str = "main") -> str:
        """Return what a part of the page says, blanks joined."""
        return " ".join(self.page.locator(selector).inner_text().split())

    def reads(self, *words: str, selector: str = "main", within: float = 20.0) -> None:
        """Wait until a part of the page says all of these."""

        def said() -> bool:
            text = self.text(selector)
            assert all(word in text for word in words), text
            return True

        eventually(said, within)

    def shows(self, weight: str, split: str = "checkout", candidate: str = "new") -> None:
        """Wait until the page shows this weight in force."""
        place = f"[data-split='{split}'] [data-candidate='{candidate}'][data-weight='{weight}']"
        self.page.locator(place).first.wait_for(timeout=20_000)

    @contextmanager
    def beside(self, path: str) -> Iterator[Visitor]:
        """Have the same person open a second window."""
        other = Visitor(self.page.context, self._hand)
        other.open(path)
        yield other
        assert other.complaints == []
        other.page.close()

    @property
    def is_too_wide(self) -> bool:
        """Whether the page must be moved sideways to be read."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))

    def _activate(self, target: Locator) -> None:
        if self._hand == "keys":
            self._tab_to(target)
            self.page.keyboard.press("Enter")
        elif self._hand == "touch":
            target.tap()
        else:
            target.click()

    def _tab_to(self, target: Locator) -> None:
        """Go to an element by the Tab key alone; where the focus then is must be seen."""
        target.wait_for()
        for _ in range(TABS_AT_MOST):
            self.page.keyboard.press("Tab")
            focus = target.evaluate(_FOCUS)
            if focus:
                assert focus == "seen", f"the focus on {target} is not seen"
                return
        raise AssertionError(f"{target} is not reached by {TABS_AT_MOST} tabs")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(STATUS_NOTED):
            self.complaints.append(message.text)


@contextmanager
def visitor(
    browser: Browser,
    address: str,
    *,
    login: Person | None = ANNA,
    width: int = DESK,
    hand: Hand = "mouse",
    has_script: bool = True,
    **options: Any,
) -> Iterator[Visitor]:
    """Return somebody with a browser of their own; at the end it must have complained of nothing."""
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": HEIGHT},
        has_touch=hand == "touch",
        is_mobile=hand == "touch",
        java_script_enabled=has_script,
        **options,
    )
    try:
        if login is not None:
            context.add_cookies([{"name": "who", "value": ":".join(login), "url": address}])
        made = Visitor(context, hand)
        yield made
        assert made.complaints == []
        elsewhere = [one.url for one in made.requests if not one.url.startswith(address)]
        assert elsewhere == [], "the page asks another host"
    finally:
        context.close()
