"""What the code declares: splits, their versions, and where each was registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from graysplit.core.state import State, Version
from graysplit.core.weights import check_name
from graysplit.errors import RegistrationError

if TYPE_CHECKING:
    from graysplit.router.warming import Hook

Swap = Callable[[State], None]
Admit = Callable[[str, Version], None]


class Place(NamedTuple):
    """Where something was registered: the code's own address, by which a reload is known."""

    file: str
    name: str

    def __str__(self) -> str:
        """Give it as people read it."""
        return f"{self.name} in {self.file}"


# Handles of one split may be made in several places: they declare names, no functions.
HANDLE = Place("", "Router.split()")


class Declaration:
    """One split as this process's code declares it. Changed only under the board's lock."""

    __slots__ = ("admit", "baseline", "by", "calls", "hooks", "kind", "places", "split", "swaps")

    def __init__(self, split: str) -> None:
        """Begin with nothing known; versions may be registered before their baseline."""
        self.split = check_name(split)
        self.baseline: str | None = None
        self.kind = "split"
        self.by: Literal["unit", "instance"] = "unit"  # instance: where its unit is graysplit.INSTANCE
        self.admit: Admit | None = None  # the route's check of candidates, once its baseline is known
        self.calls: dict[str, Version] = {}  # functions of a routed split, by version
        self.places: dict[str, Place] = {}  # every version declared, by name
        self.swaps: list[Swap] = []
        self.hooks: dict[str, Hook] = {}  # what prepares a version, by its name

    @property
    def names(self) -> tuple[str, ...]:
        """The versions, the baseline first."""
        first = [self.baseline] if self.baseline is not None else []
        return (*first, *(name for name in self.places if name != self.baseline))

    def copy_into(self, other: Declaration) -> None:
        """Add all of this to another router's declaration of the same split."""
        for version, place in self.places.items():
            other.claim(version, place)
        if self.baseline is not None:
            other.lead(self.baseline, self.kind)
        if self.by == "instance":
            other.by = self.by
        other.admit = other.admit or self.admit
        for version, function in self.calls.items():
            other.take(version, function)
        for version, hook in self.hooks.items():
            other.prepare(version, hook)
        other.swaps.extend(self.swaps)

    def lead(self, baseline: str, kind: str) -> None:
        """Name the baseline; code that names another one for the same split is an error."""
        if self.baseline not in (None, baseline):
            raise RegistrationError(
                f"split '{self.split}' has two baselines in this code: '{self.baseline}' and '{baseline}'. "
                "Name one of them in both places"
            )
        self.baseline = baseline
        self.kind = kind

    def take(self, version: str, function: Version) -> None:
        """Register a version's function, checked against the baseline as soon as that is known."""
        self.claim(version, place_of(function))
        if self.admit is not None and version != self.baseline:
            self.admit(version, function)
        self.calls[version] = function

    def lead_route(self, baseline: str, function: Version, admit: Admit) -> None:
        """Register a route's baseline, and check the candidates that came before it."""
        self.lead(baseline, "route")
        self.admit = admit
        for version, candidate in self.calls.items():
            if version != baseline:
                admit(version, candidate)
        self.take(baseline, function)

    def prepare(self, version: str, hook: Hook) -> None:
        """Register what prepares a version, which may come later; the same place again replaces it."""
        known = self.hooks.get(check_name(version))
        if known is not None and known.place != hook.place:
            raise RegistrationError(
                f"version '{version}' of split '{self.split}' is prepared twice: by {known.place} and by {hook.place}. "
                "Call both from one hook"
            )
        self.hooks = {**self.hooks, version: hook}

    def claim(self, version: str, place: Place) -> None:
        """Register a version's name; the same place again (a reload) replaces, another is an error."""
        known = self.places.get(check_name(version))
        if known is not None and known != place:
            raise RegistrationError(
                f"version '{version}' of split '{self.split}' is registered twice: {known} and {place}. "
                "Give one of them another version name"
            )
        self.places[version] = place


def place_of(function: Callable[..., Any]) -> Place:  # Any: a function of whatever signature
    """Give a function's place."""
    code = getattr(function, "__code__", None)
    file = code.co_filename if code is not None else getattr(function, "__module__", "?")
    return Place(file, getattr(function, "__qualname__", repr(type(function))))
