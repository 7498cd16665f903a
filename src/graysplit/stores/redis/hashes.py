"""Hashes, read after asking how much they hold; of a value that is too long only its length is read.

`HLEN` and `MEMORY USAGE` tell in a millisecond whether a hash can hold anything long. Only then is each of its fields
asked for its length, and read beside the others a piece at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.core.limits import FIELDS, RECORD, VALUE, too_long
from graysplit.core.replica.record import SENTINEL, Breathe, Key
from graysplit.stores.redis.client import Command, Reply, is_list, mapping_of
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.faults import fault
from graysplit.stores.redis.scripts import script

# A hash may be read at once that is no larger than this, and than this for each of its fields.
LIGHT_BYTES: Final = 4 << 20
LIGHT_FIELD_BYTES: Final = 256
AT_ONCE: Final = 25_000  # fields: about 10 ms of the server
# What one command brings, else.
PIECE: Final = 1_000
PIECE_BYTES: Final = 4 << 20
NOTHING: Final[Mapping[bytes, bytes]] = {}
# Between two pieces others get the interpreter (and a turn at the server).
BREATH_S: Final = 0.0002


class Size(NamedTuple):
    """How much a hash holds, as far as the server tells."""

    fields: int
    bytes: int

    @property
    def short(self) -> bool:
        """Return whether none of its values can be so long that it must be asked for."""
        return self.bytes <= LIGHT_BYTES + LIGHT_FIELD_BYTES * self.fields

    @property
    def light(self) -> bool:
        """Return whether it can be read with one command."""
        return self.short and self.fields <= min(AT_ONCE, FIELDS)

    @property
    def excess(self) -> str | None:
        """Return the words for more fields than are followed, or None."""
        return None if self.fields <= FIELDS else f"too large: {self.fields} fields, and at most {FIELDS} are read"


def begin_sizes(line: Connection, keys: Sequence[str]) -> Posted:
    """Ask how much hashes hold, for `sizes` to take the answer."""
    return line.begin_transaction(*_size_commands(keys))


def sizes(line: Connection, keys: Sequence[str], begun: Posted | None = None) -> list[Size]:
    """Ask how much hashes hold; what the server does not tell counts as nothing. `begun`: it was asked already.

    In a transaction: the null that stands for an absent key looks like a push on a connection that has them.
    """
    told = line.transaction(*_size_commands(keys), begun=begun)
    known = [reply if isinstance(reply, int) else 0 for reply in told]
    return list(map(Size, known[: len(keys)], known[len(keys) :]))


def _size_commands(keys: Sequence[str]) -> list[Command]:
    return [*(("HLEN", key) for key in keys), *(("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys)]


def read_hashes(line: Connection, keys: Sequence[str], all_sizes: Sequence[Size]) -> list[Key]:
    """Read hashes whole, each as its size allows; one with too many fields counts as lost."""
    light = [key for key, size in zip(keys, all_sizes, strict=True) if size.light]
    at_once = dict(zip(light, line.ask(*(("HGETALL", key) for key in light)) if light else (), strict=True))
    return [
        capped(key, key_of(at_once[key]), size) if key in light else read_heavy(line, key, size)
        for key, size in zip(keys, all_sizes, strict=True)
    ]


def rest() -> None:
    """Let others have the interpreter, and a turn at the server, between two pieces."""
    time.sleep(BREATH_S)  # noqa: TID251 - a pause, not a wait


class Laid:
    """What is read of a hash a piece at a time, laid over what was read of it before: what is equal stays as it was.

    The bytes of a piece that says nothing new are let go of at once. A second copy of everything with each reading
    would double what a process takes, and leave holes all over its memory that nothing can be given back from.
    """

    __slots__ = ("_changed", "_gone", "_known")

    def __init__(self, known: Mapping[bytes, bytes]) -> None:
        """Begin; what is not read again is gone."""
        self._known = known
        self._gone = set(known)
        self._changed: dict[bytes, bytes] = {}

    def add(self, piece: Mapping[bytes, bytes]) -> None:
        """Take a piece; of a field that comes twice the last word counts."""
        known, changed = self._known, self._changed
        for name, raw in piece.items():
            if known.get(name) != raw:
                changed[name] = raw
            elif name in changed:
                del changed[name]
        self._gone.difference_update(piece)

    def fields(self) -> Mapping[bytes, bytes]:
        """Return the hash as it was read now."""
        if not self._changed and not self._gone:
            return self._known
        fields = {**self._known, **self._changed}
        for name in self._gone:
            del fields[name]
        return fields.copy() if self._gone else fields  # a copy has no more room than it needs


def laid(known: Mapping[bytes, bytes], found: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return what was read at once, of the objects that are known already where it is the same."""
    whole = Laid(known)
    whole.add(found)
    return whole.fields()


def read_heavy(
    line: Connection, key: str, size: Size, known: Mapping[bytes, bytes] = NOTHING, breathe: Breathe = rest
) -> Key:
    """Read a hash that is too much for one command; one with too many fields counts as lost, but for what is known."""
    if size.excess is not None:
        names = [SENTINEL, *(name for name in known if name != SENTINEL)]
        those = read_fields(line, key, names, breathe=breathe)
        return those if those.fault is not None else those._replace(fault=size.excess)
    found = _searched(line, key, known, breathe) if size.short else None
    if found is not None:
        return capped(key, found, size)
    (reply,) = line.ask(("HKEYS", key))
    if not is_list(reply):
        return Key(fault=fault(reply))
    named = read_fields(line, key, reply, short=size.short, breathe=breathe)
    return named if named.fault is not None else Key(laid(known, named.fields))


def _searched(line: Connection, key: str, known: Mapping[bytes, bytes], breathe: Breathe) -> Key | None:
    """Read a hash by `HSCAN`, half of the bytes that its names and then its values take; None where it is refused."""
    found, cursor, packed = Laid(known), b"0", True
    while True:
        piece = _packed(line, key, cursor) if packed else None
        if piece is None:
            packed = False
            (answer,) = line.ask(("HSCAN", key, cursor, "COUNT", PIECE))
            if not is_list(answer):
                return None
            piece = answer[0], mapping_of(answer[1])
        cursor = piece[0]
        found.add(piece[1])
        if cursor in {b"0", 0}:
            return Key(found.fields())
        breathe()


def _packed(line: Connection, key: str, cursor: bytes) -> tuple[bytes, Mapping[bytes, bytes]] | None:
    """Read a piece of a hash as one text, where the server runs scripts; None where it does not, or a text is odd.

    A client in Python takes 8 microseconds for each text of an answer, and a tenth of one to cut it out of a long one.
    """
    answer = line.evaluate(script("scan"), (), (key, cursor, PIECE))
    if not is_list(answer):
        return None
    cursor, count, joined = answer
    texts: list[bytes] = joined.split(b"\0") if count else []
    return (cursor, dict(zip(texts[::2], texts[1::2], strict=True))) if len(texts) == count else None


def read_fields(
    line: Connection, key: str, names: Sequence[bytes], *, short: bool = False, breathe: Breathe = rest
) -> Key:
    """Read fields by their names, a piece at a time; of a value that is too long its length, unless all are `short`."""
    longest = _longest(key)
    fields: dict[bytes, bytes] = {}
    for first in range(0, len(names), PIECE):
        piece = names[first : first + PIECE]
        if first:
            breathe()
        answers = () if short else line.ask(*(("HSTRLEN", key, name) for name in piece))
        known = {name: length for name, length in zip(piece, answers, strict=False) if isinstance(length, int)}
        told = dict.fromkeys(piece, 0) | known
        fields.update((name, too_long(length, longest)) for name, length in told.items() if length > longest)
        for part in _parts({name: length for name, length in told.items() if length <= longest}):
            (values,) = line.ask(("HMGET", key, *part))
            if isinstance(values, exceptions.ResponseError):
                return Key(fault=fault(values))
            fields.update((name, value) for name, value in zip(part, values, strict=True) if value is not None)
    return Key(fields)


def capped(key: str, found: Key, size: Size) -> Key:
    """Return a hash that was read at once, with the lengths of values that are too long in their place."""
    longest = _longest(key)
    if 0 < size.bytes <= longest or max(map(len, found.fields.values()), default=0) <= longest:
        return found
    short = {n: raw if len(raw) <= longest else too_long(len(raw), longest) for n, raw in found.fields.items()}
    return found._replace(fields=short)


def _longest(key: str) -> int:
    return VALUE if key.endswith((":weights", ":stops", ":booked")) else RECORD


def _parts(lengths: Mapping[bytes, int]) -> Iterator[list[bytes]]:
    """Cut fields into parts of so many bytes."""
    part: list[bytes] = []
    size = 0
    for name, length in lengths.items():
        if part and size + length > PIECE_BYTES:
            yield part
            part, size = [], 0
        part.append(name)
        size += length
    if part:
        yield part


def key_of(reply: Reply) -> Key:
    """Take the answer to `HGETALL`, in whichever protocol."""
    if isinstance(reply, exceptions.ResponseError):
        return Key(fault=fault(reply))
    return Key(mapping_of(reply))
