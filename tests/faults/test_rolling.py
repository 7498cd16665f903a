"""Timeline 27 on a real server: a version that kills its hosts stays at its wave, whatever becomes of the fleet.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis

import graysplit
from graysplit.control.steps import Step
from tests.faults.followers import Follower
from tests.support import eventually

SPLIT = "renderer"


class Farm(dict[str, list[Follower]]):
    """Real processes by the name of their instance, and which instances ever ran the candidate."""

    def __init__(self, url: str, namespace: str) -> None:
        """Begin without any."""
        super().__init__()
        self.ever: set[str] = set()
        self._where = {"url": url, "namespace": namespace}

    def start(self, *names: str, dies: bool = False) -> None:
        """Start a process for each name; the same name again is one more worker of that host."""
        begun = [(name, Follower(**self._where, splits=[SPLIT], instance=name, dies=dies)) for name in names]
        for name, process in begun:
            self.setdefault(name, []).append(process)
        for _, process in begun:
            process.ready()

    def on_new(self) -> set[str]:
        """Name the instances that run the candidate now, as all their workers say."""
        for workers in self.values():
            for worker in workers:
                worker.ask("ping")
        shares = {name: {worker.share(SPLIT) for worker in workers} for name, workers in self.items()}
        assert all(found in ({0}, {100}) for found in shares.values()), shares
        self.ever |= {name for name, workers in self.items() for worker in workers if worker.seen_any(SPLIT)}
        return {name for name, found in shares.items() if found == {100}}

    def crash(self, name: str, *, kill: bool) -> None:
        """End all workers of a host; killed, they say no goodbye and count as live for six seconds more."""
        for worker in self.pop(name):
            if kill:
                worker.kill()
            worker.stop()


@pytest.fixture
def farm(redis_url: str, namespace: str) -> Iterator[Farm]:
    """Return a farm, and end it."""
    found = Farm(redis_url, namespace)
    yield found
    workers = [worker for workers in found.values() for worker in workers]
    for worker in workers:
        with suppress(OSError):
            assert worker.process.stdin is not None
            worker.process.stdin.close()
    for worker in workers:
        worker.stop()


@pytest.mark.parametrize("kill", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_f27_a_version_that_kills_its_hosts_stays_at_its_wave(
    *, kill: bool, farm: Farm, control: graysplit.Control, client: redis.Redis, key: Callable[[str], str]
) -> None:
    """Hosts of the wave die and come back, under their name or another: nobody follows them."""
    control.create(SPLIT, by="instance")
    farm.start("web-1", "web-2", "web-3", "web-3")
    control.set(SPLIT, 20)
    (first,) = eventually(farm.on_new)
    farm.crash(first, kill=kill)
    farm.start(first)
    assert eventually(farm.on_new) == {first}  # the record is by name
    farm.crash(first, kill=kill)
    farm.start("pod-1", "pod-2")
    # A raise by hand, with nobody to record it, and the plain passing of time: nobody.
    client.hset(key("weights"), f"{SPLIT}/new", "90")
    eventually(lambda: control.show(SPLIT).crossings[0].missing == (first,), 15.0)
    assert farm.on_new() == set()
    assert farm.ever == {first}
    found = control.show(SPLIT).crossings[0]
    assert (found.crossed, found.instances, found.wanted) == ((), 4, 4)
    control.set(SPLIT, 20)
    control.rebalance(SPLIT, why="it was the kernel")
    assert len(eventually(farm.on_new)) == 1
    assert len(farm.ever) == 2
    control.rollback(SPLIT)
    eventually(lambda: farm.on_new() == set())


def test_a_plan_over_hosts_loses_one_host_to_a_version_that_kills_them(farm: Farm, control: graysplit.Control) -> None:
    """Eight hosts, new takes its host down, steps every second: one is dead, and the guard's action takes it back.

    A dead host takes no place of a wave from the moment the server has seen its connection end, and a restart of it
    in good order is no loss.
    """
    names = [f"web-{number}" for number in range(1, 9)]
    farm.start(*names, dies=True)
    control.ramp(SPLIT, tuple(Step(weight, 1) for weight in (12.5, 25, 50, 100)))
    guard = control.show(SPLIT).guard
    assert guard is not None
    lost = eventually(lambda: [entry for entry in control.history(SPLIT) if entry.cause == "host lost"], 40.0)
    (dead,) = [name for name in names if farm[name][0].process.poll() is not None]
    assert [entry.why.partition(" (")[0] for entry in lost] == [f"host lost: {dead}"]
    assert control.show(SPLIT).rows[0].effective == "0"
    assert control.show(SPLIT).plan is None
    # What a plan does by itself a person may do at once: just after a death, too, the dead one is not placed.
    control.set(SPLIT, 12.5, unstop=True, allow_needless=True)
    second = eventually(lambda: [n for n in names if n != dead and farm[n][0].process.poll() is not None], 10.0)
    eventually(lambda: {p.instance for p in control.fleet().live if p.parted} == {*second}, 5.0)
    note = " ".join(control.rebalance(SPLIT, dry_run=True).notes)
    assert second[0] not in note
    assert dead not in note
    assert len(second) == 1
