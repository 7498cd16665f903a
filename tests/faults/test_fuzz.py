"""Stored values, mutated with their structure in mind: whatever stands in Redis, nobody crashes and nobody moves.

The same without a server, each field in each way and all that people look at: `tests/model/test_fuzz.py`.
"""

from __future__ import annotations

import json
import random

import pytest
import redis

import graysplit
from graysplit.codec import parse_definition
from graysplit.core.weights import parse_weight
from graysplit.errors import BadDefinitionError, BadWeightError
from tests.faults.shares import following, share
from tests.model.mutations import at_random, broken
from tests.support import eventually

SPLITS = tuple(f"split-{number}" for number in range(10))
WEIGHTS = ("NaN", "-1", "101", "1_0", " 20 ", "2e1", "٢٠", "0x14", "20%", "20,5", "+20", "20.0001", "[]", "previews")


def is_definition(split: str, raw: bytes) -> bool:
    """Return whether a value is a definition after all."""
    try:
        return parse_definition(split, raw) is not None
    except BadDefinitionError:
        return False


def is_weight(raw: bytes) -> bool:
    """Return whether a value is a weight after all."""
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
                assert isinstance(raw, bytes)
                if chance.random() < 0.3:
                    known = (*WEIGHTS, "9" * 5_000)
                    weights[split] = chance.choice((*(weight.encode() for weight in known), broken(b"12.5", chance)))
                elif chance.random() < 0.6:
                    definitions[split] = at_random(json.loads(raw), chance)
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
