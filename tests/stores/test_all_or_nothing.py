"""A write does all of what it says or nothing: each command that a script uses is taken away from it in turn."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from graysplit.errors import GraysplitError, StoreCorruptError
from graysplit.stores import Rollback, Store, store_from_url
from graysplit.stores.port import Trip
from graysplit.stores.redis import RedisStore
from graysplit.stores.text.records import new_id
from graysplit.testing.contract import one, put, seed, submission_of
from graysplit.testing.contract.words import start_plan, step_of
from tests.support import skip_or_fail

LUA: Final = Path(graysplit.__file__).parent / "stores" / "lua"
CALLED: Final = re.compile(r"(?:call|try|refusal)\(\s*(?:\{ \{ )?'([A-Z]+)'|\{ '([A-Z]+)', ")
NAMESPACE: Final = "whole"
Dump = Mapping[str, object]


class Bench(NamedTuple):
    """A server, its owner's client, and the same namespace for a user who lacks a command."""

    url: str
    client: Redis

    def key(self, end: str) -> str:
        """Return a key's full name."""
        return f"graysplit:{{{NAMESPACE}}}:{end}"

    def owner(self) -> Store:
        """Return the namespace as its owner has it."""
        return store_from_url(self.url, NAMESPACE)

    def without(self, command: str) -> Store:
        """Return the namespace for a user who may do everything but one command."""
        name = f"u{os.urandom(4).hex()}"
        self.client.execute_command("ACL", "SETUSER", name, "reset", "on", ">pw", "~*", "&*", "+@all", f"-{command}")
        return store_from_url(self.url.replace("redis://", f"redis://{name}:pw@"), NAMESPACE)

    def dump(self) -> Dump:
        """Return all that the namespace holds, but for what no change is: the server's start."""
        hashes = {end: self.client.hgetall(self.key(end)) for end in ("weights", "stops", "splits", "plans", "booked")}
        meta = {name: text for name, text in self.client.hgetall(self.key("meta")).items() if name != b"run_id"}
        return {**hashes, "meta": meta, "log": self.client.xrange(self.key("log"))}


@pytest.fixture(scope="module", params=["the tests' server", "Debian's server"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Run a server of each kind at hand."""
    binary = embedded.find_binary() if request.param == "the tests' server" else shutil.which("redis-server")
    if binary is None:
        skip_or_fail("no redis-server here: install Debian's package redis-server")
    with embedded.Server(binary, unix=False, appendonly=False, arguments=()) as found:
        found.start()
        with Redis.from_url(found.url) as client:
            yield Bench(found.url, client)


def commands_of(script: str) -> list[str]:
    """Return the commands that a script and what it shares may use."""
    text = (LUA / "shared.lua").read_text() + (LUA / f"{script}.lua").read_text()
    return sorted({first or second for first, second in CALLED.findall(text)} | {"EVAL", "EVALSHA"})


Act = Callable[[Store], object]


def _raise(store: Store) -> object:
    return put(store, "checkout/new", "20", expect="5", why="up")


def _delete_stop(store: Store) -> object:
    return store.submit(submission_of(store, "checkout", *one("stops", "old-stop", "x", None)))


def _mend(store: Store) -> object:
    mended = submission_of(store, "checkout", *one("weights", "checkout/new", "5", "4"), cause="recover")
    return store.submit(mended._replace(mends=("stops",)))


ACTS: Final[Mapping[str, tuple[str, Act]]] = {
    "a raise": ("submit", _raise),
    "a stop cleared": ("submit", _delete_stop),
    "a definition": ("submit", lambda store: seed(store, "other")),
    "a plan's start": ("submit", start_plan),
    "a plan's step": ("submit", lambda store: store.submit(step_of(store))),
    "a key made whole": ("submit", _mend),
}


@pytest.mark.parametrize("name", ACTS)
def test_a_submission_does_all_or_nothing(bench: Bench, name: str) -> None:
    """Whatever command is taken away: it stands with its entry in the history, or nothing has changed."""
    script, act = ACTS[name]
    refused = 0
    for command in commands_of(script):
        _begin(bench, name)
        before, store = bench.dump(), bench.without(command)
        try:
            act(store)
        except GraysplitError:
            refused += 1
            assert bench.dump() == before, command
        else:
            assert len(_log(bench)) == len(before["log"]) + 1, command  # type: ignore[arg-type]
            assert bench.dump() != before
        finally:
            store.close()
    assert refused >= 2  # HSET or HDEL, XADD, HINCRBY at least


def test_the_first_write_into_a_namespace_does_all_or_nothing(bench: Bench) -> None:
    """The keys are made with the change, or not at all."""
    for command in commands_of("submit"):
        bench.client.flushall()
        before, store = bench.dump(), bench.without(command)
        try:
            seed(store)
        except GraysplitError:
            assert bench.dump() == before, command
        else:
            assert len(_log(bench)) == 1, command
        finally:
            store.close()


def test_a_rollback_stands_and_says_what_is_missing(bench: Bench) -> None:
    """Going back is never refused for what is beside it: stop or weight stand, or nothing does and it says so."""
    for command in commands_of("rollback"):
        _begin(bench, "a rollback")
        before, store = bench.dump(), bench.without(command)
        try:
            written = store.roll_back(Rollback(new_id(), "checkout", "tester", "bad"))
        except GraysplitError:
            assert bench.dump() == before, command
        else:
            after = bench.dump()
            lowered = after["weights"].get(b"checkout/new", b"0") == b"0"  # type: ignore[attr-defined]
            assert lowered or b"checkout" in after["stops"], command  # type: ignore[operator]
            assert written.unrecorded or len(_log(bench)) == len(before["log"]) + 1, command  # type: ignore[arg-type]
        finally:
            store.close()


def test_what_a_guard_could_not_record_is_recorded_by_whoever_may(bench: Bench) -> None:
    """A trip without the history leaves the books as they are, so that its entry comes from the next process."""
    for command in commands_of("trip"):
        _begin(bench, "a trip")
        release = bench.client.hget(bench.key("meta"), "release:checkout/new").split()[0].decode()
        store = bench.without(command)
        feed = store.follow()
        try:
            tripped = feed.trip(Trip(new_id(), "checkout/new", release, "worse", "guard", "trip"))
        except GraysplitError:
            tripped = False
        finally:
            feed.close()
            store.close()
        assert not tripped or b"checkout/new" in bench.client.hgetall(bench.key("stops")), command
        if not tripped:
            continue
        owner = bench.owner()
        follower = owner.follow()
        follower.record_raw_edits("owner")
        causes = [entry.cause for entry in owner.history("checkout", 10)]
        follower.close()
        owner.close()
        assert causes.count("trip") == 1, (command, causes)


def test_booking_does_all_or_nothing(bench: Bench) -> None:
    """A raw edit is in the books with its entry, or in neither."""
    for command in commands_of("record_raw_edits"):
        _begin(bench, "a raw edit")
        bench.client.hset(bench.key("weights"), "checkout/new", "7")
        before, store = bench.dump(), bench.without(command)
        try:
            feed = store.follow()
            try:
                booked = feed.record_raw_edits("somebody")
            finally:
                feed.close()
        except GraysplitError:
            booked = 0
        finally:
            store.close()
        assert (bench.dump() == before) if not booked else len(_log(bench)) == len(before["log"]) + 1, command  # type: ignore[arg-type]


@pytest.mark.parametrize("revision", ["9223372036854775807", "9007199254740993", "1" * 30])
def test_a_revision_that_cannot_be_counted_up_refuses_the_write(bench: Bench, revision: str) -> None:
    """Set by hand: the change is refused as a whole, and going back works."""
    _begin(bench, "a raise")
    bench.client.hset(bench.key("meta"), "revision", revision)
    owner, before = bench.owner(), bench.dump()
    with pytest.raises(StoreCorruptError, match="revision"):
        _raise(owner)
    assert bench.dump() == before
    owner.roll_back(Rollback(new_id(), "checkout", "tester", "bad"))
    assert bench.client.hget(bench.key("weights"), "checkout/new") == b"0"
    owner.close()


def test_the_commands_of_each_script_are_found() -> None:
    """The test above would pass by finding none."""
    assert {"HSET", "HDEL", "HINCRBY", "XADD", "TIME", "HGET"} <= set(commands_of("submit"))
    assert {"HSETNX", "XADD"} <= set(commands_of("trip"))


def _begin(bench: Bench, name: str) -> None:
    bench.client.flushall()
    owner = bench.owner()
    seed(owner)
    assert isinstance(owner, RedisStore)
    first = submission_of(owner, "checkout", *one("weights", "checkout/new", "0", "5"))
    owner.submit(first._replace(begins=("checkout/new",)))
    owner.submit(submission_of(owner, "checkout", *one("stops", "old-stop", None, "x")))
    if name == "a plan's step":
        start_plan(owner)
    if name == "a key made whole":
        bench.client.delete(bench.key("stops"))
    owner.close()


def _log(bench: Bench) -> list[object]:
    found = bench.client.xrange(bench.key("log"))
    assert isinstance(found, list)
    return found
