"""The text form of how far a hook has been told: one field of `fleet:notices` for each hook, JSON.

Reading is tolerant: what cannot be read gives none, and the hook begins at the log's end again.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar, cast

from graysplit.core.telling import Telling

T = TypeVar("T", str, int)

_AT_MOST: Final = 10_000
_POSITION: Final = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


def read_telling(text: str | None) -> Telling | None:
    """Read a record."""
    import json

    try:
        found: object = json.loads(text) if text and len(text) <= _AT_MOST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, object]", found)
    position = fields.get("position")
    if not isinstance(position, str) or not _POSITION.fullmatch(position):
        return None
    return Telling(
        position,
        _number(fields, "revision"),
        _text(fields, "teller"),
        _number(fields, "until"),
        _number(fields, "attempts"),
        _number(fields, "due"),
        _number(fields, "dead"),
        _text(fields, "last_dead"),
        _number(fields, "missed"),
    )


def write_telling(telling: Telling) -> str:
    """Write a record."""
    import json

    names = (field.removesuffix("_ms") for field in Telling._fields)
    return json.dumps(dict(zip(names, telling, strict=True)), separators=(",", ":"))


def _number(fields: dict[str, object], name: str) -> int:
    found = fields.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def _text(fields: dict[str, object], name: str) -> str:
    found = fields.get(name)
    return found if isinstance(found, str) else ""
