"""The path of a request as the routes read it, whatever the application or the proxy around has taken from it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class WholePath:
    """Puts together `root_path` and `path` as ASGI says: the second begins with the first.

    A proxy may have stripped the outer part of the prefix, or a framework all of it; and where the console is mounted
    without a slash at its end, what is left of the path is empty.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Take the app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            root = str(scope.get("root_path", "")).rstrip("/")
            scope = {**scope, "root_path": root, "path": root + rest_of(root, scope["path"])}
        await self._app(scope, receive, send)


def rest_of(root: str, path: str) -> str:
    """Return what of a path is below the mount: behind the longest end of `root` that the path begins with."""
    ends = [root[at:] for at, letter in enumerate(root) if letter == "/"]
    for end in ends:
        if path == end or path.startswith(f"{end}/"):
            return path[len(end) :] or "/"
    return path or "/"
