"""Plans on a real server with real processes that die, hang and lose it: each step once, and nothing is caught up.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count, pairwise

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.control.operator import operator_of
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.stores.redis.roles import rules
from tests import warm
from tests.faults.followers import ROOT, Follower
from tests.support import eventually

MANY = tuple(Step(weight, 0) for weight in range(10, 101, 10))


@contextmanager
def fleet(url: str, namespace: str, number: int) -> Iterator[list[Follower]]:
    """Return so many processes that have loaded; the test may kill and replace them."""
    members = [Follower(url=url, namespace=namespace, splits=["checkout"], declares=True) for _ in range(number)]
    try:
        for member in members:
            member.ready()
        yield members
    finally:
        for member in members:
            member.kill()
            member.stop()


def entries(control: graysplit.Control) -> list[Entry]:
    """Return what a plan wrote into the history, oldest first: its start and its steps."""
    found = (entry for entry in control.history("checkout", 1_000) if entry.cause in {"ramp", "step"})
    return list(reversed(list(found)))


def steps(control: graysplit.Control) -> list[str]:
    """Return the weights that it wrote, oldest first."""
    return [entry.after["weights checkout/new"] or "" for entry in entries(control)]


def test_each_step_of_a_plan_is_taken_once(redis_url: str, namespace: str, control: graysplit.Control) -> None:
    """Four processes and ten steps: ten entries in the history, in order, and nothing left of the plan."""
    control.create("checkout", ("old", "new"))
    with fleet(redis_url, namespace, 4):
        control.ramp("checkout", MANY)
        eventually(lambda: control.show("checkout").rows[0].effective == "100", within=60)
        assert steps(control) == [str(percent) for percent in range(10, 101, 10)]
        assert len(control.history("checkout", 1_000)) == len(MANY) + 1  # and the split's creation
        assert not operator_of(control).store.load().plans.fields


def test_a_hanging_server_is_not_caught_up_with(namespace: str) -> None:
    """Stopped for three seconds in the middle: no step meanwhile, and each later one after its own time."""
    with embedded.server() as server, graysplit.Control(server.url, namespace=namespace, confirm=True) as control:
        control.create("checkout", ("old", "new"))
        with fleet(server.url, namespace, 2):
            control.ramp("checkout", tuple(replace(step, after=1) for step in MANY[:4]))
            eventually(lambda: len(steps(control)) >= 2, within=30)
            with stopped(server.pid):
                until = time.monotonic() + 3
                eventually(lambda: time.monotonic() >= until)
            eventually(lambda: len(steps(control)) == 4, within=60)
            assert all(later - earlier >= 1_000 for earlier, later in pairwise(at_ms(control)))


@pytest.mark.timeout(240)
def test_a_server_that_starts_anew_takes_no_step_for_ten_seconds(namespace: str) -> None:
    """Timeline 22: it may have forgotten a rollback; by the history's own times nothing steps before that."""
    with (
        embedded.server(appendonly=True) as server,
        graysplit.Control(server.url, namespace=namespace, confirm=True) as control,
    ):
        control.create("checkout", ("old", "new"))
        with fleet(server.url, namespace, 2):
            control.ramp("checkout", (Step(10, 1), Step(20, 1), Step(30, 1), Step(40)))
            eventually(lambda: len(steps(control)) >= 2, within=30)
            server.kill()
            server.start()
            up_ms = eventually(lambda: started_ms(server.url), within=30)
            before = len(steps(control))
            eventually(lambda: len(steps(control)) == 4, within=60)
            assert all(later >= up_ms + 10_000 for later in at_ms(control)[before:])


@pytest.mark.timeout(240)
def test_f22_a_lost_rollback_does_not_revive_its_plan(namespace: str) -> None:
    """The store falls back to before a rollback, plan and all: who knew keeps zero, and the newborn do not drive."""
    with embedded.server() as server, graysplit.Control(server.url, namespace=namespace, confirm=True) as control:
        client = redis.Redis.from_url(server.url)
        control.create("checkout", ("old", "new"))
        with fleet(server.url, namespace, 2) as members:
            control.ramp("checkout", (Step(20, 600), Step(50)))
            eventually(lambda: {member.share() for member in members} != {0})
            client.save()
            control.rollback("checkout")
            eventually(lambda: {member.share() for member in members} == {0})
            server.kill()
            server.start()
            newborn = Follower(url=server.url, namespace=namespace, splits=["checkout"], declares=True)
            members.append(newborn)
            newborn.ready()
            eventually(lambda: client.hlen(f"graysplit:{{{namespace}}}:stops") > 1, within=20)
            eventually(lambda: {member.share() for member in members} == {0}, within=20)
            eventually(lambda: client.hget(f"graysplit:{{{namespace}}}:meta", "plan:checkout") is None, within=30)
            assert "50" not in steps(control)


def test_a_fleet_that_may_only_stop_does_not_drive(redis_url: str, namespace: str, control: graysplit.Control) -> None:
    """With the role `app` nobody steps; `graysplit drive` with the role `drive` does, and says each step.

    Timeline 32.
    """
    control.create("checkout", ("old", "new"))
    with redis.Redis.from_url(redis_url) as client:
        for role in ("app", "drive"):
            client.execute_command(
                "ACL", "SETUSER", f"{namespace}-{role}", "reset", "on", ">x", *rules(role, namespace)
            )
    url = redis_url.replace("redis://", "redis://{}:x@")
    with fleet(url.format(f"{namespace}-app"), namespace, 1):
        control.ramp("checkout", (Step(10, 0), Step(20)))
        until = time.monotonic() + 8  # longer than the last in line waits
        eventually(lambda: time.monotonic() >= until, within=20)
        assert steps(control) == ["10"]
        environment = {
            **os.environ,
            "GRAYSPLIT_URL": url.format(f"{namespace}-drive"),
            "GRAYSPLIT_NAMESPACE": namespace,
        }
        pipe = subprocess.PIPE
        driver = warm.Program("graysplit.cli", "drive", env=environment, stdout=pipe, stderr=pipe, cwd=ROOT)
        assert driver.stdout is not None
        assert any("step checkout" in line for line in iter(driver.stdout.readline, ""))  # it is written, then told
        assert steps(control) == ["10", "20"]
        driver.send_signal(signal.SIGTERM)
        _, err = driver.communicate(timeout=20)
    assert driver.returncode == 0, err
    assert "driving the plans of" in err


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ten_steps_while_somebody_is_killed_each_second(
    redis_url: str, namespace: str, control: graysplit.Control
) -> None:
    """Eight processes, one killed at random each second and replaced: exactly ten entries."""
    chance = random.Random(4)
    control.create("checkout", ("old", "new"))
    with fleet(redis_url, namespace, 8) as members:
        control.ramp("checkout", MANY)
        began = time.monotonic()
        for second in count(1):
            eventually(lambda: time.monotonic() >= began + second, within=30)  # noqa: B023 - asked before it moves on
            place = chance.randrange(len(members))
            members[place].kill()
            members[place].stop()
            members[place] = Follower(url=redis_url, namespace=namespace, splits=["checkout"], declares=True)
            if control.show("checkout").rows[0].effective == "100" or second > 600:
                break
    assert steps(control) == [str(percent) for percent in range(10, 101, 10)]
    assert len(control.history("checkout", 1_000)) == len(MANY) + 1


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_minute_without_the_server_is_not_caught_up_with(namespace: str) -> None:
    """Gone for a minute, longer than a gap may be: nothing climbs, and the step under way begins its wait anew.

    Timeline 23.
    """
    with embedded.server() as server, graysplit.Control(server.url, namespace=namespace, confirm=True) as control:
        control.create("checkout", ("old", "new"))
        with fleet(server.url, namespace, 4):
            control.ramp("checkout", tuple(replace(step, after=20) for step in MANY[:4]))
            eventually(lambda: len(steps(control)) >= 2, within=60)
            stood = at_ms(control)[-1]
            with stopped(server.pid):
                until = time.monotonic() + 60
                eventually(lambda: time.monotonic() >= until, within=90)
            eventually(lambda: len(steps(control)) == 4, within=120)
            after = at_ms(control)
            assert after[2] - stood >= 60_000 + 15_000  # what was driven before the gap counts, the gap does not
            assert after[3] - after[2] >= 20_000


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a server hang meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def at_ms(control: graysplit.Control) -> list[int]:
    """Return when each entry of a plan was written, by the server."""
    return [entry.at_ms for entry in entries(control)]


def started_ms(url: str) -> int:
    """Return when a server came up, by its own clock; 0 while it does not answer."""
    with redis.Redis.from_url(url) as client, suppress(redis.ConnectionError):
        seconds, _ = client.time()
        return (int(seconds) - int(client.info("server")["uptime_in_seconds"]) - 1) * 1_000
    return 0
