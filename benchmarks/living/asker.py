"""A FastAPI request that asks twenty questions, beside the same request that asks none.

`python -m benchmarks.living.asker PEER PAIRS` does it with one of `benchmarks.peers`, in the environment that it is
installed in, and prints one JSON value. Nothing here imports graysplit.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Annotated, Final, NamedTuple

from fastapi import FastAPI, Header
from fastapi.responses import PlainTextResponse

from benchmarks.asgi import served
from benchmarks.harness import quiet

QUESTIONS: Final = 20
CHUNK: Final = 40  # requests
NOTHING: Final = "nothing is asked"
USER: Final = "user-0000042"

Ask = Callable[[str], object]  # asks all questions for a user


class Asked(NamedTuple):
    """What a request costs, in microseconds of the process's CPU: without questions, and with them."""

    none_us: float
    us: float


def shop(ask: Ask) -> FastAPI:
    """Return an application that asks on each request."""
    app = FastAPI()

    @app.get("/")
    async def answer(x_user: Annotated[str, Header()]) -> PlainTextResponse:
        ask(x_user)
        return PlainTextResponse("ok")

    return app


def compare(asks: Mapping[str, Ask], pairs: int) -> dict[str, Asked]:
    """Serve short chunks of requests of every kind, in shuffled order; of each kind the first tenth counts."""
    kinds = {NOTHING: served(shop(lambda _: None), USER)} | {way: served(shop(ask), USER) for way, ask in asks.items()}
    spent: dict[str, list[int]] = {way: [] for way in kinds}
    order, shuffle = list(kinds), random.Random(1).shuffle
    for number in range(pairs + 1):  # the first is for what is loaded and cached once
        shuffle(order)
        for way in order:
            ns = _cpu_ns(kinds[way])
            if number:
                spent[way].append(ns)
    us = {way: sorted(found)[len(found) // 10] / CHUNK / 1000 for way, found in spent.items()}
    return {way: Asked(us[NOTHING], us[way]) for way in asks}


def _cpu_ns(serve: Callable[[], object]) -> int:
    with quiet():
        began = time.process_time_ns()
        for _ in range(CHUNK):
            serve()
        spent = time.process_time_ns() - began
    gc.collect(0)
    return spent


def asks_of(decide: Callable[[str], object]) -> Ask:
    """Return what asks a peer's one flag so many times: it may keep what it finds."""

    def ask(user: str) -> None:
        for _ in range(QUESTIONS):
            decide(user)

    return ask


def main(name: str, pairs: str) -> None:
    """Print what was measured of a peer."""
    peer = import_module(f"benchmarks.peers.{name}")
    found = compare({way: asks_of(decide) for way, decide in peer.deciders().items()}, int(pairs))
    print(json.dumps(found), flush=True)
    os._exit(0)  # some peers have threads that would try to reach their servers for a while


if __name__ == "__main__":
    main(*sys.argv[1:])
