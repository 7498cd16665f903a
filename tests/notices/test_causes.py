"""Which changes are told: every cause has a name, and night-time ones are told unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graysplit
from graysplit.errors import ConfigurationError
from graysplit.notices.causes import OTHERS, WANTED, chosen
from graysplit.stores.write_rules import OUTSIDE

SOURCE = Path(graysplit.__file__).parent
WRITTEN = re.compile(r"""(?:\bcause(?:: str)? ?= ?|\bChange\(|_change\(\w+, )"([a-z ]+)\"""")


def test_every_cause_in_use_can_be_named() -> None:
    """Whatever the source writes into a history is known here; a new cause has to be placed."""
    files = [file for file in SOURCE.rglob("*.py") if "testing" not in file.parts]
    used = {cause for file in files for cause in WRITTEN.findall(file.read_text("utf-8"))}
    assert {"rollback", "waiting", "create", "ramp"} <= used
    assert used | {OUTSIDE, "lease over", "step"} <= {*WANTED, *OTHERS}


def test_the_page_names_what_is_told() -> None:
    """Those that are told unless others are named, in their order."""
    page = (SOURCE.parents[1] / "docs" / "how-to" / "notifications.md").read_text("utf-8")
    named = re.search(r"Unless causes are named: (.*?)\. Name", page, re.DOTALL)
    assert named is not None
    assert tuple(re.findall(r"`([a-z ]+)`", named[1])) == WANTED


def test_at_night_one_hears_of_what_moved_by_itself() -> None:
    """Unless causes are named, routine of the people at work is not told."""
    found = chosen(None)
    assert {"rollback", "step", "waiting", "plan over", "edited outside", "lease over", "freeze", "switch"} <= found
    assert {"trip", "suspect", "warned"} <= found
    assert not {"create", "set", "pin", "approve", "guard", "guard off"} & found


def test_causes_are_chosen_by_name() -> None:
    """Named ones alone, or all; blanks around a name count for nothing."""
    assert chosen([" rollback", "plan over "]) == {"rollback", "plan over"}
    assert chosen(["all"]) == {*WANTED, *OTHERS}


@pytest.mark.parametrize("causes", [["rolback"], [], [" "], ["rollback", "ALL"]])
def test_a_name_that_no_change_has_is_refused(causes: list[str]) -> None:
    """It would stay silent for ever; the error names what there is."""
    with pytest.raises(ConfigurationError, match="rollback"):
        chosen(causes)


def test_a_slip_is_answered_with_the_word_meant() -> None:
    """The nearest name is offered."""
    with pytest.raises(ConfigurationError, match="Did you mean 'rollback'"):
        chosen(["rolback"])
