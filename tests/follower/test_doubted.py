"""What a process says of a candidate in doubt, in its log."""

from __future__ import annotations

import pytest

from graysplit.follower.guard.evaluator import doubted_words


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        ({"checkout": "7f new"}, "its plan waits for approval"),
        ({"checkout": "7f b+new"}, "its plan waits for approval"),
        ({"checkout": "7f b"}, "no plan raises it, its weight stays"),
        ({"search": "7f new"}, "no plan raises it, its weight stays"),
        ({}, "no plan raises it, its weight stays"),
    ],
)
def test_a_plan_waits_only_where_one_raises_it(planned: dict[str, str], said: str) -> None:
    """At 100 % after `set` or `switch` there is none, and the log names none."""
    assert doubted_words(planned, "checkout/new") == said
