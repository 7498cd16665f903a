"""The contract of every store: plain asserts, one test for each sentence of `graysplit.stores.port`.

Subclass `StoreContract`, give it the three hooks, and let pytest collect it:

    class TestMyStore(StoreContract):
        def make(self): return MyStore(self.name)
        def raw(self, key, field, value): ...
        def drop(self, key): ...

A store that does less than all is held to the parts that it keeps.
"""

from __future__ import annotations

from graysplit.testing.contract.fleet import FleetContract
from graysplit.testing.contract.numbers import NumbersContract
from graysplit.testing.contract.plans import PlansContract
from graysplit.testing.contract.raw_edits import BookingContract
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.tally import TallyContract
from graysplit.testing.contract.trips import TrippingContract
from graysplit.testing.contract.words import (
    DEFINITION,
    one,
    put,
    raised,
    report_of,
    seed,
    submission_of,
)
from graysplit.testing.contract.writes import WritingContract

__all__ = [
    "DEFINITION",
    "BookingContract",
    "FleetContract",
    "NumbersContract",
    "PlansContract",
    "ReadingContract",
    "StoreContract",
    "TallyContract",
    "TrippingContract",
    "WritingContract",
    "one",
    "put",
    "raised",
    "report_of",
    "seed",
    "submission_of",
]


class StoreContract(
    WritingContract, BookingContract, NumbersContract, PlansContract, FleetContract, TrippingContract, TallyContract
):
    """What holds for every store that takes writes."""
