"""A bad value harms nobody (law 9), an empty answer is an outage (law 8); both are named by split, field, reason.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import redis

import graysplit
from tests.faults.command_line import graysplit_cli
from tests.faults.shares import following, share
from tests.support import eventually

Key = Callable[[str], str]

BAD_WEIGHTS = {
    "not-a-number": "twenty",
    "too-much": "101",
    "negative": "-1",
    "nan": "NaN",
    "infinite": "1e999",
    "underscore": "1_0",
    "spaces": " 20 ",
    "arabic": "٢٠",
    "broken-json": '{"weight": 2',
    "no-utf8": b"\xff\xfe20",
    "four-places": "20.0001",
    "exponent": "2e1",
    "huge": "1" * 100_000,
    "a-list": "[20]",
    "true": "true",
}
BAD_DEFINITIONS = {
    "broken-json": b'{"versions": [',
    "no-utf8": b'{"versions": "\xff\xfe"}',
    "not-an-object": b"[]",
    "a-number": b"20",
    "empty": b"",
    "null": b"null",
    "deep": b"[" * 100_000,
    "huge": b'{"versions": "' + b"x" * (2 << 20) + b'"}',
    "unknown-field": b'{"versions":[{"name":"old"},{"name":"new","place":0}],"salt":"x","seed":1,"algorithm":1,"x":2}',
    "nan": b'{"versions":[{"name":"old"},{"name":"new","place":0}],"salt":"x","seed":NaN,"algorithm":1}',
}
KEYS = ("weights", "stops", "splits", "meta", "log", "booked", "plans", "fleet:seen", "fleet:about", "fleet:receipts")


def told(caplog: pytest.LogCaptureFixture, names: list[str]) -> bool:
    """Return whether a line names each; it is logged a moment after its refusal is in force."""
    return all(any(name in line for line in caplog.messages) for name in names)


def test_a_bad_weight_leaves_the_last_good_one(
    control: graysplit.Control,
    client: redis.Redis,
    key: Key,
    redis_url: str,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bad weights written by hand, all at once: each split stands as it stood, the good one moves, all are named."""
    # Given splits at 20 %
    for split in (*BAD_WEIGHTS, "good"):
        control.create(split)
        control.set(split, 20)
    with following(redis_url, namespace) as router, caplog.at_level(logging.WARNING, "graysplit"):
        # When somebody writes nonsense, and beside it something sensible
        client.hset(key("weights"), mapping={f"{split}/new": bad for split, bad in BAD_WEIGHTS.items()})
        client.hset(key("weights"), "good/new", "40")
        eventually(lambda: share(router, "good") == 40)
        # Then
        assert {split: share(router, split) for split in BAD_WEIGHTS} == dict.fromkeys(BAD_WEIGHTS, 20)
        refused = router.status().refused
        assert refused.keys() == {f"weights {split}/new" for split in BAD_WEIGHTS}
        eventually(lambda: told(caplog, [f"weights {split}/new: " for split in BAD_WEIGHTS]))
        found = graysplit_cli(redis_url, namespace, "doctor", "--json")
        assert found.code == 7, found
        problems = {problem["where"]: problem["what"] for problem in found.json["findings"]}
        for split in BAD_WEIGHTS:
            assert "refused" in problems[f"weights {split}/new"]
        # And a good value heals each
        client.hset(key("weights"), mapping={f"{split}/new": "5" for split in BAD_WEIGHTS})
        eventually(lambda: all(share(router, split) == 5 for split in BAD_WEIGHTS))
        assert router.status().refused == {}


def test_a_bad_definition_leaves_the_last_good_one(
    control: graysplit.Control,
    client: redis.Redis,
    key: Key,
    redis_url: str,
    namespace: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Definitions that cannot be read are refused one by one; what lowers these splits is obeyed, a raise is told."""
    for split in (*BAD_DEFINITIONS, "good"):
        control.create(split)
        control.set(split, 20)
    with following(redis_url, namespace) as router, caplog.at_level(logging.WARNING, "graysplit"):
        client.hset(key("splits"), mapping=dict(BAD_DEFINITIONS))
        client.hset(key("weights"), "good/new", "40")
        eventually(lambda: share(router, "good") == 40)
        eventually(lambda: router.status().refused.keys() == {f"splits {split}" for split in BAD_DEFINITIONS})
        assert {split: share(router, split) for split in BAD_DEFINITIONS} == dict.fromkeys(BAD_DEFINITIONS, 20)
        eventually(lambda: told(caplog, [f"splits {split}: " for split in BAD_DEFINITIONS]))
        found = graysplit_cli(redis_url, namespace, "doctor", "--json")
        assert found.code == 7
        where = {problem["where"] for problem in found.json["findings"]}
        assert {f"splits {split}" for split in BAD_DEFINITIONS} <= where
        # A raise, a lowering and a stop of splits whose definitions cannot be read
        client.hset(key("weights"), mapping={"deep/new": "60", "empty/new": "5"})
        client.hset(key("stops"), "huge", "by hand")
        eventually(lambda: [share(router, split) for split in ("deep", "empty", "huge")] == [20, 5, 0])
        eventually(lambda: told(caplog, ["weights deep/new: 60 is not applied: the definition of 'deep' is refused"]))
        found = graysplit_cli(redis_url, namespace, "doctor", "--json")
        assert any("60 is not applied" in finding["what"] for finding in found.json["findings"])


@pytest.mark.parametrize("zero", ["", "null", "0", "0.0", "00", "0.000"])
def test_what_reads_as_nothing_is_zero(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str, zero: str
) -> None:
    """Empty, `null` and every zero are zero, not bad values."""
    control.create("checkout")
    control.set("checkout", 20)
    with following(redis_url, namespace) as router:
        client.hset(key("weights"), "checkout/new", zero)
        eventually(lambda: share(router) == 0)
        assert router.status().refused == {}


def test_taking_the_last_weight_away_is_zero(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str
) -> None:
    """Timeline 11: `HDEL` of the only weight is zero, for the key keeps its field `_`; and it is booked as an edit."""
    control.create("checkout")
    control.set("checkout", 20)
    with following(redis_url, namespace) as router:
        client.hdel(key("weights"), "checkout/new")
        eventually(lambda: share(router) == 0)
        assert client.hkeys(key("weights")) == [b"_"]
        eventually(lambda: control.history("checkout", 1)[0].cause == "edited outside")
        assert router.status().lost == {}


@pytest.mark.parametrize("end", ["weights", "stops", "splits", "meta"])
@pytest.mark.parametrize("how", ["deleted", "without _", "renamed"])
def test_a_lost_key_is_an_outage(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str, end: str, how: str
) -> None:
    """A key that is gone, or has lost its mark, changes no decision; what lowers is obeyed all the same."""
    for split in ("checkout", "search"):
        control.create(split)
        control.set(split, 20)
    control.rollback("search")
    with following(redis_url, namespace) as router:
        if how == "deleted":
            client.delete(key(end))
        elif how == "renamed":
            client.rename(key(end), key(f"elsewhere-{end}"))
        else:
            client.hdel(key(end), "_")
        eventually(lambda: end in router.status().lost)
        assert (share(router), share(router, "search")) == (20, 0)
        assert end in {problem.where for problem in control.doctor()}
        client.hset(key("stops"), "checkout", "by hand")
        eventually(lambda: share(router) == 0)


@pytest.mark.parametrize("end", KEYS)
@pytest.mark.parametrize("kind", ["list", "string"])
def test_a_key_of_the_wrong_type_hides_no_other(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str, end: str, kind: str
) -> None:
    """Whichever key has the wrong type, decisions stay, newborn processes follow, and what lowers is obeyed."""
    control.create("checkout")
    control.set("checkout", 20)
    with following(redis_url, namespace) as router:
        client.delete(key(end))
        if kind == "list":
            client.rpush(key(end), "x")
        else:
            client.set(key(end), "x")
        if end in ("weights", "stops", "splits", "meta"):
            eventually(lambda: router.status().lost.get(end) == "of the wrong type")
        assert share(router) == 20
        if end not in ("weights", "splits"):
            with following(redis_url, namespace) as newborn:
                assert share(newborn) == 20
        lowering = ("stops", "checkout", "by hand") if end == "weights" else ("weights", "checkout/new", "0")
        client.hset(key(lowering[0]), lowering[1], lowering[2])
        eventually(lambda: share(router) == 0)


def test_a_refusal_of_the_whole_fleet_is_named_by_each(
    control: graysplit.Control, client: redis.Redis, key: Key, redis_url: str, namespace: str
) -> None:
    """`doctor` names what each process refuses, so that nobody has to read logs on a hundred machines."""
    control.create("checkout")
    control.set("checkout", 20)
    with following(redis_url, namespace) as router:
        client.hset(key("weights"), "checkout/new", "1_0")
        eventually(lambda: bool(router.status().refused))

        def named() -> bool:
            findings = graysplit_cli(redis_url, namespace, "doctor", "--json").json["findings"]
            return any(one["where"].startswith("process ") and "checkout/new" in one["what"] for one in findings)

        eventually(named, 15)
