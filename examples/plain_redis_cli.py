"""Without our tools: plain HSET, HDEL and HSETNX are obeyed at once by every process, and booked in the history."""

from __future__ import annotations

import time
from collections.abc import Callable

import redis

import graysplit
from graysplit import embedded

gray = graysplit.Router()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait, no longer than 10 seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.0002)


def obeyed(control: graysplit.Control, command: str, write: Callable[[], object], wanted: str) -> None:
    """Write raw; measure until this process decides otherwise; wait until a process has booked it."""
    booked = control.history("pricing", 1)[0].revision
    began = time.monotonic()
    write()
    wait_until(lambda: gray.choose("pricing", "user-1") == wanted)
    took_ms = 1000 * (time.monotonic() - began)
    print(f"{command}\n  {gray.choose('pricing', 'user-1')} after {took_ms:.1f} ms")
    wait_until(lambda: control.history("pricing", 1)[0].revision > booked)


def main() -> None:
    """Raise and roll back by hand, then read the history."""
    with embedded.server() as server, graysplit.Control(server.url) as control:
        plain = redis.Redis.from_url(server.url)
        control.create("pricing")
        gray.configure(server.url)
        gray.wait_ready()
        weights, stops = "graysplit:{default}:weights", "graysplit:{default}:stops"
        raised, field = f"HSET {weights} pricing/new 100", "pricing/new"
        obeyed(control, raised, lambda: plain.hset(weights, field, "100"), "new")
        obeyed(control, f"HDEL {weights} pricing/new", lambda: plain.hdel(weights, field), "old")
        obeyed(control, raised, lambda: plain.hset(weights, field, "100"), "new")
        obeyed(control, f"HSETNX {stops} pricing by-hand", lambda: plain.hsetnx(stops, "pricing", "by-hand"), "old")
        for entry in control.history("pricing", 4):
            moved = ", ".join(f"{name} {entry.before.get(name)} -> {value}" for name, value in entry.after.items())
            print(f"revision {entry.revision}: {entry.cause}: {moved}")
        gray.close()


if __name__ == "__main__":
    main()
