"""Memory is given back after very much has gone, once it is quiet, and not before."""

from __future__ import annotations

import pytest

from graysplit.follower import memory
from graysplit.follower.memory import FEWER, Memory, give_back


def test_memory_is_given_back_once_when_very_much_has_gone_and_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Growth, a few fields fewer, and a reading that still changes something: nobody asks the allocator."""
    asked = list[int]()
    monkeypatch.setattr(memory, "give_back", lambda: asked.append(1))
    kept = Memory()
    turns = [
        (100, True),
        (5 * FEWER, True),
        (4 * FEWER + 1, True),
        (FEWER, False),
        (FEWER, True),
        (FEWER, True),
        (10, True),
    ]
    assert [kept.note(fields, quiet=quiet) for fields, quiet in turns] == [False] * 4 + [True, False, False]
    assert asked == [1]


def test_to_give_back_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the C library of this machine, with another one, and where Python has no ctypes."""
    give_back()
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    give_back()
    monkeypatch.setitem(__import__("sys").modules, "ctypes", None)
    give_back()
