"""Measure one peer in the environment it is installed in; prints one JSON value. Started by `benchmarks.peers`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from statistics import median
from typing import Any

from benchmarks.harness import CHUNK, TEXTS, looped, reference
from benchmarks.peers.port import NEW, Decide


def measure(decide: Decide, users: int) -> dict[str, Any]:  # Any: JSON
    """Decide for many users in chunks between the reference; CPU time of the process and of the calling thread."""
    chunk = looped("f(k)", f=decide)
    chunk(TEXTS[:500])
    of_process: list[float] = []
    of_thread: list[float] = []
    for start in range(0, users, CHUNK):
        keys = [f"user-{number:07d}" for number in range(start, start + CHUNK)]
        before = _spent(TEXTS)
        began, began_here = time.process_time_ns(), time.thread_time_ns()
        chunk(keys)
        here, everywhere = time.thread_time_ns() - began_here, time.process_time_ns() - began
        per_call = (before + _spent(TEXTS)) / 2
        of_process.append(everywhere / per_call)
        of_thread.append(here / per_call)
    share = sum(decide(f"user-{number:07d}") in NEW for number in range(users)) / users
    return {"process": sum(of_process) / len(of_process), "thread": median(of_thread), "share": share}


def _spent(keys: Sequence[object]) -> int:
    began = time.thread_time_ns()
    reference(keys)
    return time.thread_time_ns() - began


def main(name: str, users: int) -> None:
    """Print what was measured."""
    peer = import_module(f"benchmarks.peers.{name}")
    found = {way: measure(decide, users) for way, decide in peer.deciders().items()}
    print(json.dumps(found), flush=True)
    os._exit(0)  # some peers have threads that would try to reach their servers for a while


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
