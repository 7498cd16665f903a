"""Freezes as the store holds them: what is written is read, and what cannot be read freezes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.freeze import Freeze, frozen
from graysplit.stores.text.freezes import read_freezes, write_freezes

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
FREEZES = st.builds(
    Freeze,
    st.from_regex(r"[a-z0-9*?][a-z0-9._*?-]{0,8}", fullmatch=True),
    st.text(),
    st.text(),
    st.integers(0, 2**53),
    st.integers(0, 2**53),
)


@given(st.lists(FREEZES, unique_by=lambda freeze: freeze.pattern))
def test_what_is_written_is_read(freezes: list[Freeze]) -> None:
    """Nothing of a freeze is lost, whatever its texts hold."""
    assert read_freezes(write_freezes(freezes)) == tuple(freezes)


def test_no_freeze_is_no_field() -> None:
    """With nothing frozen the field is absent, and absent means nothing is frozen."""
    assert write_freezes([]) is None
    assert read_freezes(None) == ()


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "5", '"checkout"', "[" * 100_000, '{"a":' + " " * 2**20 + "{}}"]
)
@given(split=NAMES)
def test_what_cannot_be_read_freezes_everything(text: str, split: str) -> None:
    """In doubt, lower: garbage is no answer, so nobody raises, and the reason is told."""
    found = frozen(read_freezes(text), split, 2**60)
    assert found is not None
    assert "cannot be read" in found.words


@pytest.mark.parametrize("said", [None, 5, [], {}, {"until": "soon"}, {"until": True}, {"until": -1}, {"until": 1.5}])
def test_a_freeze_without_a_good_end_has_none(said: object) -> None:
    """Only a positive whole number is an end; whatever else is said, the pattern is frozen."""
    found = frozen(read_freezes(json.dumps({"checkout": said})), "checkout", 2**60)
    assert found is not None
    assert found.until_ms == 0
