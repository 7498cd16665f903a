"""When releases began, and their ids, by field: read from the bytes of `meta` when one is asked for.

`meta` keeps a field for every candidate that ever had a weight, and raw edits may name any number. Most are never asked
for, so nothing is made of them: what a reading brought is held once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from graysplit.core.limits import NAME_AT_MOST, shown

PREFIX: Final = b"release:"  # in `meta`, before a field's name: "<id> <ms of the server's time>"

V = TypeVar("V")


class _Releases(Mapping[str, V]):
    """Fields of `meta`, by the candidate that they are of; a name that graysplit takes for none is left out."""

    __slots__ = ("_meta",)

    def __init__(self, meta: Mapping[bytes, bytes]) -> None:
        """Take what was read, which nobody changes any more."""
        self._meta = meta

    def _raw(self, field: str) -> bytes:
        if not _is_name(field):
            raise KeyError(field)
        return self._meta[PREFIX + field.encode()]

    def __iter__(self) -> Iterator[str]:
        """Name the candidates."""
        for name in self._meta:
            if name.startswith(PREFIX) and name.isascii() and _is_name(field := name[len(PREFIX) :].decode()):
                yield field

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)


class ReleaseTimes(_Releases[int]):
    """When each release began, in ms of the server's time; 0 where that is not told."""

    __slots__ = ()

    def __getitem__(self, field: str) -> int:
        """Return a release's time; raise `KeyError` where the candidate has none."""
        try:
            return int(self._raw(field).rpartition(b" ")[2] or b"0")
        except ValueError:
            return 0


class ReleaseIds(_Releases[str]):
    """The id of each release."""

    __slots__ = ("mark",)

    def __init__(self, meta: Mapping[bytes, bytes], same: Mapping[str, str] | None = None) -> None:
        """Take what was read; `same`: the ids before, where it is known that none differs from them."""
        super().__init__(meta)
        self.mark: object = same.mark if isinstance(same, ReleaseIds) else object()

    def __getitem__(self, field: str) -> str:
        """Return a release's id; raise `KeyError` where the candidate has none."""
        return shown(self._raw(field).rpartition(b" ")[0].decode(errors="backslashreplace"), NAME_AT_MOST)

    def differing(self, other: ReleaseIds) -> set[str]:
        """Return the candidates whose release is another there."""
        if self.mark is other.mark:
            return set()
        found = {name for name, _ in self._meta.items() ^ other._meta.items() if name.startswith(PREFIX)}
        return {name[len(PREFIX) :].decode() for name in found if name.isascii()}


def differing_releases(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the fields whose release differs; ids that were not read from a store are compared one by one."""
    if before is after:
        return set()
    if isinstance(before, ReleaseIds) and isinstance(after, ReleaseIds):
        return after.differing(before)
    return {field for field, _ in before.items() ^ after.items()}


def _is_name(field: str) -> bool:
    return len(field) <= NAME_AT_MOST and field.isascii() and field.isprintable()
