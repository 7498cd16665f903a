"""The text forms of a tally are read tolerantly, and say what was told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.tally import Batch, Begun, Failed, Pair, RunningCalls, Sample, Stage
from graysplit.core.guard.windows import Span
from graysplit.stores.release_counts import zeros_of
from graysplit.stores.text.tally import (
    number,
    read_course,
    read_kept,
    read_named,
    read_running,
    read_stages,
    running_text,
    sample_text,
    spans_of,
)

SPAN = Span(60, 1, 0)
SAMPLE = Sample(5, 1, "worse", 20_000, 9.5, 6.75, Pair(1, 2), Pair(3, 4), Pair(5, 6))

# What a field's name may be, and what it may hold: right, nearly right, and nothing of the kind.
_PARTS = ("stage:", "named:", "e", "s", "d", "x", "g", "v", "levels:", "0", "1", "7", ":", "+", "r", "c", "b", "n", "a")
_WORDS = ("1", "-1", "99999999999999999999", "²", "20000 80000 1 1 5", "3:1 x:2 4", "1 2 1 5,0,1;|5,ff,1,2;", "{}")
names = st.lists(st.sampled_from(_PARTS), max_size=6).map("".join).map(str.encode) | st.binary(max_size=12)
texts = st.sampled_from(_WORDS).map(str.encode) | st.binary(max_size=12)


@given(st.dictionaries(names, texts, max_size=12), st.lists(texts))
def test_whatever_the_keys_hold_is_read(fields: dict[bytes, bytes], samples: list[bytes]) -> None:
    """Nothing raises, and no count is below zero."""
    stages = read_stages(fields)
    kept = list(read_kept(SPAN, fields, {stage.number: stage.stage.w for stage in stages}))
    read_named(fields)
    read_running(fields)
    read_course(samples)
    assert all(min(stage.calls) >= 0 for stage in stages)
    assert [one.what for one in kept] == ["errors", "slow", "cut", "doubt"]


@given(st.integers(0, 2**64 - 1), st.booleans(), st.integers(1, 9))
def test_what_is_under_way_is_read_as_it_was_told(unit: int, on_new: bool, calls: int) -> None:
    """Units keep all of their 64 bits."""
    running, hanging = (Begun(5, on_new, calls),), (Failed(4, unit, on_new, calls),)
    batch = Batch("checkout/new", "r", 0, "tape", 7, Stage(1, 1), running=running, hanging=hanging)
    raw = f"7 1234 3 {running_text(batch)}".encode()
    assert read_running({b"tape": raw}) == (RunningCalls("tape", 7, 1234, 3, running, hanging),)


def test_a_sample_is_read_as_it_was_written() -> None:
    """What is none is left out."""
    raw = sample_text(SAMPLE).encode()
    assert read_course([raw, b"[]", b"{}", raw.replace(b"20000", b"null"), None]) == (SAMPLE,)


def test_what_is_no_count_is_none() -> None:
    """Also digits of other scripts, and more of them than Redis counts to."""
    assert [number(raw) for raw in (b"12", b"-1", b"", None, "²".encode(), b"9" * 20)] == [12, 0, 0, 0, 0, 0]


def test_a_stage_whose_shares_are_unreadable_has_no_books() -> None:
    """There would be nothing to compare with."""
    books = {b"e1": b"1", b"e2": b"1", b"e": b"2", b"e1:1:c": b"5", b"e2:1:c": b"5"}
    errors = next(read_kept(SPAN, books, {2: 0.2}))
    assert [(book.name.stage, book.w, book.new.calls) for book in errors.window.books] == [(2, 0.2, 5)]


def test_a_batch_tells_of_the_windows_of_its_seconds() -> None:
    """One of each stopwatch, more where its seconds lie in more, and none from before the release."""
    batch = Batch("f", "r", 100, "tape", 1, Stage(1, 1), calls=(Begun(99, True, 1), Begun(159, True, 1)))
    assert [span[:2] for span in spans_of(batch)] == [(60, 1), (1800, 1), (21600, 1)]
    later = batch._replace(slow=(Failed(160, 1, True),))
    assert [span[:2] for span in spans_of(later)] == [(60, 1), (60, 2), (1800, 1), (21600, 1)]
    assert spans_of(batch._replace(calls=batch.calls[:1])) == []


def test_zero_bits_are_those_at_the_end() -> None:
    """At most 32 are told apart."""
    assert [zeros_of(unit) for unit in (1, 2, 12, 0, 1 << 31, 1 << 40)] == [0, 1, 2, 32, 31, 32]
