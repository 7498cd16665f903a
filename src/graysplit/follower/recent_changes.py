"""Which fields and which changes of many fields came last: a receipt shows what they do here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

from graysplit.core.address import split_of
from graysplit.core.fleet import swept_by

if TYPE_CHECKING:
    from graysplit.core.entry import Entry

REMEMBERED: Final = 256  # fields whose effect a receipt shows: those changed last
SWEPT_AT_MOST: Final = 50_000  # fields of changes of many that a receipt tells of as a whole


class Recent:
    """The fields that changed last, and what the last changes of many fields wrote."""

    def __init__(self) -> None:
        """Begin with none."""
        self.fields: dict[str, None] = {}
        self.swept: dict[str, Mapping[str, str]] = {}  # by change id: the weights that a change of many wrote

    def remember(self, changed: Iterable[str], weights: Iterable[str]) -> None:
        """Keep the fields that changed last; a stop on a split changes all its candidates' fields.

        `weights`: the fields of all candidates that are held.
        """
        changed, own = tuple(changed), dict[str, list[str]]()
        if not all("/" in field for field in changed):  # of very many weights this takes a while
            for field in weights:
                own.setdefault(split_of(field), []).append(field)
        for field in changed:
            names = [field] if "/" in field else weights if field == "*" else own.get(field, ())
            for name in names:
                self.fields.pop(name, None)
                self.fields[name] = None
        for name in tuple(islice(self.fields, max(0, len(self.fields) - REMEMBERED))):
            del self.fields[name]  # all in one walk: each look for the first one passes over those that are gone

    def remember_sweeps(self, entries: Iterable[Entry]) -> None:
        """Keep what changes of many fields wrote, the last of them: a receipt tells where the effect is another."""
        for entry in entries:
            if written := swept_by(entry):
                self.swept[entry.id] = written
        while len(self.swept) > 1 and sum(map(len, self.swept.values())) > SWEPT_AT_MOST:
            del self.swept[next(iter(self.swept))]
