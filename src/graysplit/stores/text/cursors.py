"""The text form of how far a hook has been told: one field of `fleet:notices` for each hook, JSON.

Reading is tolerant: what cannot be read gives none, and the hook begins at the log's end again. What a hook is still
owed stands in a field of its own beside it: libraries that know nothing of it would drop it from the first.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar, cast

from graysplit.core.notices.cursor import Cursor
from graysplit.core.notices.debt import OWED_AT_MOST, Debt, Owed

T = TypeVar("T", str, int)

_AT_MOST: Final = 10_000
DEBT_AT_MOST: Final = 100_000
_DEBT: Final = " owed"
_POSITION: Final = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


def read_cursor(text: str | None) -> Cursor | None:
    """Read a record."""
    fields = _fields(text, _AT_MOST)
    if fields is None:
        return None
    position = fields.get("position")
    if not isinstance(position, str) or not _POSITION.fullmatch(position):
        return None
    return Cursor(
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


def write_cursor(cursor: Cursor) -> str:
    """Write a record."""
    import json

    names = (field.removesuffix("_ms") for field in Cursor._fields)
    return json.dumps(dict(zip(names, cursor, strict=True)), separators=(",", ":"))


def debt_field(hook: str) -> str:
    """Return the field that holds what a hook is owed."""
    return f"{hook}{_DEBT}"


def hook_of(field: str) -> str | None:
    """Return the hook whose debt a field holds; None where the field is not a debt."""
    return field.removesuffix(_DEBT) if field.endswith(_DEBT) else None


def read_debt(text: str | None) -> Debt | None:
    """Read what a hook is owed: nothing where the field is absent, None where it cannot be read."""
    if text is None:
        return Debt()
    fields = _fields(text, DEBT_AT_MOST)
    rows = fields.get("owed") if fields is not None else None
    if fields is None or not isinstance(rows, list):
        return None
    owed = tuple(one for row in cast("list[object]", rows)[:OWED_AT_MOST] if (one := _owed(row)) is not None)
    early, ahead = fields.get("early"), _text(fields, "ahead")
    known = cast("list[object]", early) if isinstance(early, list) else []
    return Debt(
        owed,
        tuple(one for one in known if isinstance(one, str)),
        _number(fields, "streak"),
        _number(fields, "due"),
        _text(fields, "fault"),
        ahead if _POSITION.fullmatch(ahead) else "0-0",
        _number(fields, "given_up"),
        _text(fields, "last_given_up"),
    )


def write_debt(debt: Debt) -> str:
    """Write what a hook is owed; with a position, so that an older library takes it for a hook without trouble."""
    import json

    names = (field.removesuffix("_ms") for field in Debt._fields)
    return json.dumps({"position": "0-0", **dict(zip(names, debt, strict=True))}, separators=(",", ":"))


def _owed(row: object) -> Owed | None:
    """Read one row; what was written by hand and is none is passed over."""
    types = (str, int, str, str, str, int, int, int)
    if not isinstance(row, list) or [type(cell) for cell in cast("list[object]", row)] != [*types]:
        return None
    found = Owed(*row)
    return found if _POSITION.fullmatch(found.position) else None


def _fields(text: str | None, at_most: int) -> dict[str, object] | None:
    import json

    try:
        decoded: object = json.loads(text) if text and len(text) <= at_most else None
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", decoded) if isinstance(decoded, dict) else None


def _number(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
