"""The store stopped, half open, gone, emptied, another namespace, rights too narrow: each screen says what is so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Final

import httpx
import pytest
from redis import Redis
from starlette.applications import Starlette

from graysplit import Control, embedded
from graysplit.console import Person, app
from tests.console.site import OWN_PAGE, Page, served
from tests.faults.proxy import Proxy
from tests.support import eventually

UNKNOWN: Final = "It is not known whether the change was written"
NOTHING: Final = "Nothing was written"
AT: Final = "graysplit:{default}:"


@pytest.fixture
def own() -> Iterator[embedded.Server]:
    """Return a server that a test may stop, with a split at 20 %."""
    with embedded.server(appendonly=True) as running:
        with Control(running.url, actor="ops") as control:
            control.create("checkout")
            control.set("checkout", 20)
        yield running


def console(url: str, **options: str) -> Starlette:
    """Return a console in which everything may be done."""
    return app(url, auth=lambda _: Person("anna", "operate"), read_only=False, **options)


def words(client: httpx.Client, path: str) -> str:
    """Return what a page says."""
    return Page(client.get(path).text).one("main").text


def press(client: httpx.Client) -> str:
    """Roll back, and return what the answer says."""
    return Page(client.post("/splits/checkout/rollback", headers=OWN_PAGE).text).one("main").text


def rollbacks(server: embedded.Server) -> int:
    """Return how many rollbacks the history has."""
    with Control(server.url) as control:
        return sum(entry.cause == "rollback" for entry in control.history("checkout"))


Outage = Callable[[embedded.Server, Proxy], None]
OUTAGES: Final[dict[str, tuple[Outage, Outage]]] = {
    "stopped": (
        lambda server, _: os.kill(server.pid, signal.SIGSTOP),
        lambda server, _: os.kill(server.pid, signal.SIGCONT),
    ),
    "half open": (lambda _, proxy: proxy.blackhole(), lambda _, proxy: proxy.heal()),
    "gone": (lambda server, _: server.kill(), lambda server, _: server.start()),
}


@pytest.mark.parametrize("outage", [pytest.param("stopped", marks=pytest.mark.soak), "half open", "gone"])
def test_without_the_store_no_page_claims_to_be_of_now(own: embedded.Server, outage: str) -> None:
    """One console had read before, the other had not; what a press says of what was written is so afterwards."""
    begin, end = OUTAGES[outage]
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy(own.port))
        before, after = (stack.enter_context(served(console(proxy.url(own.url)))) for _ in range(2))
        assert "20%" in words(before, "/splits/checkout")
        begin(own, proxy)
        try:
            said = [press(before)]
            eventually(lambda: "No contact to the store for" in words(before, "/"), 10)
            for path in ("/", "/splits/checkout"):
                known, unknown = words(before, path), words(after, path)
                assert "What is shown is from 2" in known
                assert "20%" in known
                assert "No contact to the store for" in unknown
                assert "Nothing was read yet" in unknown
                assert "%" not in unknown
                assert "no splits" not in unknown
            said += [press(before), press(after)]
        finally:
            end(own, proxy)
        assert all((UNKNOWN in each) != (NOTHING in each) for each in said), said
        assert NOTHING in said[2]
        eventually(lambda: "No contact" not in words(before, "/") + words(after, "/"), 10)
        assert rollbacks(own) <= sum(UNKNOWN in each for each in said)
        assert "written: rollback checkout" in press(after)
        eventually(lambda: "0%" in words(before, "/splits/checkout"))


def test_an_emptied_store_is_told_by_who_has_seen_it_full(own: embedded.Server) -> None:
    """No process lives that could tell: an open console knows what there was; one that comes later claims nothing."""
    with served(console(own.url)) as before, served(console(own.url)) as after, Redis.from_url(own.url) as redis:
        assert "20%" in words(before, "/")
        redis.flushall()
        told = eventually(lambda: "the store went back from revision 2 to 0" in (said := words(before, "/")) and said)
        assert "above zero: checkout/new 20%" in told
        assert "no splits yet" in words(after, "/")
        assert "no split 'checkout'" in words(before, "/splits/checkout")
        assert "NOT ROLLED BACK" in press(before)
        with Control(own.url, actor="new") as control:
            control.create("checkout")
            for weight in (5, 6, 7):
                control.set("checkout", weight, why="anew", unstop=True)
        now = eventually(lambda: "checkout/new 6% -> 7% by new" in (said := words(before, "/")) and said)
        assert "went back" not in now


def test_another_namespace_is_named_and_nothing_of_this_one_is_shown(own: embedded.Server) -> None:
    """A rollback there says that it met nobody."""
    with served(console(own.url, namespace="other")) as client:
        page = Page(client.get("/").text)
        assert page.one("span", data_namespace="other").text
        assert "Splits in other" in page.one("main").text
        assert page.all("article") == []
        assert client.get("/splits/checkout").status_code == 404
        assert "NOT ROLLED BACK: no split 'checkout' in this namespace" in press(client)
    assert rollbacks(own) == 0


ALL: Final = tuple(f"~{AT}{key}" for key in ("weights", "stops", "splits", "meta", "booked", "plans"))
RIGHTS: Final = {
    "may not read the fleet": ([*ALL, f"~{AT}log", "+@all"], True, "written: rollback checkout", 1),
    "may not read the history": ([*ALL, f"~{AT}fleet:*", f"%W~{AT}log", "+@all"], True, "rollback checkout", None),
    "may not read the weights": ([f"~{AT}fleet:*", f"%R~{AT}log", "+@all"], True, NOTHING, 0),
    "may not write": (["%R~*", "+@all"], False, NOTHING, 0),
    "may do nothing": (["+ping"], True, NOTHING, 0),
}


@pytest.mark.parametrize("user", RIGHTS)
def test_rights_that_are_too_narrow_are_told_as_that(own: embedded.Server, user: str) -> None:
    """It is no outage: the page says who may not read, the press what was written, and neither tells the password."""
    rules, is_blind, answer, written = RIGHTS[user]
    with Redis.from_url(own.url) as redis:
        redis.execute_command("ACL", "SETUSER", "ops", "reset", "on", ">se-cret", "&*", *rules)
    with served(console(own.url.replace("redis://", "redis://ops:se-cret@"))) as client:
        for path in ("/", "/splits/checkout"):
            said = words(client, path)
            assert ("The store has not let itself be read" in said) == is_blind, said
            assert ("its rights are too narrow" in said) == is_blind
            assert "20%" not in said or not is_blind
        assert answer in (said := press(client)), said
        assert "se-cret" not in client.get("/").text + said
    if written is not None:
        assert rollbacks(own) == written


def test_a_wrong_password_is_told_as_that(own: embedded.Server) -> None:
    """And not shown."""
    with served(console(own.url.replace("redis://", "redis://ops:se-cret@"))) as client:
        assert "it refuses the user or the password" in words(client, "/")
        assert NOTHING in (said := press(client))
        assert "se-cret" not in client.get("/").text + said
