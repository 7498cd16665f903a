"""The changes that any process may be the first to write: the end of a lease, and word of a fork."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from graysplit.core.address import split_of
from graysplit.core.lease import PREFIX
from graysplit.core.replica.fork import CAUSE as FORK
from graysplit.core.replica.fork import MARK as FORK_MARK
from graysplit.core.replica.fork import Fork
from graysplit.core.weights import Weight, format_weight
from graysplit.errors import ConflictError
from graysplit.stores.port import Due, Expect, Feed, Submission, Write

ENDLESS_MS: Final = 1 << 52  # a server time that never comes


def lease_over(field: str, stands: str | None, lease: str, then: Weight, from_ms: int) -> Submission:
    """Return the change that ends a lease in the store, if it is as it was read and over by the server's clock."""
    name = PREFIX + field
    return Submission(
        os.urandom(12).hex(),
        split_of(field),
        "lease over",
        "lease",
        "",
        (Expect("weights", field, stands), Expect("meta", name, lease)),
        (Write("weights", field, format_weight(then)), Write("meta", name, None)),
        read_at_ms=0,
        due=Due(from_ms, ENDLESS_MS, settled=True, settle_ms=0),  # a lowering waits for no server to settle
    )


def fork_entry(fork: Fork) -> Submission:
    """Return the change that tells of a fork, on condition that nobody has told of one since it was read."""
    change = os.urandom(12).hex()
    return Submission(
        change,
        fork.split,
        FORK,
        "graysplit",
        fork.numbers + (f"; {fork.more} more fields" if fork.more else ""),
        # Of this log: an emptied store is not begun anew by what is told of another.
        (Expect("meta", "lineage", fork.lineage), Expect("meta", FORK_MARK, fork.mark)),
        (Write("meta", FORK_MARK, f"{change} {fork.ancestor}"),),
        read_at_ms=0,
        above=fork.highest,
        lost=fork.entered(),
    )


def submit_first(feed: Feed, submission: Submission) -> None:
    """Submit what any process may be the first to write."""
    with suppress(ConflictError):
        feed.submit(submission)
