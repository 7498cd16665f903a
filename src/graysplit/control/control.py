"""All verbs of an operator in one place."""

from __future__ import annotations

from graysplit.control.agreement import Confirm, Question
from graysplit.control.protection_verbs import ProtectionVerbs
from graysplit.control.read_verbs import ReadVerbs
from graysplit.control.release_verbs import ReleaseVerbs
from graysplit.control.weight_verbs import WeightVerbs

__all__ = ["Confirm", "Control", "Question"]


class Control(WeightVerbs, ReleaseVerbs, ProtectionVerbs, ReadVerbs):
    """The verbs of one namespace of a store: the one that is named, else the environment's, as for a router.

    Every change compares what it was made from: `ConflictError` says that somebody was faster and nothing was
    written. `rollback` alone compares and reads nothing. Where the command line has a name typed (100 %, a raise of
    what is protected, `delete`, `unfreeze`, a raising `undo`), a verb wants that name as `confirm="checkout"`, or
    `confirm=True`, or a function that is asked and raises to refuse; without it: `RefusedError`. Use it as a context
    manager, or `close` it.
    """
