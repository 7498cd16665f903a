"""What concerns a few splits, read from a real server: by a script and by names, and both alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest
from redis import Redis

from graysplit.stores import Store, store_from_url
from graysplit.stores.places import VERSIONS_AT_MOST
from graysplit.stores.port import FieldReading, Place
from graysplit.stores.redis import split_reader
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.keys import Keys
from graysplit.testing.contract import seed

LONG = "x" * 70_000  # more than is read of a weight

RECORDS = {
    "usual": json.dumps({"versions": [{"name": "old"}, {"name": "new", "place": 0}], "ü": "é"}, ensure_ascii=False),
    "many": json.dumps({"versions": [{"name": f"v{number}"} for number in range(VERSIONS_AT_MOST)]}),
    "too many": json.dumps({"versions": [{"name": f"v{number}"} for number in range(VERSIONS_AT_MOST + 1)]}),
    "odd": json.dumps({"versions": [{"name": "a b\n\0/é"}, {"name": ""}]}),
    "not a list": '{"versions": {"name": "old"}}',
    "deep": "[" * 5_000,
    "long": json.dumps({"versions": [{"name": "old"}], "salt": "x" * 1_100_000}),
    "number": "1",
}


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """Return a plain client, for raw edits; and a user who may run no script."""
    found = Redis.from_url(redis_url)
    found.execute_command("ACL", "SETUSER", "unscripted", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha")
    yield found
    found.execute_command("ACL", "DELUSER", "unscripted")
    found.close()


@pytest.fixture
def both(redis_url: str, namespace: str, client: Redis) -> Iterator[tuple[Store, Store]]:
    """Return a store that runs scripts, and one of the same namespace that does not."""
    assert client
    stores = (
        store_from_url(redis_url, namespace),
        store_from_url(redis_url.replace("redis://", "redis://unscripted:secret@"), namespace),
    )
    seed(stores[0], "split", weight="5")
    seed(stores[0], "other", weight="5")
    yield stores
    for store in stores:
        store.close()


@pytest.mark.parametrize("which", list(RECORDS))
def test_both_ways_read_the_same(both: tuple[Store, Store], client: Redis, namespace: str, which: str) -> None:
    """Whatever a record holds: the same fields with the same texts, with scripts and without."""
    of = f"graysplit:{{{namespace}}}:"
    client.hset(of + "splits", "split", RECORDS[which])
    client.hset(of + "weights", "split/old", LONG)
    client.hset(of + "meta", "lease:split/old", b"\xff")
    by_script, by_names = (store.read_splits(["split", "other", "nobody"]) for store in both)
    assert by_script.texts == by_names.texts
    assert 0 <= by_names.now_ms - by_script.now_ms < 60_000
    versions = sum(key == "weights" and field.startswith("split/") for key, field in by_script.texts)
    assert versions == {"usual": 2, "many": VERSIONS_AT_MOST, "odd": 2}.get(which, 0)


def test_a_long_value_is_not_moved(both: tuple[Store, Store], client: Redis, namespace: str) -> None:
    """Its length stands for it, as in every other reading."""
    of = f"graysplit:{{{namespace}}}:"
    client.hset(of + "splits", "split", RECORDS["usual"])
    client.hset(of + "weights", "split/new", LONG)
    for store in both:
        told = store.read_splits(["split"]).texts["weights", "split/new"]
        assert told == f"<{len(LONG)} bytes: more than the 65536 that are read>"


@pytest.mark.parametrize("broken", ["weights", "stops", "splits", "meta", "plans"])
def test_a_key_of_the_wrong_type_has_no_field(
    both: tuple[Store, Store], client: Redis, namespace: str, broken: str
) -> None:
    """Nothing is raised: what is absent there is told as absent, the field that says whether the key counts too."""
    client.hset(f"graysplit:{{{namespace}}}:splits", "split", RECORDS["usual"])
    client.delete(f"graysplit:{{{namespace}}}:{broken}")
    client.set(f"graysplit:{{{namespace}}}:{broken}", "not a hash")
    by_script, by_names = (store.read_splits(["split"]) for store in both)
    assert by_script.texts == by_names.texts
    assert not any(value for (key, _), value in by_script.texts.items() if key == broken)


def test_a_definition_that_changes_meanwhile_is_read_with_its_own_versions(
    both: tuple[Store, Store], client: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without scripts the versions are known from a first look: where they are others by the second, it looks again."""
    of = f"graysplit:{{{namespace}}}:"
    client.hset(of + "splits", "split", RECORDS["usual"])
    look, looks = split_reader.measured_glance, 0

    def changing(line: Connection, keys: Keys, places: Sequence[Place]) -> FieldReading:
        nonlocal looks
        found = look(line, keys, places)
        looks += 1
        if looks == 1:
            client.hset(of + "splits", "split", '{"versions": [{"name": "late"}]}')
        return found

    monkeypatch.setattr(split_reader, "measured_glance", changing)
    found = both[1].read_splits(["split"])
    assert ("weights", "split/late") in found.texts
    assert looks == 3
