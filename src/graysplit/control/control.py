"""An operator's hand on a namespace: all verbs in one place."""

from __future__ import annotations

from graysplit.control.hand import Confirm, Question
from graysplit.control.looking import Looking
from graysplit.control.releasing import Releasing
from graysplit.control.securing import Securing
from graysplit.control.weighing import Weighing

__all__ = ["Confirm", "Control", "Question"]


class Control(Weighing, Releasing, Securing, Looking):
    """An operator's hand on one namespace of a store: the one that is named, else the environment's, as for a router.

    Every change compares what it was made from: `ConflictError` says that somebody was faster and nothing was
    written. `rollback` alone compares and reads nothing. Where the command line has a name typed (100 %, a raise of
    what is protected, `delete`, `unfreeze`, a raising `undo`), a verb wants that name as `confirm="checkout"`, or
    `confirm=True`, or a function that is asked and raises to refuse; without it: `RefusedError`. Use it as a context
    manager, or `close` it.
    """
