"""What a peer's module offers: `REQUIRES`, the distributions it needs, and `deciders()`."""

from __future__ import annotations

from collections.abc import Callable

Decide = Callable[[str], object]  # a user's id to something true for the new version
Deciders = dict[str, Decide]  # by what is said of it: "" or how the library is used
