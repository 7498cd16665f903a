"""Sixty requests, each in full: which are answered, which change something, and what the history says afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import httpx
import pytest
from starlette.requests import Request

from graysplit import Control
from graysplit.console import Person, app
from tests.console.site import served

OWN: Final = "ops.example"
SAME: Final = {"sec-fetch-site": "same-origin"}
ORIGIN: Final = {"origin": "https://ops.example"}
FORM: Final = "application/x-www-form-urlencoded"
PAGE: Final = "/"
ROLLBACK: Final = "/splits/checkout/rollback"
FREEZE: Final = "/splits/checkout/freeze"
SET: Final = "/splits/checkout/set"
EXPLAIN: Final = "/splits/checkout/explain"


class Case(NamedTuple):
    """One request, and its answer; `written` is what the history has of it."""

    role: str
    method: str
    path: str
    headers: Mapping[str, str]
    status: int
    written: str = ""
    host: str = OWN
    kind: str = FORM


CASES: Final = (
    # who may look
    Case("none", "GET", PAGE, {}, 401),
    Case("look", "GET", PAGE, {}, 200),
    Case("lower", "GET", PAGE, {}, 200),
    Case("operate", "GET", PAGE, {}, 200),
    Case("none", "POST", EXPLAIN, SAME, 401),
    Case("look", "POST", EXPLAIN, SAME, 200),
    # who may change
    Case("none", "POST", ROLLBACK, SAME, 401),
    Case("look", "POST", ROLLBACK, SAME, 403),
    Case("lower", "POST", ROLLBACK, SAME, 200, "rollback by lower"),
    Case("operate", "POST", ROLLBACK, SAME, 200, "rollback by operate"),
    Case("look", "POST", FREEZE, SAME, 403),
    Case("lower", "POST", FREEZE, SAME, 200, "freeze by lower"),
    Case("none", "GET", f"{SET}?to=40", {}, 401),
    Case("look", "GET", f"{SET}?to=40", {}, 403),
    Case("lower", "GET", f"{SET}?to=40", {}, 403),
    Case("lower", "POST", SET, SAME, 403),
    Case("operate", "POST", SET, SAME, 409),  # a raise that was shown by no preview
    # the method
    Case("operate", "GET", ROLLBACK, SAME, 405),
    Case("operate", "HEAD", ROLLBACK, SAME, 405),
    Case("operate", "PUT", ROLLBACK, SAME, 405),
    Case("operate", "PATCH", ROLLBACK, SAME, 405),
    Case("operate", "DELETE", "/splits/checkout", SAME, 405),
    Case("operate", "OPTIONS", ROLLBACK, {}, 405),
    Case(
        "operate", "OPTIONS", ROLLBACK, {"origin": "https://evil.example", "access-control-request-method": "POST"}, 405
    ),
    Case("operate", "GET", ROLLBACK, {**SAME, "x-http-method-override": "POST"}, 405),
    Case("operate", "GET", f"{ROLLBACK}?_method=POST", SAME, 405),
    Case("operate", "BREW", ROLLBACK, SAME, 405),
    # what the browser says of where it comes from
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "same-site"}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "cross-site"}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "none"}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "same-origin, cross-site"}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": ""}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "same-site", **ORIGIN}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "cross-site", **ORIGIN}, 403),
    Case("operate", "POST", ROLLBACK, {**SAME, "origin": "null"}, 200, "rollback by operate"),
    # an old browser: its origin alone
    Case("operate", "POST", ROLLBACK, {}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": "null"}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": ""}, 403),
    Case("operate", "POST", ROLLBACK, ORIGIN, 200, "rollback by operate"),
    Case("operate", "POST", ROLLBACK, {"origin": "http://ops.example"}, 200, "rollback by operate"),
    Case("operate", "POST", ROLLBACK, {"origin": "https://ops.example:8443"}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": "https://evil.example"}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": "https://ops.example.evil.example"}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": "chrome-extension://ops.example"}, 403),
    Case("operate", "POST", ROLLBACK, {"referer": "https://ops.example/"}, 403),
    Case("operate", "POST", ROLLBACK, {"origin": "https://evil.example", "x-forwarded-host": "evil.example"}, 403),
    # the forms that another site can send without asking
    Case("operate", "POST", ROLLBACK, {"origin": "https://evil.example"}, 403, kind="text/plain"),
    Case("operate", "POST", ROLLBACK, {"origin": "https://evil.example"}, 403, kind="multipart/form-data; boundary=x"),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-site": "cross-site"}, 403, kind="text/plain"),
    Case("look", "POST", EXPLAIN, {"sec-fetch-site": "cross-site"}, 403),
    # in a frame
    Case("operate", "GET", PAGE, {"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}, 403),
    Case("operate", "GET", PAGE, {"sec-fetch-dest": "object", **SAME}, 403),
    Case("operate", "POST", ROLLBACK, {"sec-fetch-dest": "iframe", **SAME}, 403),
    # another page may lead here, as a chat's link does
    Case("operate", "GET", PAGE, {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),
    # a name that leads here and is not ours (DNS rebinding)
    Case("operate", "GET", PAGE, {}, 403, host="evil.example"),
    Case("operate", "GET", PAGE, SAME, 403, host="evil.example"),
    Case("operate", "POST", ROLLBACK, SAME, 403, host="evil.example"),
    Case("operate", "POST", ROLLBACK, {"origin": "http://evil.example"}, 403, host="evil.example"),
    Case("operate", "POST", ROLLBACK, {"origin": "http://evil.example:8000"}, 403, host="evil.example:8000"),
    Case(
        "operate",
        "POST",
        ROLLBACK,
        {"origin": "https://ops.example", "x-forwarded-host": OWN},
        403,
        host="evil.example",
    ),
    # an address is no name that can lead elsewhere
    Case("operate", "POST", ROLLBACK, {"origin": "http://10.0.0.7:8000"}, 200, "rollback by operate", "10.0.0.7:8000"),
    Case("operate", "POST", ROLLBACK, {"origin": "http://10.0.0.8:8000"}, 403, host="10.0.0.7:8000"),
)


def by_header(request: Request) -> Person | None:
    """Return who a request says it is from; the name is the role's."""
    role = request.headers["x-role"]
    return None if role == "none" else Person(role, role)  # type: ignore[arg-type]


@pytest.fixture
def client(control: Control) -> Iterator[httpx.Client]:
    """Serve a console in which everything may be done, under a name of its own."""
    with served(app(control, auth=by_header, read_only=False, hosts=[OWN])) as made:
        yield made


def test_exactly_the_allowed_requests_pass(client: httpx.Client, control: Control) -> None:
    """Each answer as the table says, no page without its headers, and the history holds what was allowed, no more."""
    assert len(CASES) >= 60
    answered = []
    for case in CASES:
        headers = {"host": case.host, "x-role": case.role, "content-type": case.kind, **case.headers}
        body = {"content": b"for=1h"} if case.method not in {"GET", "HEAD", "OPTIONS"} else {}
        response = client.request(case.method, case.path, headers=headers, **body)
        answered.append(case._replace(status=response.status_code))
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert not [name for name in response.headers if name.startswith("access-control-")]
    assert answered == [*CASES]
    history = [f"{entry.cause} by {entry.actor}" for entry in reversed(control.history(None, 100))]
    assert [each for each in history if not each.endswith(" by ops")] == [
        case.written for case in CASES if case.written
    ]


@pytest.mark.parametrize("header", ["sec-fetch-site", "origin"])
def test_a_header_that_is_sent_twice_is_believed_by_nobody(client: httpx.Client, control: Control, header: str) -> None:
    """Whatever stands between may have read the other one."""
    own = {"sec-fetch-site": "same-origin", "origin": f"https://{OWN}"}[header]
    other = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}[header]
    for pair in ((own, other), (other, own)):
        headers = [("host", OWN), ("x-role", "operate"), *((header, value) for value in pair)]
        assert client.post(ROLLBACK, headers=headers).status_code == 403
    assert control.history("checkout", 1)[0].cause == "set"
