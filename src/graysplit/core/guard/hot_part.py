"""What the straight line of an armed call reads and writes; a compiled core keeps it in C."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from graysplit.native import compiled_core

if TYPE_CHECKING:
    from graysplit.core.guard.marks import Mark, Record
    from graysplit.core.guard.second_buffer import SecondBuffer

if TYPE_CHECKING or compiled_core is None:

    class HotPart:
        """A part's lists, by a version's index, each call by its mark."""

        __slots__ = ("begun", "ended", "sampled", "thin", "timed")

        timed: bool  # whether its calls are timed, and seen while under way
        begun: tuple[list[Mark], ...]  # on a straight line
        ended: tuple[list[Mark], ...]
        sampled: deque[Record]  # of those that are timed
        # Where it is thinned, for a compiled core: the mask of the hash of who is only counted, and the counts.
        thin: tuple[int, tuple[count[int], ...], tuple[count[int], ...]] | None

    class HotBuffer:
        """The part on which calls begin now."""

        __slots__ = ("current",)

        current: SecondBuffer

else:
    HotPart = compiled_core.HotPart
    HotBuffer = compiled_core.HotBuffer
