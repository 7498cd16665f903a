"""The guard on a real server: trips, lost evidence, processes that are cut off (timelines 25 and 28 to 31).

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.control.steps import Step
from graysplit.stores import store_from_url
from graysplit.stores.port import Store, Trip
from graysplit.stores.text.judge import read_judge
from graysplit.stores.text.records import read_progress
from tests.faults.guarded import FIELD, Service
from tests.faults.proxy import Proxy
from tests.support import eventually

Key = Callable[[str], str]


@pytest.fixture
def service(redis_url: str, namespace: str) -> Iterator[Service]:
    """Return a service under traffic whose split is known."""
    with graysplit.Control(redis_url, namespace=namespace, confirm=True) as control:
        control.create("checkout")
    with Service(redis_url, namespace) as found:
        yield found


class CutOff(NamedTuple):
    """An armed service under traffic behind a proxy that may cut it off, and an operator who is not."""

    control: graysplit.Control
    service: Service
    proxy: Proxy


@pytest.fixture
def cut_off(namespace: str) -> Iterator[CutOff]:
    """Return a service at 50 % that can be cut off from its store."""
    with (
        embedded.server() as server,
        Proxy(server.port) as proxy,
        graysplit.Control(server.url, namespace=namespace, confirm=True) as control,
    ):
        control.create("checkout")
        with Service(proxy.url(server.url), namespace) as service:
            armed(control, service)
            yield CutOff(control, service, proxy)


def causes(control: graysplit.Control) -> list[str]:
    """Return what the history says of the split, oldest first."""
    return [entry.cause for entry in reversed(control.history("checkout", 1_000))]


def release(client: redis.Redis, key: Key) -> tuple[str, int]:
    """Return the candidate's release and the second in which it began."""
    raw = client.hget(key("meta"), f"release:{FIELD}") or b""
    found, _, began = raw.decode().partition(" ")
    return found, int(began) // 1000


def armed(control: graysplit.Control, service: Service, weight: int = 50, action: str = "rollback") -> None:
    """Arm the guard, raise, and wait until both paths have their users."""
    eventually(lambda: control.fleet().live, 10)
    control.guard("checkout", action=action)
    control.set("checkout", weight, unstop=True)
    service.serves("new")
    service.serves("old")


def test_a_new_path_that_fails_is_rolled_back_once(control: graysplit.Control, service: Service) -> None:
    """One trip: the stop, the zero and the history entry with the counts; nobody gets the new path any more."""
    armed(control, service)
    service.broken = True
    eventually(lambda: "trip" in causes(control), 40)
    service.spares("new")
    assert causes(control).count("trip") == 1
    trip = next(entry for entry in control.history("checkout") if entry.cause == "trip")
    assert trip.actor == "guard"
    assert "users failed on new" in trip.why
    assert "evidence" in trip.why
    assert trip.after[f"weights {FIELD}"] == "0"
    stop = json.loads(trip.after[f"stops {FIELD}"] or "")
    assert (stop["who"], stop["why"]) == ("guard", trip.why)
    assert control.show("checkout").rows[0].effective == "0"


def test_an_outage_of_both_paths_is_no_trip(control: graysplit.Control, service: Service) -> None:
    """Whatever fails on both sides alike speaks against neither."""
    armed(control, service)
    service.outage = True
    eventually(lambda: service.failed["old"] > 300 and service.failed["new"] > 300, 40)
    assert "trip" not in causes(control)
    assert control.show("checkout").rows[0].effective == "50"


def test_a_trip_does_not_fail_because_a_plan_took_a_step(
    control: graysplit.Control, service: Service, client: redis.Redis, key: Key
) -> None:
    """Timeline 25: it names the release, which a plan's steps leave as it is."""
    eventually(lambda: control.fleet().live, 10)
    control.ramp("checkout", (Step(20, after=0.5), Step(50, after=600), Step(100)))
    seen, _ = release(client, key)
    eventually(lambda: control.show("checkout").rows[0].effective == "50", 20)
    service.broken = True
    eventually(lambda: "trip" in causes(control), 40)
    assert release(client, key)[0] == seen
    assert read_progress((client.hget(key("plans"), "checkout") or b"").decode()) is None


def test_a_trip_fails_where_a_person_has_begun_anew(
    control: graysplit.Control, redis_url: str, namespace: str, client: redis.Redis, key: Key
) -> None:
    """Timeline 25: what was seen of one release says nothing of the next."""
    control.create("checkout")
    control.set("checkout", 50)
    seen, _ = release(client, key)
    control.rollback("checkout")
    control.set("checkout", 20, unstop=True)
    store = store_from_url(redis_url, namespace=namespace)
    feed = store.follow()
    try:
        assert not feed.trip(Trip("t1", FIELD, seen, "18 users failed on new"))
    finally:
        feed.close()
        store.close()
    assert control.show("checkout").rows[0].effective == "20"
    assert "trip" not in causes(control)


def test_a_process_that_starts_anew_is_counted(
    control: graysplit.Control, redis_url: str, namespace: str, client: redis.Redis, key: Key
) -> None:
    """Timeline 28: its batches begin at number 1 again, under another random id."""
    control.create("checkout")
    calls: list[int] = []
    for _ in range(2):
        with Service(redis_url, namespace) as service:
            armed(control, service)
            store = store_from_url(redis_url, namespace=namespace)
            before = calls[-1] if calls else 0
            eventually(lambda before=before, store=store: _calls(store, *release(client, key)) > before + 50, 20)
        calls.append(_calls(store, *release(client, key)))
        store.close()


def _calls(store: Store, name: str, started_s: int) -> int:
    tally = store.tally(FIELD, name, started_s)
    return sum(sum(stage.calls) for stage in tally.stages)


def test_one_process_judges_and_another_takes_over(
    control: graysplit.Control, redis_url: str, namespace: str, client: redis.Redis, key: Key
) -> None:
    """Timeline 29: a judge is a random nonce in the text that every judgement compares."""
    control.create("checkout")
    store = store_from_url(redis_url, namespace=namespace)

    def judge() -> str:
        return read_judge(store.tally(FIELD, *release(client, key)).judge).nonce

    with Service(redis_url, namespace) as staying:
        with Service(redis_url, namespace) as leaving:
            armed(control, staying)
            first = eventually(judge, 20)
            others = {staying.gray.status().boot, leaving.gray.status().boot}
            assert first in others
        second = eventually(lambda: judge() if judge() == staying.gray.status().boot else "", 30)
        assert second in others
        staying.broken = True
        eventually(lambda: "trip" in causes(control), 40)
    store.close()


def test_a_tally_that_expires_is_evidence_lost(
    control: graysplit.Control, service: Service, client: redis.Redis, key: Key, redis_url: str, namespace: str
) -> None:
    """Timeline 30: less than was seen is no progress: suspect, never safe."""
    armed(control, service)
    name, started_s = release(client, key)

    def keys() -> list[bytes]:
        return client.keys(key("tally:") + "*")

    store = store_from_url(redis_url, namespace=namespace)
    eventually(lambda: read_judge(store.tally(FIELD, name, started_s).judge).cursor, 20)
    assert all(client.pttl(found) > 0 for found in keys())
    client.delete(*keys())

    def suspect() -> bool:
        verdict = read_judge(store.tally(FIELD, name, started_s).judge).verdict
        return verdict.word == "suspect" and "lost" in verdict.why

    eventually(suspect, 20)
    store.close()
    assert "trip" not in causes(control)


def test_a_process_without_its_store_breaks_alone_and_writes_the_stop_later(cut_off: CutOff) -> None:
    """The local breaker: the same rule on its own counts; what it did is one trip once the store is back."""
    control, service, proxy = cut_off
    proxy.refuse()
    service.broken = True
    service.spares("new")
    assert control.show("checkout").rows[0].effective == "50"
    proxy.heal()
    eventually(lambda: "trip" in causes(control), 40)
    assert control.show("checkout").rows[0].effective == "0"
    assert causes(control).count("trip") == 1
    assert "one process, without its store" in control.history("checkout")[0].why


def test_a_breaker_does_not_fight_a_person_who_has_begun_anew(cut_off: CutOff) -> None:
    """Cut off, a process stops its release; meanwhile a person begins another, which it obeys when it is back.

    Timeline 31.
    """
    control, service, proxy = cut_off
    proxy.refuse()
    service.broken = True
    service.spares("new")
    service.broken = False
    control.rollback("checkout")
    control.set("checkout", 20, unstop=True)
    proxy.heal()
    service.serves("new")
    assert "trip" not in causes(control)
    assert control.show("checkout").rows[0].effective == "20"


def test_a_breaker_stays_open_for_its_own_release(cut_off: CutOff) -> None:
    """Timeline 31: a change of something else while it was cut off does not let anybody in again."""
    control, service, proxy = cut_off
    proxy.refuse()
    service.broken = True
    service.spares("new")
    control.pin("checkout", "somebody", "new")
    calls = service.calls["new"]
    proxy.heal()
    eventually(lambda: "trip" in causes(control), 40)
    assert service.calls["new"] == calls
    assert control.show("checkout").rows[0].effective == "0"


@pytest.mark.parametrize(("action", "cause"), [("pause", "suspect"), ("warn", "warned")])
def test_a_guard_that_may_not_roll_back_says_so_once(
    control: graysplit.Control, service: Service, action: str, cause: str
) -> None:
    """Its doubt is one entry of the history; the weight stays."""
    armed(control, service, action=action)
    service.broken = True
    eventually(lambda: cause in causes(control), 40)
    before = service.failed["new"]
    eventually(lambda: service.failed["new"] > before + 100, 20)
    assert causes(control).count(cause) == 1
    assert "trip" not in causes(control)
    assert control.show("checkout").rows[0].effective == "50"


def test_what_was_stopped_alone_does_not_fight_a_person_who_clears_it(cut_off: CutOff) -> None:
    """Timeline 31: it is written once; the stop that somebody takes away stays away."""
    control, service, proxy = cut_off
    proxy.refuse()
    service.broken = True
    service.spares("new")
    proxy.heal()
    eventually(lambda: "trip" in causes(control), 40)
    control.unstop(FIELD, why="mended")
    service.serves("old", 1_000)
    assert causes(control)[-2:] == ["trip", "unstop"]
    assert control.show("checkout").rows[0].effective == "0"


def test_evidence_that_is_not_taken_harms_no_other_split_and_leaves_its_own_to_the_breaker(
    control: graysplit.Control, service: Service, client: redis.Redis, key: Key
) -> None:
    """A key of the wrong kind: the process judges its own calls of that split, as without a store."""
    armed(control, service)
    name, _ = release(client, key)
    eventually(lambda: client.keys(key("tally:") + "*"), 20)
    client.delete(key(f"tally:{FIELD}:{name}:counts"))
    client.set(key(f"tally:{FIELD}:{name}:counts"), "garbage")
    service.broken = True
    eventually(lambda: "trip" in causes(control), 60)
    assert "one process, whose store takes no counts" in control.history("checkout")[0].why
    service.spares("new")
