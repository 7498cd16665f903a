"""Names that were others before: the old ones work for one minor version, and warn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn of a name that goes with the next minor version."""
    warnings.warn(f"{old} is now {new}; the old name goes with the next minor version", DeprecationWarning, stacklevel)


def renamed(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function take keywords by the names that they had before: `renamed(bake_s="bake")`."""

    def taking(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def taken(*args: P.args, **kwargs: P.kwargs) -> T:
            for old in [name for name in kwargs if name in names]:
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{function.__name__}() was given {old}= and {new}=, which are one: use {new}=")
                warn_renamed(f"{function.__name__}({old}=)", f"{new}=")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return taken

    return taking
