"""What a hook is told of one change: JSON of weights and stops, never of definitions, whose pins hold units."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from graysplit.core.entry import Entry
from graysplit.core.limits import shown
from graysplit.notices.console_link import link_of

SCHEMA: Final = 1
FIELDS_AT_MOST: Final = 200  # a rollback of everything may name thousands
TEXT_AT_MOST: Final = 2_000
_NO_TOKEN: Final = re.compile(r"[^\x21-\x7e]+")


class Notice(NamedTuple):
    """One change as a hook is told of it."""

    change: str  # the same however often it is told
    split: str
    cause: str
    body: bytes
    told: Mapping[str, object] = {}  # the same before it became JSON, for the shapes of chats


def notice_of(entry: Entry, namespace: str, console: str = "") -> Notice:
    """Make the notice of a history entry; with the console's address it has a link."""
    import json

    told = _said(entry, namespace)
    if console:
        told["link"] = link_of(console, entry)
    return Notice(token(entry.id), _clean(entry.split), _clean(entry.cause), json.dumps(told).encode(), told)


def token(text: str) -> str:
    """Return a change id as it may stand in a header or a log line, whoever wrote it."""
    return _NO_TOKEN.sub("?", text)[:100]


def _said(entry: Entry, namespace: str) -> dict[str, object]:
    from datetime import UTC, datetime

    fields = [where for where in entry.after if where.startswith(("weights ", "stops "))]
    shown = fields[:FIELDS_AT_MOST]
    return {
        "schema_version": SCHEMA,
        "text": _clean(_sentence(entry, shown, len(fields))),
        "namespace": _clean(namespace),
        "change": token(entry.id),
        "revision": entry.revision,
        "split": _clean(entry.split),
        "cause": _clean(entry.cause),
        "actor": _clean(entry.actor),
        "why": _clean(entry.why),
        "at": datetime.fromtimestamp(entry.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "at_ms": entry.at_ms,
        "before": _values(entry.before, shown),
        "after": _values(entry.after, shown),
        "left_out": len(fields) - len(shown),
        "ended_plans": [_clean(split) for split in entry.ended_plans[:FIELDS_AT_MOST]],
    }


def _values(texts: Mapping[str, str | None], fields: list[str]) -> dict[str, dict[str, object]]:
    """Return weights as they stand in Redis, and of stops whether they stand: their text is somebody's."""
    weights = {_name(f): _weight(texts.get(f)) for f in fields if f.startswith("weights ")}
    stops = {_name(f): texts.get(f) is not None for f in fields if f.startswith("stops ")}
    return {"weights": dict(weights), "stops": dict(stops)}


def _name(where: str) -> str:
    return _clean(where.partition(" ")[2])


def _weight(text: str | None) -> str | None:
    return None if text is None else _clean(text)[:20]


def _sentence(entry: Entry, fields: list[str], count: int) -> str:
    """Return one line for people, the most telling first."""
    moved = [*_moves(entry, fields)][:5]
    more = f" and {count - len(moved)} more" if count > len(moved) and moved else ""
    what = f": {', '.join(moved)}{more}" if moved else ""
    why = f" ({entry.why})" if entry.why else ""
    ends = entry.ended_plans[:5] if entry.cause not in {"step", "plan over"} else ()
    over = f"; this ends the plan of {', '.join(ends)}" if ends else ""
    return f"{entry.cause} {entry.split} by {entry.actor}{what}{why}{over}"


def _moves(entry: Entry, fields: list[str]) -> Iterator[str]:
    for where in sorted(fields, key=lambda where: not where.startswith("weights ")):
        key, _, field = where.partition(" ")
        before, after = entry.before.get(where), entry.after[where]
        if key == "weights":
            yield f"{field} {_percent(before)} -> {_percent(after)}"
        elif (before is None) != (after is None):
            yield f"{field} {'is stopped' if before is None else 'is no longer stopped'}"


def _percent(text: str | None) -> str:
    shown = (text or "0")[:20]
    return shown if shown == "preview" else f"{shown}%"


def _clean(text: str) -> str:
    return shown(text, TEXT_AT_MOST)
