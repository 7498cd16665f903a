"""`freeze`, `unfreeze`, `protect` and `unprotect`: what is written, what is asked for, and what is refused."""

from __future__ import annotations

import io

import pytest

from graysplit.cli.app import run
from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, cli, name, store
from tests.control.processes import live
from tests.support import eventually

__all__ = ["cli", "name", "store"]  # fixtures


class Terminal(io.StringIO):
    """A person's answers."""

    def isatty(self) -> bool:
        """Say that somebody is there."""
        return True


def folded(text: str) -> str:
    """Return output as if no line had been folded."""
    return text.replace("\n  ", " ")


def test_a_freeze_says_what_it_holds_and_how_it_ends(cli: Cli) -> None:
    """The written line, until when, which splits; and the refusal ends with the command that ends it."""
    cli("create", "checkout")
    ran = cli("freeze", "check*", "--for", "2h", "--why", "Black Friday")
    assert ran.code == 0
    assert "written: freeze check* (revision 2)" in ran.out
    assert "until 20" in ran.out
    assert "blocks checkout" in ran.out
    refused = cli("set", "checkout", "5")
    assert refused.code == 1
    assert folded(refused.err).rstrip().endswith("graysplit unfreeze 'check*'")
    assert "Black Friday" in folded(refused.err)
    assert cli("set", "checkout", "0").code == 0


def test_everything_is_one_word(cli: Cli) -> None:
    """`--all` is `*`; a pattern beside it, or neither, is a usage error."""
    cli("create", "checkout")
    assert "freeze * (" in cli("freeze", "--all").out
    assert cli("unfreeze", "--all", "--yes").code == 0
    for words in (("freeze",), ("freeze", "a", "--all"), ("unfreeze",), ("unfreeze", "a", "--all")):
        ran = cli(*words)
        assert (ran.code, f"graysplit {words[0]} --all" in folded(ran.err)) == (2, True)


@pytest.mark.parametrize(
    ("words", "typed", "code"),
    [
        (("unfreeze", "check*"), "check*\n", 0),
        (("unfreeze", "check*"), "check\n", 1),
        (("unprotect", "checkout"), "checkout\n", 0),
        (("unprotect", "checkout"), "\n", 1),
        (("set", "checkout", "7", "--why", "step"), "checkout\n", 1),
        (("set", "search", "7", "--why", "step"), "search\n", 0),
        (("set", "search", "7", "--why", "step"), "nope\n", 1),
    ],
)
def test_what_lets_rise_asks_for_the_name(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], typed: str, code: int
) -> None:
    """The end of a freeze or a protection, and a raise of a protected split; a freeze is not typed away."""
    for split in ("checkout", "search"):
        cli("create", split)
        cli("protect", split)
    cli("freeze", "check*")
    assert cli(*words).code == 1
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert run(words) == code  # a prompt stands on the line of its answer, so no width is judged


def test_a_protected_split_wants_a_reason(cli: Cli) -> None:
    """`--yes` counts as typed, never as a reason."""
    cli("create", "checkout")
    cli("protect", "checkout")
    ran = cli("set", "checkout", "5", "--yes")
    assert (ran.code, "--why" in ran.err, "graysplit unprotect checkout" in folded(ran.err)) == (1, True, True)
    assert cli("set", "checkout", "5", "--yes", "--why", "step 1").code == 0
    assert "protected: a raise needs --why" in cli("show", "checkout").out


def test_freezes_and_finished_releases_are_shown(cli: Cli, store: MemoryStore) -> None:
    """In the list, in a split's page, by doctor, and in the JSON of each."""
    cli("create", "checkout")
    cli("set", "checkout", "100", "--yes")
    cli("finish", "checkout")
    cli("freeze", "check*", "--why", "holiday")
    for words in (("list",), ("show", "checkout"), ()):
        out = folded(cli(*words).out)
        assert "'check*' is frozen by ada@lab" in out
        assert "(holiday). End it: graysplit unfreeze 'check*'" in out
        assert "finished 0 s ago" in out
    assert "finished, and no live code declares it" in folded(cli("doctor").out)
    assert cli("doctor").code == 0
    listed, shown = cli("list", "--json").json, cli("show", "checkout", "--json").json
    assert [found["pattern"] for found in listed["freezes"]] == ["check*"]
    assert listed["finished"] == {"checkout": shown["finished_ms"]}
    assert shown["freezes"][0]["why"] == "holiday"
    assert shown["protected"] is False
    assert store.load().meta.fields[b"finished:checkout"].endswith(str(shown["finished_ms"]).encode())


def test_a_rollback_of_everything_lists_what_it_left(cli: Cli, store: MemoryStore) -> None:
    """A finished release is left alone, and named: with its share and the way to take it where live code calls it."""
    cli("create", "checkout")
    cli("set", "checkout", "100", "--yes")
    assert cli("finish", "checkout", "--why", "two weeks").code == 0
    ran = cli("rollback", "--all")
    assert "left alone, finished, not declared by live code: checkout\n" in ran.out
    live(store)
    ran = cli("rollback", "--all", "--no-wait")
    said = "left alone, finished: checkout/new keeps 100%; 1 live process may call it."
    assert f"{said} To roll it back too: graysplit rollback checkout\n" in folded(ran.out)
    told = cli("rollback", "--all", "--json", "--no-wait").json
    assert (told["left"], told["kept"]) == (["checkout"], {"checkout/new": {"weight": 100, "declared_by": 1}})


def test_what_list_shows_running_is_not_left(cli: Cli, store: MemoryStore) -> None:
    """Finished at 100, by hand at zero and later at 30: a release again, for every screen and for the rollback."""
    cli("create", "checkout")
    cli("set", "checkout", "100", "--yes")
    cli("finish", "checkout")
    finished_ms = store.load().now_ms
    eventually(lambda: store.load().now_ms > finished_ms)
    for weight in ("0", "30"):
        store.raw_set("weights", "checkout/new", weight)
        store.follow().record_raw_edits("web-1")
    assert "finished" not in cli("list").out + cli("show", "checkout").out + cli("doctor").out
    ran = cli("rollback", "--all")
    assert "checkout/new 30% -> 0%" in ran.out
    assert "left alone" not in ran.out
    assert store.load().weights.fields[b"checkout/new"] == b"0"


def test_delete_names_who_declares_it(cli: Cli, store: MemoryStore) -> None:
    """Above zero the code goes first, then the record."""
    cli("create", "checkout")
    cli("set", "checkout", "100", "--yes")
    cli("finish", "checkout")
    live(store)
    ran = cli("delete", "checkout", "--yes", "--no-wait")
    assert ran.code == 1
    assert "code still declares it: web-1/101" in folded(ran.err)
    store.follow().leave("boot-1")
    assert cli("delete", "checkout", "--yes").code == 0


@pytest.mark.parametrize("verb", ["freeze", "protect", "finish"])
def test_a_dry_run_writes_nothing(cli: Cli, store: MemoryStore, verb: str) -> None:
    """It says what would be written, in words and in JSON."""
    cli("create", "checkout")
    cli("set", "checkout", "100", "--yes")
    before = store.load()
    ran = cli(verb, "checkout", "--dry-run")
    assert (ran.code, f"would be written: {verb} checkout" in ran.out) == (0, True)
    assert cli(verb, "checkout", "--dry-run", "--json").json["dry_run"] is True
    assert store.load()._replace(now_ms=0) == before._replace(now_ms=0)
