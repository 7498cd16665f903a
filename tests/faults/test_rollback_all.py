"""Everything back over many splits: the server answers others meanwhile, and every process says that it obeys."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.codec import dump_definition
from graysplit.control.result import Result
from graysplit.core.definition import define
from graysplit.errors import StoreUnreachableError
from graysplit.stores import store_from_url
from graysplit.stores.port import Rollback
from graysplit.stores.text.records import new_id
from tests.faults.followers import processes
from tests.faults.shares import following
from tests.support import eventually

SPLITS: Final = 10_000
PROCESSES: Final = 2
SEEN: Final = "split-00098"
LONG_S: Final = 240.0  # beside busy neighbours a reading of ten thousand splits takes many seconds
PORTION_MS: Final = 50.0  # of the server's own time; on a quiet machine it is about a tenth


def key(end: str) -> str:
    """Return a key's full name."""
    return f"graysplit:{{default}}:{end}"


def fill(client: redis.Redis, count: int) -> None:
    """Write splits that all run, at any share."""
    names = [f"split-{number:05}" for number in range(count)]
    weights = {f"{name}/new": str(number % 100 + 1) for number, name in enumerate(names)}
    client.hset(
        key("splits"), mapping={"_": 1} | {name: dump_definition(define(name, ("old", "new"))) for name in names}
    )
    client.hset(key("weights"), mapping={"_": 1} | weights)
    client.hset(key("stops"), "_", 1)
    client.hset(key("booked"), mapping={"_": 1} | {f"weights {field}": text for field, text in weights.items()})
    client.hset(key("meta"), mapping={"_": 1, "revision": 1, "schema": 1, "lineage": "a"})


@pytest.fixture
def own() -> Iterator[embedded.Server]:
    """Return a server of its own: its time is what these tests are about."""
    with embedded.server() as server:
        yield server


def busy_ms(server: embedded.Server) -> float:
    """Return how long the server's one thread has been on a processor, whatever else ran beside it."""
    return int(Path(f"/proc/{server.pid}/task/{server.pid}/schedstat").read_text().split()[0]) / 1e6


def confirmed(control: graysplit.Control, result: Result) -> int:
    """Count the processes that confirm a result now; none where a crowded machine gives no answer in time."""
    try:
        return control.wait_confirmed(result, 1.0).receipts.confirmed
    except StoreUnreachableError:
        return 0


def test_the_server_is_held_for_a_portion_at_a_time(own: embedded.Server) -> None:
    """Ten thousand splits are rolled back in writes of a few milliseconds each, not in one of seconds."""
    store = store_from_url(own.url)
    with redis.Redis.from_url(own.url) as client:
        fill(client, SPLITS)
        began = busy_ms(own)
        written = store.roll_back(Rollback(new_id(), "*", "tester", "all of it"))
        took = busy_ms(own) - began
        load = store.load()
        assert set(load.weights.fields.values()) == {b"1", b"0"}
        assert len(load.stops.fields) == SPLITS + 1
        assert len({client.xlen(key("log")), len(written.parts)}) == 1
        assert took / len(written.parts) < PORTION_MS
    store.close()


@pytest.mark.timeout(600)
def test_ten_thousand_splits_are_confirmed_by_every_process(own: embedded.Server) -> None:
    """Each process tells of the whole; one that is stopped is named until it goes on, and then all are counted."""
    with redis.Redis.from_url(own.url) as client, graysplit.Control(own.url, confirm=True) as control:
        fill(client, SPLITS)
        with processes(PROCESSES, own.url, "default", SEEN) as everybody:
            everybody.wait_for(99, SEEN, within=LONG_S)
            stopped = everybody[0]
            os.kill(stopped.pid, signal.SIGSTOP)
            try:
                result = control.rollback("*")
                # On a crowded machine a process may fall silent while it reads: it is counted when it is heard again.
                eventually(lambda: confirmed(control, result) == PROCESSES - 1, LONG_S)
                receipts = control.wait_confirmed(result, 0.0).receipts
                assert not receipts.complete
                assert str(stopped.pid) in "".join((*receipts.lagging, *receipts.silent))
            finally:
                os.kill(stopped.pid, signal.SIGCONT)
            eventually(lambda: confirmed(control, result) == PROCESSES, LONG_S)
            assert (len(result.moves), len(result.expected)) == (SPLITS, SPLITS)
            everybody.wait_for(0, SEEN, within=LONG_S)


def test_a_process_that_does_not_obey_one_of_many_is_named(own: embedded.Server) -> None:
    """Code whose baseline is the candidate answers with it: no receipt of such a process confirms the whole."""
    with redis.Redis.from_url(own.url) as client, graysplit.Control(own.url, confirm=True) as control:
        fill(client, 600)
        with following(own.url, "default") as obeys, graysplit.Router(own.url) as differs:
            differs.split("split-00007", "new", "old")
            assert differs.wait_ready(20)
            eventually(lambda: len(control.fleet().live) == 2)
            receipts = control.wait_confirmed(control.rollback("*"), 20.0).receipts
            assert (receipts.confirmed, receipts.processes) == (1, 2), receipts
            assert len(receipts.lagging) == 1
            assert obeys.choose("split-00007", unit="user-1") == "old"
