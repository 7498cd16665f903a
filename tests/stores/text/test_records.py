"""The text forms: what is written is read again, and rubbish harms nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.entry import Entry
from graysplit.core.fleet import Effect, Receipt, Sweep
from graysplit.core.limits import NAME_AT_MOST, shown
from graysplit.stores.port import Expect, Submission, Write
from graysplit.stores.text.records import (
    about_text,
    changed,
    entry_fields,
    exact,
    raw_of,
    read_entry,
    read_process,
    receipt_text,
    stop_text,
)
from graysplit.testing.contract import report_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
fields = st.dictionaries(texts, st.none() | texts, max_size=4)


@given(st.binary(max_size=30))
def test_bytes_survive_being_text(raw: bytes) -> None:
    """What an editor saw can be compared to the byte, whatever it was."""
    assert raw_of(exact(raw)) == raw


def test_a_lone_surrogate_can_be_written() -> None:
    """A reason typed by a program may hold what no UTF-8 has."""
    assert raw_of("\ud800") == b"\\ud800"


@given(texts, texts, st.integers(0, 2**53), fields, fields)
def test_an_entry_is_read_as_written(
    change: str, why: str, revision: int, before: dict[str, str | None], after: dict[str, str | None]
) -> None:
    """An entry goes through the stream and back, what is for people escaped; its time is the stream's."""
    entry = Entry(change, revision, "checkout", "set", "me", why, 1_700_000_000_123, before, after)
    written = {name.encode(): raw_of(value) for name, value in entry_fields(entry).items()}
    told = entry._replace(id=shown(change), why=shown(why), before=named(before), after=named(after))
    assert read_entry(b"1700000000123-7", written) == told


def named(texts: dict[str, str | None]) -> dict[str, str | None]:
    """Return the fields of a change under the names that are shown, their texts as they are."""
    return {shown(where, NAME_AT_MOST): text for where, text in texts.items()}


@given(
    st.binary(max_size=30), st.dictionaries(st.sampled_from([b"id", b"rev", b"from", b"to"]), st.binary(max_size=60))
)
def test_a_rubbish_entry_gives_defaults(position: bytes, raw: dict[bytes, bytes]) -> None:
    """No entry of the log can raise, and all that is read can be printed."""
    entry = read_entry(position, raw)
    assert str(entry).encode()


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"{", b'{"effects":[1]}', b'{"effects":{"a":3}}', b'{"refused":3}', b"[" * 100_000, b"\xff"],
)
def test_a_rubbish_receipt_gives_defaults(raw: bytes) -> None:
    """No text in the fleet's keys can raise, on either side."""
    process = read_process(b"boot", 5, raw, raw)
    assert process.boot == "boot"
    assert process.receipt.revision == 0


def test_a_report_is_read_as_written() -> None:
    """A process's two texts give it back."""
    report = report_of("boot-1", weight="12.5")
    process = read_process(b"boot-1", 5, about_text(report).encode(), receipt_text(report.receipt).encode())
    assert process.declared == report.declared
    assert process.receipt == report.receipt
    assert process.label == "web-7/812"


def test_what_a_change_of_many_does_is_read_as_written() -> None:
    """With its exceptions; a text that does not tell whether it names all does not name all."""
    sweeps = {"a": Sweep({"s/new": Effect("20", 3, "held")}, 2, 5), "b": Sweep()}
    receipt = Receipt("a", 7, sweeps=sweeps)
    assert read_process(b"boot-1", 5, None, receipt_text(receipt).encode()).receipt.sweeps == sweeps
    for raw in (
        b'{"sweeps":{"a":{}}}',
        b'{"sweeps":{"a":{"unlike":{}}}}',
        b'{"sweeps":{"a":{"unlike":{},"more":true}}}',
    ):
        assert read_process(b"boot-1", 5, None, raw).receipt.sweeps["a"].more == 1


def test_a_stop_is_a_text_for_people() -> None:
    """A stop says why, who, when, by which change and of which release."""
    text = stop_text(why="errors", who="me@host", at_ms=5, change="c", release="r")
    assert text == '{"why":"errors","who":"me@host","at":5,"change":"c","release":"r"}'


def test_only_what_changes_is_history() -> None:
    """A write of what stands there already is no change; one that was not compared is a mistake."""
    expect = (Expect("weights", "a/new", "0"), Expect("stops", "a", None))
    writes = (Write("weights", "a/new", "20"), Write("stops", "a", None))
    submission = Submission("id", "a", "set", "me", "", expect, writes, 0)
    assert changed(submission) == ({"weights a/new": "0"}, {"weights a/new": "20"})
    with pytest.raises(ValueError, match="weights a/new"):
        changed(submission._replace(expect=()))
