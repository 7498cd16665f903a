"""Where a request's unit and attributes are found, in one way for all frameworks.

| written | found in |
|---|---|
| `"header:x-user"` | the request's header |
| `"cookie:sid"` | the request's cookie |
| `"session:user_id"` | the framework's session, at this key |
| a callable | what it returns for the ASGI scope, the WSGI environ, Django's, Flask's or aiohttp's request |
| a tuple of these | the first that gives a unit |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

from graysplit.core.bucketing import encode_unit
from graysplit.errors import ConfigurationError
from graysplit.log_writer import WRITER
from graysplit.scope import MISSING

# Any: a request of whatever framework
ReadRequest: TypeAlias = "Callable[[Any], object]"
UnitSource: TypeAlias = "str | ReadRequest | tuple[UnitSource, ...] | list[UnitSource] | None"
AttributeSources: TypeAlias = "Mapping[str, UnitSource] | Callable[[Any], Mapping[str, object]] | None"

_WRITTEN: Final = re.compile(r"(header|cookie|session|metadata):(\S+)")
_HOW: Final = 'write "header:NAME", "cookie:NAME" or "session:KEY", a callable, or a tuple of these'
_HOW_BY_METADATA: Final = 'write "metadata:NAME", a callable, or a tuple of these'


class RequestReaders(NamedTuple):
    """How a framework's request is read: each makes, of a name, what reads it."""

    header: Callable[[str], ReadRequest]
    cookie: Callable[[str], ReadRequest]
    session: Callable[[str], ReadRequest]


class MetadataReaders(NamedTuple):
    """The same of a call by gRPC, which has metadata alone."""

    metadata: Callable[[str], ReadRequest]


Readers: TypeAlias = "RequestReaders | MetadataReaders"


class FoundBy(NamedTuple):
    """What finds a value in a request, the headers that it depends on (None: not known), whether it may do I/O."""

    find: ReadRequest
    vary: frozenset[str] | None
    may_wait: bool = False


def _together(find: ReadRequest, found: Iterable[FoundBy]) -> FoundBy:
    """Return what finds by all of these."""
    parts = tuple(found)
    varies = [one.vary for one in parts if one.vary is not None]
    vary = frozenset[str]().union(*varies) if len(varies) == len(parts) else None
    return FoundBy(find, vary, any(one.may_wait for one in parts))


def _find_nobody(_: object) -> object:
    return MISSING


NOBODY: Final = FoundBy(_find_nobody, frozenset())


def read_unit_source(source: UnitSource, readers: Readers) -> FoundBy:
    """Return what finds a unit; `MISSING` where the request has none. Raise `ConfigurationError` for a bad source."""
    found = [_read_one(one, readers, "unit") for one in _flat(source)]
    if not found:
        return NOBODY
    return _together(_first_unit([one.find for one in found]), found)


def read_attribute_sources(sources: AttributeSources, readers: Readers) -> FoundBy | None:
    """Return what finds the attributes, as a mapping; None where there are none to find."""
    if not sources:
        return None
    if callable(sources):
        return FoundBy(_careful(sources, "attributes", {}), None, may_wait=True)
    if not isinstance(cast("object", sources), Mapping):
        raise ConfigurationError(f"invalid attributes: map names to sources ({_how(readers)}), or give a callable")
    found = {name: _read_one(source, readers, f"attributes[{name!r}]") for name, source in sources.items()}

    def find(request: object) -> Mapping[str, object]:
        return {name: one.find(request) for name, one in found.items()}

    return _together(find, found.values())


def cookie_value(header: str, name: str) -> str | None:
    """Return a cookie from a `Cookie` header, the first of that name; None where there is none."""
    if name not in header:
        return None
    for part in header.split(";"):
        key, equals, value = part.partition("=")
        if equals and key.strip() == name:
            return value.strip().strip('"')
    return None


def text_of(raw: bytes) -> str:
    """Return a header's bytes as text: UTF-8 where they are, so that one user is one unit in every framework."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _how(readers: Readers) -> str:
    return _HOW if isinstance(readers, RequestReaders) else _HOW_BY_METADATA


def _flat(source: UnitSource) -> Iterator[str | ReadRequest]:
    if source is None:
        return
    if not isinstance(source, (tuple, list)):
        yield source
        return
    for one in cast("tuple[UnitSource, ...]", source):  # pyright narrows to tuple[Unknown]
        yield from _flat(one)


def _read_one(source: object, readers: Readers, asked: str) -> FoundBy:
    if callable(source):
        return FoundBy(_careful(source, asked, None), None, may_wait=True)
    written = _WRITTEN.fullmatch(source) if isinstance(source, str) else None
    if written is None or written[1] not in readers._fields:
        shown = repr(source) if isinstance(source, str) else f"of type {type(source).__name__}"
        raise ConfigurationError(f"invalid {asked} {shown}: {_how(readers)}")
    kind, name = written.groups()
    vary = name.lower() if kind == "header" else "cookie"
    make: Callable[[str], ReadRequest] = getattr(readers, kind)
    if kind != "session":  # what reads the others never raises
        return FoundBy(make(name), frozenset((vary,)))
    hint = ". Put the session's middleware outside of graysplit's"
    return FoundBy(_careful(make(name), asked, None, hint), frozenset((vary,)), may_wait=True)


def _first_unit(finds: list[ReadRequest]) -> ReadRequest:
    if len(finds) == 1:
        (only,) = finds

        def find_only(request: object) -> object:
            unit = only(request)
            return unit if (unit.__class__ is str and unit) or encode_unit(unit) is not None else MISSING

        return find_only

    def find(request: object) -> object:
        for one in finds:
            unit = one(request)
            if encode_unit(unit) is not None:
                return unit
        return MISSING

    return find


def _careful(function: ReadRequest, asked: str, instead: object, hint: str = "") -> ReadRequest:
    """Return a function that never raises: no request fails because its unit cannot be read."""
    told: set[str] = set()

    def call(request: object) -> object:
        try:
            return function(request)
        except Exception as fault:  # noqa: BLE001 - law 5: no unit, and the baseline
            kind = type(fault).__name__
            if kind not in told:  # never the fault's text: it may name the user
                told.add(kind)
                said = f"reading a request's {asked} failed with {kind}: such requests have none{hint}"
                WRITER.put("warning", said, {"graysplit_event": "request_unread"})
            return instead

    return call
