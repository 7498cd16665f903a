"""The text of a judge: what is written is read again, and what is none is nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.windows import WindowTotals
from graysplit.stores.text.judge import judge_text, read_judge

numbers = st.integers(0, 2**40)
judges = st.builds(
    Judge,
    st.text("0123456789abcdef", min_size=16, max_size=16),
    numbers,
    st.builds(Verdict, st.sampled_from(("safe", "suspect", "worse", "no control")), st.text(max_size=30), st.none()),
    numbers,
    st.integers(0, 100_000),
    st.dictionaries(st.text(max_size=9), st.builds(WindowTotals, numbers, numbers, numbers), max_size=4),
    st.lists(st.text(max_size=9), max_size=3).map(tuple),
    st.text(max_size=20),
    st.text(max_size=20),
    st.text(max_size=20),
    numbers,
    st.lists(st.tuples(numbers, numbers, numbers), max_size=3).map(tuple),
)


@given(judges)
def test_what_is_written_is_read_again(judge: Judge) -> None:
    """Whoever takes over knows what was known."""
    assert read_judge(judge_text(judge)) == judge


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        "{",
        '{"verdict":5}',
        '{"cursor":{"a":[1]}}',
        '{"minute":[[1]]}',
        '{"stage":"x"}',
        "[" * 9_999,
    ],
)
def test_what_is_no_judge_is_nobody(text: str) -> None:
    """The next evaluator takes over."""
    assert read_judge(text) == Judge()
