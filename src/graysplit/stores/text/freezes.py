"""The text form of freezes: one field of `meta`, written whole.

JSON by pattern: `{"checkout*": {"why": "...", "who": "...", "at": ms, "until": ms or 0}}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from graysplit.core.address import EVERYTHING
from graysplit.core.freeze import Freeze

# Far above anything graysplit writes; parsing more would hold the interpreter in one call.
_AT_MOST: Final = 1 << 20
_UNREADABLE: Final = "the field 'freezes' cannot be read"


def read_freezes(text: str | None) -> tuple[Freeze, ...]:
    """Read the field; in doubt, lower: one that cannot be read freezes everything, and says so."""
    import json

    if text is None:
        return ()
    try:
        decoded: object = json.loads(text) if len(text) <= _AT_MOST else None
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, dict):
        return (Freeze(EVERYTHING, _UNREADABLE),)
    return tuple(_read(pattern, said) for pattern, said in cast("dict[str, object]", decoded).items())


def write_freezes(freezes: Iterable[Freeze]) -> str | None:
    """Write the field whole; None, which takes it away, where there is no freeze."""
    import json

    said = {
        freeze.pattern: {"why": freeze.why, "who": freeze.who, "at": freeze.at_ms, "until": freeze.until_ms}
        for freeze in freezes
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")) if said else None


def _read(pattern: str, said: object) -> Freeze:
    """Read one freeze; whatever is not an end is none, and what is not text is not told."""
    fields = cast("dict[str, object]", said) if isinstance(said, dict) else {}
    return Freeze(pattern, _text(fields.get("why")), _text(fields.get("who")), _ms(fields, "at"), _ms(fields, "until"))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ms(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
