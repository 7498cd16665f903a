"""What the benchmarks measure by: ratios to a reference, goals with a direction, and rows that JSON gives back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from benchmarks import harness, hotpath, imports, report
from benchmarks.living import __main__ as living
from benchmarks.peers import __main__ as peers
from benchmarks.peers import (
    datadog_ffe,
    eppo,
    graysplit_itself,
    graysplit_pure,
    growthbook_sdk,
    launchdarkly,
    openfeature_flagd,
    openfeature_memory,
    statsig_core,
    unleash,
)
from benchmarks.policies import elsewhere, scenes
from benchmarks.propagation import sizes
from benchmarks.propagation.process import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
PEERS: list[ModuleType] = [
    datadog_ffe,
    eppo,
    graysplit_itself,
    graysplit_pure,
    growthbook_sdk,
    launchdarkly,
    openfeature_flagd,
    openfeature_memory,
    statsig_core,
    unleash,
]
LIVING = ["benchmarks.living.requests", "benchmarks.living.rest", "benchmarks.living.change"]


def _program(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", module, "--quick", "--json", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_reference_costs_one_of_itself() -> None:
    """A case that is the reference comes out at a ratio of one."""
    found = harness.measure([harness.Case("itself", harness.reference)], repetitions=15)
    assert found["itself"].ratio == pytest.approx(1.0, abs=0.3)


def test_twice_the_work_costs_twice_as_much() -> None:
    """The ratio follows the work."""
    twice = harness.looped("h(k, 42, False), h(k, 42, False)", h=harness.mmh3.hash)
    found = harness.measure([harness.Case("twice", twice)], repetitions=15)
    assert found["twice"].ratio == pytest.approx(2, abs=0.8)


def test_a_call_that_waits_is_refused() -> None:
    """What would need an event loop cannot be measured without one."""

    class Waits:
        def __await__(self) -> object:
            yield self

    with pytest.raises(RuntimeError, match="must not wait"):
        harness.looped("w(k)", asynchronous=True, w=lambda _key: Waits())(["one"])


def test_a_goal_is_judged_in_its_direction() -> None:
    """Costs may be lower than their goal, yields higher."""
    assert report.Row("cost", 4.0, 5.0).verdict == "ok"
    assert report.Row("cost", 6.0, 5.0).missed
    assert report.Row("yield", 0.9, 0.95, at_least=True).verdict == "under"
    assert not report.Row("without", 9.0).missed


def test_rows_come_back_from_json() -> None:
    """What one program prints as JSON another reads back."""
    rows = [report.Row("cost", 4.0, 5.0, note="n"), report.Row("yield", 1.0, at_least=True)]
    assert report.from_json(report.as_json("title", rows)) == ("title", rows)


def test_missed_goals_are_named() -> None:
    """The last line names each goal that is missed."""
    assert report.misses([report.Row("a", 2.0, 1.0), report.Row("b", 1.0, 1.0)]) == "1 of 2 goals missed: a"


def test_the_hot_path_is_measured() -> None:
    """The whole benchmark runs, and every case with a goal has a figure."""
    rows = {row["case"]: row for row in json.loads(_program("benchmarks.hotpath"))["rows"]}
    assert rows.keys() >= set(hotpath.GOALS)
    assert rows["exposures lost"]["value"] == 0
    assert rows["errors lost"]["value"] == 0


@pytest.mark.parametrize("module", ["benchmarks.reload", "benchmarks.measuring", "benchmarks.propagation", *LIVING])
def test_a_real_server_is_measured(module: str) -> None:
    """The benchmark runs on a real server, with processes of its own."""
    rows = {row["case"]: row for row in json.loads(_program(module))["rows"]}
    assert all(row["value"] >= 0 for row in rows.values())
    if module == "benchmarks.propagation":
        assert rows["changes that some process missed"]["value"] == 0
        assert rows["processes that end on the last value"]["verdict"] == "ok"
        assert rows["  not confirmed by all"]["value"] == 0
        assert rows["2 followers: missed by"]["value"] == 0


@pytest.mark.parametrize("part", living.PARTS)
def test_each_part_of_living_measures(part: str) -> None:
    """What `make bench-living` runs is there."""
    assert callable(import_module(f"benchmarks.living.{part}").measure)


@pytest.mark.parametrize(
    "amounts", [sizes.LEAST, pytest.param(sizes.FULL, marks=[pytest.mark.soak, pytest.mark.timeout(1_800)])]
)
def test_what_strangers_can_write_is_measured(amounts: sizes.Amounts, capsys: pytest.CaptureFixture[str]) -> None:
    """All is booked, and a rollback meanwhile comes to be in force; the soak prints the table."""
    rows = sizes.measure(amounts, verbs=False)
    with capsys.disabled():
        sys.stdout.write(f"\n{report.table('Sizes', rows)}\n" if amounts is sizes.FULL else "")
    found = {row.case.strip(): row for row in rows}
    assert found["not booked then"].value == 0
    assert found["a rollback meanwhile, in force"].value < PATIENCE_S * 1000
    assert 0 < found["longest between two heartbeats"].value < PATIENCE_S * 1000


def test_import_loads_nothing_heavy() -> None:
    """What an application imports loads none of the modules that are kept out of it."""
    assert imports.heavy(imports.USE, imports.HEAVY_TOO) == []


def test_import_stays_light() -> None:
    """What an application imports costs less than one heavy module in it would."""
    texts = {"bare": imports.BARE, "import": imports.USE, "heavy": "from pydantic import BaseModel"}
    found = imports.median_cpu_ms(texts, rounds=5)
    assert found["import"] - found["bare"] < 0.8 * (found["heavy"] - found["bare"])


def test_every_peer_can_be_asked() -> None:
    """Each peer says what it needs, and none is loaded where it is not installed."""
    assert {peer.__name__.rpartition(".")[2] for peer in PEERS} == {*peers.PEERS, peers.ITSELF, peers.PURE}
    assert all(isinstance(peer.REQUIRES, tuple) and callable(peer.deciders) for peer in PEERS)


def test_graysplit_is_measured_beside_its_peers() -> None:
    """The worker gives cost and share of each way of asking."""
    command = [sys.executable, "-m", "benchmarks.peers.worker", "graysplit_itself", "5000"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for found in json.loads(said).values():
        assert 0.17 < found["share"] < 0.23
        assert 0.2 < found["process"] < 100


def test_a_peer_that_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What fails is reported with the installer's last words, and leaves nothing behind."""
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(peers.shutil, "which", lambda _name: None)
    monkeypatch.setattr(peers, "PRIVATE_UV", tmp_path / "none")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", os.fspath(tmp_path))
    with pytest.raises(peers.Failed):
        peers.interpreter("nobody", ("graysplit-nobody-has-this",))
    assert not list(tmp_path.glob("nobody-*"))


def test_a_policy_of_the_lab_is_played() -> None:
    """Three versions beside each other: nothing is lost, and nobody meets two of them."""
    command = [sys.executable, "-m", "benchmarks.policies", "--quick", "--json", "--only", "several"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert said.returncode == 0, said.stderr
    (played,) = json.loads(said.stdout).values()
    assert (played["lost"], played["wrong"]) == (0, [])
    assert played["requests"] > 100
    assert scenes.SCENES.keys() == elsewhere.ELSEWHERE.keys()
