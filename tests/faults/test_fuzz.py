"""Stored values, mutated with their structure in mind: whatever stands in Redis, nobody crashes and nobody moves."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import redis

import graysplit
from graysplit.codec import parse_definition
from graysplit.core.weights import parse_weight
from graysplit.errors import BadDefinitionError, BadWeightError
from tests.faults.shares import following, share
from tests.support import eventually

SPLITS = tuple(f"split-{number}" for number in range(10))
JUNK: tuple[Any, ...] = (  # Any: JSON
    None, "", 0, -1, 1.5, True, [], {}, [[]], {"a": 1}, "old", "new", "x" * 3_000, "\x00", "٢٠", 10**30, [None] * 50,
    "\ud800", {"name": "new", "place": 0}, 1e300, "NaN",
)  # fmt: skip
WEIGHTS = (
    "NaN",
    "-1",
    "101",
    "1_0",
    " 20 ",
    "2e1",
    "٢٠",
    "0x14",
    "20%",
    "20,5",
    "+20",
    "20.0001",
    "[]",
    "previews",
)


def mutated(value: Any, chance: random.Random) -> Any:  # Any: JSON
    """Blank, null, drop, repeat or replace one thing somewhere inside."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        return mutated_object(value, chance)
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        if chance.random() < 0.3:
            return value * chance.choice((2, 10, 200))
        return [*value[:place], mutated(value[place], chance), *value[place + 1 :]]
    return chance.choice(JUNK)


def mutated_object(value: dict[str, Any], chance: random.Random) -> dict[str, Any]:  # Any: JSON
    """Do so in one field of an object, or to its name."""
    name = chance.choice(list(value))
    rest = {key: inner for key, inner in value.items() if key != name}
    others: tuple[dict[str, Any], ...] = (  # Any: JSON
        {},
        {name: chance.choice(JUNK)},
        {name: value[name], chance.choice(("x", name.upper(), "")): value[name]},
        {name: mutated(value[name], chance)},
    )
    return {**rest, **chance.choice(others)}


def broken(raw: bytes, chance: random.Random) -> bytes:
    """Cut it, flip a byte of it, or put something in."""
    place = chance.randrange(len(raw))
    kind = chance.randrange(4)
    if kind == 0:
        return raw[:place]
    if kind == 1:
        return raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
    if kind == 2:
        return raw[:place] + chance.choice((b"\xff", b'"', b"{", b"NaN", b"\x00", b"1" * 5_000)) + raw[place:]
    return b"[" * chance.choice((50, 5_000, 100_000)) + raw


def is_definition(split: str, raw: bytes) -> bool:
    """Say whether a value is a definition after all."""
    try:
        return parse_definition(split, raw) is not None
    except BadDefinitionError:
        return False


def is_weight(raw: bytes) -> bool:
    """Say whether a value is a weight after all."""
    try:
        parse_weight(raw.decode("ascii"))
    except (BadWeightError, UnicodeDecodeError):
        return False
    return True


def fuzz(control: graysplit.Control, client: redis.Redis, url: str, rounds: int, seed: int) -> None:
    """Write ten mutations at a time and a good change beside them; then everything good again."""
    chance = random.Random(seed)
    prefix = f"graysplit:{{{control.namespace}}}:"
    for split in (*SPLITS, "good"):
        control.create(split)
        control.set(split, 20)
        control.pin(split, "tester")
    good = {split: client.hget(f"{prefix}splits", split) for split in SPLITS}
    with following(url, control.namespace) as router:
        for number in range(rounds):
            definitions: dict[str, bytes] = {}
            weights: dict[str, bytes] = {}
            for split in SPLITS:
                raw = good[split]
                assert raw is not None
                if chance.random() < 0.3:
                    weight = chance.choice((*WEIGHTS, broken(b"12.5", chance), "9" * 5_000))
                    weights[split] = weight.encode() if isinstance(weight, str) else weight
                elif chance.random() < 0.6:
                    definitions[split] = json.dumps(mutated(json.loads(raw), chance)).encode()
                else:
                    definitions[split] = broken(raw, chance)
            definitions = {split: raw for split, raw in definitions.items() if not is_definition(split, raw)}
            weights = {split: raw for split, raw in weights.items() if not is_weight(raw)}
            pipe = client.pipeline(transaction=True)
            for split, raw in definitions.items():
                pipe.hset(f"{prefix}splits", split, raw)
            for split, raw in weights.items():
                pipe.hset(f"{prefix}weights", f"{split}/new", raw)
            pipe.hset(f"{prefix}weights", "good/new", str(1 + number % 99))
            pipe.execute()
            message = f"the good split in round {number} of seed {seed}"
            eventually(lambda number=number: share(router, "good") == 1 + number % 99, message=message)  # type: ignore[misc]
            named = {f"splits {split}" for split in definitions} | {f"weights {split}/new" for split in weights}
            eventually(lambda named=named: router.status().refused.keys() == named, message=f"refusals, {message}")  # type: ignore[misc]
            stands = {split: share(router, split) for split in SPLITS}
            assert stands == dict.fromkeys(SPLITS, 20), (seed, number, definitions, weights)
            pipe.hset(f"{prefix}splits", mapping={split: raw or b"" for split, raw in good.items()})
            pipe.hset(f"{prefix}weights", mapping={f"{split}/new": "20" for split in SPLITS})
            pipe.execute()


def test_mutated_values_move_nobody(control: graysplit.Control, client: redis.Redis, redis_url: str) -> None:
    """Two hundred mutations, each refused by name, with the last good value in force and the good split followed."""
    fuzz(control, client, redis_url, 20, 1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_thousands_of_mutated_values_move_nobody(
    control: graysplit.Control, client: redis.Redis, redis_url: str
) -> None:
    """Six thousand."""
    fuzz(control, client, redis_url, 600, 2)
