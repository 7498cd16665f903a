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
    found = {boot: unpack(raw) for boot, raw in told.items()}
    return {boot: content for boot, content in found.items() if content is not None}
