"""The packages of the extra `console`: whoever lacks them is told how to get them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from graysplit.errors import ConfigurationError


def imported(name: str) -> ModuleType:
    """Import a module of the console; raise `ConfigurationError` where a package that it needs is missing."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package == "graysplit":
            raise
        raise ConfigurationError(
            f"the console needs the package {package}. Install it with: pip install 'graysplit[console]'"
        ) from missing
