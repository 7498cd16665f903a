"""Log lines: one per change, repeats counted."""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import pytest

from graysplit.core.limits import LINE_AT_MOST
from graysplit.events import AT_ONCE, OTHERS, QUIET_S, SETTLE_S, Events
from graysplit.log_writer import WRITER
from tests.clocks import MovedClock


@pytest.fixture
def clock() -> MovedClock:
    """Return a clock that stands still."""
    return MovedClock(0.0)


ROOT = Path(__file__).parents[1]
DRIVER = ROOT / "src/graysplit/follower/plan_driver.py"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the logger `graysplit` printed."""
    return [record.getMessage() for record in caplog.records if record.name == "graysplit"]


def test_repeats_are_counted_not_printed(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """The first line comes at once, the next after a minute with the number left out."""
    events = Events(clock)
    with caplog.at_level(logging.INFO, "graysplit"):
        for _ in range(5):
            events.warning("contact", "lost contact")
        assert lines(caplog) == ["lost contact"]
        clock.now = QUIET_S
        events.warning("contact", "lost contact")
    assert lines(caplog)[1:] == ["lost contact (4 more like this since)"]


def test_kinds_are_apart(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """Each kind has its own quiet time."""
    events = Events(clock)
    with caplog.at_level(logging.INFO, "graysplit"):
        events.info("a", "a")
        events.info("b", "b")
        events.info("a", "a again")
    assert lines(caplog) == ["a", "b"]


def test_the_last_word_is_what_is_so(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """Three troubles a minute and their ends are told at once; what comes and goes after that once it has stood."""
    events = Events(clock)
    for _ in range(AT_ONCE + 3):
        events.trouble("x", "lost")
        events.over("x", "back")
    assert lines(caplog) == ["lost", "back"] * AT_ONCE
    caplog.clear()
    events.trouble("x", "lost")
    clock.now += SETTLE_S
    events.turn()
    assert lines(caplog) == ["lost (6 more like this since)"]
    events.over("x", "back")
    events.turn()
    assert len(lines(caplog)) == 1
    clock.now += SETTLE_S
    events.turn()
    events.turn()
    assert lines(caplog)[1:] == ["back"]
    events.over("x", "back")
    assert len(lines(caplog)) == 2


def test_the_number_left_out_is_told_without_another_change(
    clock: MovedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A minute after the last word it is said again, with how many lines came to nothing."""
    events = Events(clock)
    for _ in range(AT_ONCE + 2):
        events.trouble("x", "lost")
        events.over("x", "back")
    caplog.clear()
    clock.now += QUIET_S
    events.turn()
    assert lines(caplog) == ["back (4 more like this since)"]
    assert events.left_out == 4


def test_an_end_without_a_trouble_is_not_told(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """What was never wrong is not said to be well again, and a trouble that goes on is told once a minute."""
    events = Events(clock)
    events.over("x", "back")
    for _ in range(130):
        events.trouble("y", "wrong")
        clock.now += 1
    assert lines(caplog) == ["wrong", "wrong (59 more like this since)", "wrong (59 more like this since)"]


def test_what_has_stood_for_a_while_is_told_at_once(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """A silence is noticed late: its line does not wait for longer still."""
    events = Events(clock)
    for _ in range(AT_ONCE + 1):
        events.stands("x", "lost", "lost", since=float("-inf"))
        events.stands("x", "here", "back")
    assert lines(caplog) == ["lost", "back"] * AT_ONCE + ["lost"]


@pytest.mark.parametrize("hostile", ["a\x1b[2Jb", "a\nb", "a\u202eb", "a\ud800b", "\x9b31m", "a\u2028b"])
def test_a_line_is_one_line_of_bounded_length(hostile: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever wrote what is in it."""
    events = Events()
    events.warning("x", f"the split {hostile}")
    events.trouble("y", hostile * 1_000_000)
    assert len(lines(caplog)) == 2
    for line in lines(caplog):
        assert line.isprintable()
        assert len(line) <= LINE_AT_MOST


def test_memory_is_bounded(clock: MovedClock) -> None:
    """Any number of kinds keeps a bounded memory."""
    events = Events(clock)
    for number in range(5000):
        events.info(f"kind {number}", "x")
    assert len(events._said) <= 1000


def test_a_record_carries_the_event_and_what_it_is_about(clock: MovedClock, caplog: pytest.LogCaptureFixture) -> None:
    """For programs: the text is for people, and may be reworded."""
    events = Events(clock)
    caplog.clear()  # of lines of the tests before, which may have been written since this one began
    with caplog.at_level(logging.INFO, "graysplit"):
        events.warning("rolled_back checkout/new 77", "rolled back")
        events.trouble("guard_not_run search", "cannot run")
        events.over("guard_not_run search", "runs again")
        events.info("contact", "live")
        events.warning("unknown_split a\nb", "asked")
        events.warning("unknown_field a/\x1b[2J\udc80", "unknown")
        WRITER.flush(5)
    found = [(r.graysplit_event, r.graysplit_split, r.graysplit_version) for r in caplog.records]  # type: ignore[attr-defined]
    assert found == [
        ("rolled_back", "checkout", "new"),
        ("guard_not_run", "search", None),
        ("guard_not_run", "search", None),
        ("contact", None, None),
        ("unknown_split", "a\\nb", None),
        ("unknown_field", "a", "\\x1b[2J\\udc80"),
    ]


def test_every_event_is_listed_and_every_listed_one_is_used() -> None:
    """By the source: the first word of each kind that is handed to `Events`, and the table of the page."""
    page = (ROOT / "docs/reference/log-events.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert used_events() == listed
    assert listed > OTHERS


def used_events() -> set[str]:
    """Return the first words of all kinds in the source."""
    found = {"no_unit"}  # made by a function of its own
    for path in sorted((ROOT / "src/graysplit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = ast.unparse(node.func)
            text = _beginning(node.args[0])
            if re.search(r"(events?\.(warning|info|trouble|over|stands)|\b(_books|self)\.attempt|^warn)$", called):
                found |= {text.partition(" ")[0]} - {"", "notices_"}  # these by the function that adds the word
            if called == "self._warn" and text:
                found.add(f"notices_{text}")
            if called == "WRITER.put":
                found |= set(re.findall(r"'graysplit_event': '(\w+)'", ast.unparse(node)))
    return found | {word for path in (DRIVER,) for word in re.findall(r'kind = f"(\w+) ', path.read_text("utf-8"))}


def _beginning(node: ast.expr) -> str:
    """Return the literal text that an argument begins with."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
