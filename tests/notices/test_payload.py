"""What a notice says, and that it never names a unit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graysplit import Control
from graysplit.core.entry import Entry
from graysplit.notices.payload import FIELDS_AT_MOST, notice_of
from graysplit.stores.memory import MemoryStore

CANARY = "unit-canary-4711"
ENTRY = Entry(
    "c0ffee",
    7,
    "checkout",
    "rollback",
    "ada@laptop",
    "500s",
    1_700_000_000_123,
    {"weights checkout/new": "20", "stops checkout": None, "splits checkout": "{}"},
    {"weights checkout/new": "0", "stops checkout": "somebody's text", "splits checkout": "{}"},
)


def said(entry: Entry) -> dict[str, Any]:
    """Return what is told of an entry."""
    return dict(json.loads(notice_of(entry, "shop").body))


def test_a_notice_says_who_changed_what_when_and_why() -> None:
    """Every field of the JSON, with weights as in Redis and of stops whether they stand."""
    assert said(ENTRY) == {
        "schema_version": 1,
        "text": "rollback checkout by ada@laptop: checkout/new 20% -> 0%, checkout is stopped (500s)",
        "namespace": "shop",
        "change": "c0ffee",
        "revision": 7,
        "split": "checkout",
        "cause": "rollback",
        "actor": "ada@laptop",
        "why": "500s",
        "at": "2023-11-14T22:13:20.123+00:00",
        "at_ms": 1_700_000_000_123,
        "before": {"weights": {"checkout/new": "20"}, "stops": {"checkout": False}},
        "after": {"weights": {"checkout/new": "0"}, "stops": {"checkout": True}},
        "left_out": 0,
        "ended_plans": [],
    }


def test_no_unit_is_ever_told() -> None:
    """Pins and denials come and go, and no notice of it holds the unit: definitions stay at home."""
    control = Control(MemoryStore("canary"))
    control.create("checkout")
    control.set("checkout", 20, allow_needless=True)
    control.pin("checkout", CANARY, "new")
    control.pin("checkout", f"{CANARY}-2", "old")
    control.pin("checkout", f"{CANARY}-3", deny=True)
    control.unpin("checkout", CANARY)
    control.rollback("checkout")
    entries = control.history()
    assert any(CANARY in str(entry) for entry in entries)  # the canary was there to be found
    assert not [entry.cause for entry in entries if CANARY.encode() in notice_of(entry, "shop").body]


def test_what_was_written_by_hand_is_told_as_plain_text() -> None:
    """Bytes that are no text, control characters and surrogates come escaped, and ids fit into a header."""
    raw = "\udcff\x00\n"
    after = {"weights checkout/new": raw * 99}
    entry = ENTRY._replace(
        id="a b\r\nX-Evil: 1", cause=raw, actor="\ud800", split="x\u2028y", why="a\nb\x1b[31m", after=after
    )
    found = notice_of(entry, "shop")
    assert (found.change, found.cause, found.split) == ("a?b?X-Evil:?1", r"\udcff\x00\n", r"x\u2028y")
    told = said(entry)
    assert (told["change"], told["cause"], told["split"]) == ("a?b?X-Evil:?1", r"\udcff\x00\n", r"x\u2028y")
    assert (told["actor"], told["why"]) == (r"\ud800", r"a\nb\x1b[31m")
    assert told["after"]["weights"]["checkout/new"] == (r"\udcff\x00\n" * 99)[:20]
    assert found.body.isascii()


def test_a_change_of_very_much_is_cut() -> None:
    """Beyond two hundred fields it is said how many are left out."""
    fields = {f"weights s{number}/new": "0" for number in range(FIELDS_AT_MOST + 5)}
    found = said(ENTRY._replace(before=fields, after=fields))
    assert len(found["after"]["weights"]) == FIELDS_AT_MOST
    assert found["left_out"] == 5
    assert "and 200 more" in found["text"]


@pytest.mark.parametrize(("before", "after", "shown"), [(None, "preview", "0% -> preview"), ("5", None, "5% -> 0%")])
def test_a_sentence_shows_absence_as_zero(before: str | None, after: str | None, shown: str) -> None:
    """A field that is not there is zero."""
    where = "weights checkout/new"
    assert shown in said(ENTRY._replace(before={where: before}, after={where: after}))["text"]
