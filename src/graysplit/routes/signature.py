"""What a function takes, and whether a candidate takes every call that the baseline takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple, cast

from graysplit.core.weights import check_name
from graysplit.errors import RegistrationError, SignatureMismatchError

Function = Callable[..., Any]  # Any: a version of whatever signature

# The kinds of parameters, numbered as inspect numbers them.
POSITIONAL_ONLY: Final = 0
POSITIONAL: Final = 1
VAR_POSITIONAL: Final = 2
KEYWORD_ONLY: Final = 3
VAR_KEYWORD: Final = 4

# Flags of a code object, as inspect names them (inspect costs 12 ms to load).
_VARARGS: Final = 0x04
_VARKEYWORDS: Final = 0x08
_GENERATOR: Final = 0x20
_COROUTINE: Final = 0x80
_ITERABLE_COROUTINE: Final = 0x100
_ASYNC_GENERATOR: Final = 0x200

FUNCTION: Final = "function"
COROUTINE: Final = "coroutine function"
GENERATOR: Final = "generator"
ASYNC_GENERATOR: Final = "async generator"
LEGACY_COROUTINE: Final = "generator-based coroutine"


_DESCRIPTORS: Final[tuple[type, ...]] = (classmethod, staticmethod, property)
_NO_FUNCTIONS: Final[tuple[type, ...]] = (*_DESCRIPTORS, type)


class Parameter(NamedTuple):
    """One parameter; `optional` where it has a default or takes any number."""

    name: str
    kind: int
    optional: bool

    def __str__(self) -> str:
        """Return it as people write it."""
        return {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(self.kind, "") + self.name


class Shape(NamedTuple):
    """What can be said of a function without running it."""

    parameters: tuple[Parameter, ...]
    mode: str

    def of(self, *kinds: int) -> tuple[Parameter, ...]:
        """Return the parameters of these kinds, in order."""
        return tuple(parameter for parameter in self.parameters if parameter.kind in kinds)

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters' names."""
        return tuple(parameter.name for parameter in self.parameters)


def shape_of(function: Function) -> Shape:
    """Return a function's shape; plain functions are read from their code, other callables through inspect."""
    if isinstance(function, FunctionType):
        mode = _mode(function.__code__)
        return Shape(tuple(_read(function)), COROUTINE if mode == FUNCTION and _is_marked(function) else mode)
    return _inspected(function)


def described(function: object) -> str:
    """Name a function or whatever else was given, as people know it."""
    name = getattr(function, "__qualname__", None)
    return f"'{name}'" if isinstance(name, str) else f"an object of type {type(function).__qualname__}"


def way_to_route(thing: object, split: str) -> str:
    """Return what to do instead of routing what is not a plain function."""
    kind: type = thing.__class__
    if issubclass(kind, _DESCRIPTORS):
        decorator = kind.__name__
        return (
            f"put @{decorator} above the route, which goes next to the def, "
            f'and register the candidate with @router.candidate("{split}", "new"), below its @{decorator} if it has one'
        )
    if isinstance(thing, type):
        return (
            f'choose between two classes with a handle, router.split("{split}").choose(), in a function that makes '
            "the object, or route a method"
        )
    if getattr(thing, "__self__", None) is not None:
        return "route the method in its class, next to its def, or a plain function that calls it"
    return (
        "route a plain function (def or async def) and call it from there; "
        "where a decorator made this object, put the route under it, next to the def"
    )


def check_called(given: object, decorator: str, example: str) -> None:
    """Raise where a decorator stands without its parentheses (it was handed the function itself), or names nothing."""
    if not isinstance(given, str):
        raise RegistrationError(
            f".{decorator} takes a name, and was given {described(given)}: write .{decorator}{example} with parentheses"
        )
    check_name(given)


def versions_of(split: str, given: Sequence[object]) -> tuple[str, ...]:
    """Return the versions of a handle, `old` and `new` unless named.

    Raise `RegistrationError` unless they are names, one argument each, and none comes twice.
    """
    right = 'write .split("banner", "old", "new"), and of a list .split("banner", *names)'
    names: list[str] = []
    for one in given:
        if not isinstance(one, str):
            raise RegistrationError(
                f"split '{split}': versions are names, one argument each, not {described(one)}: {right}"
            )
        names.append(check_name(str.__str__(one)))  # of a member of an enum, too
    if len(set(names)) != len(names):
        raise RegistrationError(f"split '{split}': a version is named twice in {', '.join(names)}: {right}")
    return tuple(names) or ("old", "new")


def members_of(split: str, given: Sequence[object]) -> dict[str, str] | None:
    """Return the members of the one enum that names the versions, by their values; None where names were given."""
    if len(given) != 1 or not isinstance(given[0], type):
        return None
    from enum import Enum

    kind = cast("type[object]", given[0])
    members = [member for member in kind if isinstance(member, str)] if issubclass(kind, Enum) else []
    if not members:
        raise RegistrationError(
            f"split '{split}': versions cannot be {described(kind)}: use an enum.StrEnum with a member for each "
            'version, class Banner(StrEnum): OLD = "old"; NEW = "new"'
        )
    return {check_name(str.__str__(member)): member for member in members}


def check_flag(split: str, name: str, given: object) -> None:
    """Raise `RegistrationError` for what is neither True nor False."""
    if not isinstance(given, bool):
        raise RegistrationError(f"split '{split}': {name}= takes True or False, not {described(given)}")


def check_candidate(split: str, version: str, baseline: Function, candidate: Function) -> None:
    """Raise `SignatureMismatchError`, naming each difference, unless a candidate takes every call of the baseline.

    Extra parameters are allowed where they have defaults. Defaults are compared by presence only: a routed call
    hands the baseline's over.
    """
    given: object = candidate
    if not callable(given) or isinstance(given, _NO_FUNCTIONS):
        kind = type(candidate).__name__
        way = (
            f"put @{kind} above the line that registers it, which goes next to the def"
            if isinstance(given, _DESCRIPTORS)
            else "register a plain function and call it from there"
        )
        raise RegistrationError(
            f"version '{version}' of split '{split}' cannot be {described(candidate)} ({kind}): {way}"
        )
    found = tuple(_differences(shape_of(baseline), shape_of(candidate)))
    if found:
        raise SignatureMismatchError(split, version, found)


def _read(function: FunctionType) -> Iterator[Parameter]:
    code = function.__code__
    names = code.co_varnames
    count, only = code.co_argcount, code.co_kwonlyargcount
    required = count - len(function.__defaults__ or ())
    for place, name in enumerate(names[:count]):
        kind = POSITIONAL_ONLY if place < code.co_posonlyargcount else POSITIONAL
        yield Parameter(name, kind, place >= required)
    after = count + only
    if code.co_flags & _VARARGS:
        yield Parameter(names[after], VAR_POSITIONAL, optional=True)
        after += 1
    for name in names[count : count + only]:
        yield Parameter(name, KEYWORD_ONLY, name in (function.__kwdefaults__ or ()))
    if code.co_flags & _VARKEYWORDS:
        yield Parameter(names[after], VAR_KEYWORD, optional=True)


def _mode(code: CodeType) -> str:
    flags = code.co_flags
    if flags & _ITERABLE_COROUTINE:
        return LEGACY_COROUTINE
    if flags & _ASYNC_GENERATOR:
        return ASYNC_GENERATOR
    if flags & _COROUTINE:
        return COROUTINE
    return GENERATOR if flags & _GENERATOR else FUNCTION


def _is_marked(function: FunctionType) -> bool:
    """Return whether a plain function says that it returns a coroutine: by `inspect.markcoroutinefunction`.

    Or, as before Python 3.12 (asgiref does), by asyncio's own mark. Who has set one has loaded its module.
    """
    known = getattr(sys.modules.get("inspect"), "iscoroutinefunction", None)
    if known is not None and known(function):
        return True
    mark = function.__dict__.get("_is_coroutine")
    return mark is not None and mark is getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)


def _inspected(function: Function) -> Shape:
    """Read a callable that is not a plain function: a partial, a bound method, an object, a C function."""
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise RegistrationError(
            f"the parameters of {described(function)} cannot be read: write a plain function that calls it"
        ) from None
    parameters = tuple(
        Parameter(p.name, int(p.kind), p.default is not p.empty or p.kind in (VAR_POSITIONAL, VAR_KEYWORD))
        for p in signature.parameters.values()
    )
    return Shape(parameters, _inspected_mode(function))


def _inspected_mode(function: Function) -> str:
    import inspect

    asked = function
    if not inspect.isroutine(function) and not hasattr(function, "func"):
        asked = type(function).__call__  # an object: what it does is written in its class
    if inspect.iscoroutinefunction(asked):
        return COROUTINE
    if inspect.isasyncgenfunction(asked):
        return ASYNC_GENERATOR
    return GENERATOR if inspect.isgeneratorfunction(asked) else FUNCTION


def _differences(baseline: Shape, candidate: Shape) -> Iterator[str]:
    if candidate.mode != baseline.mode:
        yield f"the baseline is a {baseline.mode}, this is a {candidate.mode}"
    yield from _positional_differences(baseline, candidate)
    yield from _keyword_differences(baseline, candidate)


def _positional_differences(baseline: Shape, candidate: Shape) -> Iterator[str]:
    ours = candidate.of(POSITIONAL_ONLY, POSITIONAL)
    theirs = baseline.of(POSITIONAL_ONLY, POSITIONAL)
    for place, wanted in enumerate(theirs):
        if place < len(ours):
            yield from _paired(wanted, ours[place], place)
        else:
            yield from _left_over(wanted, candidate)
    taken_by_name = {p.name for p in baseline.of(KEYWORD_ONLY)}
    swallows = bool(baseline.of(VAR_POSITIONAL))
    if swallows and not candidate.of(VAR_POSITIONAL):
        yield f"it lacks '{baseline.of(VAR_POSITIONAL)[0]}'"
    for extra in ours[len(theirs) :]:
        if swallows:
            yield f"its '{extra}' would take the first of '{baseline.of(VAR_POSITIONAL)[0]}'"
        elif not extra.optional and extra.name not in taken_by_name:
            yield f"its '{extra}' has no default, and the baseline does not have it"


def _paired(wanted: Parameter, parameter: Parameter, place: int) -> Iterator[str]:
    if wanted.kind == POSITIONAL and parameter.name != wanted.name:
        yield f"parameter {place + 1} is '{parameter}' where the baseline has '{wanted}'"
    elif wanted.kind == POSITIONAL and parameter.kind == POSITIONAL_ONLY:
        yield f"'{parameter}' is positional-only here and can be named at the baseline"
    if wanted.optional and not parameter.optional:
        yield f"'{parameter}' has a default at the baseline and none here"


def _left_over(wanted: Parameter, candidate: Shape) -> Iterator[str]:
    """Return what becomes of a positional parameter beyond the candidate's own ones."""
    if candidate.of(VAR_POSITIONAL) and (wanted.kind == POSITIONAL_ONLY or candidate.of(VAR_KEYWORD)):
        return
    if any(p.name == wanted.name for p in candidate.of(KEYWORD_ONLY)):
        yield f"'{wanted}' is keyword-only here and not at the baseline"
    else:
        yield f"it lacks '{wanted}'"


def _keyword_differences(baseline: Shape, candidate: Shape) -> Iterator[str]:
    named = {p.name: p for p in candidate.of(POSITIONAL, KEYWORD_ONLY)}
    first_free = len(baseline.of(POSITIONAL_ONLY, POSITIONAL))
    filled = {p.name for p in candidate.of(POSITIONAL_ONLY, POSITIONAL)[:first_free]}
    for wanted in baseline.of(KEYWORD_ONLY):
        found = named.get(wanted.name)
        if found is None or found.name in filled:
            if not candidate.of(VAR_KEYWORD) or wanted.name in filled:
                yield f"it lacks '{wanted}' by name"
        elif wanted.optional and not found.optional:
            yield f"'{wanted}' has a default at the baseline and none here"
    if baseline.of(VAR_KEYWORD) and not candidate.of(VAR_KEYWORD):
        yield f"it lacks '{baseline.of(VAR_KEYWORD)[0]}'"
    known = {p.name for p in baseline.parameters}
    yield from _unasked(candidate.of(KEYWORD_ONLY), known)


def _unasked(parameters: Sequence[Parameter], known: set[str]) -> Iterator[str]:
    for extra in parameters:
        if not extra.optional and extra.name not in known:
            yield f"its '{extra}' has no default, and the baseline does not have it"
