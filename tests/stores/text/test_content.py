"""What a process holds, told as one text."""

from __future__ import annotations

import zlib

import pytest

from graysplit.core.lease import Lease
from graysplit.core.replica.adopted import Adopted
from graysplit.stores.text.content import Content, pack, unpack


def test_a_content_is_read_as_it_was_told() -> None:
    """Every field comes back as it would stand in the store, bytes that are no text among them."""
    held = Adopted(
        weights={"checkout/new": 12_500, "b/new": "preview"},
        stops={"b": "why"},
        definitions={"checkout": b'{"pins": {"\xff": "new"}}'},
        releases={"checkout/new": 7},
        begun={"checkout/new": "id"},
        leases={"checkout/new": Lease(12_500, 99, 5_000)},
        planned={"b": "run new"},
        revision=9,
        seen={"meta": {b"finished:b": b"1 2", b"freezes": b"{}", b"revision": b"9"}},
    )
    found = unpack(pack(held, ["weights checkout/new"], "line"))
    assert found == Content(
        "line",
        9,
        {"b/new": "preview", "checkout/new": "12.5"},
        {"b": "why"},
        {"checkout": '{"pins": {"\udcff": "new"}}'},
        {
            "finished:b": "1 2",
            "freezes": "{}",
            "release:checkout/new": "id 7",
            "lease:checkout/new": "12.5 99 5",
            "plan:b": "run new",
        },
        {"weights checkout/new": ""},
    )


def test_equal_contents_are_equal_bytes() -> None:
    """In whatever order they were adopted, so that a fleet keeps one copy."""
    one = Adopted(weights={"a/new": 1_000, "b/new": 2_000}, stops={"a": "x", "b": "y"})
    two = Adopted(weights={"b/new": 2_000, "a/new": 1_000}, stops={"b": "y", "a": "x"})
    assert pack(one, ["stops a", "stops b"], "") == pack(two, ["stops b", "stops a"], "")


def test_a_lease_that_is_over_is_told_as_what_stands() -> None:
    """In doubt, lower: the weight after it, and no lease."""
    lease = Lease(50_000, 10, 5_000)
    found = unpack(pack(Adopted(weights={"a/new": 50_000}, leases={"a/new": lease}, lapsed={"a/new": 5_000}), (), ""))
    assert found is not None
    assert (found.weights, found.meta) == ({"a/new": "5"}, {})


@pytest.mark.parametrize(
    "raw", [b"", b"text", zlib.compress(b""), zlib.compress(b"[1]"), zlib.compress(b'["a", "b", 1]'), b"x" * 100]
)
def test_what_is_no_content_is_none(raw: bytes) -> None:
    """Whoever may write heartbeats may write anything."""
    assert unpack(raw) is None


def test_a_line_that_cannot_be_read_is_left_out() -> None:
    """The others still tell."""
    raw = zlib.compress(b'["", "line", 3]\nnonsense\n["weights", "a/new"]\n["weights", "a/new", "5"]\n["x", "y", "z"]')
    assert unpack(raw) == Content("line", 3, weights={"a/new": "5"})
