"""Turn a unit into a bucket. Nothing else in graysplit knows about hashing.

Algorithm number 1, frozen by the vectors in `tests/vectors/`: it never changes inside a major version,
because a change would move every user of every release at once.

    seed   = mmh3_32(salt as UTF-8, seed 0)
    hash   = mmh3_32(unit as UTF-8, seed)        0 <= hash < 2**32
    bucket = (hash * 100_000) >> 32              0 <= bucket < 100_000
"""

from __future__ import annotations

from typing import Final

from mmh3 import mmh3_32_uintdigest

ALGORITHM: Final = 1
BUCKETS: Final = 100_000
HASHES: Final = 1 << 32

# mmh3 is handed bytes only: mmh3.hash("\ud800") ends the process with SIGSEGV (5.0 to 5.3), and json.loads
# makes such strings from a request body.
hash32: Final = mmh3_32_uintdigest


def encode_unit(unit: object) -> bytes | None:
    """Return the bytes a unit is hashed as, or None for what is not a unit.

    `str`, `int` and `UUID` count as their text (so `1` and `"1"` are one unit), `bytes` as they are; so do their
    subclasses, and objects that stand for one of them (Django's lazy ones): equal units get equal answers. `bool`,
    `float`, `None`, empty text and text with lone surrogates are not units.
    """
    if isinstance(unit, str):
        try:
            return unit.encode() or None
        except UnicodeEncodeError:
            return None
    if isinstance(unit, int):
        return None if isinstance(unit, bool) else _decimal(unit)
    if isinstance(unit, bytes):
        return bytes(unit) or None
    return _uuid(unit)


def _decimal(unit: int) -> bytes | None:
    try:
        # A stand-in says that it is an int and is none: only what it stands for can be written out.
        is_int = issubclass(type(unit), int)  # pyright: ignore[reportUnnecessaryIsInstance] # as said above
        return b"%d" % (unit if is_int else unit.__index__())
    except ValueError:  # more digits than sys.set_int_max_str_digits allows
        return None


def _uuid(unit: object) -> bytes | None:
    """Return the 36 characters of a UUID of whatever subclass (asyncpg and uuid6 have their own), however that prints.

    It is known by a class's name among its ancestors, so that importing graysplit does not import uuid.
    """
    for ancestor in getattr(unit.__class__, "__mro__", ()):
        if ancestor.__name__ == "UUID" and ancestor.__module__ == "uuid":
            digits = f"{unit.int:032x}"  # type: ignore[attr-defined] # a UUID has it
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode()
    return None


def seed_of(salt: str) -> int:
    """Return the hash seed of a salt: as good as a salt put before each unit, and cheaper."""
    return hash32(salt.encode(), 0)


def bucket_of(unit: bytes, seed: int) -> int:
    """Return the bucket, 0 to 99,999, of an encoded unit."""
    return (hash32(unit, seed) * BUCKETS) >> 32


def threshold(bucket: int) -> int:
    """Return the least hash of a bucket: a unit's bucket is below `b` exactly when its hash is below that of `b`.

    0 and 100,000 give 0 and 2**32, so that nobody and everybody need no branch of their own.
    """
    return -((-bucket << 32) // BUCKETS)
