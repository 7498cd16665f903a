"""What a split's versions stand for where a flag has a type: given by the program, or read off the names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Final, TypeVar, cast

from graysplit.core.weights import check_name
from graysplit.errors import ConfigurationError

T = TypeVar("T")

ON: Final = frozenset({"on", "true", "enabled", "yes"})
OFF: Final = frozenset({"off", "false", "disabled", "no"})
SIDES: Final = 2  # of a switch


class FlagValues:
    """The values of versions by split, checked when they are given."""

    def __init__(self, values: Mapping[str, Mapping[str, object]]) -> None:
        """Take a copy; raises `ConfigurationError` for values that are not all of one type that a flag can have."""
        self._values = {check_name(split): _checked(split, found) for split, found in values.items()}

    @property
    def versions(self) -> Mapping[str, Sequence[str]]:
        """The versions that have values, by split, in the order that was given."""
        return {split: tuple(found) for split, found in self._values.items()}

    def of(self, kind: type[T], split: str, version: str, names: Sequence[str]) -> tuple[T, str]:
        """Return what a version stands for, and an empty text; else why it stands for nothing of this type."""
        values = self._values.get(split)
        if values is not None and version not in values:
            return cast("T", None), f"'{split}/{version}' has no value: add it where values are given for '{split}'"
        value = values[version] if values is not None else _read(kind, version, names)
        fitting = _fit(kind, value)
        if fitting is not None:
            return cast("T", fitting), ""
        told = f"values of type {type(value).__name__}" if value is not None else "no values of its own"
        asked = "object" if kind is dict else kind.__name__
        return cast("T", None), f"flag {split} was asked as {asked}, and has {told}. Ask as what it is, or give values"


def _read(kind: type[object], version: str, names: Sequence[str]) -> object:
    """Return what a version without a value says by its name: itself, or one side of a switch."""
    if kind is str:
        return version
    if kind is not bool or len(names) != SIDES:
        return None
    return version in ON if all(name in ON | OFF for name in names) else version != names[0]


def _fit(kind: type[object], value: object) -> object:
    """Return a value as the type that is asked for, or None: a boolean is not a number, an integer is also a float."""
    if kind is float and type(value) in {int, float}:
        return float(cast("float", value))
    if kind is dict:
        return deepcopy(value) if type(value) in {dict, list} else None
    return value if type(value) is kind else None


def _checked(split: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of the values of one split."""
    if len(values) < SIDES:
        raise ConfigurationError(f"split '{split}' needs a value for each of its versions, the baseline first")
    kinds = {_kind(split, check_name(version), value) for version, value in values.items()}
    if len(kinds - {"int"} if "float" in kinds else kinds) != 1:
        raise ConfigurationError(f"split '{split}' has values of several types: {', '.join(sorted(kinds))}. Use one")
    return {version: deepcopy(value) for version, value in values.items()}


def _kind(split: str, version: str, value: object) -> str:
    """Name the type of a value; raises for what no flag can have."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"'{split}/{version}' has the value {value}: use a finite number")
    for kind in (bool, int, float, str):
        if type(value) is kind:
            return kind.__name__
    if isinstance(value, (dict, list)):
        return "object"
    given = type(value).__name__
    raise ConfigurationError(
        f"'{split}/{version}' has a {given} for its value: use bool, int, float, str, dict or list"
    )
