"""The faces of a router that the type checkers' tests need, so that they speak of routes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from graysplit.routes.handle import Split
from graysplit.routes.types import Routed
from graysplit.routes.unit import AttributesSpec, UnitSpec

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])
H = TypeVar("H", bound=Callable[[], object])
V = TypeVar("V", bound=str)


class Router(Protocol):
    """What application code declares with."""

    def route(
        self,
        split: str,
        *,
        unit: UnitSpec = None,
        attributes: AttributesSpec = None,
        baseline: str = "old",
        fallback: bool = False,
    ) -> Callable[[Callable[P, R]], Routed[P, R]]: ...

    def version(self, split: str, name: str) -> Callable[[F], F]: ...

    def warm(self, split: str, name: str, *, every: float | None = None) -> Callable[[H], H]: ...

    def split(self, name: str, baseline: V, /, *others: V) -> Split[V]: ...
