"""One thread follows the store for all pages; without the store each says so, and how old it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from redis import Redis

import graysplit
from graysplit import Control, embedded
from graysplit.console import Person, app
from tests.console.site import OWN_PAGE, Page, events, served
from tests.support import NewThreads, eventually


@pytest.fixture
def own() -> Iterator[embedded.Server]:
    """Return a server that a test may stop, with a split at 20 %."""
    with embedded.server() as running:
        with Control(running.url, actor="ops") as control:
            control.create("checkout")
            control.set("checkout", 20)
        yield running


def connections(server: embedded.Server) -> int:
    """Return how many connections a server has beside this one."""
    with Redis.from_url(server.url) as redis:
        return len(redis.client_list()) - 1


def test_twenty_pages_are_one_follower(own: embedded.Server) -> None:
    """More pages open no further connection, and each hears of a change."""
    followers = NewThreads()
    with served(app(own.url)) as client, ExitStack() as stack:
        since = str(Page(client.get("/").text).one("body").attributes["sse-connect"])
        first = eventually(lambda: connections(own))
        heard: list[str] = []
        threads: list[threading.Thread] = []

        def listen(response: httpx.Response) -> None:
            heard.append(next(data for name, data in events(response) if name == "row-checkout" and "35%" in data))

        for _ in range(20):
            response = stack.enter_context(client.stream("GET", since))
            threads.append(threading.Thread(target=listen, args=(response,)))
            threads[-1].start()
        assert eventually(lambda: connections(own) <= first)
        with Control(own.url) as control:
            control.set("checkout", 35)
        for thread in threads:
            thread.join(5)
        assert len(heard) == 20
        assert len(followers.named("graysplit console")) == 1


def test_without_the_store_a_page_says_so_and_how_old_it_is(own: embedded.Server) -> None:
    """A server that is stopped: the page keeps what it had with its time, and a rollback says what to do instead."""
    with served(app(own.url, auth=lambda _: Person("anna", "operate"), read_only=False)) as client:
        since = str(Page(client.get("/").text).one("body").attributes["sse-connect"])
        os.kill(own.pid, signal.SIGSTOP)
        try:
            with client.stream("GET", since) as response:
                lost = next(data for name, data in events(response) if name == "contact" and data)
            assert "No contact to the store for" in lost
            page = Page(client.get("/").text)
            text = page.one("p", data_lost="1").text
            assert "What is shown is from 2" in text
            assert page.one("div", data_candidate="new").attributes["data-weight"] == "20%"
            refused = client.post("/splits/checkout/rollback", headers=OWN_PAGE)
            assert (refused.status_code, "GRAYSPLIT_OFF_FILE" in refused.text) == (503, True)
        finally:
            os.kill(own.pid, signal.SIGCONT)
        eventually(lambda: not Page(client.get("/").text).all("p", data_lost="1"))


def test_before_the_first_contact_nothing_is_claimed() -> None:
    """No server at that address: no weight is shown, and the reason is."""
    with served(app("redis://127.0.0.1:1/0", auth=lambda _: Person("anna", "operate"), read_only=False)) as client:
        page = Page(client.get("/").text)
        assert "Nothing was read yet" in page.one("p", data_lost="1").text
        assert page.all("article") == []
        assert "no splits yet" not in page.one("main").text
        split = client.get("/splits/checkout")
        assert split.status_code == 503
        assert Page(split.text).all("button", data_act="rollback") != []


def test_an_emptied_store_has_not_taken_anybody_to_the_baseline(own: embedded.Server) -> None:
    """What the processes keep is shown, with what lost it; the button goes on to work."""
    with (
        graysplit.Router(own.url) as router,
        served(app(own.url, auth=lambda _: Person("anna", "operate"), read_only=False)) as client,
        Redis.from_url(own.url) as redis,
    ):
        split = router.split("checkout", "old", "new")
        router.start()
        eventually(lambda: "on 1 of 1 process" in client.get("/").text)
        redis.delete(*(key for key in redis.scan_iter() if b":fleet:" not in key))

        def lost() -> bool:
            page = Page(client.get("/").text)
            assert "the store is empty, and 1 live process runs with the values it read last" in page.one("main").text
            assert "kept by the processes" in page.one("article", data_split="checkout").text
            return page.one("div", data_candidate="new").attributes["data-weight"] == "20%"

        eventually(lost)
        assert "the store is empty" in client.get("/splits/checkout").text
        client.post("/splits/checkout/rollback", headers=OWN_PAGE).raise_for_status()
        eventually(lambda: {split.choose(f"u{number}") for number in range(200)} == {"old"})


def test_the_thread_ends_when_nobody_looks(own: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next page starts it again, with nothing old on it."""
    monkeypatch.setattr("graysplit.console.follower.IDLE_S", 0.1)
    followers = NewThreads()
    with served(app(own.url)) as client:
        assert "20%" in client.get("/").text
        eventually(lambda: not followers.named("graysplit console"))
        with Control(own.url) as control:
            control.set("checkout", 35)
        page = Page(client.get("/").text)
        assert page.one("div", data_candidate="new").attributes["data-weight"] == "35%"
