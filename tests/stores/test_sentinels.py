"""Of several Sentinels' words the newest counts: one that was cut off names the server it was cut off with."""

from __future__ import annotations

from graysplit.stores.redis.sentinels import Word, newest

OLD = ("10.0.0.1", 6379)
NEW = ("10.0.0.2", 6379)


def test_the_newest_word_counts_whatever_the_order() -> None:
    """Not the first, and not the most."""
    words = [Word(3, OLD, up=True), Word(3, OLD, up=True), Word(4, NEW, up=True)]
    assert newest(words) == newest(reversed(words)) == {NEW}


def test_one_failover_written_in_two_ways_is_no_move() -> None:
    """A name and its number are the same server to those who say them."""
    assert newest([Word(4, NEW, up=True), Word(4, ("db", 6379), up=True)]) == {NEW, ("db", 6379)}
    assert newest([]) == frozenset()
