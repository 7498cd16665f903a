"""The versions of a request on its log lines: a processor for structlog, and a filter for logging. Needs neither."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from graysplit.router.inside import Taking, listen
from graysplit.scope import scope_get

if TYPE_CHECKING:
    from graysplit.router.router import Router

__all__ = ["VersionFilter", "VersionProcessor", "versions_taken"]


def versions_taken() -> dict[str, str]:
    """Return the versions that this request has taken so far, by split; empty outside any `graysplit.context`."""
    scope = scope_get()
    return dict(list(scope.told)) if scope is not None and scope.told else {}


class VersionProcessor:
    """A processor for structlog: adds `graysplit.<split>=<version>` of this request. Never the unit."""

    def __init__(self, router: Router) -> None:
        """Have a router note what its contexts take."""
        listen(router, _note)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any], /) -> MutableMapping[str, Any]:
        """Add the versions; what the program has set by the same name stays."""
        for split, version in versions_taken().items():
            event.setdefault(f"graysplit.{split}", version)
        return event


class VersionFilter(logging.Filter):
    """A filter for logging: sets `graysplit.<split>` on each record, and all of them as the text `graysplit`.

    Put it on a handler, whose format may say `%(graysplit)s`. It lets every record pass.
    """

    def __init__(self, router: Router) -> None:
        """Have a router note what its contexts take."""
        super().__init__()
        listen(router, _note)

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the versions."""
        versions = {f"graysplit.{split}": version for split, version in versions_taken().items()}
        for name, version in versions.items():
            record.__dict__.setdefault(name, version)
        record.__dict__.setdefault("graysplit", " ".join(map("=".join, versions.items())))
        return True


def _note(_taking: Taking) -> None:
    """Take no notice: what is told to a listener is noted in its context."""
