"""One look at a namespace: the overview, with the reading and the fleet that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graysplit.control.undelivered import cursors_of, undelivered
from graysplit.control.views import Overview, SplitView, overview, split_view
from graysplit.core.address import split_of
from graysplit.stores.port import Surveyor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graysplit.control.guard.verdicts import Heard
    from graysplit.control.operator import Operator
    from graysplit.control.reading import Reading
    from graysplit.core.entry import Entry
    from graysplit.core.fleet import Fleet


class NamespaceLook(NamedTuple):
    """All splits at one moment; one of them in full costs no further reading."""

    overview: Overview  # without the last change
    reading: Reading
    fleet: Fleet
    said: Mapping[str, Heard]  # by field: what guards say of the candidates that run
    last: tuple[Entry, ...] | None = None  # the newest change, where it was read with the rest

    def split(self, split: str, last: Entry | None) -> SplitView:
        """Return one split in full; its last change comes from the caller."""
        said = {field: heard for field, heard in self.said.items() if split_of(field) == split}
        return split_view(self.reading, self.fleet, split, last, said)


def look(operator: Operator, hear: Callable[[Reading], Mapping[str, Heard]] | None = None) -> NamespaceLook:
    """Read the fleet, then the store: what processes tell is then no newer than what the store says.

    `hear` returns what guards say, for whoever looks often; else it is read with the rest.
    """
    store, cursors, last = operator.store, None, None
    if isinstance(store, Surveyor):
        fleet, load, cursors, last = store.survey()
        reading = operator.reading_of(load)
    else:
        fleet, reading, cursors = store.fleet(), operator.read(), cursors_of(store)
    said = operator.verdicts(reading, sorted(reading.snapshot.splits)) if hear is None else hear(reading)
    view = overview(operator.store.name, operator.namespace, reading, fleet, None, said)
    return NamespaceLook(view._replace(owed=undelivered(cursors)), reading, fleet, said, last)
