"""Who may: the host's login, three roles, and requests that no page of the console has sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from starlette.requests import Request

from graysplit import Control
from graysplit.console import Person, app
from graysplit.errors import ConfigurationError
from tests.console.site import OWN_PAGE, Page, served

PRESSES = {
    "/splits/checkout/rollback": "lower",
    "/splits/checkout/freeze": "lower",
    "/rollback": "lower",
    "/splits/checkout/resume": "operate",
    "/splits/checkout/set": "operate",
    "/splits/checkout/undo": "operate",
}


def by_header(request: Request) -> Person | tuple[str, str] | None:
    """Return whom a header names, as a proxy's login does: `anna lower`."""
    name, _, role = request.headers.get("x-person", "").partition(" ")
    return (name, role) if name else None


async def waiting(request: Request) -> Person | tuple[str, str] | None:
    """Return the same, as a login does that waits for something."""
    return by_header(request)


def started(request: Request) -> Awaitable[Person | tuple[str, str] | None]:
    """Return the same, by a plain function that hands over what is to be waited for."""
    return waiting(request)


class Login:
    """The same, as an object."""

    async def __call__(self, request: Request) -> Person | tuple[str, str] | None:
        """Return the same."""
        return by_header(request)


@pytest.mark.parametrize("auth", [by_header, waiting, Login(), started])
def test_a_login_is_a_function_a_coroutine_or_an_object(control: Control, auth: Callable[..., object]) -> None:
    """Nobody is told nothing; who is logged in sees their name."""
    with served(app(control, auth=auth, read_only=False)) as client:
        for path in ("/", "/events", "/splits/checkout", "/splits/checkout/set?to=40"):
            response = client.get(path)
            assert (response.status_code, "checkout/new" in response.text) == (401, False)
        page = Page(client.get("/", headers={"x-person": "anna look"}).text)
        assert "anna" in page.one("header").text


@pytest.mark.parametrize("role", ["look", "lower", "operate"])
def test_a_role_reaches_so_far(control: Control, role: str) -> None:
    """What is beyond it is refused with the role that it needs, and has no button."""
    ranks = ["look", "lower", "operate"]
    with served(app(control, auth=by_header, read_only=False)) as client:
        headers = {"x-person": f"anna {role}", **OWN_PAGE}
        page = Page(client.get("/", headers=headers).text + client.get("/splits/checkout", headers=headers).text)
        acts = {one.attributes["data-act"] for one in page.elements if "data-act" in one.attributes}
        assert ("rollback" in acts, "undo" in acts) == (role != "look", role == "operate")
        for path, needed in PRESSES.items():
            response = client.post(path, headers=headers)
            allowed = ranks.index(role) >= ranks.index(needed)
            assert (response.status_code != 403) == allowed, path
            assert allowed or f"needs the role '{needed}'" in response.text.replace("&#39;", "'")
    refused = control.history("checkout", 1)[0]
    assert refused.actor == ("ops" if role == "look" else "anna")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://shop.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://shop.example:81"},
        {"origin": "http://shop.example@evil.example"},
        {"origin": "http://evil.example/shop.example"},
    ],
)
def test_what_no_own_page_has_sent_changes_nothing(control: Control, headers: dict[str, str]) -> None:
    """The browser says where a request comes from; without that the origin must be the host."""
    anna = Person("anna", "operate")
    with served(app(control, auth=lambda _: anna, read_only=False, hosts=["shop.example"])) as client:
        response = client.post("/splits/checkout/rollback", headers={"host": "shop.example", **headers})
    assert response.status_code == 403
    assert response.headers["x-frame-options"] == "DENY"
    assert control.history("checkout", 1)[0].cause == "set"


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("shop.example", {"sec-fetch-site": "same-origin"}),
        ("shop.example", {"origin": "http://shop.example"}),
        ("shop.example", {"origin": "https://shop.example"}),  # a proxy ends TLS before us
        ("shop.example:8443", {"origin": "https://shop.example:8443"}),
        ("Shop.example:443", {"origin": "https://shop.example"}),
        ("[::1]:8777", {"origin": "http://[::1]:8777"}),
    ],
)
def test_what_an_own_page_has_sent_is_done(control: Control, host: str, headers: dict[str, str]) -> None:
    """A browser that is old sends its origin alone."""
    anna = Person("anna", "operate")
    with served(app(control, auth=lambda _: anna, read_only=False, hosts=["shop.example"])) as client:
        assert client.post("/splits/checkout/rollback", headers={"host": host, **headers}).status_code == 200


@pytest.mark.parametrize("hosts", [None, ["ops.example"]])
def test_a_host_that_it_is_not_reached_under_is_refused(control: Control, hosts: list[str] | None) -> None:
    """A name that somebody has pointed here shows nothing; an address or `localhost` is no such name."""
    with served(app(control, hosts=hosts)) as client:
        for own in ("localhost:8000", "127.0.0.1", "10.0.0.7:8000", "[::1]:8000", *(hosts or [])):
            assert client.get("/", headers={"host": own}).status_code == 200
        for other in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost", "a/b"):
            response = client.get("/", headers={"host": other})
            assert (response.status_code, "checkout" in response.text) == (403, False)
        assert "hosts=['evil.example']" in Page(client.get("/", headers={"host": "evil.example"}).text).one("main").text


@pytest.mark.parametrize("hosts", ["ops.example", ["https://ops.example"], ["ops.example:8443"], [""], ["a/b"]])
def test_a_host_that_no_request_can_name_is_told_at_once(control: Control, hosts: list[str]) -> None:
    """Such a name would refuse everybody."""
    with pytest.raises(ConfigurationError, match="hosts="):
        app(control, hosts=hosts)


def test_a_console_that_changes_something_needs_a_login(control: Control) -> None:
    """It is told where it is made, before anybody reaches it."""
    with pytest.raises(ConfigurationError, match="pass auth="):
        app(control, read_only=False)


def test_read_only_is_so_for_everybody(control: Control) -> None:
    """A role alone opens nothing: the routes do not exist."""
    with served(app(control, auth=lambda _: Person("anna", "operate"))) as client:
        for path in PRESSES:
            assert client.post(path, headers=OWN_PAGE).status_code in {404, 405}
        assert client.get("/splits/checkout/set?to=40").status_code == 404
    assert control.history("checkout", 1)[0].cause == "set"
