"""Wait for the processes to say that they do what was written."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.control.result import Receipts
from graysplit.core.address import split_of
from graysplit.core.durations import format_span
from graysplit.core.fleet import Confirmation, Fleet, Process, confirmation, other_baselines
from graysplit.stores.port import Store

POLL_S = 0.03


def wait_for(  # noqa: PLR0913 - what to look for, and how long
    store: Store,
    change: str,
    revision: int,
    expected: Mapping[str, str],
    *,
    within_s: float,
    written_ms: int = 0,
    target: str = "",
    parts: Collection[str] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> Receipts:
    """Read the fleet until every live process shows the weights expected (or the change), or the time is up.

    Silent processes are named and not waited for; a namespace that nobody follows is answered at once. `written_ms`
    is the server's time of the write: receipts count from then on, and the fleet's own time is told from it.
    `target` is what the change is about beside the weights expected; `*` is everything. `parts` are the ids of the
    history entries that wrote it.
    """
    splits = frozenset(map(split_of, (*expected, *filter(None, [target]))))
    began = clock.monotonic()
    deadline = began + within_s
    while True:
        fleet = store.fleet()
        confirmed = confirmation(fleet, change, revision, expected, written_ms, splits, parts)
        if not confirmed.lagging or clock.monotonic() >= deadline:
            waited = _taken_ms(confirmed, fleet.now_ms, written_ms) / 1000 if written_ms else clock.monotonic() - began
            return replace(_receipts(confirmed, expected, splits, parts, waited), gone=_gone(fleet, expected))
        threading.Event().wait(max(0.0, min(POLL_S, deadline - clock.monotonic())))


def _receipts(
    confirmed: Confirmation,
    expected: Mapping[str, str],
    splits: Collection[str],
    parts: Collection[str],
    seconds: float,
) -> Receipts:
    return Receipts(
        confirmed=len(confirmed.confirmed),
        processes=confirmed.processes,
        lagging=tuple(_why(process, expected, splits, parts) for process in confirmed.lagging),
        silent=tuple(process.label for process in confirmed.silent),
        running=confirmed.running,
        seconds=round(seconds, 3),
    )


def _gone(fleet: Fleet, expected: Mapping[str, str]) -> tuple[str, ...]:
    """Name whose place another took; and where nobody is counted, who declared the splits and was heard last."""
    named = tuple(f"{p.label} (now {p.successor})" for p in fleet.gone if p.successor)
    if fleet.processes:
        return named
    splits = set(map(split_of, expected))
    heard = (p for p in fleet.gone if not p.successor and p.declared.keys() & splits)
    return named + tuple(f"{p.label} ({format_span(fleet.now_ms - p.seen_ms)} ago)" for p in heard)


def _taken_ms(confirmed: Confirmation, now_ms: int, written_ms: int) -> int:
    """Return how long the fleet took: to the last receipt, or until now while some are missing.

    The server's own times, for this program may have been slow itself: importing its client takes longer than a fleet
    does to follow.
    """
    last = (
        now_ms
        if confirmed.lagging or not confirmed.confirmed
        else max(process.seen_ms for process in confirmed.confirmed)
    )
    return max(0, last - written_ms)


def _why(process: Process, expected: Mapping[str, str], splits: Collection[str], parts: Collection[str]) -> str:
    """Name a process, with the reason it gives for not showing what was asked."""
    receipt = process.receipt
    effects = [receipt.effects.get(field) for field in expected]
    effects += (effect for part in parts if part in receipt.sweeps for effect in receipt.sweeps[part].unlike.values())
    reasons = sorted({effect.why for effect in effects if effect is not None and effect.why})
    reasons = [*other_baselines(process.receipt, splits)] or reasons
    return f"{process.label} ({', '.join(reasons)})" if reasons else process.label
