"""Weights as they are written, read and typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.address import field_of, split_of
from graysplit.core.weights import (
    FULL,
    PREVIEW,
    Weight,
    check_name,
    format_weight,
    parse_weight,
    share,
    total,
    type_weight,
)
from graysplit.errors import BadNameError, BadWeightError


@given(st.integers(0, FULL) | st.just(PREVIEW))
def test_what_is_written_is_read_back(weight: Weight) -> None:
    """Every weight survives its text in the store, and as a person types it."""
    assert parse_weight(format_weight(weight)) == weight
    assert type_weight(format_weight(weight)) == weight


@pytest.mark.parametrize(
    ("weight", "text"), [(0, "0"), (1, "0.001"), (12_500, "12.5"), (20_000, "20"), (100_000, "100"), (10_010, "10.01")]
)
def test_weights_are_written_short(weight: int, text: str) -> None:
    """No trailing zeros, no trailing point."""
    assert format_weight(weight) == text


@given(st.text(max_size=8))
def test_any_text_is_a_weight_or_refused(text: str) -> None:
    """No text gives anything but a weight from 0 to 100 % or `BadWeightError`."""
    try:
        weight = parse_weight(text)
    except BadWeightError as fault:
        assert fault.text == text  # noqa: PT017 - the other outcome is as good
    else:
        assert weight == PREVIEW or 0 <= weight <= FULL


@pytest.mark.parametrize(("text", "weight"), [("20%", 20_000), ("12.5%", 12_500), ("0%", 0), ("preview", PREVIEW)])
def test_a_person_may_type_a_percent_sign(text: str, weight: Weight) -> None:
    """A trailing % is taken on the command line."""
    assert type_weight(text) == weight


@pytest.mark.parametrize("text", ["", "%", "null", '""', "20%%", "% 20", " 20", "-1", "101", "1_0", "٢٠"])
def test_a_person_may_not_type_what_is_no_weight(text: str) -> None:
    """What the store forgives as zero, such as an empty text, is a mistake when typed."""
    with pytest.raises(BadWeightError, match="invalid weight"):
        type_weight(text)


@pytest.mark.parametrize("name", ["a", "0", "checkout", "search-2026.ranking_b", "a" * 100])
def test_names(name: str) -> None:
    """Names are 1 to 100 characters of a-z 0-9 . _ - beginning with a letter or digit."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "_", "-a", ".a", "A", "ü", "a b", "a/b", "a\n", "*", "a" * 101, "٢"])
def test_what_is_no_name(name: str) -> None:
    """Anything else is refused; `_` and `*` among them, which mean something in the store."""
    with pytest.raises(BadNameError, match="invalid name"):
        check_name(name)


def test_addresses() -> None:
    """A candidate has one address, in Redis and on the command line."""
    assert field_of("ranking", "b") == "ranking/b"
    assert split_of("ranking/b") == split_of("ranking") == "ranking"


def test_a_preview_owns_no_bucket() -> None:
    """Only shares are added up."""
    assert share(PREVIEW) == 0
    assert total([20_000, PREVIEW, 5]) == 20_005
