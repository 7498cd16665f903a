"""An operator's ten incidents at the console, over four real processes: what is pressed, and whether it is safe then.

Safe is what the processes answer over a pipe, not what a receipt says. At most two presses each from the opened page,
and afterwards the page is held against the processes too.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

import pytest
from playwright.sync_api import Browser
from redis import Redis

from tests.console.browser.visitor import ANNA, DESK, PHONE, Hand, Visitor, visitor
from tests.incident_fleet import SAFE_WITHIN_S, USERS, IncidentFleet
from tests.support import eventually

pytestmark = pytest.mark.xdist_group("browser")  # one worker starts it

STOPPED: Final = "4/4 processes stopped sending calls to new"
Incident = Callable[[Visitor, IncidentFleet], None]


def wrong_weight(anna: Visitor, fleet: IncidentFleet) -> None:
    """Take back 50 where 5 was meant: what the undo does is shown before it is done."""
    fleet.weigh(5)
    fleet.control.set("checkout", 50, why="step 2")
    eventually(lambda: fleet.stands_at(50), SAFE_WITHIN_S)
    anna.open("/splits/checkout")
    anna.press("Undo the last change…", "link")
    anna.reads("checkout/new 50% -> 5%")
    anna.press("Undo the last change")
    anna.reads("4/4 confirmed")
    agree(anna, fleet, 5)


def new_fails(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back."""
    anna.open()
    anna.press("Roll back checkout")
    anna.reads(STOPPED)
    agree(anna, fleet, 0)


def one_process_stuck(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back with one process stopped as in a debugger: it is named with its id, and its end is seen too."""
    stuck, *others = fleet.workers
    stuck.signal(signal.SIGSTOP)
    anna.open()
    anna.press("Roll back checkout")
    anna.reads(f"waiting for {stuck.label}")
    fleet.workers = others
    eventually(lambda: fleet.gives("old"), SAFE_WITHIN_S)
    assert STOPPED not in anna.text()
    stuck.signal(signal.SIGKILL)
    stuck.end()
    anna.reads("3/4 processes stopped sending calls to new", f"silent (dead or cut off): {stuck.label}")
    assert fleet.gives("old")
    anna.shows("0%")


def two_operators(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back while a colleague is about to raise, having seen another weight: that one is told, and writes nothing."""
    with anna.beside("/splits/checkout/set?to=60") as bob:
        bob.reads("checkout/new 50% -> 60%")
        anna.open()
        anna.press("Roll back checkout")
        anna.reads(STOPPED)
        bob.press("Set a weight")
        bob.reads("conflict", "rollback checkout", "by anna")
    agree(anna, fleet, 0)


def frozen_weekend(anna: Visitor, fleet: IncidentFleet) -> None:
    """Try to raise in a freeze, and go back."""
    fleet.control.freeze("*", why="weekend")
    anna.open("/splits/checkout")
    anna.write("Weight in percent, or preview", "60")
    anna.press("Preview the change…")
    anna.reads("Refused", "weekend")
    assert fleet.stands_at(50)
    anna.open()
    anna.press("Roll back checkout")
    anna.reads(STOPPED, "frozen")
    agree(anna, fleet, 0)


def who_changed_this(anna: Visitor, fleet: IncidentFleet) -> None:
    """Read the last change, by whom and why: it is what the processes do."""
    anna.open()
    anna.reads("checkout/new", "-> 50%", "by bob@lab", "step 1", selector="[data-split='checkout'] .last")
    assert anna.presses == 0
    agree(anna, fleet, 50)


def why_this_user(anna: Visitor, fleet: IncidentFleet) -> None:
    """Read the comparison that put a user there: all four give that."""
    user = next(user for user, version in zip(USERS, fleet.workers[0].given(), strict=True) if version == "new")
    anna.open("/splits/checkout")
    anna.write("Unit", user)
    anna.press("Explain")
    anna.reads("< 50000 (new)", "in 4 of 4 live processes", selector="[data-answer='explain']")
    assert {version for worker in fleet.workers for version in worker.given(users=[user])} == {"new"}
    assert user not in anna.page.url
    agree(anna, fleet, 50)


def everything_back(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back with everything."""
    fleet.weigh(30, "checkout", "search", "ranking")
    anna.open()
    anna.unfold("Roll back everything")
    anna.press("Roll back everything now")
    anna.reads("4/4 processes stopped sending calls", selector="[data-answer='*']")
    assert fleet.gives("old")
    assert fleet.gives("old", "search")
    assert fleet.gives("a", "ranking")
    agree(anna, fleet, 0)
    anna.shows("0%", "search")
    anna.shows("0%", "ranking", "b")


def blue_green_back(anna: Visitor, fleet: IncidentFleet) -> None:
    """Switch, and go back."""
    fleet.control.switch("checkout", to="new")
    eventually(lambda: fleet.gives("new"), SAFE_WITHIN_S)
    anna.open("/splits/checkout")
    anna.shows("100%")
    anna.press("Roll back checkout")
    anna.reads(STOPPED)
    agree(anna, fleet, 0)


def redis_hung(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back while Redis answers nothing."""
    anna.open()
    fleet.server.pause()
    try:
        without_redis(anna, fleet)
    finally:
        fleet.server.resume()
    back(anna, fleet)


def redis_gone_and_back_empty(anna: Visitor, fleet: IncidentFleet) -> None:
    """Go back while nothing listens, and again when it has started with nothing in it."""
    anna.open()
    fleet.server.kill()
    try:
        without_redis(anna, fleet)
    finally:
        fleet.server.start()
    back(anna, fleet)
    anna.open()
    anna.reads("the store is empty", within=SAFE_WITHIN_S)
    eventually(lambda: len(fleet.control.fleet().live) == len(fleet.workers), SAFE_WITHIN_S)
    assert fleet.stands_at(50)
    anna.press("Roll back checkout")
    anna.reads("4/4 processes stopped sending calls to the candidates of checkout")
    assert fleet.gives("old")
    with Redis.from_url(fleet.server.url) as client:
        assert client.hexists("graysplit:{default}:stops", "checkout")


def without_redis(anna: Visitor, fleet: IncidentFleet) -> None:
    """Press, read that nothing is known to be written, and do what the answer says on each machine."""
    anna.press("Roll back checkout")
    anna.reads("GRAYSPLIT_OFF_FILE", selector="[data-answer='checkout']")
    anna.reads("No contact to the store for", "What is shown is from")
    assert "stopped sending calls" not in anna.text()
    assert not fleet.gives("old")
    for worker in fleet.workers:
        worker.off_file.write_text("*")
    eventually(lambda: fleet.gives("old"), SAFE_WITHIN_S)


def back(anna: Visitor, fleet: IncidentFleet) -> None:
    """End break-glass, and see the page hear the store again."""
    for worker in fleet.workers:
        worker.off_file.unlink()
    eventually(lambda: "No contact" not in anna.text(), SAFE_WITHIN_S)


def agree(anna: Visitor, fleet: IncidentFleet, weight: int) -> None:
    """Hold the processes, and the page that an operator opens next or has open, against what they are meant to do."""
    assert fleet.stands_at(weight)
    if not anna.page.locator("[data-candidate]").count():
        anna.page.goto("/splits/checkout")
    anna.shows(f"{weight}%")
    anna.reads("on 4 of 4 processes")


INCIDENTS: Final[tuple[Incident, ...]] = (
    *(wrong_weight, new_fails, two_operators, frozen_weekend, who_changed_this, why_this_user, everything_back),
    *(blue_green_back, one_process_stuck, redis_hung, redis_gone_and_back_empty),
)


# The long ones in one hand each; the others, and all in two hands more, are for `make soak`.
SELDOM: Final = {(one_process_stuck, "keys"), (redis_hung, "touch"), (redis_gone_and_back_empty, "keys")}
HANDS: Final[tuple[tuple[int, Hand], ...]] = ((PHONE, "touch"), (DESK, "keys"), (DESK, "mouse"), (PHONE, "keys"))
CASES: Final = [
    pytest.param(
        *(width, hand, incident),
        marks=[pytest.mark.soak] if number > 1 or (incident, hand) in SELDOM else [],
        id=f"{width}-{hand}-{incident.__name__}",
    )
    for number, (width, hand) in enumerate(HANDS)
    for incident in INCIDENTS
]


@pytest.mark.parametrize(("width", "hand", "incident"), CASES)
def test_it_is_safe_after_two_presses_at_most(
    browser: Browser, address: str, checkout: IncidentFleet, width: int, hand: Hand, incident: Incident
) -> None:
    """On a phone, and at a desk by Tab and Enter alone."""
    with visitor(browser, address, login=ANNA, width=width, hand=hand) as anna:
        incident(anna, checkout)
        assert anna.presses <= 2
        assert not anna.is_too_wide
