"""A change whose answer was lost, asked for again: it is found behind whatever came since, and written once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graysplit import embedded
from graysplit.stores.port import Expect, Rollback, Submission, Write
from graysplit.stores.redis import rollback as rollback_module
from graysplit.stores.redis.without_scripts import FoundEntry
from tests.stores.stage import Stage, staged

BEHIND = 5_500  # entries of other changes, written within the minute


@pytest.fixture
def stage(server: embedded.Server, namespace: str) -> Iterator[Stage]:
    """Make a namespace with one split."""
    with staged(server.url, namespace) as found:
        yield found


def write_more(stage: Stage) -> None:
    """Append what others changed meanwhile."""
    pipe = stage.client.pipeline(transaction=False)
    for number in range(BEHIND):
        pipe.xadd(stage.key("log"), {"id": f"e{number}", "rev": number, "split": "other", "from": "{}", "to": "{}"})
    pipe.execute()


def test_behind_thousands_of_changes_both_are_found(stage: Stage) -> None:
    """Given more changes within the minute than one look takes, then neither a rollback nor a raise is done twice."""
    change = Submission(
        "raise-1",
        "checkout",
        "set",
        "ada",
        "",
        (Expect("weights", "checkout/new", "0"),),
        (Write("weights", "checkout/new", "20"),),
        stage.store.load().now_ms,
        raises=True,
    )
    rollback = Rollback("rollback-1", "checkout", "ada", "")
    raised = stage.store.submit(change)
    lowered = stage.store.roll_back(rollback)
    stage.client.hdel(stage.key("stops"), "checkout")
    write_more(stage)
    entries = stage.client.xlen(stage.key("log"))
    assert stage.store.submit(change) == raised
    again = stage.store.roll_back(rollback)
    assert (again.revision, again.at_ms, again.after) == (lowered.revision, lowered.at_ms, lowered.after)
    assert stage.client.xlen(stage.key("log")) == entries
    assert not stage.client.hexists(stage.key("stops"), "checkout")


def test_what_arrives_behind_the_look_is_found_by_the_script(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the first try arrives after it was looked for, then it is not done a second time."""
    before, _ = stage.client.xrevrange(stage.key("log"), count=1)[0]
    rollback = Rollback("rollback-1", "checkout", "ada", "")
    lowered = stage.store.roll_back(rollback)
    monkeypatch.setattr(rollback_module, "seek", lambda *_: FoundEntry(before.decode()))
    again = stage.store.roll_back(rollback)
    assert (again.revision, again.at_ms) == (lowered.revision, lowered.at_ms)
