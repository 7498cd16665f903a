"""What a process holds of its store, as one text: told only when somebody asks for it, and gone minutes later.

One line of JSON for each field, as it would stand in the store, compressed. Equal contents give equal bytes, so that a
fleet that holds one thing keeps one copy of it. Definitions are told whole, with the units that they name: the text
goes back to the store that they came from, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar, cast

from graysplit.core.freeze import FREEZES
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.replica.adopted import Adopted
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.waves import format_wave
from graysplit.core.weights import Weight, format_weight
from graysplit.stores.text.records import PLAN, exact

T = TypeVar("T")

RELEASE: Final = "release:"
FINISHED: Final = "finished:"
MAX_CONTENT: Final = 64 << 20  # bytes of a content once it is unpacked; what is larger is not read

# Of `meta`, what goes on when the weights do.
_KEPT_META: Final = (FINISHED.encode(), FREEZES.encode())


class Content(NamedTuple):
    """What one process holds: fields and texts as in the store, and which of them the store contradicts (law 7)."""

    lineage: str = ""
    revision: int = 0
    weights: Mapping[str, str] = {}
    stops: Mapping[str, str] = {}
    splits: Mapping[str, str] = {}
    meta: Mapping[str, str] = {}
    held: Mapping[str, str] = {}  # "weights checkout/new": kept although the store says something else


def pack(held: Adopted, back: Iterable[str], lineage: str) -> bytes:
    """Return what a process holds as bytes; `back` names what it keeps against the store."""
    import json
    import zlib

    packer = zlib.compressobj(1)
    head = packer.compress(json.dumps(["", lineage, held.revision]).encode())
    rows = [packer.compress(b"\n" + json.dumps(row).encode()) for row in _rows(held, back)]
    return b"".join([head, *rows, packer.flush()])


def unpack(raw: bytes) -> Content | None:
    """Return what bytes tell, or None where they are not content; a line that cannot be read is left out."""
    import zlib

    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(raw, MAX_CONTENT)
    except zlib.error:
        return None
    first, *rows = map(_row, text.split(b"\n"))
    if unpacker.unconsumed_tail or first is None or first[0] != "":
        return None
    keys: dict[str, dict[str, str]] = {"weights": {}, "stops": {}, "splits": {}, "meta": {}, "held": {}}
    for row in rows:
        if row is not None and row[0] in keys:
            keys[row[0]][row[1]] = str(row[2])
    return Content(first[1], first[2] if isinstance(first[2], int) else 0, **keys)


def _row(line: bytes) -> tuple[str, str, str | int] | None:
    import json

    try:
        decoded: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    parts = cast("list[object]", decoded) if isinstance(decoded, list) else []
    if len(parts) != 3 or not isinstance(parts[2], str | int):  # noqa: PLR2004 - as written
        return None
    return str(parts[0]), str(parts[1]), parts[2]


def _rows(held: Adopted, back: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    weights: Mapping[str, Weight] = {**held.weights, **held.lapsed}
    yield from _sorted("weights", weights, format_weight)
    yield from _sorted("stops", held.stops, str)
    yield from _sorted("splits", held.definitions, exact)
    yield from _sorted("meta", _meta(held), str)
    yield from (("held", where, "") for where in sorted(back))


def _sorted(key: str, texts: Mapping[str, T], write: Callable[[T], str]) -> Iterator[tuple[str, str, str]]:
    return ((key, field, write(texts[field])) for field in sorted(texts))


def _meta(held: Adopted) -> dict[str, str]:
    """Return what `meta` held beside the weights: releases, leases that run, waves, plans, finished marks, freezes."""
    seen = held.seen.get("meta", {})
    found = {exact(name): exact(raw) for name, raw in seen.items() if name.startswith(_KEPT_META)}
    found |= {f"{RELEASE}{field}": f"{id_} {held.releases.get(field, 0)}" for field, id_ in held.begun.items()}
    found |= {f"{PLAN}{split}": mark for split, mark in held.planned.items()}
    found |= {f"{LEASE}{field}": str(lease) for field, lease in held.leases.items() if field not in held.lapsed}
    return found | {f"{WAVE}{field}": format_wave(wave) for field, wave in held.waves.items()}
