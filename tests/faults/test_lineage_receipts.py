"""Receipts tell effects (timelines 8 and 19 to 21): who is counted, who confirms, and what it costs the others.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import ExitStack
from typing import Final

import graysplit
from tests.faults.command_line import graysplit_cli
from tests.faults.followers import processes
from tests.faults.pairs import FIELD, Pair
from tests.faults.shares import following, share
from tests.support import eventually

FOLLOWED: Final = ("weights", "stops", "splits", "meta")


def heard(line: socket.socket, end: bytes) -> bytes:
    """Listen to a connection until something came that ends like this."""
    line.settimeout(10)
    found = b""
    while not found.endswith(end):
        found += line.recv(4096)
    return found


def calls(pair: Pair, command: str) -> int:
    """Return how often the first server was asked for something so far."""
    found: int = pair.one.client.info("commandstats")[f"cmdstat_{command}"]["calls"]
    return found


def stopped(control: graysplit.Control, pid: int) -> str:
    """Return the boot id of a process."""
    return next(process.boot for process in control.fleet().processes if process.pid == pid)


def test_f08_who_follows_the_minority_is_named_not_confirmed(pair: Pair) -> None:
    """Timeline 8: cut off with the old primary a process is live there; on the new one it is behind, then silent."""
    # Given A that follows the first server, whose replica knows A
    with pair.process() as router:
        eventually(lambda: len(pair.one.control.fleet().live) == 1)
        pair.two.become(pair.one.dump())
        with following(pair.two.server.url, pair.namespace) as other:
            # When the second is the primary for B and the operator
            ran = graysplit_cli(pair.two.server.url, pair.namespace, "rollback", "checkout", "--json", "--wait", "1s")
            # Then A counts, and goes on counting when it has not been heard for long
            assert (ran.code, ran.json["confirmed"], ran.json["processes"]) == (6, 1, 2), ran
            assert ran.json["lagging"] or ran.json["silent"]
            assert (share(router), share(other)) == (50, 0)
            seen = pair.two.prefix + "fleet:seen"
            pair.two.client.zincrby(seen, -14_000, router.status().boot)
            ran = graysplit_cli(pair.two.server.url, pair.namespace, "rollback", "checkout")
            assert (ran.code, "silent (dead or cut off)" in ran.out) == (6, True), ran
            findings = [finding.what for finding in pair.two.control.doctor()]
            assert any("dead, or cut off" in what for what in findings), findings


def test_f19_what_was_taken_before_a_rollback_does_not_outlive_it(pair: Pair) -> None:
    """A bound method and a choice kept in a request are at the baseline at once; what still runs is told.

    Timeline 19.
    """
    pair.one.control.set("checkout", 100, allow_needless=True)
    with pair.process() as router:
        checkout = router.split("checkout", "old", "new")
        bound = checkout.choose
        with graysplit.context(unit="user-1"), checkout.attempt(unit="user-2") as running:
            assert (checkout.choose(), bound("user-1"), running) == ("new", "new", "new")
            ran = graysplit_cli(pair.one.server.url, pair.namespace, "rollback", "checkout")
            assert (
                ran.code,
                "1/1 processes stopped sending calls to new" in ran.out,
                "1 call still running" in ran.out,
            ) == (
                0,
                True,
                True,
            ), ran
            assert (checkout.choose(), bound("user-1")) == ("old", "old")


def test_f19_a_refused_weight_is_told_with_what_runs_instead(pair: Pair) -> None:
    """The revision was adopted and the value was not: the receipt names it, and shows the last good one.

    Timeline 19.
    """
    with pair.process():
        pair.one.hset("weights", FIELD, "1_0")
        (process,) = eventually(lambda: [p for p in pair.one.control.fleet().live if p.receipt.refused])
        assert FIELD in process.receipt.refused[0]
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "wait", "checkout", "--timeout", "0.3s")
        assert ran.code == 6, ran


def test_f19_a_receipt_tells_the_effect_not_the_number(pair: Pair) -> None:
    """Timeline 19: a process that adopted the change and does something else does not confirm it, and says why."""
    with pair.process(), pair.process(off="checkout") as off:
        result = pair.one.control.set("checkout", 60)
        receipts = pair.one.control.wait_confirmed(result, 2).receipts
        assert (receipts.confirmed, receipts.processes) == (1, 2)
        assert "off" in receipts.lagging[0]
        assert off.decide("checkout", "user-1").reason == "off"
        receipts = pair.one.control.wait_confirmed(pair.one.control.rollback("checkout")).receipts
        assert receipts.complete


def test_f19_a_held_value_does_not_confirm(pair: Pair) -> None:
    """Timelines 19 and 20: behind the fence a process shows what it does, not what the store says."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.lose_a_lowering(router)
        receipts = pair.two.control.wait_weights("checkout", timeout=0.5)
        assert (receipts.confirmed, receipts.complete) == (0, False)
        (process,) = pair.two.control.fleet().live
        assert process.receipt.held == {f"weights {FIELD}": "10"}
        assert any("has lost changes" in finding.what for finding in pair.two.control.doctor())


def test_f20_who_registers_during_the_wait_is_counted(pair: Pair) -> None:
    """Timeline 20: a process registers before it loads, so that none loads the old value uncounted."""
    result = pair.one.control.rollback("checkout")
    assert pair.one.control.wait_confirmed(result, 0.5).receipts.nobody
    with pair.process(), pair.process():
        receipts = pair.one.control.wait_confirmed(result).receipts
        assert (receipts.confirmed, receipts.processes) == (2, 2)


def test_f20_a_stopped_process_is_named_not_confirmed(pair: Pair) -> None:
    """Timeline 20: SIGSTOP: it is behind while it counts as live, and then silent; exit 6 until it runs again."""
    with processes(2, pair.one.server.url, pair.namespace) as found:
        found.wait_for(50)
        os.kill(found[0].pid, signal.SIGSTOP)
        try:
            ran = graysplit_cli(pair.one.server.url, pair.namespace, "rollback", "checkout", "--json", "--wait", "0.5s")
            assert (ran.code, ran.json["confirmed"]) == (6, 1), ran
            assert [label.rpartition("/")[2] for label in ran.json["lagging"]] == [str(found[0].pid)]
            pair.one.client.zincrby(pair.one.prefix + "fleet:seen", -7_000, stopped(pair.one.control, found[0].pid))
            ran = graysplit_cli(pair.one.server.url, pair.namespace, "rollback", "checkout", "--json")
            assert (ran.code, len(ran.json["silent"])) == (6, 1), ran
        finally:
            os.kill(found[0].pid, signal.SIGCONT)
        found.wait_for(0)
        eventually(lambda: pair.one.control.wait_weights("checkout", timeout=1).complete, 10)


def test_f21_two_hundred_followers_and_no_push_for_a_receipt(pair: Pair) -> None:
    """Heartbeats and receipts push nothing on 200 connections, and make no process read; one raw edit does.

    Timeline 21.
    """
    prefixes = [word for end in FOLLOWED for word in ("PREFIX", pair.one.prefix + end)]
    with ExitStack() as stack:
        address = ("127.0.0.1", pair.one.server.port)
        lines = [stack.enter_context(socket.create_connection(address)) for _ in range(200)]
        for line in lines:
            line.sendall(b"HELLO 3\r\n" + " ".join(["CLIENT TRACKING ON BCAST", *prefixes]).encode() + b"\r\n")
        assert all(b"mode" in heard(line, b"+OK\r\n") for line in lines)
        with pair.process(), pair.process():
            eventually(lambda: len(pair.one.control.fleet().live) == 2)
            reads, beats = calls(pair, "hgetall"), calls(pair, "zadd")
            eventually(lambda: calls(pair, "zadd") >= beats + 4, 10)
            assert calls(pair, "hgetall") - reads <= 6, "more than a booking and one full reading"
            assert select.select(lines, [], [], 0)[0] == []
            pair.one.hset("weights", FIELD, "40")
            assert all(b"invalidate" in heard(line, b"weights\r\n") for line in lines)


def test_f21_a_change_costs_a_process_one_reading(pair: Pair) -> None:
    """Timeline 21: a change touches four keys; its signals are drained, so that it costs a reading, not four."""
    with pair.process():
        before = calls(pair, "role")
        for weight in range(10, 30):
            pair.one.hset("meta", "x", str(weight))
            pair.one.control.wait_confirmed(pair.one.control.set("checkout", weight))
        # The operator's own reading is one of them, and the raw edit of `meta` has one of its own.
        assert calls(pair, "role") - before <= 20 * 4
