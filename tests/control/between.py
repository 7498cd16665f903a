"""A store in which somebody else acts between the reading of a change and its writing."""

from __future__ import annotations

from collections.abc import Callable

from graysplit.stores.port import Store, Submission, Written
from graysplit.stores.wrappers import RecordingStore


class Between(RecordingStore):
    """Lets somebody else in between the reading of a change and its writing, once."""

    def __init__(self, inner: Store, act: Callable[[], object]) -> None:
        """Wrap the store that both share."""
        super().__init__(inner)
        self._acts = [act]

    def submit(self, submission: Submission) -> Written:
        """Let the other one act first."""
        if self._acts:
            self._acts.pop()()
        return super().submit(submission)
