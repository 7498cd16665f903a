"""An operator's hand on a namespace: all verbs in one place."""

from __future__ import annotations

from graysplit.control.hand import Agree, Question
from graysplit.control.looking import Looking
from graysplit.control.releasing import Releasing
from graysplit.control.securing import Securing
from graysplit.control.weighing import Weighing

__all__ = ["Agree", "Control", "Question"]


class Control(Weighing, Releasing, Securing, Looking):
    """An operator's hand on one namespace of a store.

    Every change compares what it was made from: `ConflictError` says that somebody was faster and nothing was
    written. `rollback` alone compares and reads nothing. Use it as a context manager, or `close` it.
    """
