"""What the straight lines of a decision read of a split's compiled state; a compiled core keeps it in C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graysplit.native import compiled_core

if TYPE_CHECKING:
    from graysplit.core.decision import Decision, Reason
    from graysplit.core.guard.buffer import EvidenceBuffer

VersionFunction = Callable[..., Any]  # Any: a registered function of whatever signature
Special = Callable[[bytes], "tuple[int, Reason] | None"]  # an encoded unit to a version's index and a reason
# What a decision among several candidates reads of a branch: count, name, decision. A plain tuple, as are the others
# here: it unpacks five times faster.
BranchAnswer: TypeAlias = "tuple[count[int], str, Decision]"
# What a routed call off the two straight lines reads: a version's index, count and function, and whether its failure
# and its end are counted (not where it stands in for an absent one).
CallTarget: TypeAlias = "tuple[int, count[int], VersionFunction, bool]"

HOT_FIELDS: Final = (
    "buffer",
    "c_new",
    "c_old",
    "d_new",
    "d_old",
    "ends",
    "finished",
    "key",
    "names",
    "near",
    "new",
    "old",
    "picks",
    "pin_marks",
    "pinned",
    "quick",
    "runs",
    "seed",
    "special",
    "split",
    "started",
    "target_of",
    "targets",
    "threshold",
)

if TYPE_CHECKING or compiled_core is None:

    class HotState:
        """The fields, set when a state is compiled and never again."""

        __slots__ = HOT_FIELDS

        split: str
        names: tuple[str, ...]
        old: str  # the two sides of the single threshold: names, counts, decisions
        new: str
        c_old: count[int]
        c_new: count[int]
        d_old: Decision
        d_new: Decision
        seed: int
        threshold: int  # hashes below it belong to the new side
        special: Special | None  # the rungs above the hash, or what sends every call to the slow path; tested first
        pinned: frozenset[int] | None  # hashes of pinned and denied units, where pins are all that `special` knows
        pin_marks: bytes  # the same roughly, for a compiled core: a bit that is clear says that nobody is meant
        key: object  # under which a request keeps its choice; replaced by any lowering to zero
        quick: object  # the same for a route's straight line; armed, its buffer: what was drawn in this stage, no pin
        runs: Sequence[int] | None  # the hashes at which the owner changes; None: one threshold says it all
        near: Sequence[int]  # by the top bits of a hash: the branch's place; -1: the owner changes, bisect decides
        ends: Sequence[BranchAnswer]  # what of each branch the hot path reads
        started: tuple[count[int], ...]  # by index: choices by hash, or kept in a request
        finished: tuple[count[int], ...]  # by index: measured calls that have ended
        target_of: Sequence[int]  # by a branch's place: where in `targets` a routed call finds the owner
        targets: Sequence[CallTarget]  # of a routed split: the versions by index, then what stands in for absent ones
        picks: tuple[object, ...]  # beside `targets`, for a compiled core: what the text of a routed call is given
        buffer: EvidenceBuffer | None  # where measured calls are written down, while the split is armed

else:
    HotState = compiled_core.HotState
