"""The path of a request as the routes read it, whatever the application or the proxy around has taken from it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES: Final = re.compile("/+")


class WholePath:
    """Puts together `root_path` and `path` as ASGI says: the second begins with the first.

    A proxy may have stripped the outer part of the prefix, or a framework all of it; and where the console is mounted
    without a slash at its end, what is left of the path is empty. A slash at the end of a page's path is of no account.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Take the app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            root, path = str(scope.get("root_path", "")).rstrip("/"), str(scope["path"])
            rest = rest_of(root, path).rstrip("/") or "/"
            if rest == (path.rstrip("/") or "/"):
                root = root_before(root, path, scope.get("raw_path") or b"")
            root = _SLASHES.sub("/", root).rstrip("/")  # a link that began with "//" would be one to another host
            scope = {**scope, "root_path": root, "path": root + rest}
        await self._app(scope, receive, send)


def rest_of(root: str, path: str) -> str:
    """Return what of a path is below the mount: behind the longest end of `root` that the path begins with."""
    ends = [root[at:] for at, letter in enumerate(root) if letter == "/"]
    for end in ends:
        if path == end or path.startswith(f"{end}/"):
            return path[len(end) :] or "/"
    return path or "/"


def root_before(root: str, path: str, raw_path: bytes) -> str:
    """Return what leads to a path that a framework has cut off without a word, as Litestar does.

    The path as it was sent has it still, with or without the part that a proxy has stripped.
    """
    whole = _SLASHES.sub("/", unquote(raw_path.decode("ascii", "replace"))).rstrip("/")
    tail = path.rstrip("/")
    before = whole.removesuffix(tail) if whole.endswith(tail) else ""
    return before if f"{before}/".startswith(f"{root}/") else f"{root}{before}"
