"""One gRPC call under way: the context of its handler's steps, and the versions that its trailing metadata tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from graysplit.errors import ConfigurationError
from graysplit.integrations.request import versions_text
from graysplit.scope_entry import Resumed

if TYPE_CHECKING:
    from graysplit.scope import Scope, Taken

Metadata = tuple[tuple[str, str | bytes], ...]

VERSIONS_CHARS: Final = 4_000  # a client fails calls whose metadata exceed 8 kB; the other half is the handler's
_KEY: Final = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")


class TrailingVersions:
    """The versions that a call has taken, as trailing metadata."""

    __slots__ = ("_key", "_taken")

    def __init__(self, key: str, taken: Taken) -> None:
        """Take the key, and what fills as the call goes on."""
        self._key = key
        self._taken = taken

    def beside(self, own: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
        """Return the handler's own metadata and the versions taken, as many as fit."""
        text = versions_text(self._taken)
        if len(text) > VERSIONS_CHARS:
            text = text[:VERSIONS_CHARS].rpartition(", ")[0]
        return (*(own or ()), (self._key, text)) if text else tuple(own or ())


class OpenCall(Resumed):
    """A `with` block for each step of a call's handler, and what is told at its end."""

    __slots__ = ("_versions", "context")

    def __init__(self, scope: Scope, context: object, versions: TrailingVersions | None = None) -> None:
        """Take gRPC's context for the handler, and the versions if they are to be told."""
        super().__init__(scope)
        self.context: Any = context  # Any: gRPC's
        self._versions = versions

    def end(self) -> None:
        """Put the versions beside the handler's own trailing metadata; no call fails for them."""
        if self._versions is not None:
            with suppress(Exception):
                self.context.set_trailing_metadata(self._versions.beside(self.context.trailing_metadata()))


class AioCallContext:
    """The context of an asyncio server, whose `abort` sends the status at once: the versions go with it.

    It keeps what the handler sets, because the context that gRPC gives to plain functions does not tell.
    """

    def __init__(self, context: Any, versions: TrailingVersions) -> None:  # noqa: ANN401 - gRPC's
        """Stand in for gRPC's context."""
        self._context = context
        self._versions = versions
        self._own: Metadata = context.trailing_metadata() if hasattr(context, "trailing_metadata") else ()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - gRPC's
        """Return everything else as it is there."""
        return getattr(self._context, name)

    def trailing_metadata(self) -> Metadata:
        """Return what was set."""
        return self._own

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Set it, and keep it."""
        own = tuple(trailing_metadata)
        self._context.set_trailing_metadata(own)
        self._own = own

    def abort(
        self,
        code: object,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> Any:  # noqa: ANN401 - a coroutine, or nothing in a plain function
        """Abort with the metadata given, or else with what was set, and with the versions."""
        return self._context.abort(code, details, self._versions.beside(tuple(trailing_metadata) or self._own))

    def abort_with_status(self, status: Any) -> Any:  # noqa: ANN401 - gRPC's, and as above
        """Abort with what a status says."""
        return self.abort(status.code, status.details, status.trailing_metadata or ())


def metadata_key(name: object) -> str | None:
    """Return the key of the versions' metadata; raise `ConfigurationError` for one that gRPC refuses in each call."""
    if name is None:
        return None
    key = name.lower() if isinstance(name, str) else ""
    if not _KEY.fullmatch(key):
        shown = repr(name) if isinstance(name, str) else f"of type {type(name).__name__}"
        raise ConfigurationError(
            f"invalid versions_header {shown}: write a name of letters, digits and -, not grpc-... or ...-bin, "
            "or leave it out"
        )
    return key
