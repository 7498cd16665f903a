"""What counts as an answer of the store, and what as a lost key."""

from __future__ import annotations

import pytest

from graysplit.core.replica.record import Key


@pytest.mark.parametrize(
    ("key", "lost"),
    [
        (Key({b"_": b"1"}), None),
        (Key({b"_": b"", b"checkout/new": b"20"}), None),
        (Key(), "missing"),
        (Key({b"checkout/new": b"20"}), "without its field _"),
        (Key({}, "WRONGTYPE"), "WRONGTYPE"),
        (Key({b"_": b"1"}, "NOPERM"), "NOPERM"),
    ],
)
def test_a_key_says_why_it_is_lost(key: Key, lost: str | None) -> None:
    """Only a key that was read, with its sentinel, is an answer."""
    assert key.lost == lost
