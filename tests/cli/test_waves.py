"""Splits by instance on the screens: who crosses, who has, and how free places are filled."""

from __future__ import annotations

import pytest

from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import folded
from tests.control.test_waves import FIELD, dead, live

__all__ = ["cli", "name", "store"]  # fixtures


@pytest.fixture
def farm(store: MemoryStore) -> MemoryStore:
    """Return a store that five instances follow."""
    for number in range(1, 6):
        live(store, f"web-{number}")
    return store


def test_a_set_says_who_crosses(cli: Cli, farm: MemoryStore) -> None:
    """The note stands below the written line, in a dry run too; JSON has it as well."""
    shown = cli("set", "renderer", "20", "--dry-run").out
    written = cli("set", "renderer", "20", "--no-wait").out
    note = next(line for line in folded(written).splitlines() if line.startswith("renderer/new: crossed 1 of 5"))
    assert note in folded(shown)
    found = cli("set", "renderer", "60", "--no-wait", "--json").json
    assert found["notes"][0].startswith("renderer/new: crossed 3 of 5 instances: web-")


def test_show_and_fleet_print_the_wave(cli: Cli, farm: MemoryStore) -> None:
    """Who has crossed, who of them is dead, and the command that fills the places; JSON has it in fields."""
    cli("set", "renderer", "40", "--no-wait")
    whole = cli("show", "renderer", "--json").json
    assert whole["by"] == "instance"
    (before,) = whole["crossings"]
    gone, left = before["crossed"]
    dead(farm, gone)
    words = f"renderer/new: crossed 1 of 4 instances: {left}; missing (dead): {gone}"
    advice = "40 % needs 2. Raise it with: graysplit rebalance renderer"
    for command in (("show", "renderer"), ("fleet",)):
        told = folded(cli(*command).out)
        assert words in told
        assert advice in told
        (found,) = cli(*command, "--json").json["crossings"]
        assert {key: found[key] for key in ("crossed", "missing", "instances", "wanted", "weight")} == {
            "crossed": [left],
            "missing": [gone],
            "instances": 4,
            "wanted": 2,
            "weight": 40,
        }
    processes = cli("fleet", "--json").json["processes"]
    assert {process["instance"] for process in processes} == {f"web-{n}" for n in range(1, 6)} - {gone}


def test_rebalance_fills_the_places(cli: Cli, farm: MemoryStore) -> None:
    """It says what stands now; once more there is nothing to do, which is refused with how it stands."""
    cli("set", "renderer", "40", "--no-wait")
    dead(farm, cli("show", "renderer", "--json").json["crossings"][0]["crossed"][0])
    assert cli("rebalance", "renderer", "--dry-run").out.endswith("nothing was written\n")
    ran = cli("rebalance", "renderer", "--why", "its disk", "--no-wait")
    assert ran.code == 0
    assert "written: rebalance renderer (revision 2)" in ran.out
    assert "renderer/new: crossed 2 of 4 instances: web-" in folded(ran.out)
    again = cli("rebalance", "renderer", "--json")
    assert (again.code, "nothing to rebalance" in folded(again.err)) == (1, True)
    assert cli("history", "renderer", "-n", "1", "--json").json["entries"][0]["cause"] == "rebalance"


def test_a_lost_wave_is_said(cli: Cli, farm: MemoryStore) -> None:
    """`show` and `doctor` name it with the command that records it anew; doctor is not healthy."""
    cli("set", "renderer", "40", "--no-wait")
    farm.raw_delete("meta", FIELD)
    assert "no wave is recorded" in folded(cli("show", "renderer").out)
    ran = cli("doctor")
    assert ran.code == 7
    assert "instances renderer/new: 0 of 5 instances have crossed" in folded(ran.out)
    assert "graysplit rebalance renderer" in ran.out


def test_a_split_is_created_by_instance(cli: Cli) -> None:
    """By hand it is an option; a bad one is a usage error."""
    assert cli("create", "renderer", "--by", "instance").code == 0
    assert cli("show", "renderer", "--json").json["by"] == "instance"
    assert cli("create", "other", "--by", "zone").code == 2
    cli("set", "renderer", "50")
    assert "has not crossed" in folded(cli("explain", "renderer", "web-1").out)
