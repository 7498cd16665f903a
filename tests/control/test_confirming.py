"""What the command line has a name typed for, a program says with `confirm`: the name, True, or a function."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import pytest

from graysplit import Control, RefusedError
from graysplit.cli.app import run
from graysplit.control.control import Confirm, Question
from graysplit.control.operator import operator_of
from graysplit.control.result import Result

Act = Callable[[Control, Confirm | None], object]


def _protected(control: Control) -> None:
    control.protect("checkout")


def _frozen(control: Control) -> None:
    control.freeze("check*")


def _zero(control: Control) -> None:
    control.set("checkout", 0)


def _stopped(control: Control) -> None:
    operator_of(control).store.raw_set("stops", "checkout", "by hand")  # type: ignore[attr-defined] # the memory store's


# What comes before, the program's verb, the command, and the name to type.
ASKED: Final[dict[str, tuple[Callable[[Control], object], Act, tuple[str, ...], str]]] = {
    "100 %": (
        lambda _: None,
        lambda control, yes: control.set("checkout", 100, confirm=yes),
        ("set", "checkout", "100"),
        "checkout",
    ),
    "protected": (
        _protected,
        lambda control, yes: control.set("checkout", 30, why="w", confirm=yes),
        ("set", "checkout", "30", "--why", "w"),
        "checkout",
    ),
    "protected pin": (
        _protected,
        lambda control, yes: control.pin("checkout", "u", why="w", confirm=yes),
        ("pin", "checkout", "u", "--why", "w"),
        "checkout",
    ),
    "protected plan": (
        lambda control: (_zero(control), _protected(control)),
        lambda control, yes: control.ramp("checkout", why="w", confirm=yes),
        ("ramp", "checkout", "--why", "w"),
        "checkout",
    ),
    "unprotect": (
        _protected,
        lambda control, yes: control.unprotect("checkout", confirm=yes),
        ("unprotect", "checkout"),
        "checkout",
    ),
    "unfreeze": (
        _frozen,
        lambda control, yes: control.unfreeze("check*", confirm=yes),
        ("unfreeze", "check*"),
        "check*",
    ),
    "undo": (
        _zero,
        lambda control, yes: control.undo("checkout", force=True, confirm=yes),
        ("undo", "checkout", "--force"),
        "checkout",
    ),
    "unstop": (
        _stopped,
        lambda control, yes: control.unstop("checkout", confirm=yes),
        ("unstop", "checkout"),
        "checkout",
    ),
    "delete": (
        _zero,
        lambda control, yes: control.delete("checkout", confirm=yes),
        ("delete", "checkout"),
        "checkout",
    ),
}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Control:
    """Return a hand on a store that the command line finds too, with a split at 20 %."""
    url = f"memory://{uuid.uuid4().hex}"
    monkeypatch.setenv("GRAYSPLIT_URL", url)
    made = Control()
    made.create("checkout")
    made.set("checkout", 20)
    return made


@pytest.mark.parametrize("case", ASKED)
def test_what_the_command_asks_control_asks(case: str, control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    """Both refuse, write nothing and name what to give; with it both do it."""
    before, act, command, target = ASKED[case]
    before(control)
    (last,) = control.history(None, 1)
    assert run(command) == 1
    assert "--yes" in capsys.readouterr().err
    with pytest.raises(RefusedError, match=rf"Nothing was written.*confirm='{target[:5]}") as refused:
        act(control, None)
    with pytest.raises(RefusedError, match=r"not 'chekout'"):
        act(control, "chekout")
    assert control.history(None, 1) == (last,), refused
    done = act(control, target)
    assert isinstance(done, Result)
    assert done.revision > last.revision


def test_true_says_yes_to_whatever_is_asked(control: Control) -> None:
    """For the verb, or for all verbs of a control; a verb's own word counts first."""
    assert control.set("checkout", 100, confirm=True).revision
    control.set("checkout", 20)
    agreed = Control(operator_of(control).store, confirm=True)
    with pytest.raises(RefusedError):
        agreed.set("checkout", 100, confirm="basket")
    assert agreed.set("checkout", 100).revision


def test_a_function_hears_the_question(control: Control) -> None:
    """And raises to refuse."""
    asked: list[tuple[str, str | None]] = []

    def hear(question: Question) -> None:
        asked.append((question.target, question.ask))

    def refuse(_: Question) -> None:
        raise RefusedError("not today")

    with pytest.raises(RefusedError, match="not today"):
        control.set("checkout", 100, confirm=refuse)
    control.set("checkout", 100, confirm=hear)
    assert asked == [("checkout", "this sends everybody to checkout/new")]


def test_what_lowers_asks_nothing(control: Control) -> None:
    """Going back is never refused."""
    assert control.set("checkout", 5).revision
    assert control.rollback("checkout").revision
    assert control.rollback("*").change
