"""The published files against a reference written from the specification alone, and against graysplit."""

from __future__ import annotations

import hashlib
import json
from array import array
from pathlib import Path
from typing import Any

import pytest

from graysplit.core.allocation import PLACES, Claim, Run, allocate, anchor
from graysplit.core.bucketing import bucket_of, encode_unit, hash32, seed_of, threshold
from graysplit.core.weights import parse_weight
from graysplit.errors import BadWeightError

HERE = Path(__file__).parent


def read(name: str) -> dict[str, Any]:
    """Read a vector file."""
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text("ascii"))
    return found


def murmur3_32(key: bytes, seed: int) -> int:
    """Compute MurmurHash3_x86_32 as its author wrote it."""
    mask = 0xFFFFFFFF
    tail = len(key) & ~3
    h = seed
    for at in range(0, len(key), 4):
        k = int.from_bytes(key[at : at + 4], "little") * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        h ^= k * 0x1B873593 & mask
        if at < tail:
            h = (h << 13 | h >> 19) & mask
            h = (h * 5 + 0xE6546B64) & mask
    h ^= len(key)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def unit_of(case: dict[str, Any]) -> bytes:
    """Return a case's unit as the bytes to hash."""
    unit = case["unit"]
    if "hex" in unit:
        return bytes.fromhex(unit["hex"])
    return str(unit.get("text", unit.get("repeat"))).encode() * int(unit.get("times", 1))


@pytest.mark.parametrize("murmur", [murmur3_32, hash32], ids=["reference", "graysplit"])
def test_murmur3_verification_value(murmur: Any) -> None:
    """SMHasher's VerificationTest gives 0xB0F57EE3."""
    hashes = b"".join(murmur(bytes(range(n)), 256 - n).to_bytes(4, "little") for n in range(256))
    assert murmur(hashes, 0) == 0xB0F57EE3 == int(read("bucketing")["murmur3_32_verification"], 16)


def test_seeds() -> None:
    """A salt's seed is the hash of its UTF-8 under seed 0."""
    for case in read("bucketing")["seeds"]:
        assert case["seed"] == murmur3_32(case["salt"].encode(), 0) == seed_of(case["salt"])


def test_units() -> None:
    """Each unit has the hash and bucket of the file, by the specification and in graysplit."""
    cases = read("bucketing")["units"]
    for case in cases:
        raw = unit_of(case)
        assert case["hash"] == murmur3_32(raw, case["seed"]) == hash32(raw, case["seed"])
        assert case["bucket"] == case["hash"] * 100_000 >> 32 == bucket_of(raw, case["seed"])
    assert len(cases) == 108


def test_a_few_units_by_heart() -> None:
    """The file itself is the one that was published."""
    found = {
        (case["salt"], case["unit"].get("text")): (case["seed"], case["hash"], case["bucket"])
        for case in read("bucketing")["units"]
    }
    assert found["checkout", "user-17"] == (1_141_725_143, 1_461_308_216, 34_023)
    assert found["checkout", "user-0"] == (1_141_725_143, 1_741_495_312, 40_547)


def test_texts_of_integers_and_uuids_are_their_units() -> None:
    """An int or UUID has the bucket of its text."""
    from uuid import UUID

    assert encode_unit(-42) == b"-42"
    assert encode_unit(UUID("123e4567-e89b-12d3-a456-426614174000")) == b"123e4567-e89b-12d3-a456-426614174000"


def test_thresholds() -> None:
    """The least hash of a bucket is the first that falls into it."""
    for case in read("bucketing")["thresholds"]:
        bucket, least = case["bucket"], case["least_hash"]
        assert threshold(bucket) == least
        assert least * 100_000 >> 32 == bucket
        assert bucket == 0 or (least - 1) * 100_000 >> 32 == bucket - 1


def test_million_units() -> None:
    """The buckets of a million units under salt `checkout` have the published SHA-256."""
    seed = seed_of("checkout")
    buckets = array("I", (bucket_of(b"user-%d" % n, seed) for n in range(1_000_000)))
    assert buckets.itemsize == 4
    if array("H", [1]).tobytes() != b"\x01\x00":
        buckets.byteswap()
    digest = hashlib.sha256(buckets.tobytes()).hexdigest()
    assert (
        digest
        == read("bucketing")["million"]["sha256"]
        == "3978be9515f6fa90b530abb0a6677af37e62e50e7d735da255c9e0265990608f"
    )


def test_anchors() -> None:
    """The sequence begins as told, and all 64 anchors are whole and distinct in their direction.

    docs/explanation/hashing.md#several-candidates
    """
    cases = [(case["anchor"], case["upwards"]) for case in read("allocation")["anchors"]]
    assert cases[:8] == [
        (0, True),
        (100_000, False),
        (50_000, True),
        (50_000, False),
        (25_000, True),
        (25_000, False),
        (75_000, True),
        (75_000, False),
    ]
    assert cases == [anchor(place) for place in range(PLACES)]
    assert len(set(cases)) == PLACES == 64


@pytest.mark.parametrize("case", read("allocation")["layouts"], ids=lambda case: case["name"])
def test_layouts(case: dict[str, Any]) -> None:
    """Each layout is what taking free buckets one by one from the anchor gives."""
    runs = tuple(Run(**run) for run in case["runs"])
    assert allocate(Claim(**claim) for claim in case["claims"]) == runs
    assert one_by_one(case["claims"]) == [
        next((run.version for run in runs if run.start <= bucket < run.end), None) for bucket in range(100_000)
    ]


def one_by_one(claims: list[dict[str, Any]]) -> list[str | None]:
    """Lay claims out bucket by bucket, by the rule's words."""
    anchors = [(case["anchor"], case["upwards"]) for case in read("allocation")["anchors"]]
    owners: list[str | None] = [None] * 100_000
    for claim in sorted(claims, key=lambda claim: claim["place"]):
        origin, upwards = anchors[claim["place"]]
        walk = (*range(origin, 100_000), *range(origin)) if upwards else (
            *range(origin - 1, -1, -1), *range(99_999, origin - 1, -1)
        )  # fmt: skip
        free = (bucket for bucket in walk if owners[bucket] is None)
        for _, bucket in zip(range(claim["size"]), free, strict=False):
            owners[bucket] = claim["version"]
    return owners


def test_weights() -> None:
    """Each text is read as the file says, and nothing else is a weight."""
    vectors = read("weights")
    assert {case["text"]: parse_weight(case["text"]) for case in vectors["weights"]} == {
        case["text"]: case["weight"] for case in vectors["weights"]
    }
    for text in vectors["refused"]:
        with pytest.raises(BadWeightError):
            parse_weight(text)
