"""What the pure writes say at their edges; that each store writes the same is for the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from graysplit.core.replica.record import Key
from graysplit.stores.port import Rollback, Trip
from graysplit.stores.write_rules import unbooked
from graysplit.stores.writes import Put, StoreReading, raw_edit_writes, rollback_writes, trip_writes

NOW_MS = 1_700_000_000_000
MARKED = {b"_": b"1"}
Fields: TypeAlias = Mapping[bytes, bytes]
NOTHING: Final[Fields] = {}
COUNTED: Final[Fields] = {b"revision": b"7"}


def reading(
    weights: Fields = NOTHING, stops: Fields = NOTHING, meta: Fields = COUNTED, booked: Fields = NOTHING
) -> StoreReading:
    """Return what a write rests on."""
    hashes = {"weights": weights, "stops": stops, "splits": {}, "meta": meta, "plans": {}}
    keys = {name: Key({**MARKED, **fields}) for name, fields in hashes.items()}
    return StoreReading(keys, {**MARKED, **booked}, highest=0, last=7, now_ms=NOW_MS)


def test_a_rollback_lowers_counts_up_and_ends_what_rests_on_the_weight() -> None:
    """Weight and stop, the same in the books, the lease on it, its plan and the mark of a finished release."""
    meta = {b"revision": b"7", b"plan:checkout": b"run-1 new", b"lease:checkout/new": b"1"}
    writes = rollback_writes(reading({b"checkout/new": b"20"}, meta=meta), Rollback("c1", "checkout", "ann", "errors"))
    assert [(put.key, put.field) for put in writes.lowering] == [("weights", "checkout/new"), ("stops", "checkout")]
    assert writes.lowering[0].value == "0"
    assert [put.field for put in writes.books] == ["weights checkout/new", "stops checkout"]
    ended = {
        Put("meta", "finished:checkout", None),
        Put("meta", "lease:checkout/new", None),
        Put("meta", "plan:checkout", None),
        Put("plans", "checkout", None),
    }
    assert ended <= {*writes.marks}
    assert (writes.step, writes.written.revision, writes.written.unrecorded) == (1, 8, None)
    assert writes.written.before["weights checkout/new"] == "20"


def test_a_stop_that_is_set_already_keeps_its_text_and_is_not_booked_again() -> None:
    """Who stopped it first stays named; a raw stop is booked later as whose it is."""
    stood = {b"checkout": b"by hand"}
    writes = rollback_writes(reading({b"checkout/new": b"20"}, stood), Rollback("c1", "checkout", "ann", "errors"))
    assert Put("stops", "checkout", "by hand") in writes.lowering
    assert [put.field for put in writes.books] == ["weights checkout/new"]


def test_no_number_is_given_where_there_is_none_to_count_on() -> None:
    """A mistyped revision: what lowers is written, and it is said why the history has no number for it."""
    meta = {b"revision": b"seven"}
    writes = rollback_writes(reading({b"checkout/new": b"20"}, meta=meta), Rollback("c1", "checkout", "ann", ""))
    assert (writes.step, writes.written.revision) == (0, 0)
    assert "not a number" in (writes.written.unrecorded or "")
    assert writes.lowering[0] == Put("weights", "checkout/new", "0")
    trip = trip_writes(reading(meta=meta), Trip("c2", "checkout/new", "r1", "worse"))
    assert (trip.step, trip.entry.revision) == (0, 0)


def test_a_plan_ends_with_the_first_of_two_raw_edits_and_each_edit_has_a_number() -> None:
    """The entries are numbered on; the second one says nothing of a plan that is over by then."""
    meta = {b"revision": b"7", b"plan:checkout": b"run-1 new"}
    stops = {b"checkout": b"by hand"}
    found = reading({b"checkout/new": b"30", b"other/new": b"5"}, stops, meta, {b"weights checkout/new": b"20"})
    edits = unbooked(found.hashes["weights"], found.hashes["stops"], found.booked)
    acts = raw_edit_writes(found, edits, "web/1", iter(("a", "b", "c")).__next__)
    assert [(act.entry.revision, act.step) for act in acts] == [(8 + n, 1) for n in range(len(acts))]
    assert len(acts) > 1
    assert [act.entry.split for act in acts if "meta plan:checkout" in act.entry.before] == ["checkout"]
