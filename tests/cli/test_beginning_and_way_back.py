"""Each changing verb begins with where it writes, and ends with a command that takes it back."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable

import pytest

from graysplit import Control
from graysplit.cli.app import run

Said = Callable[..., tuple[int, str, str]]

# A command, what comes before it, and the way back that it names.
CASES = {
    "set up": ((), ("set", "checkout", "40"), "rollback checkout"),
    "set down": ((), ("set", "checkout", "5"), "undo checkout"),
    "set to zero": ((), ("set", "checkout", "0"), "undo checkout --force"),
    "preview": ((("set", "checkout", "0"),), ("preview", "checkout"), "rollback checkout"),
    "rollback": ((), ("rollback", "checkout"), "undo checkout --force"),
    "undo": ((("set", "checkout", "40"),), ("undo", "checkout"), "undo checkout"),
    "freeze": ((), ("freeze", "check*"), "unfreeze 'check*'"),
    "freeze all": ((), ("freeze", "--all"), "unfreeze --all"),
    "unfreeze": ((("freeze", "--all"),), ("unfreeze", "--all", "--yes"), "freeze --all"),
    "protect": ((), ("protect", "checkout"), "unprotect checkout"),
    "unprotect": ((("protect", "checkout"),), ("unprotect", "checkout", "--yes"), "protect checkout"),
    "unguard": ((("guard", "checkout"),), ("unguard", "checkout", "--yes"), "undo checkout"),
    "guard": ((), ("guard", "checkout"), "undo checkout"),
    "pin": ((), ("pin", "checkout", "u-17"), "undo checkout"),
    "unpin": ((("pin", "checkout", "u-17"),), ("unpin", "checkout", "u-17"), "undo checkout"),
    "create": ((), ("create", "search"), "delete search"),
    "finish": ((), ("finish", "checkout", "--at", "20"), "undo checkout"),
    "ramp": ((), ("ramp", "checkout"), "rollback checkout"),
    "pause": ((("ramp", "checkout"),), ("pause", "checkout"), "resume checkout"),
    "resume": ((("ramp", "checkout"), ("pause", "checkout")), ("resume", "checkout"), "pause checkout"),
    "delete": ((("set", "checkout", "0"),), ("delete", "checkout", "--yes"), "undo checkout"),
}


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a store with a split at 20 %."""
    found = f"memory://{uuid.uuid4().hex}"
    monkeypatch.setenv("GRAYSPLIT_URL", found)
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", "shop")
    with Control() as control:
        control.create("checkout")
        control.set("checkout", 20)
    return found


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return command


@pytest.mark.parametrize("case", CASES)
def test_a_verb_begins_with_where_and_ends_with_a_way_back_that_works(case: str, url: str, said: Said) -> None:
    """The line is a command; typed, it is done; JSON has it as a key."""
    before, words, back = CASES[case]
    for one in before:
        assert said(*one, "--no-wait", "--yes")[0] == 0
    code, _, err = said(*words, "--no-wait", *(["--yes"] if words[0] in {"undo", "preview", "ramp"} else []))
    lines = err.splitlines()
    assert (code, lines[0], lines[-1]) == (
        0,
        f"namespace shop on {url}",
        f"the way back: graysplit {back}",
    ), err
    _, *again = shlex.split(lines[-1].removeprefix("the way back: "))
    code, _, err = said(*again, "--no-wait", "--yes", *(["--unstop"] if again[0] == "undo" else []))
    assert code == 0, err


def test_json_has_the_way_back_and_where_goes_to_stderr(url: str, said: Said) -> None:
    """One document on stdout."""
    code, out, err = said("set", "checkout", "40", "--no-wait", "--json")
    assert (code, json.loads(out)["back"]) == (0, "graysplit rollback checkout")
    assert err.splitlines()[0] == f"namespace shop on {url}"


def test_nothing_to_take_back_is_not_said(url: str, said: Said) -> None:
    """A dry run, and a rollback of what was at zero."""
    assert url
    assert "way back" not in "".join(said("set", "checkout", "40", "--dry-run")[1:])
    said("rollback", "checkout", "--no-wait")
    code, out, _ = said("rollback", "checkout", "--no-wait", "--json")
    assert (code, json.loads(out)["back"]) == (0, None)


def test_a_pin_says_whom_and_to_what(url: str, said: Said) -> None:
    """On the operator's own screen; the JSON, which goes to logs, holds no unit."""
    assert url
    assert "unit 'u-17' of checkout: always gets new" in said("pin", "checkout", "u-17", "--no-wait")[2]
    assert "u-17" not in said("pin", "checkout", "u-17", "--no-wait", "--json")[1]
    assert "always gets the baseline old" in said("pin", "checkout", "u-18", "--deny", "--no-wait")[2]
    assert "no longer pinned" in said("unpin", "checkout", "u-17", "--no-wait")[2]
    said("set", "checkout", "0", "--no-wait")
    _, out, _ = said("pin", "checkout", "u-19", "--no-wait")
    assert "'new' is at zero: until it rises, the unit gets 'old'" in out


def test_a_closed_stderr_keeps_nobody_from_going_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line cannot be printed, and the rollback is written all the same."""
    monkeypatch.setattr("sys.stderr", None)
    code = run(["rollback", "checkout", "--no-wait"])
    monkeypatch.undo()
    assert code == 0
    with Control(url, namespace="shop") as control:
        assert control.show("checkout").rows[0].effective == "0"


def test_history_of_a_time_and_of_an_actor(url: str, said: Said) -> None:
    """`--since` takes a span or a UTC time, `--actor` a name; what is cut off is said."""
    with Control(url, namespace="shop", actor="bob") as control:
        control.set("checkout", 30, why="by bob")
    _, out, _ = said("history", "--actor", "bob")
    assert len(out.splitlines()) == 1
    assert "by bob" in out
    assert len(said("history", "--since", "2h")[1].splitlines()) == 3
    assert len(said("history", "--since", "2020-01-01T10:00Z")[1].splitlines()) == 3
    assert said("history", "--since", "2999-01-01")[1] == "no matching change\n"
    assert said("history", "--actor", "nobody")[1] == "no matching change\n"
    assert said("history", "--since", "yesterday")[0] == 2
    _, out, err = said("history", "-n", "2", "--since", "2h")
    assert (len(out.splitlines()), err) == (2, "")
    for weight in range(1, 50):
        with Control(url, namespace="shop", actor="eve") as control:
            control.set("checkout", weight)
    _, out, err = said("history", "--since", "2h")
    assert (len(out.splitlines()), "only the newest 50 are shown; more with: -n 500" in err) == (50, True)
    assert len(said("history", "--actor", "eve")[1].splitlines()) == 49
