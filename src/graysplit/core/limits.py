"""What a text may be: how long, in which characters it is shown, and as the name of a host. The one table.

A text that is too long is refused with its limit named, and nothing is written. A value in the store that is too long
is never moved: its length stands for it, and it is refused by the name of its field. Lua's `shared.lua` says the same.

What a store holds may have been written by anybody. A terminal obeys escape sequences, a line feed forges a log line,
and a mark that turns the direction of writing hides one name in another: `shown` decides what may reach a screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

from graysplit.errors import BadValueError

Typed: TypeAlias = Literal["reason", "actor", "unit", "name", "salt", "class name", "plan", "address", "text"]

# What a person types, in characters.
TYPED: Final[Mapping[Typed, int]] = {
    "reason": 1_000,  # --why: it stands in stops, in the history and in every notice
    "actor": 200,
    "unit": 1_000,  # of pins and denials
    "name": 100,  # of splits, versions, templates and namespaces
    "salt": 1_000,
    "class name": 200,  # of an exception, for a guard
    "plan": 100_000,  # a file with a plan
    "address": 2_000,  # of the store, and of each hook
    "text": 10_000,  # any other word on the command line: lists with commas, commands of hooks
}

# What is read of a value in the store, in bytes.
VALUE: Final = 65_536  # a weight or a stop
RECORD: Final = 1 << 20  # a definition, and any other field

LINE_AT_MOST: Final = 2_000  # characters of one log line, or of one sentence for people
NAME_AT_MOST: Final = 240  # every name that graysplit takes fits, with its split before it
HOST_AT_MOST: Final = 200  # characters of a host's name
EVERYBODY: Final = "*"  # stands in a wave for all hosts

# How many fields of a hash are followed, and how many definitions of splits are read.
FIELDS: Final = 150_000
SPLITS: Final = 50_000


def check_typed(what: Typed, text: str, named: str = "") -> str:
    """Hand a text back, or raise `BadValueError` where it is longer than the table says."""
    most = TYPED[what]
    if len(text) > most:
        raise BadValueError(
            f"{named or f'the {what}'} has {len(text)} characters, and the limit is {most}. "
            "Nothing was written. Use a shorter one"
        )
    return text


def cut(what: Typed, text: str) -> str:
    """Return a text that fits: for a rollback, which is never refused for its reason."""
    most = TYPED[what]
    return text if len(text) <= most else f"{text[: most - 3]}..."


def too_long(length: int, most: int) -> bytes:
    """Return what stands for a value that is too long to be read."""
    return f"<{length} bytes: more than the {most} that are read>".encode()


def is_too_long(raw: bytes) -> bool:
    """Return whether this stands for a value that was too long to be read."""
    return raw.startswith(b"<") and raw.endswith(b" that are read>") and b" bytes: more than the " in raw


def shown(text: str, at_most: int = LINE_AT_MOST) -> str:
    """Return a text escaped, and cut so that no more than `at_most` characters are left; done twice it stays."""
    if len(text) <= at_most and text.isprintable():
        return text
    short = escaped(text[: at_most + 1])
    if len(short) <= at_most:
        return short
    told = f"... ({len(text)} characters)"
    return short[: max(0, at_most - len(told))] + told


def escaped(text: str) -> str:
    """Return a text with every character that is not printable escaped: controls, marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def clean_name(text: str) -> str:
    """Return the name of an instance such that a wave can hold it: printable, without blanks, and no mark of ours."""
    shown = text.strip().encode(errors="backslashreplace").decode()[:HOST_AT_MOST]
    name = "".join(c if c.isprintable() and not c.isspace() else "_" for c in shown)
    return "_" if name == EVERYBODY else name


def unit_name(by: Literal["unit", "instance"], unit: str) -> str:
    """Return the name under which a unit is looked up: where instances cross over, the host's as its router has it."""
    return clean_name(unit) if by == "instance" else unit


def lookup_names(by: Literal["unit", "instance"], unit: str) -> Iterable[str]:
    """Return the names under which a pinned unit is found: as it was written, and as a host of that name asks."""
    return dict.fromkeys((unit, unit_name(by, unit)))
