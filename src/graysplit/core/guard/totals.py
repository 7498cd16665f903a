"""The exact number of calls on a buffer: what its parts hold, and what those held that are gone.

A writer may be held up at any step, for as long as a starved thread is: a part is let go once nobody can write on it
any more, and the totals outlive the buffer until nobody holds that either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from weakref import ref

from graysplit.core.guard.second_buffer import PartRecords, SecondBuffer

if TYPE_CHECKING:
    from graysplit.core.guard.buffer import EvidenceBuffer


class Totals:
    """The parts of one buffer and their totals, by the index of a version."""

    def __init__(self, buffer: EvidenceBuffer, lock: AbstractContextManager[object], versions: int) -> None:
        """Begin with no part; `lock` orders whoever collects and whoever reads."""
        self.buffer: Callable[[], EvidenceBuffer | None] = ref(buffer)
        self.parts: list[SecondBuffer] = []
        self.opened: list[SecondBuffer] = []  # parts that writers have begun within a second
        self.late = PartRecords(versions)
        self._lock = lock
        self._begun, self._asked, self._ended = ([0] * versions for _ in range(3))

    def begun(self, index: int) -> int:
        """Return the calls begun on the straight lines so far."""
        with self._lock:
            return self._begun[index] + sum(records.calls(index) for records in self._records())

    def asked(self, index: int) -> int:
        """Return the calls begun elsewhere: the slow path, attempts."""
        with self._lock:
            return self._asked[index] + sum(records.requests(index) for records in self._records())

    def ended(self, index: int) -> int:
        """Return the calls that have ended."""
        with self._lock:
            return self._ended[index] + sum(records.ends(index) for records in self._records())

    @property
    def settled(self) -> bool:
        """Return whether the totals stand: every call has ended, and nobody holds the buffer who could begin one."""
        return self.buffer() is None and all(
            self.begun(index) + self.asked(index) == self.ended(index) for index in range(len(self._begun))
        )

    def all_parts(self) -> list[SecondBuffer]:
        """Return all parts, those too that writers have begun."""
        return [*self.parts, *self.opened]

    def let_go(self, parts: Iterable[SecondBuffer]) -> list[SecondBuffer]:
        """Take over the totals of closed parts, but for those on which somebody writes or has written; return them."""
        with self._lock:
            gone = [part for part in parts if not part.records.held and part.records.collected]
            for part in gone:
                self._take_over(part.records)
            self.parts = [part for part in self.parts if part not in gone]
        return gone

    def _take_over(self, records: PartRecords) -> None:
        for index in range(len(self._begun)):
            self._begun[index] += records.calls(index)
            self._asked[index] += records.requests(index)
            self._ended[index] += records.ends(index)

    def _records(self) -> list[PartRecords]:
        return [*(part.records for part in self.all_parts()), self.late]
