"""Which fields a receipt shows: the last that changed, found in one walk however many change at once."""

from __future__ import annotations

import time

from graysplit.follower.recent_changes import REMEMBERED, Recent


def test_of_very_many_changes_at_once_the_last_are_kept_in_one_walk() -> None:
    """A hundred thousand take a fraction of a second of the processor: to look each time for the first took seven."""
    recent, fields = Recent(), [f"raw-{number:06}/new" for number in range(100_000)]
    began = time.thread_time()
    recent.remember(fields, fields)
    assert time.thread_time() - began < 2.0
    assert list(recent.fields) == fields[-REMEMBERED:]
    recent.remember(["one/new", fields[-1]], fields)
    assert list(recent.fields) == [*fields[-REMEMBERED + 1 : -1], "one/new", fields[-1]]
