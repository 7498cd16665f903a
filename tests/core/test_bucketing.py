"""Units become buckets as the published definition says, and no other way."""

from __future__ import annotations

import math
from uuid import UUID

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit.core.bucketing import BUCKETS, HASHES, bucket_of, encode_unit, hash32, seed_of, threshold
from tests.strategies import units


def test_threshold_of_every_bucket_is_its_first_hash() -> None:
    """At each of the 100,001 edges the least hash falls into the bucket, and the one below it does not."""
    for bucket in range(BUCKETS):
        least = threshold(bucket)
        assert least * BUCKETS >> 32 == bucket
        assert bucket == 0 or (least - 1) * BUCKETS >> 32 == bucket - 1
    assert threshold(0) == 0
    assert threshold(BUCKETS) == HASHES


@settings(max_examples=300)
@given(st.integers(0, HASHES - 1), st.integers(0, BUCKETS))
def test_a_comparison_of_hashes_is_one_of_buckets(hashed: int, boundary: int) -> None:
    """`hash < threshold(b)` holds exactly when `bucket < b`."""
    assert (hashed < threshold(boundary)) == (hashed * 100_000 >> 32 < boundary)


@pytest.mark.parametrize("boundary", [0, 1, 5_000, 20_000, 50_000, 99_999, 100_000])
def test_five_thousand_units_against_the_definition(boundary: int) -> None:
    """The compiled threshold admits the units that the definition of a bucket admits."""
    seed = seed_of("checkout")
    for number in range(5_000):
        unit = b"user-%d" % number
        assert (hash32(unit, seed) < threshold(boundary)) == (hash32(unit, seed) * 100_000 >> 32 < boundary)


@given(units, st.text(st.characters(exclude_categories=("Cs",))))
def test_buckets_lie_on_the_scale(unit: bytes, salt: str) -> None:
    """Every unit under every salt has a bucket from 0 to 99,999."""
    assert 0 <= bucket_of(unit, seed_of(salt)) < BUCKETS


@pytest.mark.parametrize("percent", [1, 5, 20, 50])
def test_shares_are_within_sampling_error(percent: int) -> None:
    """Of 20,000 units about so many fall below a boundary as it asks for: within four deviations."""
    seed, number, share = seed_of("checkout"), 20_000, percent / 100
    reached = sum(bucket_of(b"user-%d" % n, seed) < percent * 1_000 for n in range(number))
    assert abs(reached - number * share) < 4 * math.sqrt(number * share * (1 - share))


@given(st.integers(-(10**30), 10**30))
def test_a_whole_number_and_its_text_are_one_unit(number: int) -> None:
    """`1` and `"1"` fall into one bucket."""
    assert encode_unit(number) == encode_unit(str(number))


def test_a_class_that_calls_itself_uuid_is_no_unit() -> None:
    """Only the standard library's UUID counts as its text."""
    assert encode_unit(type("UUID", (), {})()) is None


class _OwnUUID(UUID):
    """A driver's own subclass, which prints otherwise, as asyncpg's and uuid6's may."""

    def __str__(self) -> str:
        return self.hex


def test_a_subclass_of_uuid_is_the_equal_uuid() -> None:
    """Equal units get equal answers: by ancestry, hashed as the 36 characters whatever the subclass prints."""
    plain = UUID("123e4567-e89b-12d3-a456-426614174000")
    assert _OwnUUID(str(plain)) == plain
    assert encode_unit(_OwnUUID(str(plain))) == encode_unit(plain) == b"123e4567-e89b-12d3-a456-426614174000"


@given(st.uuids())
def test_a_uuid_is_hashed_as_it_prints(unit: UUID) -> None:
    """The 36 characters are written out here and are those of the standard library."""
    assert encode_unit(unit) == str(unit).encode()


@pytest.mark.parametrize("unit", ["u-17", "", 7, 0, -3, True, b"raw", b"", UUID(int=7), 1.5, None, "\ud800"], ids=repr)
def test_a_lazy_unit_is_the_unit_that_it_stands_for(unit: object) -> None:
    """Django's lazy objects answer as what they hold: also an int, a UUID, and what is no unit."""
    assert encode_unit(SimpleLazyObject(lambda: unit)) == encode_unit(unit)
