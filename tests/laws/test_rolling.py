"""Rolling by instance: as many cross as the weight asks for, only by the act of raising, and nobody flips back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graysplit
from graysplit.core.waves import NOBODY, Instance, crossed, members, raised, rebalanced, wanted
from graysplit.core.weights import FULL
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

counts = st.integers(1, 50)
shares = st.one_of(st.sampled_from((1, 20_000, 50_000, 99_999, FULL)), st.integers(1, FULL))
seeds = st.integers(0, 2**32 - 1)


def hosts(*names: str) -> list[Instance]:
    """Make instances of these names."""
    return [Instance(name, f"zone-{len(name) % 2}") for name in names]


def fleet_of(count: int) -> list[Instance]:
    """Make so many instances."""
    return hosts(*(f"web-{number}" for number in range(count)))


# --- the arithmetic --------------------------------------------------------------------------------------------------


@given(counts, st.lists(shares, min_size=1, max_size=6), seeds)
def test_a_raise_crosses_exactly_as_many_as_it_asks_for(count: int, steps: list[int], seed: int) -> None:
    """For any number of instances and any weight it is `ceil(w * N)`, one at least; nobody flips back on a raise."""
    live, wave, before = fleet_of(count), NOBODY, 0
    inside: set[str] = set()
    for weight in sorted(set(steps)):
        wave = raised(wave, weight, live, seed, before=before)
        now = {host.name for host in live if crossed(wave, host.name, weight)}
        assert len(now) == -(-weight * count // FULL) == wanted(weight, count) >= 1
        assert inside <= now
        inside, before = now, weight


@given(counts, shares, shares, shares, seeds)
def test_lowering_sends_back_the_last_waves_and_nobody_else_crosses(
    count: int, first: int, second: int, lower: int, seed: int
) -> None:
    """At whatever weight somebody writes by hand, only those are in who were recorded at it or below."""
    first, second = sorted((first, second))
    live = fleet_of(count)
    one = raised(NOBODY, first, live, seed, before=0)
    two = raised(one, second, live, seed, before=first)
    assert set(members(two, first)) == set(members(one, first))
    inside = {host.name for host in live if crossed(two, host.name, lower)}
    if lower < second:
        assert inside == (set(members(one, first)) if lower >= first else set())
    elif second < FULL:
        assert inside == set(members(two, second))


@given(counts, shares, seeds)
def test_starting_again_reaches_the_same_instances_first(count: int, weight: int, seed: int) -> None:
    """After a rollback the record of the release before does not count, and the same hosts give the same order."""
    live = fleet_of(count)
    one = raised(NOBODY, weight, live, seed, before=0)
    assert raised(one, weight, live, seed, before=0) == one


@given(st.integers(2, 50), st.integers(1, 99_999), st.data(), seeds)
def test_churn_moves_nobody_and_the_dead_keep_their_places(
    count: int, weight: int, data: st.DataObject, seed: int
) -> None:
    """Whoever dies and whoever comes: the wave is what it was, until somebody raises or rebalances."""
    live = fleet_of(count)
    wave = raised(NOBODY, weight, live, seed, before=0)
    dead = data.draw(st.sets(st.sampled_from([host.name for host in live]), max_size=count - 1))
    born = hosts("new-1", "new-2", "new-3")
    left = [host for host in live if host.name not in dead] + born
    assert not any(crossed(wave, host.name, weight) for host in born)
    again = raised(wave, weight, left, seed, before=weight)
    assert set(members(wave, weight)) <= set(members(again, weight))
    filled = rebalanced(wave, weight, left, seed)
    inside = {host.name for host in left if crossed(filled, host.name, weight)}
    assert not dead & filled.at.keys()
    assert set(members(wave, weight)) - dead <= inside
    assert len(inside) == max(wanted(weight, len(left)), len(set(members(wave, weight)) - dead))


def test_f27_a_version_that_kills_its_hosts_stays_at_its_wave() -> None:
    """The two that crossed die, others come under other names, again and again; nobody follows them."""
    live, weight = fleet_of(10), 20_000
    wave = raised(NOBODY, weight, live, 7, before=0)
    ever = set(members(wave, weight))
    for generation in range(10):
        live = [host for host in live if not crossed(wave, host.name, weight)]
        live += hosts(f"pod-{generation}-a", f"pod-{generation}-b")
        ever |= {host.name for host in live if crossed(wave, host.name, weight)}
    assert len(ever) == 2


def test_one_hundred_percent_is_for_everybody() -> None:
    """Recorded at 100 %, whoever is born later is in there; lowered, those are in who crossed below."""
    wave = raised(NOBODY, 20_000, fleet_of(5), 7, before=0)
    whole = raised(wave, FULL, fleet_of(5), 7, before=20_000)
    assert crossed(whole, "born-later", FULL)
    assert members(whole, 20_000) == members(wave, 20_000)
    assert not crossed(whole, "born-later", 99_999)


# --- routers on one store --------------------------------------------------------------------------------------------


class Host:
    """One host: a router of its own name, and what its service runs."""

    def __init__(self, url: str, name: str) -> None:
        """Start it, registered and loaded."""
        self.name = name
        self.gray = graysplit.Router(url, instance=name)
        self.renderer = self.gray.split("renderer", "old", "new", unit=graysplit.INSTANCE)
        assert self.gray.wait_ready(5)

    @property
    def version(self) -> str:
        """What it runs now; the same for everybody who asks it."""
        found = {self.renderer.choose(), self.renderer.choose("u-1"), self.gray.choose("renderer")}
        assert len(found) == 1
        return found.pop()


class Farm:
    """All hosts of one namespace."""

    def __init__(self, url: str) -> None:
        """Begin without hosts."""
        self.url = url
        self.hosts: dict[str, Host] = {}

    def start(self, *names: str) -> None:
        """Start hosts."""
        self.hosts |= {name: Host(self.url, name) for name in names}

    def kill(self, *names: str) -> None:
        """Have hosts die, such that the fleet knows it."""
        for name in names:
            self.hosts.pop(name).gray.close()

    def on_new(self) -> set[str]:
        """Name the hosts that run the candidate."""
        return {host.name for host in self.hosts.values() if host.version == "new"}

    def settled(self, control: graysplit.Control) -> set[str]:
        """Wait until every host has the last change, and name those that run the candidate."""
        self.settle(control)
        return self.on_new()

    def settle(self, control: graysplit.Control) -> None:
        """Wait until every host has the last change."""
        revision = control.overview().revision
        eventually(lambda: all(host.gray.status().revision >= revision for host in self.hosts.values()))


@pytest.fixture
def url() -> str:
    """Return a store of this test's own."""
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def farm(url: str) -> Iterator[Farm]:
    """Return hosts, and close them."""
    found = Farm(url)
    yield found
    found.kill(*found.hosts)


@pytest.fixture
def control(url: str) -> Iterator[graysplit.Control]:
    """Return an operator."""
    with graysplit.Control(url, actor="ada", confirm=True) as found:
        yield found


@pytest.fixture
def raw(url: str) -> MemoryStore:
    """Return redis-cli."""
    return MemoryStore(url.removeprefix("memory://"))


def test_f27_a_fleet_under_churn_does_not_roll_over(farm: Farm, control: graysplit.Control) -> None:
    """Hosts of the wave die and come back under new names: nobody else crosses until a person says so."""
    farm.start(*(f"web-{number}" for number in range(10)))
    control.set("renderer", 20)
    wave = farm.settled(control)
    assert len(wave) == 2
    ever = set(wave)
    for generation in range(4):
        farm.kill(*farm.on_new())
        farm.start(f"pod-{generation}")
        ever |= farm.settled(control)
    assert ever == wave
    assert farm.on_new() == set()
    found = control.show("renderer").crossings[0]
    assert (found.crossed, set(found.missing), found.wanted) == ((), wave, 3)
    control.rebalance("renderer", why="it was the kernel")
    assert len(farm.settled(control)) == 3  # of 12 hosts now


def test_f27_a_host_that_comes_back_under_its_name_is_where_it_was(farm: Farm, control: graysplit.Control) -> None:
    """The record is by name: a restart flips nobody, and takes nobody's place."""
    farm.start("web-0", "web-1", "web-2", "web-3")
    control.set("renderer", 50)
    wave = farm.settled(control)
    assert len(wave) == 2
    farm.kill(*wave)
    farm.start(*wave)
    assert farm.settled(control) == wave


def test_an_edit_by_hand_raises_nobody_and_lowers_the_last_waves(
    farm: Farm, control: graysplit.Control, raw: MemoryStore
) -> None:
    """Whatever redis-cli writes as the weight, only recorded hosts are in; status and doctor say what to type."""
    farm.start(*(f"web-{number}" for number in range(5)))
    control.set("renderer", 20)
    first = farm.settled(control)
    control.set("renderer", 60)
    second = farm.settled(control)
    assert (len(first), len(second)) == (1, 3)
    for weight, inside in (("100", second), ("20", first), ("19.999", set[str]()), ("60", second), ("80", second)):
        before = control.overview().revision
        raw.raw_set("weights", "renderer/new", weight)
        eventually(lambda before=before: control.overview().revision > before)  # type: ignore[misc] # it is booked
        farm.settle(control)
        assert farm.on_new() == inside
    finding = next(found for found in control.doctor() if found.where == "instances renderer/new")
    assert "3 of 5 instances have crossed where 80 % needs 4" in finding.what
    assert finding.command == "graysplit rebalance renderer"
    control.rebalance("renderer")
    assert second < farm.settled(control)
    assert len(farm.on_new()) == 4


def test_a_lost_wave_is_the_baseline_and_is_said(farm: Farm, control: graysplit.Control, raw: MemoryStore) -> None:
    """Nobody crosses without the record; a rebalance makes it anew."""
    farm.start("web-0", "web-1")
    control.set("renderer", 50)
    assert len(farm.settled(control)) == 1
    raw.raw_delete("meta", "wave:renderer/new")
    eventually(lambda: farm.on_new() == set())
    found = control.show("renderer").crossings[0]
    assert (found.recorded, found.short) == (False, True)
    finding = next(found for found in control.doctor() if found.where == "instances renderer/new")
    assert finding.severity == "problem"
    control.rebalance("renderer")
    assert len(farm.settled(control)) == 1


def test_whoever_is_born_at_one_hundred_percent_has_crossed(farm: Farm, control: graysplit.Control) -> None:
    """A finished upgrade is for all: a new pod does not begin with the old path."""
    farm.start("web-0")
    control.set("renderer", 100, allow_needless=True)
    assert farm.settled(control) == {"web-0"}
    farm.start("web-1")
    assert farm.on_new() == {"web-0", "web-1"}
    control.rollback("renderer")
    assert farm.settled(control) == set()


@pytest.mark.parametrize("lower", ["stop", "break-glass", "pin"])
def test_what_stands_above_the_bucket_stands_above_the_wave(farm: Farm, control: graysplit.Control, lower: str) -> None:
    """A stop and a denial hold a crossed host back; a pin by its name lets one in that has not crossed."""
    farm.start("web-0", "web-1")
    control.set("renderer", 50)
    (inside,) = farm.settled(control)
    (outside,) = farm.hosts.keys() - {inside}
    if lower == "stop":
        control.rollback("renderer")
        assert farm.settled(control) == set()
    elif lower == "break-glass":
        with graysplit.Router(farm.url, instance=inside, off="renderer") as gray:
            gray.wait_ready(5)
            assert gray.decide("renderer").reason == "off"
    else:
        control.pin("renderer", outside, "new")
        control.pin("renderer", inside, deny=True)
        farm.settle(control)
        asked = {name: host.renderer.decide() for name, host in farm.hosts.items()}
        assert (asked[outside].version, asked[outside].reason) == ("new", "pin")
        assert (asked[inside].version, asked[inside].reason) == ("old", "denied")


def test_explain_says_where_it_is_asked(farm: Farm, control: graysplit.Control) -> None:
    """In the process by its own name, on the command line by the instance that is named."""
    farm.start("web-0", "web-1")
    control.set("renderer", 50)
    (inside,) = farm.settled(control)
    told = farm.hosts[inside].gray.explain("renderer", "u-1")
    assert (told.version, told.reason, told.bucket) == ("new", "bucket", None)
    assert told.ladder[-1].asked == f"the instance {inside} has crossed to new at 50 %, of 50 % now"
    (outside,) = farm.hosts.keys() - {inside}
    assert control.explain("renderer", outside).ladder[-1].asked == f"the instance {outside} has not crossed"


def test_a_choice_kept_in_a_request_outlives_the_crossing(farm: Farm, control: graysplit.Control) -> None:
    """A request that began on one side ends on it, as with buckets."""
    farm.start("web-0")
    host = farm.hosts["web-0"]
    control.create("renderer")
    farm.settle(control)
    with graysplit.context(unit="u-1"):
        assert host.renderer.choose() == "old"
        control.set("renderer", 50)
        farm.settle(control)
        assert host.gray.choose("renderer", "u-2") == "new"
        assert host.renderer.choose() == "old"
    assert host.renderer.choose() == "new"


def test_the_weight_is_of_one_candidate_among_several(farm: Farm, control: graysplit.Control) -> None:
    """Candidates share the hosts: each has its own, and raising one takes none from another."""
    farm.start(*(f"web-{number}" for number in range(6)))
    control.create("renderer", ["old", "new", "b"], by="instance")
    control.set("renderer", weights={"new": 30, "b": 30}, allow_needless=True)
    farm.settle(control)

    def running(version: str) -> set[str]:
        return {host.name for host in farm.hosts.values() if host.gray.choose("renderer") == version}

    assert (len(running("new")), running("b")) == (2, set())  # hosts whose code has no b do not cross to it
