"""The faces that type checkers see of a routed function; at run time it is a plain function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, Protocol, Self, TypeVar, overload

from graysplit.core.durations import Span

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
H = TypeVar("H", bound=Callable[[], object])


class Candidate(Protocol[P, R]):
    """What `.version(name)` gives: it takes only what takes every call of the baseline and answers with its type.

    The function itself is handed back untouched; extra optional parameters are taken, but a checker then shows the
    baseline's. (No type says "a subtype of this callable, kept as it is".)
    """

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Register a candidate."""
        ...


class Routed(Protocol[P, R]):
    """A routed function: called as before, bound as a method, with its versions beside it."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, R]:
        """The baseline itself."""
        ...

    @property
    def split(self) -> str:
        """The split's name."""
        ...

    @property
    def versions(self) -> Mapping[str, Callable[P, R]]:
        """The registered functions by name: one path, no decision, not counted."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the version that the unit gets."""
        ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> Self: ...
    @overload
    def __get__(self: Routed[Concatenate[S, Q], R], instance: S, owner: type | None = None, /) -> Callable[Q, R]: ...

    def warm(self, name: str, /, *, every: Span | None = None) -> Callable[[H], H]:
        """Register what prepares a version (no arguments), the baseline too; see `Router.warm`."""
        ...

    def version(self, name: str, /) -> Candidate[P, R]:
        """Register the decorated function as a candidate of this name."""
        ...
