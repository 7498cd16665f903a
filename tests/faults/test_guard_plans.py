"""Plans that wait for a verdict, on a real server under traffic; doubts and people; roles; goals."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

import graysplit
from graysplit.control.steps import Step
from graysplit.stores import store_from_url
from graysplit.stores.redis.roles import rules
from tests.faults.guarded import FIELD, Service
from tests.support import eventually, skip_or_fail

Key = Callable[[str], str]


def causes(control: graysplit.Control) -> list[str]:
    """Return what the history says of the split, oldest first."""
    return [entry.cause for entry in reversed(control.history("checkout", 1_000))]


def waits(control: graysplit.Control) -> str:
    """Say what the plan waits for; nothing where none runs."""
    plan = control.show("checkout").plan
    return "" if plan is None else plan.why


def weight(control: graysplit.Control) -> str:
    """Return the weight in force."""
    return control.show("checkout").rows[0].effective


@pytest.fixture
def service(control: graysplit.Control, redis_url: str, namespace: str) -> Iterator[Service]:
    """Return a service under traffic that its fleet knows."""
    control.create("checkout")
    with Service(redis_url, namespace) as found:
        eventually(lambda: control.fleet().live, 10)
        yield found


def test_a_gate_waits_for_the_verdict_of_its_own_step(control: graysplit.Control, service: Service) -> None:
    """Each step is shown to be safe by users of its own; the history has one entry for each."""
    control.ramp("checkout", (Step(50, until="safe"), Step(60, until="safe"), Step(70)))
    eventually(lambda: weight(control) == "60", 60)
    first = service.calls["new"]
    eventually(lambda: weight(control) == "70", 60)
    assert service.calls["new"] > first + 500  # afresh at every gate: some 1,000 users are needed
    assert causes(control).count("step") == 2


def test_a_gate_without_traffic_waits(control: graysplit.Control, redis_url: str, namespace: str) -> None:
    """Nothing is shown by nobody."""
    control.create("checkout")
    with Service(redis_url, namespace, users=()) as service:
        eventually(lambda: control.fleet().live, 10)
        control.ramp("checkout", (Step(50, until="safe"), Step(60)))
        eventually(lambda: "now unclear" in waits(control), 20)
        assert service.calls == {"old": 0, "new": 0}
    assert weight(control) == "50"


def test_a_doubt_stops_a_plan_until_a_person_accepts_it(
    control: graysplit.Control, redis_url: str, namespace: str
) -> None:
    """A guard that must not roll back asks a person where it would."""
    control.create("checkout")
    many = itertools.cycle(range(600))
    with Service(redis_url, namespace, users=many) as service:
        eventually(lambda: control.fleet().live, 10)
        control.guard("checkout", action="pause")
        control.ramp("checkout", (Step(50, after=3_600), Step(60)))
        service.broken = True
        eventually(lambda: "suspect" in causes(control), 60)
        eventually(lambda: "suspect" in waits(control), 20)
        control.approve("checkout", 60, why="known users")
        service.broken = False
        eventually(lambda: "suspect" not in waits(control), 20)
        assert weight(control) == "50"
        assert "trip" not in causes(control)


def test_failures_of_few_users_are_a_note_and_no_plan_waits_for_them(
    control: graysplit.Control, redis_url: str, namespace: str
) -> None:
    """They convict nobody, as healthy releases show them too: the next step is taken, and the history tells of it."""
    control.create("checkout")
    with Service(redis_url, namespace, users=itertools.cycle(range(60))) as service:
        eventually(lambda: control.fleet().live, 10)
        service.broken = True
        control.ramp("checkout", (Step(50, after=8), Step(60)))
        eventually(lambda: "warned" in causes(control), 60)
        eventually(lambda: weight(control) == "60", 40)
        found = next(entry for entry in control.history("checkout", 1_000) if entry.cause == "warned")
        assert found.why.startswith("a note, nothing waits for it: ")
        assert "failures, one per user and 10 s, on new" in found.why
        assert not {"suspect", "trip"} & set(causes(control))


@contextmanager
def acting(client: redis.Redis, url: str, namespace: str, role: str) -> Iterator[str]:
    """Return the server's address as a user of a role."""
    name = f"u{os.urandom(4).hex()}"
    try:
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rules(role, namespace))
    except redis.ResponseError as fault:
        skip_or_fail(f"this server knows no such rights: {fault}")
    try:
        yield url.replace("redis://", f"redis://{name}:secret@")
    finally:
        client.execute_command("ACL", "DELUSER", name)


def test_a_fleet_that_may_only_stop_stops_and_whoever_may_books_it(
    control: graysplit.Control, client: redis.Redis, redis_url: str, namespace: str
) -> None:
    """Role app: the stop alone, with its counts; a process of role drive writes the zero and the history entry."""
    control.create("checkout")
    with acting(client, redis_url, namespace, "app") as app, Service(app, namespace) as service:
        eventually(lambda: control.fleet().live, 10)
        control.guard("checkout")
        control.set("checkout", 50)
        service.serves("new")
        service.broken = True
        eventually(lambda: weight(control) == "0", 40)
        service.spares("new")
        assert "trip" not in causes(control)
        with acting(client, redis_url, namespace, "drive") as drive, Service(drive, namespace, users=()):
            eventually(lambda: "trip" in causes(control), 20)
    trip = control.history("checkout")[0]
    assert (trip.cause, trip.actor) == ("trip", "guard")
    assert "users failed on new" in trip.why
    assert trip.after[f"weights {FIELD}"] == "0"


def test_goals_are_counted_once_for_each_user_who_met_the_split(
    control: graysplit.Control, service: Service, redis_url: str, namespace: str, client: redis.Redis, key: Key
) -> None:
    """Whoever buys twice counts once, and who has never met the split counts not at all."""
    control.guard("checkout")
    control.set("checkout", 50)
    service.serves("new", 100)
    for _ in range(3):
        for number in range(40):
            service.checkout(str(1_000_000 + number))
            service.gray.record("purchase", unit=str(1_000_000 + number))
            service.gray.record("purchase", unit=str(2_000_000 + number))
    raw = (client.hget(key("meta"), f"release:{FIELD}") or b"").decode().split()
    store = store_from_url(redis_url, namespace=namespace)

    def bought() -> int:
        tally = store.tally(FIELD, raw[0], int(raw[1]) // 1000)
        return sum(sum(stage.goals["purchase"].units) for stage in tally.stages if "purchase" in stage.goals)

    eventually(lambda: bought() == 40, 20)
    before = sum(service.calls.values())
    eventually(lambda: sum(service.calls.values()) > before + 1_000, 20)
    assert bought() == 40
    store.close()
