"""What stays one object in a process, however often somebody copies what holds it."""

from __future__ import annotations

from typing import Self


class OneObject:
    """A copy of it is the thing itself: another object would hear of no change, a rollback included."""

    __slots__ = ()

    def __copy__(self) -> Self:
        """Return itself."""
        return self

    def __deepcopy__(self, memo: object) -> Self:
        """Return itself, as for a copy."""
        return self
