"""What is answered to words that are not commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from graysplit.cli.app import GROUPS, SUMMARIES, VERBS, run
from graysplit.cli.guesses import LOWERING, MEANINGS, RAISING, meant

LETTERS = "enu"


@pytest.mark.parametrize(
    ("word", "verbs"),
    [
        *((word, ("rollback",)) for word in ("stop", "off", "abort", "revert", "disable", "kill", "cancel", "back")),
        *((word, ("rollback",)) for word in ("STOP", "--stop", "roll-back", "roll_back", "rolback", "unset", "halt")),
        *((word, ("list",)) for word in ("status", "get")),
        ("log", ("history",)),
        ("hold", ("pause",)),
        ("promote", ("set", "ramp")),
        ("unstp", ("unstop",)),
        ("resum", ("resume",)),
        ("sett", ("set",)),
        ("unsett", ("rollback",)),
        ("xyzzy", ()),
    ],
)
def test_a_word_is_answered_by_what_it_means(word: str, verbs: tuple[str, ...]) -> None:
    """Meaning goes before spelling: `stop` is not `unstop`, `revert` not `recover`."""
    assert meant(word, VERBS) == verbs


def test_what_lowers_is_never_answered_with_what_raises() -> None:
    """Neither a word that lowers nor a slip of the finger in one, nor what takes a raise back (`unset`, `disable`)."""
    lowering = {word for word, verbs in MEANINGS.items() if LOWERING & {*verbs}} | LOWERING
    assert lowering >= {"stop", "off", "abort", "revert", "disable", "kill", "cancel", "back", "hold"}
    for word in lowering:
        for typed in {word, *_slips(word)} - VERBS.keys() - MEANINGS.keys():
            assert RAISING.isdisjoint(meant(typed, VERBS)), (word, typed, meant(typed, VERBS))
    for verb in (verb for verb in RAISING if not verb.startswith("un")):
        for prefix in ("un", "dis", "de", "no"):
            typed = prefix + verb
            assert typed in VERBS or RAISING.isdisjoint(meant(typed, VERBS)), typed


def _slips(word: str) -> Iterator[str]:
    """Yield a word with one letter left out, doubled, swapped, wrong or too much; no more is left of shorter ones."""
    if len(word) < 4:
        return
    for i in range(len(word)):
        yield word[:i] + word[i + 1 :]
        yield word[:i] + word[i : i + 2][::-1] + word[i + 2 :]
        yield from (word[:i] + letter + word[i + 1 :] for letter in LETTERS)
        yield from (word[:i] + letter + word[i:] for letter in LETTERS)


def test_the_tables_name_verbs_that_there_are() -> None:
    """Each verb has one group and one summary; each hint is a verb; no hint hides a verb."""
    assert [verb for verbs in GROUPS.values() for verb in verbs] == [*VERBS] == [*SUMMARIES]
    assert {verb for verbs in MEANINGS.values() for verb in verbs} | RAISING | LOWERING <= VERBS.keys()
    assert MEANINGS.keys().isdisjoint(VERBS)


def test_help_comes_in_groups_with_the_way_back_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever is woken at night reads the first line."""
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line[:-1] for line in lines if line[:-1] in GROUPS] == [*GROUPS] != []
    assert lines[lines.index("Go back:") + 1].split()[0] == "rollback"
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("words", [("help",), ("help", "set")])
def test_help_is_a_word_too(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """`graysplit help set` prints what `graysplit set --help` prints."""
    assert run([*words]) == 0
    said = capsys.readouterr().out
    assert run([*words[1:], "--help"]) == 0
    assert said == capsys.readouterr().out != ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("stop", "checkout"), "Did you mean 'rollback'?"),
        (("promote", "checkout"), "Did you mean 'set' or 'ramp'?"),
        (("help", "stop"), "Did you mean 'rollback'?"),
        (("xyzzy",), "unknown command 'xyzzy'. See all with: graysplit --help"),
    ],
)
def test_a_word_that_is_no_command_is_wrong_usage(
    words: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, with what was meant and where all are listed."""
    assert run([*words]) == 2
    said = capsys.readouterr().err.replace("\n  ", " ")
    assert hint in said
    assert "graysplit --help" in said
