"""What a person sees: the first screen, a split's page, and both live."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape

import httpx
import pytest

import graysplit
from graysplit import Control
from graysplit.console import Person, Role, app
from tests.console.site import Page, events, served
from tests.support import eventually


@pytest.fixture
def client(control: Control) -> Iterator[httpx.Client]:
    """Serve a console that only looks, of the namespace with `checkout`."""
    with served(app(control)) as made:
        yield made


def test_the_first_screen_says_where_what_and_by_whom(client: httpx.Client, router: graysplit.Router) -> None:
    """One line a split: the weight in force, the processes on it, and the last change with its reason."""

    def shown() -> bool:
        page = Page(client.get("/").text)
        text = page.one("article", data_split="checkout").text
        assert page.one("div", data_candidate="new").attributes["data-weight"] == "20%"
        assert "on 1 of 1 process" in text
        assert "set checkout/new 0% -> 20% by ops" in text
        assert "step 1" in text
        return "1 live process" in page.one("main").text

    eventually(shown)


def test_what_a_plan_has_noted_is_no_change(client: httpx.Client, control: Control, router: graysplit.Router) -> None:
    """That it waits for somebody stands in the history; the last change is who began it, and why."""
    control.ramp("checkout", "30,60", approve=True, guard=False, why="new tariff", replace=True)
    eventually(lambda: control.history("checkout", 1)[0].cause == "waiting")
    eventually(lambda: "waiting" in Page(client.get("/splits/checkout").text).one("ol").text)
    for path in ("/", "/splits/checkout"):
        last = next(one for one in Page(client.get(path).text).all("p") if one.attributes.get("class") == "last")
        assert "by ops" in last.text
        assert "new tariff" in last.text


def test_a_split_has_a_page_with_its_history_and_its_emergency_lines(client: httpx.Client) -> None:
    """All that `show` says, the history, and the lines that work without this page."""
    page = Page(client.get("/splits/checkout").text)
    text = page.one("main").text
    assert "set checkout checkout/new 0% -> 20% by ops: step 1" in text
    assert "baseline old; candidates new" in text
    assert any(code.text.endswith("checkout by-hand") for code in page.all("code"))
    assert "graysplit rollback checkout" in text


def test_a_change_comes_to_an_open_page(client: httpx.Client, control: Control) -> None:
    """Only the part that changed is sent, without a second request."""
    since = str(Page(client.get("/").text).one("body").attributes["sse-connect"])
    with client.stream("GET", since) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        control.set("checkout", 35, why="step 2")
        seen: list[str] = []
        for name, data in events(response):
            seen.append(name)
            if name == "row-checkout" and "35%" in data:
                assert "step 2" in unescape(data)
                break
    assert "list" not in seen


def test_a_new_split_comes_to_an_open_page(client: httpx.Client, control: Control) -> None:
    """The list is sent again, and nothing else makes that so."""
    since = str(Page(client.get("/").text).one("body").attributes["sse-connect"])
    with client.stream("GET", since) as response:
        control.create("search")
        assert next(data for name, data in events(response) if name == "list").count("<article") == 2


def test_why_a_unit_gets_its_version(client: httpx.Client) -> None:
    """The unit goes in the body; the ladder comes back."""
    response = client.post("/splits/checkout/explain", data={"unit": "u-17"}, headers={"sec-fetch-site": "same-origin"})
    assert "bucket" in Page(response.text).one("main").text
    assert "u-17" not in str(response.url)


@pytest.mark.parametrize(("path", "status"), [("/splits/nope", 404), ("/splits/A%00", 404), ("/nope", 404)])
def test_what_does_not_exist_is_a_page_too(client: httpx.Client, path: str, status: int) -> None:
    """A wrong address is answered in words."""
    response = client.get(path)
    assert (response.status_code, Page(response.text).all("h1") != []) == (status, True)


def test_read_only_is_routes(control: Control) -> None:
    """A console that only looks has no route that changes anything; `explain` asks by POST and changes nothing."""
    quiet, whole = app(control), app(control, auth=lambda _: Person("anna", "operate"), read_only=False)
    unsafe = {(route.path, method) for route in quiet.routes for method in getattr(route, "methods", None) or ()}
    assert {pair for pair in unsafe if pair[1] not in {"GET", "HEAD"}} == {("/splits/{split}/explain", "POST")}
    assert len(whole.routes) >= len(quiet.routes)


@pytest.mark.parametrize("role", ["look", "lower", "operate"])
def test_pinned_units_are_for_those_who_may_change_them(control: Control, role: Role) -> None:
    """All others see how many there are."""
    control.pin("checkout", "unit-17")
    with served(app(control, auth=lambda _: Person("anna", role), read_only=False)) as client:
        html = client.get("/splits/checkout").text
    assert ("pins: 1" in html, "unit-17" in html) == (True, role == "operate")
