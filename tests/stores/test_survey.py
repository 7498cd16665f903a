"""What is read together is what the verbs read one by one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.stores.port import Survey
from graysplit.stores.redis import RedisStore
from graysplit.testing.contract import put, report_of, seed
from tests.stores.refusing import Profile, RefusingProxy
from tests.stores.trip_relay import TripRelay

SILENT_MS = 700_000  # ten minutes, and more


@pytest.fixture
def store(redis_url: str, namespace: str) -> Iterator[RedisStore]:
    """Return a store with a split, a change and a process."""
    found = RedisStore(redis_url, namespace)
    seed(found)
    put(found, "checkout/new", "20")
    feed = found.follow()
    feed.report(report_of("boot-1", weight="20"), about=True)
    found.save_cursor("hook", None, "text")
    yield found
    feed.close()
    found.close()


def one_by_one(store: RedisStore) -> Survey:
    """Return what the verbs read, each by itself."""
    return Survey(store.fleet(), store.load(), store.read_cursors(), store.history(None, 1))


def timeless(survey: Survey) -> Survey:
    """Return it without the times of its readings."""
    assert survey.cursors is not None
    return Survey(
        survey.fleet._replace(now_ms=0),
        survey.load._replace(now_ms=0),
        survey.cursors._replace(now_ms=0),
        survey.last,
    )


def test_a_survey_is_what_its_parts_are(store: RedisStore) -> None:
    """The fleet, everything, the cursors and the newest change."""
    found = store.survey()
    assert found.fleet.processes
    assert found.last[0].after == {"weights checkout/new": "20"}
    assert timeless(found) == timeless(one_by_one(store))


def test_a_survey_of_splits_is_what_its_parts_are(store: RedisStore) -> None:
    """What concerns a split, and the fleet."""
    found, fleet = store.survey_splits(["checkout"])
    assert found.texts == store.read_splits(["checkout"]).texts
    assert fleet().processes == store.fleet().processes
    assert fleet() is fleet()


def test_a_survey_of_splits_looks_again_where_a_connection_may_have_ended(
    store: RedisStore, redis_url: str, namespace: str
) -> None:
    """What processes told does not say it; the fleet is then the one that a reading of its own gives."""
    older, younger = store.follow(), store.follow()
    older.report(report_of("boot-2", weight="20")._replace(pid=911), about=True)
    older.close()
    with Redis.from_url(redis_url) as client:
        client.zincrby(f"graysplit:{{{namespace}}}:fleet:seen", -60_000, "boot-2")
    younger.report(report_of("boot-3", weight="20")._replace(pid=913, born_ms=store.fleet().now_ms), about=True)
    fleet = store.survey_splits(["checkout"]).fleet()
    assert [process.boot for process in fleet.gone] == ["boot-2"]
    assert (fleet.processes, fleet.gone) == (store.fleet().processes, store.fleet().gone)
    younger.close()


def test_cursors_that_may_not_be_read_are_left_out(store: RedisStore, redis_url: str, namespace: str) -> None:
    """Given a role that may not read what hooks were told, then the rest is read all the same."""
    prefix = f"graysplit:{{{namespace}}}:"
    ends = (
        "weights",
        "stops",
        "splits",
        "meta",
        "plans",
        "booked",
        "log",
        "fleet:seen",
        "fleet:about",
        "fleet:receipts",
    )
    rights = (f"%R~{prefix}{end}" for end in ends)
    with Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", namespace, "on", ">secret", *rights, "+@all")
        try:
            limited = RedisStore(redis_url.replace("redis://", f"redis://{namespace}:secret@"), namespace)
            found = limited.survey()
            limited.close()
        finally:
            client.execute_command("ACL", "DELUSER", namespace)
    assert found.cursors is None
    assert found.load.weights.fields[b"checkout/new"] == b"20"


def test_a_server_that_refuses_much_is_surveyed_in_more_trips(
    store: RedisStore, server: embedded.Server, namespace: str
) -> None:
    """Given neither MEMORY USAGE nor scripts nor INFO, then what is read is the same."""
    with RefusingProxy(server.port, Profile(frozenset(("MEMORY", "EVAL", "EVALSHA", "INFO")))) as proxy:
        other = RedisStore(proxy.url(server.url), namespace)
        assert timeless(other.survey()) == timeless(one_by_one(store))
        assert other.survey_splits(["checkout"]).found.texts == store.read_splits(["checkout"]).texts
        other.close()


def test_processes_that_are_silent_cost_one_trip(store: RedisStore, server: embedded.Server, namespace: str) -> None:
    """Whether their connections have ended is asked for in one question, whoever they are."""
    with Redis.from_url(server.url) as client:
        client.zincrby(f"graysplit:{{{namespace}}}:fleet:seen", -SILENT_MS, "boot-1")
    with TripRelay(server.port) as relay:
        other = RedisStore(relay.url(server.url), namespace)
        found = other.survey()
        other.close()
    assert not found.fleet.live
    assert len(relay.trips) <= 4, relay.trips
