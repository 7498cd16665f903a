"""What every middleware does with a request: find its unit, open its scope, and mark its answer for caches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias, cast

from graysplit.errors import ConfigurationError
from graysplit.integrations.units import (
    AttributeSources,
    RequestReaders,
    UnitSource,
    read_attribute_sources,
    read_unit_source,
)
from graysplit.scope import MISSING, Scope, Taken, scope_get
from graysplit.scope_entry import Opening

ReadAttributes: TypeAlias = "Callable[[object], Mapping[str, object]]"

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VISITOR: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_YEAR_S: Final = 365 * 24 * 3600
VERSIONS_AT_MOST: Final = 50  # splits in the response header


class OpenRequest:
    """One request under way: its scope, what it has taken, and the id of a visitor that comes for the first time."""

    __slots__ = ("scope", "taken", "visitor")

    def __init__(self, unit: object, attributes: Mapping[str, object] | None, visitor: str | None = None) -> None:
        """Make its scope over the one in force here; nothing is set."""
        self.scope = scope = Scope(unit, attributes) if scope_get() is None else Opening(unit, attributes, {}).scope()
        if scope.taken is None:
            scope.note_in(Taken(unit))
        self.taken = cast("Taken", scope.taken)
        self.visitor = visitor

    @property
    def marked(self) -> bool:
        """Return whether the answer may need another header."""
        return bool(self.taken) or self.visitor is not None

    @property
    def is_plain(self) -> bool:
        """Return whether its answer is no visitor's first one and depends on its own unit alone."""
        return self.visitor is None and not self.taken.others


class ResponseMarks(NamedTuple):
    """Response headers to set, by their names in lower case, and headers to add beside what is there."""

    replaced: Mapping[str, str]
    added: tuple[tuple[str, str], ...]


NO_MARKS: Final = ResponseMarks({}, ())


class RequestPolicy:
    """How the requests of one application are taken; made once."""

    def __init__(
        self,
        readers: RequestReaders,
        unit: UnitSource,
        attributes: AttributeSources,
        visitor_cookie: str | None,
        versions_header: str | None,
    ) -> None:
        """Read the settings; raise `ConfigurationError` for what cannot work."""
        _check_token("visitor_cookie", visitor_cookie)
        _check_token("versions_header", versions_header)
        found, given = read_unit_source(unit, readers), read_attribute_sources(attributes, readers)
        self._find = found.find
        self._attributes = cast("ReadAttributes", given.find) if given is not None else None
        self._visitor_cookie, self._visitor = visitor_cookie, readers.cookie(visitor_cookie) if visitor_cookie else None
        self._versions_header = versions_header
        parts = [found] if given is None else [found, given]
        self.may_wait = any(part.may_wait for part in parts)
        self._is_private = any(part.vary is None for part in parts)
        self._vary = frozenset(("cookie",) if visitor_cookie else ()).union(*(part.vary or () for part in parts))
        # What is all that most answers with a version need, where they have no `Vary` of their own.
        needs_more = self._is_private or versions_header is not None or not self._vary
        self.vary_alone = None if needs_more else ", ".join(sorted(self._vary))

    def open(self, request: object) -> OpenRequest:
        """Make the scope of a request; never raises. Who sets it takes it out again."""
        return OpenRequest(*self._found(request))

    def identify(self, opened: OpenRequest, request: object) -> None:
        """Set an open request's unit and attributes, where they are known only by now; never raises."""
        unit, attributes, opened.visitor = self._found(request)
        opened.scope.meet(unit, attributes)

    def _found(self, request: object) -> tuple[object, Mapping[str, object] | None, str | None]:
        """Return the unit, the attributes, and the id of a visitor who is to get a cookie."""
        unit, new = self._find(request), None
        if unit is MISSING and self._visitor is not None:
            known = self._visitor(request)
            if isinstance(known, str) and _VISITOR.fullmatch(known):
                unit = known
            else:
                unit = new = os.urandom(16).hex()
        return unit, self._attributes(request) if self._attributes is not None else None, new

    def marks(self, request: OpenRequest, vary: Iterable[str], cache_control: Iterable[str]) -> ResponseMarks:
        """Return what an answer's headers must say, beside its own `Vary` and `Cache-Control`.

        An answer that depends on a version may be kept only for the same unit. One that sets a visitor's cookie may be
        kept for nobody else; one that its application shares among all users sets none.
        """
        taken, visitor = request.taken, request.visitor
        control = ", ".join(cache_control)
        if visitor is not None and not taken and _is_shared(control):
            return NO_MARKS
        replaced = dict[str, str]()
        added = list[tuple[str, str]]()
        if taken and self._vary and (varied := _varied(vary, self._vary)) is not None:
            replaced["vary"] = varied
        if visitor is not None or (taken and (self._is_private or taken.others)):
            private = _private(control)
            if private is not None:
                replaced["cache-control"] = private
        if visitor is not None:
            said = f"{self._visitor_cookie}={visitor}; Max-Age={_YEAR_S}; Path=/; HttpOnly; Secure; SameSite=Lax"
            added.append(("set-cookie", said))
        if taken and self._versions_header is not None:
            added.append((self._versions_header, versions_text(taken)))
        return ResponseMarks(replaced, tuple(added))


def versions_text(taken: dict[str, str]) -> str:
    """Return versions as a header's value: `checkout=new, search=old`. A name that a header cannot hold is left out."""
    named = (f"{split}={version}" for split, version in taken.copy().items() if _fits(split) and _fits(version))
    return ", ".join([text for text, _ in zip(named, range(VERSIONS_AT_MOST), strict=False)])


def _fits(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _varied(said: Iterable[str], wanted: frozenset[str]) -> str | None:
    """Return `Vary` with all that is wanted; None where it says so already."""
    there = [name.strip() for value in said for name in value.split(",") if name.strip()]
    missing = wanted - {name.lower() for name in there}
    if "*" in there or not missing:
        return None
    return ", ".join([*there, *sorted(missing)])


def _directives(control: str) -> list[str]:
    return [part.strip() for part in control.split(",") if part.strip()]


def _is_shared(control: str) -> bool:
    """Return whether an answer is meant for caches that serve many users."""
    names = {part.partition("=")[0].lower() for part in _directives(control)}
    return bool(names & {"public", "s-maxage"}) and not names & {"private", "no-store"}


def _private(control: str) -> str | None:
    """Return `Cache-Control` for a cache of one user at most; None where it says so already."""
    parts = _directives(control)
    if {"private", "no-store"} & {part.lower() for part in parts}:
        return None
    kept = [part for part in parts if part.partition("=")[0].lower() not in {"public", "s-maxage"}]
    return ", ".join([*kept, "private"])


def _check_token(parameter: str, name: object) -> None:
    if name is None or (isinstance(name, str) and _TOKEN.fullmatch(name)):
        return
    shown = repr(name) if isinstance(name, str) else f"of type {type(name).__name__}"
    raise ConfigurationError(f"invalid {parameter} {shown}: write a name of letters, digits and -, or leave it out")
