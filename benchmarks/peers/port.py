"""What a peer's module offers: `REQUIRES`, the distributions it needs, and `deciders()`."""

from __future__ import annotations

from collections.abc import Callable

NEW = ("new", True)  # what answers with the new version

Decide = Callable[[str], object]  # a user's id to what the library answers, as an application would ask it
Deciders = dict[str, Decide]  # by what is said of it: "" or how the library is used
