"""How long what a person types, and what stands in the store, may be: the one table.

A text that is too long is refused with its limit named, and nothing is written. A value in the store that is too long
is never moved: its length stands for it, and it is refused by the name of its field. Lua's `shared.lua` says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
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
