"""What a person types is bounded by one table: refused with the limit named, in the shell and in programs alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from graysplit.cli.app import app, run
from graysplit.control import Control
from graysplit.core.limits import RECORD, SPLITS, TYPED, VALUE, check_typed
from graysplit.errors import BadValueError, ConfigurationError
from graysplit.notices.hooks import Webhook

URL: Final = "memory://limits"
SHARED: Final = Path(__file__).parents[2] / "src/graysplit/stores/lua/shared.lua"
LONG: Final = "x" * 10_000_000


@pytest.fixture
def control() -> Control:
    """Make a split at 20 %."""
    control = Control("memory://", actor="ada@host")
    control.create("checkout", ("old", "new"))
    control.set("checkout", 20)
    return control


VERBS: Final[dict[str, Callable[[Control], object]]] = {
    "set": lambda c: c.set("checkout", 30, why=LONG),
    "create": lambda c: c.create("search", why=LONG),
    "create with a salt": lambda c: c.create("search", salt=LONG),
    "undo": lambda c: c.undo("checkout", why=LONG),
    "ramp": lambda c: c.ramp("checkout", why=LONG),
    "ramp by a record": lambda c: c.ramp("checkout", plan={"name": LONG}),
    "finish": lambda c: c.finish("checkout", why=LONG),
    "delete": lambda c: c.delete("checkout", why=LONG, confirm=True),
    "freeze": lambda c: c.freeze("checkout", why=LONG),
    "protect": lambda c: c.protect("checkout", why=LONG),
    "preview": lambda c: c.preview("checkout", why=LONG),
    "switch": lambda c: c.switch("checkout", to="old", why=LONG),
    "pin": lambda c: c.pin("checkout", LONG, "new", confirm=True),
    "pin with a reason": lambda c: c.pin("checkout", "u1", "new", why=LONG, confirm=True),
    "guard": lambda c: c.guard("checkout", stop_on=[LONG]),
    "recover": lambda c: c.recover(why=LONG),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_program_is_refused_what_is_too_long_and_told_the_limit(control: Control, verb: str) -> None:
    """Ten million characters are wrong usage for every verb: nothing is written, and the limit is named."""
    before = control.history()
    with pytest.raises(BadValueError, match=r"100000\d\d characters, and the limit is \d+|invalid name") as told:
        VERBS[verb](control)
    assert len(str(told.value)) < 500
    assert control.history() == before


def test_the_actor_is_bounded_too() -> None:
    """A name that is too long is refused with the first change, and no reason to refuse a rollback."""
    with Control("memory://", actor=LONG) as control:
        with pytest.raises(BadValueError, match="the actor has 10000000 characters, and the limit is 200"):
            control.create("checkout")
        control.rollback("checkout")
        assert len(control.history()[0].actor) == TYPED["actor"]


def test_a_rollback_is_never_refused_for_its_reason(control: Control) -> None:
    """It goes through with as much of the reason as is taken."""
    control.rollback("checkout", why=LONG)
    assert control.show("checkout").rows[0].effective == "0"
    assert control.history()[0].why == "x" * 997 + "..."


@pytest.mark.parametrize("what", sorted(TYPED))
def test_a_text_of_just_the_limit_is_taken(what: str) -> None:
    """The table means what it says, to the character."""
    limit = next(limit for name, limit in TYPED.items() if name == what)
    named = next(name for name in TYPED if name == what)
    assert check_typed(named, "x" * limit)
    with pytest.raises(BadValueError, match=str(limit)):
        check_typed(named, "x" * (limit + 1))


@pytest.mark.parametrize(
    "words",
    [
        ["set", "checkout", "20", "--why", LONG],
        ["set", "checkout", "20", "--why", "x" * 1_001],
        ["set", LONG, "20"],
        ["set", "checkout", LONG],
        ["set", "checkout", "20", "--from", LONG],
        ["set", "checkout", "20", "--if-rev", "9" * 20_000],
        ["set", "checkout", "20", "--for", LONG],
        ["pin", "checkout", "x" * 1_001, "new"],
        ["unpin", "checkout", LONG],
        ["explain", "checkout", LONG],
        ["ramp", "checkout", "5," * 10_000],
        ["ramp", "checkout", "--save", "x" * 101],
        ["guard", "checkout", "--stop-on", "x" * 201],
        ["create", "search", "--salt", "x" * 1_001],
        ["drive", "--notify-url", "http://h/" + "x" * 2_000],
        ["freeze", LONG],
        ["history", "--actor", "x" * 201],
        ["fleet", "--forget", LONG],
        ["list", "--namespace", "x" * 101],
        ["rollback", LONG],
    ],
    ids=lambda words: " ".join(word[:12] for word in words),
)
def test_the_shell_says_wrong_usage_in_a_line(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and never the text itself."""
    monkeypatch.setenv("GRAYSPLIT_URL", URL)
    assert run(words) == 2
    told = capsys.readouterr()
    assert len(told.err) + len(told.out) < 2_000
    assert told.err


def test_a_rollback_says_that_its_reason_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason that is too long for the table is cut aloud."""
    monkeypatch.setenv("GRAYSPLIT_URL", URL)
    with Control(URL, actor="ada@host") as control:
        control.create("checkout", ("old", "new"))
        control.set("checkout", 20)
        result = CliRunner().invoke(app, ["rollback", "checkout", "--no-wait", "--why", "x" * 20_000])
        assert "is cut to 1000" in result.output
        assert len(control.history()[0].why) == TYPED["reason"]


def test_a_plan_file_and_a_hook_are_bounded(tmp_path: Path) -> None:
    """Neither is read or kept beyond its limit."""
    from graysplit.control.plan.plan_request import read_plan_file

    file = tmp_path / "plan.json"
    file.write_text(" " * (TYPED["plan"] + 1))
    with pytest.raises(ConfigurationError, match=str(TYPED["plan"])):
        read_plan_file(file)
    with pytest.raises((BadValueError, ConfigurationError), match=str(TYPED["address"])):
        Webhook("http://host/" + "x" * TYPED["address"])


def test_the_scripts_have_the_same_limits() -> None:
    """One table: what Lua says is what Python says."""
    assert f"local LONGEST, LONGEST_RECORD = {VALUE}, {RECORD}" in SHARED.read_text()


def test_the_documented_number_of_splits_is_far_below_what_is_read() -> None:
    """20,000 splits are promised."""
    assert SPLITS >= 20_000
