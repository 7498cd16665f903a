"""The guard on eight real workers under HTTP load: it rolls back by itself, alone too, and leaves an outage alone."""

from __future__ import annotations

import asyncio
from typing import Final

from benchmarks.guard.live import run

NEW: Final = 0.2  # of the users are on new


def test_a_fleet_rolls_itself_back_and_leaves_an_outage_alone() -> None:
    """One trip, one notification, nobody on the new path; also where the store was killed just before."""
    found = asyncio.run(run())
    outage = found.pop("an outage of both paths")
    assert outage.failed > 100
    assert (outage.weight, outage.told, outage.lost, outage.causes) == ("20", 0, 0, ("set",))
    assert len(found) == 2
    for case in found.values():
        assert (case.weight, case.told, case.lost, case.causes) == ("0", 1, 0, ("set", "trip"))
        assert "users failed on new" in case.why
        assert case.seconds is not None
        assert case.seconds < 30  # with much room: it takes some 1.5 s, and 6 s without the store
        assert 5 <= case.failed < case.requests * NEW
    assert "one process, without its store" in case.why
