"""At 100 % on a real server under traffic: half of the calls fail, and new is judged by old's rate before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import redis

import graysplit
from graysplit.control.steps import Step
from graysplit.core.guard.tally import Batch, Begun, Exposed, Failed, Pair, Stage
from graysplit.stores import store_from_url
from graysplit.stores.port import Store
from tests.control.judged import release_of
from tests.faults.guarded import FIELD, Service
from tests.support import eventually

Key = Callable[[str], str]
OLD = 2_000  # users of old, one in a hundred of whom failed


def half() -> Iterator[int]:
    """Return users of whom each second one meets the failure."""
    return itertools.chain.from_iterable((3 * number, 3 * number + 1) for number in itertools.count())


def counted(store: Store) -> None:
    """Have a process tell what an hour at 50 % has come to."""
    release, started_s = release_of(store)
    feed = store.follow()
    now_s = feed.tally(FIELD, release, started_s).now_ms // 1000
    units = range(OLD)
    errors = tuple(Failed(now_s, unit << 8, on_new=False) for unit in range(OLD // 100))
    assert feed.flush(
        Batch(
            FIELD,
            release,
            started_s,
            "tape-1",
            1,
            Stage(50_000, 50_000),
            calls=(Begun(now_s, on_new=False, calls=OLD), Begun(now_s, on_new=True, calls=OLD)),
            failures=Pair(OLD // 100, OLD // 100),
            errors=errors,
            exposed=tuple(Exposed(unit << 8, on_new=False) for unit in units),
        )
    ).applied
    feed.close()


@pytest.mark.parametrize("action", ["rollback", "pause"])
def test_half_of_the_calls_fail_at_100(
    control: graysplit.Control, redis_url: str, namespace: str, client: redis.Redis, key: Key, action: str
) -> None:
    """A bake that begins at 100 %, whose past is the release before: it goes back, or its clock stands."""
    control.create("checkout", ["old", "new"])
    control.guard("checkout", action="rollback" if action == "rollback" else "pause")
    control.set("checkout", 50)
    store = store_from_url(redis_url, namespace=namespace)
    counted(store)
    control.set("checkout", 0)
    with Service(redis_url, namespace, users=half()) as service:
        eventually(lambda: control.fleet().live, 10)
        begun = control.ramp("checkout", (Step(100),), bake=3_600)
        assert "only by the past (old before: 1 % of 2,000 calls)" in begun.unwatched
        assert client.hget(key("meta"), f"past:{FIELD}").decode().startswith("2000 20 2000 20 ")
        service.serves("new")
        service.broken = True
        wanted = "trip" if action == "rollback" else "suspect"
        eventually(lambda: wanted in [entry.cause for entry in control.history("checkout")], 60)
        if action == "pause":
            eventually(lambda: "suspect" in getattr(control.show("checkout").plan, "why", ""), 20)
    entry = next(entry for entry in control.history("checkout") if entry.cause == wanted)
    assert "of new within" in entry.why
    assert "old before: 1 % of 2,000 calls (compared with the past" in entry.why
    assert control.show("checkout").rows[0].effective == ("0" if action == "rollback" else "100")
    assert not (action == "pause" and control.history("checkout", 50)[0].cause == "trip")
    control.delete("checkout") if action == "rollback" else control.rollback("checkout")
    assert (client.hget(key("meta"), f"past:{FIELD}") is None) is (action == "rollback")
    store.close()
