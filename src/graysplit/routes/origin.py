"""Where a registered function comes from: the code's own address, by which a reload is known from a second claim."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, NamedTuple

MAIN: Final = "__main__"
_LOCALS: Final = "<locals>"
_WRAPPED_AT_MOST: Final = 100  # decorators on one function; beyond it is a circle


class Origin(NamedTuple):
    """The module and qualified name that something was registered with, and the file that people look for it in."""

    module: str
    name: str
    file: str

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.name} in {self.file or self.module}"

    def is_again(self, known: Origin) -> bool:
        """Return whether this is what is known, declared again: a reload, a factory's next call, a cell run once more.

        In `__main__` whatever is declared again replaces: a cell of a notebook is edited and run again.
        """
        return self[:2] == known[:2] or self.module == known.module == MAIN

    def is_beside(self, other: Origin) -> bool:
        """Return whether both are made by a call of one function: a factory's route and its candidate."""
        scope = self.name.rpartition(_LOCALS)[0]
        return bool(scope) and self.module == other.module and scope == other.name.rpartition(_LOCALS)[0]


def origin_of(function: Callable[..., Any]) -> Origin:  # Any: a function of whatever signature
    """Return a function's origin: below its decorators; of what is not a plain function, who registers it."""
    inner: object = function
    for _ in range(_WRAPPED_AT_MOST):
        if isinstance(inner, FunctionType) and not hasattr(inner, "__wrapped__"):
            return Origin(inner.__module__, inner.__qualname__, inner.__code__.co_filename)
        further = getattr(inner, "__wrapped__", None)
        if further is None:
            break
        inner = further
    # A partial, a bound method, an object: one class serves many, and who registers it is what tells them apart.
    inner = innermost(inner)
    module, file = registering()
    return Origin(module, getattr(inner, "__qualname__", None) or type(inner).__qualname__, file)


def innermost(function: object) -> object:
    """Return what a callable calls in the end, below decorators, partials and bound methods."""
    for _ in range(_WRAPPED_AT_MOST):
        further = next((found for name in ("__wrapped__", "func", "__func__") if (found := _own(function, name))), None)
        if further is None:
            break
        function = further
    return function


def rebinds(candidate: object, original: FunctionType, routed: FunctionType) -> bool:
    """Return whether the `def` of a candidate takes the name of the routed function, which nobody could call any more.

    Two functions that one `def` has made (a factory's) do not count, nor do two lambdas.
    """
    inner, ours = innermost(candidate), innermost(original)
    if not isinstance(inner, FunctionType) or not isinstance(ours, FunctionType) or inner.__name__ == "<lambda>":
        return False
    if inner.__code__ == ours.__code__:
        return False
    if (inner.__module__, inner.__qualname__) == (ours.__module__, ours.__qualname__):
        return True
    return inner.__name__ == inner.__qualname__ and inner.__globals__.get(inner.__name__) is routed


def _own(function: object, name: str) -> object:
    """Return an attribute that leads further down; an object of the program's may have others by these names."""
    found = getattr(function, name, None)
    return found if callable(found) else None


def registering() -> tuple[str, str]:
    """Return the module and the file of the code outside graysplit that registers something now."""
    frame = sys._getframe()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as warnings and logging do
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "graysplit":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "?")), frame.f_code.co_filename
