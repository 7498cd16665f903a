"""What twenty questions cost a FastAPI request, as a ratio to the same request that asks none.

Asked are twenty splits, of peers one flag twenty times: plain, in an open context, by a line that somebody wrote by
hand, and by a read of Redis each. CPU time of the process, all kinds in turn; peers in environments of their own, each
beside its own bare request. A peer that cannot be installed or run is reported, and the others are measured.
`GRAYSPLIT_PURE=1` measures graysplit without its compiled core.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from importlib import import_module
from typing import Any, Final

import mmh3
import redis

import graysplit
from benchmarks.living.asker import QUESTIONS, Ask, Asked, compare
from benchmarks.peers.__main__ import RUN_WITHIN_S, Failed, interpreter, said_by
from benchmarks.report import Row, program, progress
from benchmarks.setting import WEIGHTS_KEY, many, memory_router
from graysplit import embedded, native

PAIRS: Final = 150
WEB: Final = ("fastapi",)
PEERS: Final = ("growthbook_sdk", "openfeature_memory", "unleash")
FIFTH: Final = (1 << 32) // 5
# A bare request takes some 45 microseconds here, and twenty questions in pure Python 12, in a context of their own 25.
GOALS: Final[Mapping[str, float]] = {"plain": 1.35, "by their handles": 1.35, "in an open context": 1.65}


def measure(quick: bool) -> list[Row]:  # noqa: FBT001 - a program's switch
    """Return all rows; without the peers where it is to be quick."""
    pairs = 2 if quick else PAIRS
    progress(f"{QUESTIONS} questions in a request")
    own, core = _own(pairs), "pure Python" if native.compiled_core is None else "compiled core"
    rows = _rows(f"graysplit ({core}): ", {way: own.pop(way) for way in GOALS})
    rows += _rows("", own)
    for name in () if quick else PEERS:
        progress(name)
        try:
            rows += _rows(f"{name}: ", _of_peer(name, pairs))
        except Failed as why:
            progress(f"NOT MEASURED: {name}: {why}")
    return rows


def _own(pairs: int) -> dict[str, Asked]:
    with ExitStack() as stack:
        server = stack.enter_context(embedded.server())
        client: Any = redis.Redis.from_url(server.url)  # Any: redis-py's answers are unions
        stack.callback(client.close)
        router, _ = stack.enter_context(memory_router(many(QUESTIONS)))
        return compare(_asks(router, client), pairs)


def _asks(router: graysplit.Router, client: Any) -> dict[str, Ask]:  # noqa: ANN401, C901 - redis-py; one for each way
    names = list(many(QUESTIONS))
    handles = [router.split(name, "old", "new") for name in names]

    def plain(user: str) -> None:
        for name in names:
            router.choose(name, user)

    def by_handle(user: str) -> None:
        for handle in handles:
            handle.choose(user)

    def inside(user: str) -> None:
        with graysplit.context(user):
            for name in names:
                router.choose(name)

    def by_hand(user: str) -> None:
        for name in names:
            _ = "new" if mmh3.hash(f"{name}:{user}", 42, signed=False) < FIFTH else "old"

    def by_redis(user: str) -> None:
        del user
        for name in names:
            client.hget(WEIGHTS_KEY, f"{name}/new")

    return {
        "plain": plain,
        "by their handles": by_handle,
        "in an open context": inside,
        "a line by hand each": by_hand,
        "a read of Redis each": by_redis,
    }


def _of_peer(name: str, pairs: int) -> dict[str, Asked]:
    peer: Any = import_module(f"benchmarks.peers.{name}")
    there = interpreter(f"{name}-web", (*peer.REQUIRES, *WEB))
    said = said_by([there, "-m", "benchmarks.living.asker", name, str(pairs)], RUN_WITHIN_S)
    found: dict[str, tuple[float, float]] = json.loads(said.strip().splitlines()[-1])
    return {way: Asked(*costs) for way, costs in found.items()}


def _rows(whose: str, found: Mapping[str, Asked]) -> list[Row]:
    rows: list[Row] = []
    for way, (none_us, us) in found.items():
        note = f"{us:.0f} us; a request that asks nothing {none_us:.0f}"
        rows.append(Row(f"{whose}{way}".removesuffix(": "), us / none_us, GOALS.get(way), note=note))
    return rows


if __name__ == "__main__":
    sys.exit(program(f"{QUESTIONS} questions in a FastAPI request, as a ratio to one that asks none", measure, __doc__))
