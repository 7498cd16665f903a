"""Which splits a freeze holds, until when, and which of several is told."""

from __future__ import annotations

import pytest

from graysplit.core.freeze import BadPatternError, Freeze, check_pattern, frozen, thawed_ms


@pytest.mark.parametrize(
    ("pattern", "holds", "leaves"),
    [
        ("*", ["checkout", "a"], []),
        ("checkout", ["checkout"], ["checkout-2", "my-checkout"]),
        ("checkout*", ["checkout", "checkout-2"], ["my-checkout", "check"]),
        ("*.eu", ["a.eu"], ["aeu", "a.eu.b"]),
        ("a?c", ["abc", "a.c"], ["ac", "abbc"]),
    ],
)
def test_a_pattern_holds_what_it_matches(pattern: str, holds: list[str], leaves: list[str]) -> None:
    """`*` is anything, `?` one character, everything else itself."""
    freezes = (Freeze(pattern),)
    assert all(frozen(freezes, split, 1) for split in holds)
    assert not any(frozen(freezes, split, 1) for split in leaves)


def test_a_freeze_ends_by_the_servers_time() -> None:
    """It stands until its last millisecond; one without an end stands for ever."""
    freezes = (Freeze("checkout", until_ms=100),)
    assert frozen(freezes, "checkout", 99) is freezes[0]
    assert frozen(freezes, "checkout", 100) is None
    assert frozen((Freeze("checkout"),), "checkout", 2**60) is not None


def test_of_several_the_longest_is_told() -> None:
    """Whoever is refused is told what they have to wait for."""
    short, long, endless = Freeze("a", until_ms=10), Freeze("a*", until_ms=20), Freeze("*")
    assert frozen((long, short), "a", 5) is long
    assert frozen((short, endless, long), "a", 5) is endless
    assert frozen((short, long), "a", 15) is long


@pytest.mark.parametrize("text", ["", "Checkout", "checkout/new", "[ab]*", "a b", "-a", ".a", "a" * 101, "a\n", "ä*"])
def test_no_pattern_is_taken_for_one(text: str) -> None:
    """Names with `*` and `?`, of at most 100 characters; a candidate is none."""
    with pytest.raises(BadPatternError, match="invalid pattern"):
        check_pattern(text)
    assert check_pattern("check?ut*") == "check?ut*"


def test_when_the_last_freeze_ended_is_known() -> None:
    """By its time where it may have held the split, or by hand; what is no time never was."""
    freezes = (Freeze("a", until_ms=10), Freeze("a*", until_ms=20), Freeze("b", until_ms=25), Freeze("a", until_ms=99))
    assert thawed_ms(freezes, "a", None, 30) == 20
    assert thawed_ms(freezes, "a", "28", 30) == 28
    assert thawed_ms((), "a", None, 30) == 0
    for text in ("", "soon", "-5", "٣", "9" * 5000):
        assert thawed_ms((), "a", text, 30) == 0


def test_a_freeze_says_by_whom_and_why() -> None:
    """In a few words, for a plan that waits."""
    assert Freeze("*", "holiday", "ada").words == "frozen by ada: holiday"
    assert Freeze("*").words == "frozen"
