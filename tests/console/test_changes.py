"""What a person does: each change is in the history under their name, and a raise is what its page showed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

import graysplit
from graysplit import Control
from graysplit.console import Person, app
from tests.console.site import IN_PLACE, OWN_PAGE, Page, events, served
from tests.support import eventually


@pytest.fixture
def client(control: Control) -> Iterator[httpx.Client]:
    """Serve a console in which anna may do everything."""
    with served(app(control, auth=lambda _: Person("anna", "operate"), read_only=False)) as made:
        yield made


def press(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form of the console's own page."""
    return client.post(path, data=fields, headers=OWN_PAGE)


def shown(client: httpx.Client, path: str) -> dict[str, str]:
    """Open the page that shows a change, and return what it sends along."""
    return Page(client.get(path).raise_for_status().text).fields(path.partition("?")[0])


def in_force(control: Control, split: str = "checkout") -> str:
    """Return the weight in force."""
    return control.show(split).rows[0].effective


def test_a_rollback_is_one_press_and_its_receipts_come(
    client: httpx.Client, control: Control, router: graysplit.Router
) -> None:
    """The answer goes into the page: what was written, and who has stopped."""
    response = client.post("/splits/checkout/rollback", headers=IN_PLACE)
    assert response.status_code == 200
    assert "<html" not in response.text
    page = Page(response.text)

    def complete() -> bool:
        nonlocal page
        if page.all(data_receipts="waiting"):
            names = [(one.attributes["name"], one.attributes["value"]) for one in page.all("input")]
            fields = {str(name): [str(v) for n, v in names if n == name] for name, _ in names}
            page = Page(client.post("/receipts", data=fields, headers=IN_PLACE).text)
        return "1/1 processes stopped sending calls to new" in page.one(data_receipts="complete").text

    eventually(complete)
    entry = control.history("checkout", 1)[0]
    assert (entry.cause, entry.actor, in_force(control)) == ("rollback", "anna", "0")


def test_everything_is_rolled_back(client: httpx.Client, control: Control) -> None:
    """One press for all releases that are not finished."""
    control.create("search")
    control.set("search", 5)
    assert "rollback everything" in Page(press(client, "/rollback").text).one("h1").text
    assert {in_force(control), in_force(control, "search")} == {"0"}
    assert control.history(None, 1)[0].actor == "anna"


def test_a_rollback_works_while_nothing_can_be_read(client: httpx.Client, redis_url: str, namespace: str) -> None:
    """The key of the definitions is of another type: pages say so, and the button still writes weight and stop."""
    redis = Redis.from_url(redis_url)
    redis.delete(f"graysplit:{{{namespace}}}:splits")
    redis.set(f"graysplit:{{{namespace}}}:splits", "broken")
    response = press(client, "/splits/checkout/rollback", why="bad")
    assert response.status_code == 200
    assert redis.hget(f"graysplit:{{{namespace}}}:weights", "checkout/new") == b"0"
    assert redis.hexists(f"graysplit:{{{namespace}}}:stops", "checkout")
    redis.close()


def test_a_raise_is_shown_first_and_then_written(client: httpx.Client, control: Control) -> None:
    """Its page says what moves; sent twice it is one change; the history has the name and the reason."""
    path = "/splits/checkout/set?to=40"
    assert "checkout/new 20% -> 40%" in Page(client.get(path).text).one(data_preview="set").text
    fields = shown(client, path)
    assert in_force(control) == "20"
    press(client, "/splits/checkout/set", why="step 2", **fields).raise_for_status()
    again = press(client, "/splits/checkout/set", why="step 2", **fields)
    assert "written already" in Page(again.text).one("main").text
    entries = [entry for entry in control.history("checkout") if entry.actor == "anna"]
    assert [(entry.cause, entry.why) for entry in entries] == [("set", "step 2")]
    assert in_force(control) == "40"


def test_what_was_seen_is_compared(client: httpx.Client, control: Control) -> None:
    """Somebody else was faster: nothing is written, and the page shows what would be written now."""
    fields = shown(client, "/splits/checkout/set?to=40")
    control.set("checkout", 10, why="slower")
    response = press(client, "/splits/checkout/set", **fields)
    assert response.status_code == 409
    page = Page(response.text)
    assert "conflict" in page.all(role="alert")[-1].text
    assert "checkout/new 10% -> 40%" in page.one(data_preview="set").text
    assert "slower" in page.one("main").text
    assert in_force(control) == "10"
    press(client, "/splits/checkout/set", **page.fields("/splits/checkout/set")).raise_for_status()
    assert in_force(control) == "40"


def test_what_was_not_shown_is_not_written(client: httpx.Client, control: Control) -> None:
    """A raise without the mark of its page is refused."""
    assert press(client, "/splits/checkout/set", to="40").status_code == 409
    assert in_force(control) == "20"


def test_a_name_is_typed_where_the_command_line_asks_for_it(client: httpx.Client, control: Control) -> None:
    """100 %, and a stop that is cleared: without the name, or with another one, nothing is written."""
    control.rollback("checkout", why="errors")
    path = "/splits/checkout/set?to=100"
    text = Page(client.get(path).text).one("main").text
    assert "this clears the stop checkout: by ops" in text
    assert "errors" in text
    assert "Type checkout to do it" in text
    for typed in ("", "Checkout"):
        assert press(client, "/splits/checkout/set", name=typed, **shown(client, path)).status_code == 409
        assert in_force(control) == "0"
    press(client, "/splits/checkout/set", name="checkout", **shown(client, path)).raise_for_status()
    assert in_force(control) == "100"


def test_a_protected_split_wants_a_reason(client: httpx.Client, control: Control) -> None:
    """As everywhere: the reason and the name."""
    control.protect("checkout")
    path = "/splits/checkout/set?to=30"
    refused = press(client, "/splits/checkout/set", name="checkout", **shown(client, path))
    assert "give a reason" in Page(refused.text).one("main").text
    press(client, "/splits/checkout/set", name="checkout", why="agreed", **shown(client, path)).raise_for_status()
    assert in_force(control) == "30"


def test_a_freeze_blocks_a_raise_until_it_is_ended(client: httpx.Client, control: Control) -> None:
    """One press freezes; the end of it is shown and asks for the pattern."""
    press(client, "/splits/checkout/freeze", **{"for": "1h"}).raise_for_status()
    refused = client.get("/splits/checkout/set?to=30")
    assert (refused.status_code, "frozen" in refused.text) == (409, True)
    path = "/splits/checkout/unfreeze?pattern=checkout"
    press(client, "/splits/checkout/unfreeze", name="checkout", **shown(client, path)).raise_for_status()
    assert control.overview().freezes == ()
    assert [entry.actor for entry in control.history("checkout", 2)] == ["anna", "anna"]


def test_an_undo_is_shown_before_it_is_done(client: httpx.Client, control: Control) -> None:
    """It rests on the change that was the last when it was shown."""
    control.set("checkout", 50)
    fields = shown(client, "/splits/checkout/undo")
    control.set("checkout", 60)
    assert press(client, "/splits/checkout/undo", **fields).status_code == 409
    press(client, "/splits/checkout/undo", **shown(client, "/splits/checkout/undo")).raise_for_status()
    assert in_force(control) == "50"


def test_a_stop_is_cleared_with_its_name(client: httpx.Client, control: Control) -> None:
    """Whose it is and why is shown first."""
    control.rollback("checkout", why="errors")
    path = "/splits/checkout/unstop?target=checkout"
    assert "errors" in Page(client.get(path).text).one(data_preview="unstop").text
    press(client, "/splits/checkout/unstop", name="checkout", **shown(client, path)).raise_for_status()
    assert control.show("checkout").stops == {}


def test_a_plan_is_paused_resumed_and_approved(
    client: httpx.Client, control: Control, router: graysplit.Router
) -> None:
    """An approval counts for the step that its page has shown; a link that is opened approves nothing."""
    control.ramp("checkout", "30,60", approve=True, guard=False, replace=True)
    press(client, "/splits/checkout/pause", why="look").raise_for_status()
    assert control.show("checkout").plan.paused.who == "anna"
    press(client, "/splits/checkout/resume").raise_for_status()
    assert control.show("checkout").plan.paused is None
    link = Page(client.get("/splits/checkout").text).one(data_act="approve").attributes["href"]
    fields = shown(client, str(link))
    assert fields["step"] == shown(client, "/splits/checkout/approve")["step"] == "60"  # as a notice links to it
    assert "approve" not in {entry.cause for entry in control.history("checkout")}
    press(client, "/splits/checkout/approve", **fields).raise_for_status()
    eventually(lambda: in_force(control) == "60")
    assert [entry.actor for entry in control.history("checkout") if entry.cause == "approve"] == ["anna"]


@pytest.mark.parametrize("why", ["x" * 2_000, "\x1b[31m<script>alert(1)</script>\x00\u202e"])
def test_no_reason_stops_a_rollback(client: httpx.Client, control: Control, why: str) -> None:
    """What is too long is cut; markup and control characters are kept as they are, and shown as text."""
    press(client, "/splits/checkout/rollback", why=why).raise_for_status()
    assert in_force(control) == "0"
    html = client.get("/splits/checkout").text
    assert "<script>alert" not in html
    assert not {"\x1b", "\x00", "\u202e"} & set(html)


def test_markup_and_control_characters_are_text_everywhere(control: Control) -> None:
    """In a name, a reason and a stop: on each page, in each event, and in each answer."""
    name, why = "<b>bo</b>\x1b[2J\u202e", "<img src=x onerror=alert(1)>\r\n'\"&"
    with served(app(control, auth=lambda _: Person(name, "operate"), read_only=False)) as client:
        pages = [press(client, "/splits/checkout/rollback", why=why).text]
        pages += [client.post("/splits/checkout/freeze", data={"why": why}, headers=IN_PLACE).text]
        pages += [client.get("/splits/checkout/unstop?target=checkout").text]
        eventually(lambda: "freeze" in client.get("/").text)
        pages += [client.get(path).text for path in ("/", "/splits/checkout", "/splits/checkout/history")]
        with client.stream("GET", "/splits/checkout/events") as response:
            pages += [data for _, (name_, data) in zip(range(5), events(response), strict=False) if name_ != "beat"]
    for html in pages:
        assert not [mark for mark in ("<b>", "<img", "\x1b", "\u202e") if mark in html]
    assert "<b>bo</b>\\x1b[2J\\u202e" in Page(pages[4]).one("main").text
    assert control.history("checkout", 1)[0].actor == "<b>bo</b>\\x1b[2J\\u202e"


def test_one_candidate_is_rolled_back_alone(client: httpx.Client, control: Control) -> None:
    """Of several; the others stay."""
    control.create("search", ["old", "b", "c"])
    control.set("search", weights={"b": 10, "c": 5})
    eventually(lambda: Page(client.get("/splits/search").text).all("button", data_act="rollback-b"))
    press(client, "/splits/search/rollback", version="b").raise_for_status()
    assert [row.effective for row in control.show("search").rows] == ["0", "5"]
