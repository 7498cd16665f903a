"""Waves as they are written and read, and whom they let cross."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.compiled import CompileInput, compile_state, names_of
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, climb, decide
from graysplit.core.definition import define
from graysplit.core.fleet import Declared, Fleet, Process
from graysplit.core.limits import clean_name
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import adopt_brakes, state_of
from graysplit.core.replica.record import Key, Load
from graysplit.core.split_state import SplitState
from graysplit.core.waves import (
    MAX_WAVE,
    NOBODY,
    Instance,
    Wave,
    crossed,
    format_wave,
    instances,
    members,
    parse_wave,
    ranked,
    rebalanced,
    wave_writes,
)
from graysplit.core.weights import FULL, PREVIEW
from tests.strategies import split_states, units_near

names = st.text(min_size=1, max_size=10).map(clean_name).filter(bool)
waves = st.builds(Wave, st.dictionaries(names, st.integers(1, FULL), max_size=5), st.booleans())
MARK = {b"_": b"1"}


def hosts(count: int, zones: int = 0) -> list[Instance]:
    """Make instances, spread over zones."""
    return [Instance(f"web-{number}", f"zone-{number % zones}" if zones else "") for number in range(count)]


def process(label: str, instance: str = "", *versions: str, zone: str = "") -> Process:
    """Make a live process; with versions it declares `renderer`."""
    declared = {"renderer": Declared("old", ("old", *versions), by="instance")} if versions else {}
    return Process(label, label, 1, "1", declared, instance=instance, zone=zone)


@given(waves)
def test_a_wave_is_read_as_it_was_written(wave: Wave) -> None:
    """Whatever instances are called, the store's text gives the same wave again."""
    assert parse_wave(format_wave(wave)) == wave


@pytest.mark.parametrize("text", ["web-1", "20:", "0:web-1", "preview:web-1", "20:web-1  20:web-2", "{}", "101:web-1"])
def test_what_is_no_wave_is_none(text: str) -> None:
    """A wave is whole or nothing: no instance crosses by half of one."""
    assert parse_wave(text) is None


def test_a_huge_text_is_no_wave() -> None:
    """It is not taken apart, which would keep the follower busy."""
    assert parse_wave("20:web-1 " * MAX_WAVE + "20:web-1") is None


@pytest.mark.parametrize(
    ("name", "clean"),
    [(" web 1\n", "web_1"), ("*", "_"), ("a\x00b", "a_b"), ("\udcff", "\\udcff"), ("x" * 300, "x" * 200)],
)
def test_names_are_such_that_a_wave_can_hold_them(name: str, clean: str) -> None:
    """Blanks, control characters and our own mark are written over; what is no text is escaped."""
    assert clean_name(name) == clean


def test_an_instance_is_in_from_the_weight_at_which_it_crossed() -> None:
    """Below it and at preview it is out, and who is not recorded is never in."""
    wave = Wave({"web-1": 20_000})
    assert [crossed(wave, "web-1", weight) for weight in (0, 19_999, 20_000, FULL)] == [False, False, True, True]
    assert not crossed(wave, "web-1", PREVIEW)
    assert not crossed(wave, "web-2", FULL)
    assert not crossed(NOBODY, "", FULL)


def test_everybody_is_in_only_at_one_hundred() -> None:
    """Recorded at 100 %, those born later are in too; below it only those who crossed below."""
    wave = Wave({"web-1": 20_000, "web-2": FULL}, everybody=True)
    assert crossed(wave, "born-later", FULL)
    assert not crossed(wave, "born-later", 99_999)
    assert members(wave, 50_000) == ("web-1",)


def test_zones_take_turns() -> None:
    """Of any first few instances no zone has two more than another, as long as it has any left."""
    order = ranked(hosts(12, 3), 7)
    assert sorted(order) == sorted(host.name for host in hosts(12))
    for count in range(1, 13):
        found = [int(name.removeprefix("web-")) % 3 for name in order[:count]]
        counts = [found.count(zone) for zone in range(3)]
        assert max(counts) - min(counts) <= 1


def test_the_order_is_the_splits_own_and_does_not_depend_on_who_asks() -> None:
    """Another seed gives another order; the order in which instances are named gives none."""
    assert ranked(hosts(20), 1) == ranked(reversed(hosts(20)), 1)
    assert ranked(hosts(20), 1) != ranked(hosts(20), 2)


def test_processes_of_one_name_are_one_instance() -> None:
    """Eight workers of a host count once; who declares nothing does not count where somebody does."""
    fleet = Fleet(0, (*(process(f"w{n}", "web-1", "new", zone="a") for n in range(8)), process("batch", "batch-1")))
    assert instances(fleet, "renderer", "new") == (Instance("web-1", "a"),)
    assert instances(fleet, "unheard", "new") == (Instance("batch-1"), Instance("web-1", "a"))


def test_an_instance_without_the_version_counts_and_does_not_cross() -> None:
    """One old process is enough: that host waits for its deployment."""
    fleet = Fleet(0, (process("a", "web-1", "new"), process("b", "web-1", "v3"), process("c", "web-2", "new")))
    assert instances(fleet, "renderer", "new") == (Instance("web-1", able=False), Instance("web-2"))
    definition = define("renderer", ("old", "new"), by="instance")
    assert wave_writes(definition, "renderer", "new", FULL, None, fleet, before=0) == "100:web-2 100:*"


def test_a_process_of_an_older_library_counts_by_its_host() -> None:
    """It tells no instance's name, and its host is the name."""
    assert instances(Fleet(0, (process("web-9"),)), "renderer", "new") == (Instance("web-9"),)


def test_only_splits_by_instance_write_waves() -> None:
    """Where units are split there is nothing to record, nor where a raise asks for nobody more."""
    fleet = Fleet(0, (process("a", "web-1", "new"),))
    by_unit, by_instance = define("renderer", ("old", "new")), define("renderer", ("old", "new"), by="instance")
    assert wave_writes(by_unit, "renderer", "new", 20_000, None, fleet, before=0) is None
    assert wave_writes(by_instance, "renderer", "new", 20_000, None, fleet, before=0) == "20:web-1"
    assert wave_writes(by_instance, "renderer", "new", 50_000, "20:web-1", fleet, before=20_000) is None


def test_rebalancing_takes_the_dead_out_and_leaves_the_living() -> None:
    """Their places are filled at the weight in force; who is in stays, though the fleet has shrunk."""
    wave = Wave({"dead": 20_000, "web-3": 20_000})
    filled = rebalanced(wave, 50_000, hosts(6), 7)
    assert filled.at["web-3"] == 20_000
    assert "dead" not in filled.at
    assert sorted(filled.at.values()) == [20_000, 50_000, 50_000]
    assert rebalanced(filled, 50_000, hosts(6)[:4], 7).at.keys() == filled.at.keys() & {
        "web-0",
        "web-1",
        "web-2",
        "web-3",
    }


def test_who_has_crossed_to_another_candidate_does_not_join() -> None:
    """An instance runs one version: the other candidate takes others, as many as there are."""
    taken = {"web-0", "web-1"}
    filled = rebalanced(NOBODY, 60_000, hosts(4), 7, taken=taken)
    assert filled.at.keys() == {"web-2", "web-3"}


def split_state(wave: Wave | None, weight: int = 50_000) -> SplitState:
    """Make a split that rolls over instances."""
    definition = define("renderer", ("old", "new"), by="instance")
    return SplitState("renderer", definition, {"new": weight}, {}, {} if wave is None else {"new": wave})


def test_every_unit_of_an_instance_gets_its_version() -> None:
    """A crossed instance is a threshold that all are below, another one that nobody is: the same hot path."""
    wave = Wave({"web-1": 20_000})
    for instance, version in (("web-1", "new"), ("web-2", "old")):
        state = compile_state(split_state(wave), CompileInput(Counts(("old", "new")), object(), instance=instance))
        assert state.special is None
        assert state.runs is None
        assert {state.pick(b"%d" % unit) for unit in range(50)} == {(("old", "new").index(version), "bucket")}
        assert state.weights == (0, 50_000)
        assert state.here == instance


def test_a_lost_wave_is_the_baseline_for_all() -> None:
    """The weight alone lets no instance across."""
    state = compile_state(split_state(None, FULL), CompileInput(Counts(("old", "new")), object(), instance="web-1"))
    assert state.pick(b"x") == (0, "bucket")


@given(split_states(), st.data())
def test_compiled_and_readable_ladder_agree_by_instance_too(found: SplitState, data: st.DataObject) -> None:
    """Whatever waves, weights, stops and pins: the state answers as the law in its readable form does."""
    candidates = [version.name for version in found.definition.candidates]
    drawn = data.draw(st.dictionaries(st.sampled_from(candidates), waves))
    found = found._replace(definition=found.definition._replace(by="instance"), waves=drawn)
    known = [name for wave in drawn.values() for name in wave.at]
    instance = data.draw(st.sampled_from([*known, "another"]))
    unit = data.draw(units_near(found))
    present = data.draw(st.none() | st.sets(st.sampled_from(candidates)).map(lambda some: frozenset((*some, "old"))))
    state = compile_state(found, CompileInput(Counts(names_of(found)), object(), {}, present, instance=instance))
    index, reason = state.pick(unit)
    told = decide(DecisionInput(found, unit, {}, present, instance=instance))
    assert (state.names[index], reason) == (told.version, told.reason)


def test_the_ladder_says_it_in_words() -> None:
    """`explain` names the instance, when it crossed and the weight now; from outside, the unit is the instance."""
    found = split_state(Wave({"web-1": 20_000}))
    assert climb(DecisionInput(found, b"web-1", {}, None))[-1] == (
        "bucket",
        "the instance web-1 has crossed to new at 20 %, of 50 % now",
        "new",
    )
    assert (
        climb(DecisionInput(found, b"u-1", {}, None, instance="web-2"))[-1].asked
        == "the instance web-2 has not crossed"
    )


def read(held: Adopted, **fields: bytes) -> tuple[Adopted, frozenset[str]]:
    """Adopt a reading in which `meta` holds these waves of `renderer`."""
    meta = {f"wave:renderer/{version}".encode(): raw for version, raw in fields.items()}
    return adopt_brakes(held, Load(Key(MARK), Key(MARK), Key(MARK), Key({**MARK, **meta})))


def test_waves_are_adopted_with_the_weights() -> None:
    """A wave that changes has its split compiled anew; what did not change does not."""
    held, touched = read(Adopted(), new=b"20:web-1")
    assert touched == {"renderer"}
    assert held.waves == {"renderer/new": Wave({"web-1": 20_000})}
    definition = define("renderer", ("old", "new"), by="instance")
    assert state_of(held, "renderer", definition).crossed_to("web-1") is None  # the weight is zero
    assert read(held, new=b"20:web-1")[1] == frozenset()
    assert read(held)[0].waves == {}


def test_a_bad_wave_leaves_the_last_good_one_and_a_lost_key_all() -> None:
    """It is refused by name (law 9); where `meta` is lost, its last content stands (law 8)."""
    held, _ = read(Adopted(), new=b"20:web-1")
    after, touched = read(held, new=b"nonsense")
    assert after.waves == held.waves
    assert touched == frozenset()
    assert "invalid wave" in after.refused["meta", "wave:renderer/new"]
    assert read(after, new=b"nonsense")[0].refused == after.refused
    assert read(after, new=b"20:web-2")[0].refused == {}
    lost, _ = adopt_brakes(held, Load(Key(MARK), Key(MARK), Key(MARK), Key({})))
    assert lost.waves == held.waves
