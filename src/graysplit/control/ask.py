"""Ask live processes what they hold, and wait for their answers: they hear of it with their next heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from graysplit.core.fleet import BEAT_S, Fleet
from graysplit.errors import RefusedError
from graysplit.stores.text.content import Content, unpack
from graysplit.stores.text.records import new_id

if TYPE_CHECKING:
    from graysplit.stores.port import Store

ANSWERS_WITHIN_S: Final = 2.5 * BEAT_S
REMEMBERED_S: Final = 60.0
_POLL_S: Final = 0.1


def ask(store: Store, fleet: Fleet) -> Mapping[str, Content]:
    """Return what live processes hold, by boot id: of all of them, or of those that answered in time.

    Nothing where this role may not ask: receipts say something all the same.
    """
    wanted = {process.boot for process in fleet.live}
    request, deadline = new_id(), time.monotonic() + ANSWERS_WITHIN_S
    told: Mapping[str, bytes] = {}
    with suppress(RefusedError):
        if wanted:
            store.ask_contents(request)
        while not wanted <= told.keys() and time.monotonic() < deadline:
            threading.Event().wait(_POLL_S)
            told = store.contents(request)
    contents = {boot: unpack(raw) for boot, raw in told.items()}
    return {boot: content for boot, content in contents.items() if content is not None}


class RememberedAnswers:
    """What live processes told when they were asked last: whoever is shown both sides and agrees is shown the same."""

    def __init__(self, store: Store) -> None:
        """Take the store."""
        self._store = store
        self._told: tuple[float, Mapping[str, Content]] | None = None  # when, and what

    def contents(self, lost: Mapping[str, str], fleet: Fleet) -> Mapping[str, Content]:
        """Return what live processes hold; they are asked only where the store has lost something."""
        if not lost and not any(process.receipt.held for process in fleet.live):
            return {}
        now = time.monotonic()
        if self._told is None or now - self._told[0] > REMEMBERED_S:
            self._told = now, ask(self._store, fleet)
        return self._told[1]
