"""Plans on the screens that only look: `show`, `list`, `wait`, and the dry run of a `ramp`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import folded

__all__ = ["cli", "name", "store"]  # fixtures

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def split(cli: Cli) -> None:
    """Have a split."""
    cli("create", "checkout")


def test_show_and_list_say_where_a_plan_stands(cli: Cli) -> None:
    """In one line in the overview, gate by gate for one split; not a word once it is over."""
    cli("ramp", "checkout", "5,20,50", "--every", "10m", "--approve")
    assert "checkout: plan: step 1 of 3 (5%)" in folded(cli("list").out)
    shown = folded(cli("show", "checkout").out)
    assert "\nplan: step 1 of 3 (5%)" in shown
    for gate in ("shown by all", "after 10m", "approve"):
        assert f"\n  {gate}" in cli("show", "checkout").out
    cli("pause", "checkout", "--why", "lunch")
    assert "step 1 of 3 (5%), paused by ada@lab for 0 s: lunch" in folded(cli("show", "checkout").out)
    cli("rollback", "checkout")
    assert "plan:" not in cli("list").out
    assert "plan: step" not in cli("show", "checkout").out


def test_scripts_get_the_plan_beside_the_weights(cli: Cli) -> None:
    """The same object in `list` and `show`; none is an empty list, and null."""
    assert (cli("list", "--json").json["plans"], cli("show", "checkout", "--json").json["plan"]) == ([], None)
    cli("ramp", "checkout", "5,20,50", "--every", "10m")
    (listed,) = cli("list", "--json").json["plans"]
    shown = cli("show", "checkout", "--json").json["plan"]
    assert (listed["step"], listed["steps"], listed["weight"], listed["ahead"]) == (1, 3, 5, 20)
    assert shown.keys() == listed.keys()
    assert [gate["name"] for gate in shown["gates"]] == ["shown by all", "after 10m"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--until", "done"), 1),
        (("--until", "safe"), 1),
        (("--until", "soon"), 2),
        (("--until", "done", "--timeout", "x"), 2),
    ],
)
def test_what_cannot_be_waited_for_ends_at_once(cli: Cli, words: tuple[str, ...], code: int) -> None:
    """Refused or misused, with the reason; an unknown split has a code of its own."""
    ran = cli("wait", "checkout", *words)
    assert (ran.code, ran.out) == (code, ""), ran
    assert cli("wait", "chekout", "--until", "done").code == 3


def test_a_wait_has_an_exit_code_for_each_end(cli: Cli) -> None:
    """Done 0, not yet 6, rolled back 7; nobody who follows is no confirmation."""
    cli("ramp", "checkout", "5,20", "--approve")
    late = cli("wait", "checkout", "--until", "done", "--timeout", "0s")
    assert (late.code, late.out.startswith("checkout: not yet: step 1 of 2 (5%)")) == (6, True), late
    assert cli("wait", "checkout", "--until", "5", "--timeout", "0s").code == 6
    cli("rollback", "checkout")
    undone = cli("wait", "checkout", "--until", "done", "--json")
    assert (undone.code, undone.json["outcome"], undone.json["why"]) == (7, "undone", "stopped by checkout")
    assert undone.json["exit"] == 7
    cli("ramp", "checkout", "20", "--unstop")
    assert cli("wait", "checkout", "--until", "done").code == 0


def test_the_table_of_a_plan_that_would_start(cli: Cli, tmp_path: Path) -> None:
    """Dates, who moves, what waits for whom; counted where units are named."""
    units = tmp_path / "units.txt"
    units.write_bytes(b"".join(b"u-%d\r\n" % number for number in range(1000)) + b"u-1\n\n")
    words = ("checkout", "5,20,100", "--every", "10m", "--approve", "--bake", "1h")
    lines, counts = cli("simulate", *words).out.splitlines(), cli("simulate", *words, "--units", str(units))
    head = next(number for number, line in enumerate(lines) if line.startswith("step "))
    assert lines[1].startswith("the bake at 100 % has no control")
    shares = lines[head - 1 :]
    assert shares[1].split() == ["step", "weight", "moves", "at", "before", "the", "next"]
    assert [line.split()[:3] for line in shares[2:5]] == [["1", "5%", "5%"], ["2", "20%", "15%"], ["3", "100%", "80%"]]
    assert ["+ 2 waits" in line for line in shares[2:5]] == [False, False, True]
    assert shares[4].endswith("bake 1h")
    assert "how long it waits is unknown for: approval of step 2, approval of step 3" in folded("\n".join(shares))
    assert counts.out.splitlines()[-1] == "counted: 1000 units"
    found = cli("simulate", *words, "--units", str(units), "--json").json
    assert found["units"] == 1000
    assert [step["units_on"] for step in found["steps"]][-1] == 1000
    assert sum(step["units_move"] for step in found["steps"]) == 1000
    assert cli("history", "--json").json["entries"][0]["cause"] == "create"  # nothing was written


def test_the_future_of_the_plan_that_runs(cli: Cli) -> None:
    """From where it stands; with steps named it is the other plan."""
    cli("ramp", "checkout", "5,20", "--every", "10m")
    ran = cli("simulate", "checkout", "--json").json
    assert (ran["runs"], [step["weight"] for step in ran["steps"]]) == (True, [5, 20])
    assert ran["steps"][1]["at_ms"] - ran["now_ms"] == pytest.approx(600_000, abs=60_000)
    assert ran["end"]["outcome"] == "done"
    assert cli("simulate", "checkout", "50,60", "--every", "0", "--json").json["runs"] is False


@pytest.mark.parametrize(
    "words",
    [
        ("5,20,50,100", "--every", "10m"),
        ("5,20,50,100", "--approve"),
        ("20,100", "--every", "10m", "--approve", "--max-wait", "15m", "--overdue", "rollback"),
        (",".join(str(weight / 10) for weight in range(1, 1001)), "--approve"),
        ("100",),
    ],
)
def test_the_picture_stands_by_itself(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """It is well-formed, refers to nothing, names each weight, and stays inside its frame."""
    monkeypatch.chdir(tmp_path)
    file = Path("plan.svg")
    ran = cli("simulate", "checkout", *words, "--svg", str(file))
    assert (ran.code, "drawn:" in ran.err) == (0, True)
    text = file.read_text("utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own
    assert "href" not in text
    assert "prefers-color-scheme:dark" in text
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    labels = [element.text or "" for element in root.iter(f"{SVG}text")]
    weights = words[0].split(",")
    assert {f"{weight.removesuffix('.0')}%" for weight in weights} <= {*labels}
    for element in root.iter():
        assert -1 <= float(element.attrib.get("x", 0)) <= width
        assert -1 <= float(element.attrib.get("y", 0)) <= height
    assert not any("goes back" in label for label in labels)


def test_a_picture_that_cannot_be_written_is_said(cli: Cli, tmp_path: Path) -> None:
    """By the file's name, as wrong usage."""
    ran = cli("simulate", "checkout", "5,20", "--every", "0", "--svg", str(tmp_path / "none" / "plan.svg"))
    assert (ran.code, "plan.svg" in ran.err) == (2, True)


def test_the_schema_is_printed_without_a_store(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """For editors and pipelines: nothing else is done."""
    monkeypatch.delenv("GRAYSPLIT_URL")
    ran = cli("ramp", "--schema", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["title"] == "A graysplit plan"


def test_a_unit_is_in_nothing_that_is_printed(cli: Cli, tmp_path: Path) -> None:
    """Whatever stands in the file, only numbers come out."""
    units = tmp_path / "units.txt"
    units.write_text("secret-unit\n" * 3)
    cli("pin", "checkout", "secret-unit")
    for words in ((), ("--json",)):
        ran = cli("simulate", "checkout", "5,20", "--every", "0", "--units", str(units), *words)
        assert (ran.code, "secret" in ran.out + ran.err) == (0, False)


def test_instances_have_no_units_to_count(cli: Cli, tmp_path: Path) -> None:
    """Where hosts cross by rank, a file of units says nothing, and that is said."""
    units = tmp_path / "units.txt"
    units.write_text("u\n")
    cli("create", "hosts", "--by", "instance")
    ran = cli("simulate", "hosts", "5,20", "--every", "0", "--units", str(units))
    assert (ran.code, "by instance" in folded(ran.err)) == (1, True), ran
