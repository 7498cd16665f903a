"""Where a routed call finds its unit and attributes: resolved once, at decoration, against the parameters."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from keyword import iskeyword
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

from graysplit.core.bucketing import encode_unit
from graysplit.errors import RegistrationError, nearest
from graysplit.routes.signature import (
    COROUTINE,
    FUNCTION,
    KEYWORD_ONLY,
    POSITIONAL,
    POSITIONAL_ONLY,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    Shape,
    described,
    shape_of,
)
from graysplit.scope import MISSING, scope_get

if TYPE_CHECKING:
    from graysplit.scope import Unit


class Attribute:
    """A unit that is an attribute of the open context; made by `attribute`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Keep the attribute's name."""
        self.name = name

    def __repr__(self) -> str:
        """Return it as it was written."""
        return f"graysplit.attribute({self.name!r})"

    def __call__(self) -> object:
        """Return the open context's attribute, or None."""
        return self.read(None)

    def read(self, own: Mapping[str, object] | None) -> object:
        """Return the attribute from those of one question, laid over the open context's, or None."""
        if own is not None and self.name in own:
            return own[self.name]
        scope = scope_get()
        return scope.attributes.get(self.name) if scope is not None else None


def attribute(name: str) -> Attribute:
    """Name an attribute as the unit: of the question's or the route's `attributes=`, else of the open context's.

    An inner context's attributes lie over an outer one's, and those of one question over both.
    """
    return Attribute(name)


class _Instance:
    """Stands for the host as the unit: all processes of one name cross over together."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "graysplit.INSTANCE"

    def __reduce__(self) -> str:
        """Copy and pickle as what it is: it is known by identity, and there is one."""
        return "INSTANCE"


INSTANCE: Final = _Instance()

# What a question may name: a unit, or where it is found.
AskedUnit: TypeAlias = "Unit | Attribute | _Instance"

_Named: TypeAlias = str | Callable[..., object]
_Single: TypeAlias = str | Attribute | _Instance | Callable[..., object] | None
UnitSpec: TypeAlias = (
    "str | Attribute | _Instance | Callable[..., object] | tuple[UnitSpec, ...] | list[UnitSpec] | None"
)
AttributesSpec: TypeAlias = Mapping[str, _Named] | Callable[..., Mapping[str, object]] | None


class UnitExpression(NamedTuple):
    """A Python expression over the parameters, and the objects that it names beside them."""

    expression: str
    objects: Mapping[str, object] = {}
    parameter: str | None = None  # where the expression is a parameter and nothing else


class Place(NamedTuple):
    """The function at which a spec is resolved; what it is called in errors, and the template's prefix."""

    split: str
    function: str
    shape: Shape
    prefix: str
    instance: Callable[[], str]  # gives the name of this process's host


def named_unit(unit: object, attributes: Mapping[str, object] | None, instance: Callable[[], str]) -> object:
    """Return the unit that a question names: `attribute(...)` and `INSTANCE` are looked up; what raises gives none."""
    try:
        if isinstance(unit, Attribute):
            return unit.read(attributes)
        return instance() if unit is INSTANCE else unit
    except Exception:  # noqa: BLE001 - law 5: no unit, and the baseline
        return None


def is_unit(value: object) -> bool:
    """Return whether a value of a tuple is taken, or the next one asked."""
    return encode_unit(value) is not None


def by_instance(spec: UnitSpec) -> bool:
    """Return whether a spec always gives the instance: nothing that stands behind it in a tuple is ever asked."""
    return next(_flat(spec), None) is INSTANCE


# Finds the unit of a handle that is asked without one, from the attributes of the question.
FindUnit: TypeAlias = "Callable[[Mapping[str, object] | None], Any]"  # Any: whatever a user's callable returns


def handle_unit(spec: UnitSpec, split: str, instance: Callable[[], str]) -> FindUnit:
    """Return what finds the unit of a handle that is asked without one: there are no parameters to pick from."""
    asked = [_own(one, split, instance) for one in _flat(spec)]
    if not asked:
        raise RegistrationError(f"split '{split}': unit=() is empty: leave unit out to use the context's unit")

    def find(attributes: Mapping[str, object] | None) -> object:
        try:
            return next((unit for one in asked if is_unit(unit := one(attributes))), None)
        except Exception:  # noqa: BLE001 - law 5: no unit, and the baseline
            return None

    return find


def unit_key(spec: UnitSpec) -> Hashable | None:
    """Return what tells a handle's unit from others, alike for what is written alike; None where it is not known."""
    keys = [_single_key(one) for one in _flat(spec)]
    return None if None in keys else (isinstance(spec, (tuple, list)), *keys)


def _single_key(spec: _Single) -> Hashable | None:
    if isinstance(spec, Attribute):
        return Attribute, spec.name
    if isinstance(spec, FunctionType):
        # A lambda in a function is another object at each call, and the same but for what it closes over.
        own = spec.__closure__ or spec.__defaults__ or spec.__kwdefaults__
        return None if own else (spec.__code__, id(spec.__globals__))
    return (type(spec), spec) if spec is None or isinstance(spec, (str, _Instance)) else None


def _own(spec: _Single, split: str, instance: Callable[[], str]) -> FindUnit:
    if isinstance(spec, Attribute):
        return spec.read
    if isinstance(spec, _Instance):
        return lambda _: instance()
    if callable(spec) and not (shape_of(spec).mode != FUNCTION or list(_required(shape_of(spec)))):
        return lambda _: spec()
    raise RegistrationError(
        f"split '{split}': invalid unit {spec!r}: a handle has no parameters. Use graysplit.INSTANCE, "
        "graysplit.attribute(...) or a callable without parameters, or name the unit with each question"
    )


def _required(shape: Shape) -> Iterator[str]:
    return (p.name for p in shape.of(POSITIONAL_ONLY, POSITIONAL, KEYWORD_ONLY) if not p.optional)


def read_unit(spec: UnitSpec, place: Place, attributes: AttributesSpec = None) -> tuple[UnitExpression, ...]:
    """Return the readings of a unit spec in the order in which they are tried.

    An attribute is looked for among the route's own ones first: they are laid over the context's.
    """
    specs = tuple(_flat(spec))
    if not specs:
        raise _refusal(place, "unit=() is empty: leave unit out to use the context's unit")
    return tuple(_read_over(one, place, f"unit{number}", attributes) for number, one in enumerate(specs))


def _read_over(spec: _Single, place: Place, label: str, attributes: AttributesSpec) -> UnitExpression:
    """Return the reading of one unit; an attribute that a route gives itself is found there."""
    if not isinstance(spec, Attribute) or attributes is None:
        return _read(spec, place, label)
    if not callable(attributes):
        own = attributes.get(spec.name, spec) if isinstance(cast("object", attributes), Mapping) else spec
        return _read(own, place, label)
    given, name = _called(attributes, place, f"{label}own"), f"{place.prefix}{label}"
    return UnitExpression(f"{name}({given.expression})", {**given.objects, name: spec.read})


def read_attributes(spec: AttributesSpec, place: Place) -> UnitExpression | None:
    """Return the expression of a mapping of attributes, or None where a route has none of its own."""
    if spec is None:
        return None
    if callable(spec):
        return _called(spec, place, "attributes")
    if not isinstance(cast("object", spec), Mapping):
        raise _refusal(
            place,
            f'invalid attributes {described(spec)}: map names to paths, attributes={{"plan": "user.plan"}}, or use '
            "a callable that gives a mapping",
        )
    parts: list[str] = []
    objects: dict[str, object] = {}
    for number, (name, one) in enumerate(spec.items()):
        reading = _read(one, place, f"attribute{number}")
        key = f"{place.prefix}key{number}"  # not as text: names may hold anything, also the template's marks
        parts.append(f"{key}: {reading.expression}")
        objects.update(reading.objects, **{key: name})
    return UnitExpression("{" + ", ".join(parts) + "}", objects)


def _flat(spec: UnitSpec) -> Iterator[_Single]:
    if not isinstance(spec, (tuple, list)):
        yield spec
        return
    for one in cast("tuple[UnitSpec, ...]", spec):  # pyright narrows to tuple[Unknown]
        yield from _flat(one)


def _read(spec: _Single, place: Place, label: str) -> UnitExpression:
    if spec is None:
        name = place.prefix + "MISSING"
        return UnitExpression(name, {name: MISSING})
    if isinstance(spec, str):
        return _path(spec, place)
    if isinstance(spec, _Instance):
        name = place.prefix + "instance"
        return UnitExpression(f"{name}()", {name: place.instance})
    if callable(spec):
        return _called(spec, place, label)
    raise _refusal(place, f"invalid unit {described(spec)}: use a parameter's name, a path or a callable")


def _path(path: str, place: Place) -> UnitExpression:
    first, *rest = path.split(".")
    if not all(part.isidentifier() and not iskeyword(part) for part in (first, *rest)):
        raise _refusal(place, f"invalid path {path!r}: write a parameter's name, or user.id")
    kinds = {parameter.name: parameter.kind for parameter in place.shape.parameters}
    if first not in kinds:
        raise _refusal(place, _unknown(path, first, place.shape))
    if kinds[first] in (VAR_POSITIONAL, VAR_KEYWORD):
        raise _refusal(place, f"{path!r} takes any number of values: pick one, as in unit=lambda {first}: {first}[...]")
    return UnitExpression(path, {}, first if not rest else None)


def _unknown(path: str, name: str, shape: Shape) -> str:
    near = nearest(name, shape.names)
    hint = f" Did you mean '{near}'?" if near else ""
    known = ", ".join(str(parameter) for parameter in shape.parameters) or "none"
    asked = f"{path!r} begins with" if path != name else "there is"
    wrapped = all(parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD) for parameter in shape.parameters)
    below = " If another decorator replaced the function, put the route under it, next to the def." if wrapped else ""
    return f"{asked} no parameter '{name}' (parameters: {known}).{hint}{below}"


def _called(function: Callable[..., object], place: Place, label: str) -> UnitExpression:
    shape = shape_of(function)
    if shape.mode != FUNCTION:
        why = "a decision never waits" if shape.mode == COROUTINE else "it must return one value"
        raise _refusal(place, f"{described(function)} is a {shape.mode}, but {why}: give a plain function")
    name = place.prefix + label
    return UnitExpression(f"{name}({', '.join(_picked(shape, function, place))})", {name: function})


def _picked(shape: Shape, function: Callable[..., object], place: Place) -> Iterator[str]:
    """Return the arguments of a picking callable: the routed function's parameters of the same names."""
    by_place = True
    for parameter in shape.of(POSITIONAL_ONLY, POSITIONAL, KEYWORD_ONLY):
        name = parameter.name
        by_place = by_place and parameter.kind != KEYWORD_ONLY
        if name in place.shape.names:
            yield name if by_place else f"{name}={name}"
        elif parameter.optional:
            by_place = False
        else:
            raise _refusal(place, f"{described(function)} asks for '{name}', but {_unknown(name, name, place.shape)}")


def _refusal(place: Place, reason: str) -> RegistrationError:
    return RegistrationError(f"split '{place.split}', function '{place.function}': {reason}")
