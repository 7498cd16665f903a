"""`switch` on the screen: who is ready, what is asked, which steps are printed, and the exit codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import pytest

from graysplit import Control, Router
from graysplit.cli.app import run
from graysplit.cli.session import Session
from graysplit.cli.switch_lines import PlanPrinter, Undriven
from graysplit.control import Result
from graysplit.core.fleet import Declared
from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import Terminal, folded
from tests.control.processes import live

__all__ = ["cli", "name", "store"]  # fixtures


def declaring(**warm: str) -> Mapping[str, Declared]:
    """Return what a process declares for `checkout`, and how ready its versions are."""
    return {"checkout": Declared("old", ("old", "new"), "route", 0, warm)}


def test_a_switch_says_who_is_ready_and_what_stands(cli: Cli, store: MemoryStore) -> None:
    """The count of the ready first, then the written line, then the receipts."""
    cli("create", "checkout")
    live(store, 1, declared=declaring(new=""))
    ran = cli("switch", "checkout", "--to", "new", "--yes", "--wait", "0s", "--why", "tested")
    lines = ran.out.splitlines()
    assert lines[:2] == ["standby ready 1/1", "written: switch checkout: checkout/new 0% -> 100% (revision 2)"]
    assert ran.code == 6, "written, and the made-up process never shows it"
    back = cli("switch", "checkout", "--to", "old", "--no-wait")
    assert (back.code, back.out.splitlines()) == (
        0,
        ["standby ready 1/1", "written: switch checkout: checkout/new 100% -> 0% (revision 3)"],
    )


def test_who_is_not_ready_is_named_and_the_next_command_with_it(cli: Cli, store: MemoryStore) -> None:
    """Exit code 1, nothing written; `fleet` says the same for whoever looks there."""
    cli("create", "checkout")
    live(store, 1, declared=declaring(new="failed: ConnectionError"))
    ran = cli("switch", "checkout", "--to", "new", "--yes")
    said = folded(ran.err)
    assert (ran.code, ran.out) == (1, "")
    assert "'new' is not ready in 1 of 1 processes: web-1/101 (failed: ConnectionError). Nothing was written" in said
    assert said.rstrip().endswith("graysplit switch checkout --to new")
    assert "checkout/new is not ready on: web-1/101 (failed: ConnectionError)" in folded(cli("fleet").out)
    shown = cli("fleet", "--json").json["processes"][0]["declared"]["checkout"]["warm"]
    assert shown == {"new": "failed: ConnectionError"}


def test_it_is_asked_at_a_terminal(
    cli: Cli, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name is typed once, also where the arrival is spread; without a terminal it is refused."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    assert "a prompt needs a terminal" in folded(cli("switch", "checkout", "--to", "new").err)
    for typed, code in (("check\n", 1), ("checkout\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        assert run(("switch", "checkout", "--to", "new", "--over", "50ms", "--no-wait")) == code
        assert capsys.readouterr().err.count("Type checkout to do it") == 1


def test_a_spread_switch_that_lowers_prints_its_steps(cli: Cli, store: MemoryStore) -> None:
    """No plan lowers, so they are made from here: each with its revision; the whole in JSON is one object."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    cli("set", "checkout", "100", "--yes", "--no-wait")
    ran = cli("switch", "checkout", "--to", "old", "--over", "50ms", "--no-wait")
    lines = ran.out.splitlines()
    assert lines[1] == "step 1 of 10: checkout/new 100% -> 90% (revision 3)"
    assert lines[-1] == "written: switch checkout: checkout/new 100% -> 0% (revision 12)"
    assert len(lines) == 12
    cli("set", "checkout", "100", "--yes", "--no-wait")
    found = cli("switch", "checkout", "--to", "old", "--over", "50ms", "--json", "--no-wait").json
    assert (found["cause"], found["from"], found["to"]) == ("switch", 100, 0)
    assert found["standby"] == {"ready": 1, "processes": 1}
    assert found["steps"] == list(range(14, 24))


def test_a_rollback_in_between_ends_it_with_exit_code_4(
    cli: Cli, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody was faster, and what they wrote stands."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    cli("set", "checkout", "100", "--yes", "--no-wait")

    def roll_back(number: int, result: Result) -> str:
        assert (number, result.to) == (1, "90")
        return Control(store, confirm=True).rollback("checkout").cause

    monkeypatch.setattr("graysplit.cli.switch_lines.step_line", roll_back)
    ran = cli("switch", "checkout", "--to", "old", "--over", "50ms", "--yes")
    assert (ran.code, ran.out.splitlines()) == (4, ["standby ready 1/1", "rollback"])
    assert "was changed by someone else after step 1 of 10" in folded(ran.err)
    assert store.load().weights.fields[b"checkout/new"] == b"0"


def driving(store: MemoryStore, name: str) -> Router:
    """Return a process that has the version and drives."""
    router = Router(f"memory://{name}")
    router.split("checkout", "old", "new")
    assert router.wait_ready()
    return router


def test_a_spread_switch_is_a_plan_that_is_followed(cli: Cli, store: MemoryStore, name: str) -> None:
    """Processes take its steps; the command prints them, and its JSON is one object from the first to the last."""
    cli("create", "checkout")
    with driving(store, name):
        ran = cli("switch", "checkout", "--to", "new", "--over", "90ms", "--yes")
        lines = ran.out.splitlines()
        assert (ran.code, lines[0]) == (0, "standby ready 1/1")
        assert lines[1] == "written: switch checkout: checkout/new 0% -> 10% (revision 2)"
        assert lines[2] == "step 1 of 10: 10%, then 20% (after 0.01s, ready)"
        assert "at 100 % has no control" in folded(ran.out)
        assert lines[-1] == "checkout: its plan is done, at 100%"
        why = [entry["why"] for entry in cli("history", "checkout", "--json").json["entries"]]
        assert why == [*(f"step {number} of 10" for number in range(10, 0, -1)), ""]
        cli("switch", "checkout", "--to", "old", "--no-wait")
        found = cli("switch", "checkout", "--to", "new", "--over", "90ms", "--yes", "--json").json
        assert (found["cause"], found["from"], found["to"], found["outcome"]) == ("switch", 0, 100, "met")
        assert (found["standby"], len(found["steps"])) == ({"ready": 1, "processes": 1}, 10)
        assert found["revision"] == found["steps"][-1]


def test_whoever_stops_following_leaves_it_running(
    cli: Cli, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the command and no plan: it says what goes on, what was written, and how to stop it."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())

    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Control, "wait_until", interrupted)
    ran = cli("switch", "checkout", "--to", "new", "--over", "9s", "--yes")
    said = folded(ran.err)
    assert ran.code == 130
    assert (
        "the switch continues without this command. Stop it with: graysplit pause checkout, or rollback checkout"
        in said
    )
    assert "step 1 of 10 (10%)" in cli("show", "checkout").out


def test_where_nobody_drives_it_is_said_and_left(cli: Cli, store: MemoryStore) -> None:
    """Half done is no secret: exit code 6, the plan stands in `show`, and the command that drives is named."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    ran = cli("switch", "checkout", "--to", "new", "--over", "1s", "--yes", "--no-wait")
    assert (ran.code, "it continues by itself" in folded(ran.out)) == (0, True)
    store.raw_set("plans", "tick:checkout", "1 0 1 gone")
    assert "step 1 of 10 (10%)" in cli("show", "checkout").out
    store.raw_set("weights", "checkout/new", "0")
    again = Control(store, confirm=True).switch("checkout", to="new", over=1.0, replace=True)
    follower = PlanPrinter(Session())
    found = Control(store).show("checkout").plan
    assert (again.plan is not None, found is not None) == (True, True)
    if found is not None:
        with pytest.raises(Undriven):
            follower.looked(found._replace(tick_age_ms=31_000))


def test_a_dry_run_says_over_how_long(cli: Cli, store: MemoryStore) -> None:
    """And writes nothing."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    ran = cli("switch", "checkout", "--to", "new", "--over", "10s", "--dry-run")
    assert ran.code == 0
    assert "would be written: switch checkout: checkout/new 0% -> 100%" in ran.out
    assert "10 steps, 10 s" in ran.out
    assert "nothing was written" in ran.out


def test_words_that_are_none_are_usage_errors(cli: Cli, store: MemoryStore) -> None:
    """No version, a mistyped one, a time beyond what a command is for."""
    cli("create", "checkout")
    live(store, 1, declared=declaring())
    assert cli("switch", "checkout").code == 2
    assert cli("switch", "checkout", "--to", "nwe").code == 2
    assert cli("switch", "nobody", "--to", "new").code == 3


def test_in_flight_is_set_at_creation_and_shown(cli: Cli) -> None:
    """`create --in-flight finish`, and nothing else."""
    assert cli("create", "checkout", "--in-flight", "finish").code == 0
    assert cli("show", "checkout", "--json").json["in_flight"] == "finish"
    assert cli("create", "search", "--in-flight", "drop").code == 2
