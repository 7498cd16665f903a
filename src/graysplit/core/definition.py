"""What a split is, apart from its weights: versions with places, salt and seed, pins.

Stored as one JSON value per split. The codec reads it with pydantic straight into these tuples; `Within` and
`OBJECT` carry the bounds there without importing pydantic here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

from graysplit.core.allocation import PLACES
from graysplit.core.bucketing import ALGORITHM, HASHES, seed_of
from graysplit.core.limits import lookup_names
from graysplit.core.weights import check_name
from graysplit.errors import BadDefinitionError, BadNameError, UnknownVersionError

# pydantic's core schemas are plain dicts, so bounds can be written without it.
_Schema = dict[str, Any]  # Any: the shape is pydantic's own


class Within(NamedTuple):
    """Bounds of a whole number, for pydantic's eyes."""

    low: int
    high: int

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], _Schema]) -> _Schema:
        """Return an integer schema with these bounds, strict: no bool, no text."""
        return {"type": "int", "ge": self.low, "le": self.high, "strict": True}


class _Flag:
    """Says that a yes or no is `true` or `false`, and no number or text that reads like one."""

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], _Schema]) -> _Schema:
        return {"type": "bool", "strict": True}


class _Object:
    """Says that a JSON array is not a record: pydantic takes one for a NamedTuple otherwise."""

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], _Schema]) -> _Schema:
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": _refuse_array},
            "schema": handler(source),
        }


def _refuse_array(value: object) -> object:
    if isinstance(value, (list, tuple)):
        raise ValueError("expected an object, found an array")  # noqa: TRY004 - pydantic reports ValueError
    return value


OBJECT: Final = _Object()


class Version(NamedTuple):
    """One version of a split; a candidate has a place in the allocation's sequence, given once for life."""

    name: str
    place: Annotated[int, Within(0, PLACES - 1)] | None = None


class Definition(NamedTuple):
    """A split's record in the store."""

    versions: tuple[Annotated[Version, OBJECT], ...]
    baseline: str
    salt: str
    seed: Annotated[int, Within(0, HASHES - 1)]
    algorithm: Annotated[int, Within(ALGORITHM, ALGORITHM)]
    pins: Mapping[str, str] = {}  # a unit's text to the version it always gets
    denied: tuple[str, ...] = ()  # units that always get the baseline
    # What happens when the store has not been heard for `max_stale` seconds: the last state stands, or the baseline.
    when_stale: Literal["keep", "baseline"] = "keep"
    max_stale: Annotated[int, Within(1, 10**9)] | None = None
    protected: Annotated[bool, _Flag()] = False  # raising needs a reason and the typed name
    by: Literal["unit", "instance"] = "unit"  # by instance, hosts cross over in recorded waves, not by their buckets
    # The plan that ran last, as it was written: `core.plan.plan` reads it, and a process that does not understand it
    # does not drive.
    plan: Mapping[str, object] | None = None
    # Choices of requests already open outlive a plain zero (a planned `switch` back), never a stop.
    in_flight: Literal["finish"] | None = None
    # What its guard was told, as it was written: `core.guard.settings` reads it. None: nobody watches.
    guard: Mapping[str, object] | None = None

    @property
    def stale_limit(self) -> int | None:
        """The seconds without contact after which everybody gets the baseline, or None."""
        return self.max_stale if self.when_stale == "baseline" else None

    @property
    def pinned(self) -> Mapping[str, str]:
        """The pins by all names under which their units ask."""
        return {name: version for unit, version in self.pins.items() for name in lookup_names(self.by, unit)}

    @property
    def barred(self) -> frozenset[str]:
        """All names under which denied units ask."""
        return frozenset(name for unit in self.denied for name in lookup_names(self.by, unit))

    @property
    def names(self) -> tuple[str, ...]:
        """All version names, the baseline's among them, in the record's order."""
        return tuple(version.name for version in self.versions)

    @property
    def candidates(self) -> tuple[Version, ...]:
        """The versions on trial: all but the baseline, in the order of their places."""
        found = [version for version in self.versions if version.name != self.baseline]
        return tuple(sorted(found, key=lambda version: version.place or 0))


def define(  # noqa: PLR0913 - what a record begins with
    split: str,
    versions: Iterable[str],
    *,
    salt: str | None = None,
    max_stale: int | None = None,
    in_flight: Literal["finish"] | None = None,
    by: Literal["unit", "instance"] = "unit",
) -> Definition:
    """Make a new split's record: the first version is the baseline, the others take places 0, 1, 2, ...

    The salt is the split's name unless given, and is stored, so that a rename moves nobody. With `max_stale`
    everybody gets the baseline in a process that has not heard its store for so many seconds.
    """
    names = tuple(versions)
    chosen = salt if salt is not None else split
    definition = Definition(
        versions=tuple(Version(name, place - 1 if place else None) for place, name in enumerate(names)),
        baseline=names[0] if names else "",
        salt=chosen,
        seed=seed_of(chosen),
        algorithm=ALGORITHM,
        when_stale="keep" if max_stale is None else "baseline",
        max_stale=max_stale,
        in_flight=in_flight,
        by=by,
    )
    check_definition(split, definition)
    return definition


def check_definition(split: str, definition: Definition) -> None:
    """Raise `BadDefinitionError`, naming field and reason, unless the record holds together."""
    for field, reason in _faults(definition):
        raise BadDefinitionError(split, field, reason)


def candidate(split: str, definition: Definition, version: str) -> Version:
    """Return a candidate by name, or raise `UnknownVersionError`."""
    for found in definition.candidates:
        if found.name == version:
            return found
    raise UnknownVersionError(split, version, definition.names)


def _faults(definition: Definition) -> Iterable[tuple[str, str]]:
    names = definition.names
    for number, name in enumerate(names):
        try:
            check_name(name)
        except BadNameError as fault:
            yield f"versions.{number}.name", str(fault)
    if len(set(names)) != len(names):
        yield "versions", "duplicate name"
    if len(names) < 2:  # noqa: PLR2004 - a split is a fork: two paths at least
        yield "versions", "a split needs a baseline and at least one candidate"
    if definition.baseline not in names:
        yield "baseline", f"'{definition.baseline}' is not among the versions ({', '.join(names)})"
    places = [version.place for version in definition.candidates]
    if len(set(places)) != len(places) or not all(place in range(PLACES) for place in places):
        yield "versions", f"each candidate needs a place of its own, from 0 to {PLACES - 1}"
    if definition.seed != _seed_or_none(definition.salt):
        yield "seed", "does not belong to the salt; write seed = murmur3_32(salt as UTF-8, seed 0)"
    if definition.when_stale == "baseline" and (definition.max_stale or 0) < 1:
        yield "max_stale", "when_stale is baseline, so max_stale must be a number of seconds, at least 1"
    for version in sorted(set(definition.pins.values()) - set(names)):  # the unit is not named: faults are logged
        yield "pins", f"a pin names '{version}', which is not among the versions ({', '.join(names)})"


def _seed_or_none(salt: str) -> int | None:
    try:
        return seed_of(salt)
    except UnicodeEncodeError:
        return None
