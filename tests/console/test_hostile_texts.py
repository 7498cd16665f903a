"""Whoever can write to the store, or log in, can write anything: on a page and in a stream it is text."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Final

import httpx
import pytest
import redis

from graysplit import Control
from graysplit.console import Person, app
from tests.console.site import OWN_PAGE, Page, served
from tests.faults.hostile import spoil

EVILS: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></main></article><iframe src=//evil.example>",
    "{{7*7}}{% raw %}{{ namespace.__class__ }}",
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "\u202egpj.exe\u2066",
    "\x9b31m\u2028\r\x00",
    "a\n\nevent: list\ndata: <b>forged</b>\n\n",
    "\r\revent: contact\rdata: <b>forged</b>\r\r",
    "&lt;b&gt;&#x1b;",
    "javascript:alert(1)//../..%2f%0d%0aset-cookie:a=b",
    "\u6f22\u5b57\U0001f9ea\ufeff\u200b",
    "x" * 30_000,
)
BYTES: Final = (b"\xed\xa0\x80", b"\xff\xfe<b>", b"\xc0\xbc")  # a lone surrogate, no UTF-8, "<" in too many bytes
# What the texts above would bring to a page, and no page of the console has.
FOREIGN: Final = frozenset({"b", "base", "embed", "iframe", "img", "math", "object", "style", "template"})
ADDRESSES: Final = frozenset({"href", "src", "action", "hx-get", "hx-post", "sse-connect", "data-lines"})
PAGES: Final = (
    "/",
    "/splits/checkout",
    "/splits/q0",
    "/splits/checkout/history",
    "/splits/checkout/evidence",
    "/splits/checkout/set?to=40",
    "/splits/checkout/undo",
    "/splits/checkout/unstop",
    "/splits/checkout/approve",
)


def by_name(name: str) -> Person:
    """Return a person whom the host's login calls so."""
    return Person(name, "operate")


@pytest.fixture
def spoiled(control: Control, redis_url: str, namespace: str) -> Iterator[redis.Redis]:
    """Write hostile names and texts wherever a raw edit can, and where graysplit's own verbs take them."""
    for number, evil in enumerate(EVILS):
        text = "".join(letter for letter in evil if letter.isprintable())[:100]
        control.freeze(f"f{number}*", why=text)
        control.set("checkout", 20 + number, why=text)
        control.pin("checkout", f"{text}-{number}", "new")
    with redis.Redis.from_url(redis_url) as client:
        spoil(client, namespace, EVILS, 100_000)
        at = f"graysplit:{{{namespace}}}:"
        for number, evil in enumerate(EVILS):
            names = {"versions": ["old", "new"], "baseline": "old"}
            plan = {"name": evil, "steps": [{"weight": evil, "after": evil}]}
            guard = {evil: {"metrics": [evil]}, "metrics": {evil: evil}}
            client.hset(f"{at}splits", f"g{number}", json.dumps({**names, "guard": guard, "plan": plan, "salt": evil}))
            client.hset(f"{at}plans", f"g{number}", json.dumps({"name": evil, "step": evil, "actor": evil}))
            client.hset(f"{at}plans", evil, evil)
        for number, raw in enumerate(BYTES):
            client.hset(f"{at}weights", mapping={raw: b"20", b"checkout/" + raw: raw, f"b{number}/new": raw})
            client.hset(f"{at}stops", mapping={raw: raw, b"checkout": raw, f"b{number}/new": raw})
            client.hset(f"{at}splits", mapping={raw: raw, f"b{number}": raw})
            entry = {"id": f"b{number}", "rev": "1", "split": raw, "cause": raw, "actor": raw, "why": raw}
            client.xadd(f"{at}log", {**entry, "from": "{}", "to": "{}"})
        yield client


def check_text(text: str, where: str) -> Page:
    """Check that a piece of a page brings no element of another's, and nothing that moves a cursor or turns text."""
    page = Page(text)
    for element in page.elements:
        assert element.tag not in FOREIGN, (where, element.tag)
        for name, value in element.attributes.items():
            assert name != "style", (where, element.tag)
            assert not name.startswith("on"), (where, element.tag, name)
            if name in ADDRESSES:
                assert str(value).startswith("/"), (where, name, value)
                assert not str(value).startswith("//"), (where, name, value)
        assert element.tag != "script" or not element.text
        assert "x" * 20_000 not in element.text, (where, element.tag)
        assert "49" not in element.text.split(), (where, element.text)
    shown = html.unescape(text)
    assert {letter for letter in shown if not letter.isprintable()} <= {"\n", " "}, where
    return page


def all_events(client: httpx.Client, address: str) -> list[tuple[str, str]]:
    """Return the events of a stream from its beginning to the second beat, as a browser reads them."""
    events: list[tuple[str, str]] = []
    with client.stream("GET", address) as response:
        rest = ""
        for piece in response.iter_text():
            rest += piece.replace("\r\n", "\n").replace("\r", "\n")
            while "\n\n" in rest:
                block, _, rest = rest.partition("\n\n")
                lines = [line.partition(":") for line in block.split("\n")]
                fields = [(name, value.removeprefix(" ")) for name, _, value in lines]
                assert {name for name, _ in fields} <= {"event", "data", "id", "retry", ""}, block[:300]
                data = "\n".join(value for name, value in fields if name == "data")
                events += [(value, data) for name, value in fields if name == "event"]
            if [name for name, _ in events].count("beat") > 1:
                return events
    return events


def test_on_every_page_it_is_text(control: Control, spoiled: redis.Redis) -> None:
    """Raw edits, past graysplit's own checks: no element, no attribute and no control character comes of them."""
    with served(app(control, auth=lambda _: by_name("anna"), read_only=False)) as client:
        for path in PAGES:
            response = client.get(path)
            assert response.status_code in {200, 404, 409}, (path, response.status_code, response.text[-500:])
            page = check_text(response.text, path)
            if path == "/splits/checkout":
                assert "<script>alert(1)</script>" in page.one("main").text
                assert "{{7*7}}" in page.one("main").text
        for path in ("/splits/checkout/rollback", "/splits/checkout/explain", "/rollback"):
            response = client.post(path, data={"unit": EVILS[0], "why": EVILS[1]}, headers=OWN_PAGE)
            assert response.status_code == 200, (path, response.text[-500:])
            check_text(response.text, path)


def test_no_text_breaks_out_of_a_stream(control: Control, spoiled: redis.Redis) -> None:
    """Each event is one that the page has a place for, and each part a piece of a page."""
    places = {"": {"beat", "contact", "said", "list"}, "/splits/checkout": {"beat", "contact", "state", "fleet"}}
    with served(app(control, auth=lambda _: by_name("anna"), read_only=False)) as client:
        for path, own in places.items():
            events = all_events(client, f"{path}/events")
            assert own <= {name for name, _ in events}
            for name, data in events:
                assert name in own | {"history", "acts"} or name.startswith("row-"), name
                assert "forged</b>" not in data
                check_text(data, name)


@pytest.mark.parametrize("evil", EVILS)
def test_a_name_in_an_address_is_text(control: Control, evil: str) -> None:
    """What names no split is told as such, and as text."""
    with served(app(control)) as client:
        for path in ("/splits/{}", "/splits/{}/history", "/{}", "/static/{}", "/splits/checkout/{}"):
            response = client.get(path.format(httpx.QueryParams({"": evil}).__str__()[1:].replace("+", "%20")))
            assert response.status_code == 404, path
            check_text(response.text, path)


def test_a_person_may_be_called_anything(control: Control) -> None:
    """No name keeps a rollback from being written, and the history has it as text on one line."""
    names = iter(each for evil in EVILS for each in (evil, evil))  # of one page, then of one press
    with served(app(control, auth=lambda _: by_name(next(names)), read_only=False)) as client:
        for evil in EVILS:
            response = client.get("/")
            assert response.status_code == 200
            check_text(response.text, evil[:20])
            response = client.post("/splits/checkout/rollback", headers=OWN_PAGE)
            check_text(response.text, evil[:20])
            assert response.status_code == 200, response.text
            last = control.history("checkout", 1)[0]
            assert last.cause == "rollback"
            assert last.actor.isprintable()
            assert len(last.actor) < 2_000
