"""The command line over a stop, and a raise for a time: what is asked for, and what is told of it."""

from __future__ import annotations

import pytest

from graysplit.cli.app import run
from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import Terminal, folded
from tests.control.processes import live

__all__ = ["cli", "name", "store"]  # fixtures

VERBS = (
    ("set", "checkout", "20"),
    ("ramp", "checkout", "5,20", "--every", "10m"),
    ("switch", "checkout", "--to", "new"),
    ("preview", "checkout"),
    ("undo", "checkout", "--force"),
)


@pytest.fixture(autouse=True)
def _stopped(cli: Cli, store: MemoryStore) -> None:
    live(store)
    for words in (("create", "checkout"), ("set", "checkout", "20"), ("rollback", "checkout", "--why", "errors")):
        cli(*words, "--no-wait")


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
def test_without_a_terminal_it_needs_unstop(cli: Cli, store: MemoryStore, words: tuple[str, ...]) -> None:
    """`--yes` agrees to everything but that; the refusal says whose stop it is, and how to."""
    stood = store.load().stops
    for more in ((), ("--yes",)):
        ran = cli(*words, "--no-wait", *more)
        said = folded(ran.err)
        assert (ran.code, "written" in ran.out) == (1, False), ran
        assert "this clears the stop checkout: by ada@lab, 20" in said
        assert "errors" in said
        assert "--unstop" in said
        assert "--yes alone does not clear a stop" in said
    assert store.load().stops == stood
    ran = cli(*words, "--no-wait", "--yes", "--unstop")
    assert ran.code == 0, ran
    assert "cleared the stop checkout: by ada@lab" in folded(ran.out)
    assert b"checkout" not in store.load().stops.fields


@pytest.mark.parametrize("words", [*VERBS, ("unstop", "checkout")], ids=lambda words: words[0])
@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["", "yes"])
def test_at_a_terminal_it_asks_for_the_name(
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    yes: tuple[str, ...],
) -> None:
    """With who stopped it, when and why; another name is none. To the verb of its own, `--yes` is an answer."""
    if words[0] != "unstop" or not yes:
        monkeypatch.setattr("sys.stdin", Terminal("new\n"))
        assert run((*words, "--no-wait", *yes)) == 1
        assert b"checkout" in store.load().stops.fields
        assert "this clears the stop checkout: by ada@lab, 20" in folded(capsys.readouterr().err)
    monkeypatch.setattr("sys.stdin", Terminal("checkout\n"))
    assert run((*words, "--no-wait", *yes)) == 0
    assert b"checkout" not in store.load().stops.fields


def test_a_second_rollback_and_its_undo_say_whose_stop_stays(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ada's, and still is."""
    monkeypatch.setenv("GRAYSPLIT_ACTOR", "bob")
    again = cli("rollback", "checkout", "--why", "to be sure", "--no-wait")
    assert "the stop stays unchanged: checkout: by ada@lab" in folded(again.out)
    undone = cli("undo", "checkout", "--no-wait")
    assert (undone.code, "cleared" in undone.out) == (0, False)
    assert "the stop stays unchanged: checkout: by ada@lab" in folded(undone.out)


def test_an_undo_says_that_it_puts_a_stop_back(cli: Cli, store: MemoryStore) -> None:
    """That of an `unstop` does; so does that of a stop written over another."""
    cli("unstop", "checkout", "--no-wait")
    undone = cli("undo", "checkout", "--no-wait", "--json")
    assert undone.json["stops"]["checkout"]["from"] is None
    assert "errors" in undone.json["stops"]["checkout"]["to"]
    assert undone.json["cleared"] == {}
    cli("unstop", "checkout", "--no-wait")
    dry = cli("undo", "checkout", "--dry-run")
    assert "would put back the stop checkout: by ada@lab" in folded(dry.out)
    assert "put back the stop checkout: by ada@lab" in folded(cli("undo", "checkout", "--no-wait").out)


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("typed", [False, True])
def test_all_for_a_time(cli: Cli, monkeypatch: pytest.MonkeyPatch, *, protected: bool, typed: bool) -> None:
    """`set x 100 --for 5m` is written, agreed to beforehand or typed; its end is told."""
    if protected:
        cli("protect", "checkout")
    words = ("set", "checkout", "100", "--for", "5m", "--why", "w", "--unstop", "--no-wait")
    if typed:
        monkeypatch.setattr("sys.stdin", Terminal("checkout\n"))
        assert run(words) == 0
    else:
        ran = cli(*words, "--yes")
        assert ran.code == 0, ran
        assert "checkout/new is at 100% for 5 min, until 20" in folded(ran.out)
        assert "Z, then at 0%" in folded(ran.out)


def test_a_bare_number_is_told_as_seconds(cli: Cli) -> None:
    """Whoever meant minutes sees it, also in a dry run and in JSON; a freeze is told in the same words."""
    cli("unstop", "checkout")
    assert "at 20% for 30 s, until 20" in folded(cli("set", "checkout", "20", "--for", "30", "--dry-run").out)
    ran = cli("set", "checkout", "20", "--for", "30", "--no-wait", "--json")
    lease = ran.json["leases"]["checkout/new"]
    assert (lease["at"], lease["then"]) == (20, 0)
    assert lease["until_ms"] - ran.json["at_ms"] in range(25_000, 30_001)
    assert "can rise for 30 s, until 20" in folded(cli("freeze", "checkout", "--for", "30", "--no-wait").out)


@pytest.mark.parametrize("words", [("set", "checkout", "20"), ("freeze", "checkout")], ids=["set", "freeze"])
@pytest.mark.parametrize("span", ["0", "0s", "0m"])
def test_no_time_at_all_is_wrong_usage(cli: Cli, store: MemoryStore, words: tuple[str, ...], span: str) -> None:
    """It would be written for a moment."""
    entries = store.history()
    ran = cli(*words, "--for", span, "--unstop") if words[0] == "set" else cli(*words, "--for", span)
    assert (ran.code, "--for 30m" in folded(ran.err)) == (2, True)
    assert store.history() == entries
