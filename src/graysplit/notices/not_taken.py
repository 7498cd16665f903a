"""A hook that did not take a notice."""

from __future__ import annotations

from graysplit.errors import GraysplitError


class NotTakenError(GraysplitError):
    """A hook did not take a notice; the text holds nothing of its address."""
