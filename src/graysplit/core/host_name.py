"""The names under which hosts count: one rule for waves, pins, explanations and routers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

LONGEST: Final = 200  # characters
EVERYBODY: Final = "*"  # stands in a wave for all hosts


def clean_name(text: str) -> str:
    """Return the name of an instance such that a wave can hold it: printable, without blanks, and no mark of ours."""
    shown = text.strip().encode(errors="backslashreplace").decode()[:LONGEST]
    name = "".join(c if c.isprintable() and not c.isspace() else "_" for c in shown)
    return "_" if name == EVERYBODY else name


def unit_name(by: Literal["unit", "instance"], unit: str) -> str:
    """Return the name under which a unit is looked up: where instances cross over, the host's as its router has it."""
    return clean_name(unit) if by == "instance" else unit


def lookup_names(by: Literal["unit", "instance"], unit: str) -> Iterable[str]:
    """Return the names under which a pinned unit is found: as it was written, and as a host of that name asks."""
    return dict.fromkeys((unit, unit_name(by, unit)))
