"""`graysplit console`: a console on this machine alone, opened by a link that works once."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from graysplit.console.application import app
from graysplit.console.people import Person
from graysplit.control.control import Control
from graysplit.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
HOSTS: Final = (LOOPBACK, "localhost")  # the second for whoever comes by a forwarded port
_USED: Final = "This link was used already, or is another console's. Run graysplit console again.\n"


class Site(NamedTuple):
    """A console that is ready to be served, and the link that opens it."""

    app: Starlette
    link: str


class OneTimeLogin:
    """Lets in the first who comes by the link, and keeps them by a cookie of this console alone."""

    def __init__(self, name: str, port: int) -> None:
        """Take the name that the history gets; cookies are not told apart by their port, so their name is."""
        self._name = name
        self._key = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(24)
        self._cookie = f"graysplit-console-{port}"
        self._is_used = False

    @property
    def path(self) -> str:
        """Where the link leads."""
        return f"/login/{self._key}"

    def person(self, request: Request) -> Person | None:
        """Return who has come by the link."""
        return Person(self._name, "operate") if self._is_known(request) else None

    async def enter(self, request: Request) -> Response:
        """Take the key, once."""
        given = str(request.path_params["key"])
        if self._is_known(request):
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        if self._is_used or not secrets.compare_digest(given.encode(), self._key.encode()):
            return PlainTextResponse(_USED, HTTPStatus.FORBIDDEN)
        self._is_used = True
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response

    def _is_known(self, request: Request) -> bool:
        given = request.cookies.get(self._cookie, "")
        return secrets.compare_digest(given.encode(), self._session.encode())


def site(control: Control, port: int, *, read_only: bool) -> Site:
    """Return the console of a control, for a port of this machine."""
    login = OneTimeLogin(control.actor, port)
    console = app(control, auth=login.person, read_only=read_only, hosts=HOSTS)
    outer = Starlette(
        routes=[Route("/login/{key}", login.enter), Mount("/", console)], lifespan=console.router.lifespan_context
    )
    return Site(outer, f"http://{LOOPBACK}:{port}{login.path}")


def serve(control: Control, port: int, told: Callable[[str], None], *, read_only: bool) -> None:
    """Serve a console until interrupted; `told` hears of its link once it listens."""
    with listening(port) as listener:
        made = site(control, listener.getsockname()[1], read_only=read_only)
        config = uvicorn.Config(made.app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        told(made.link)
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def listening(port: int) -> Generator[socket.socket]:
    """Open a port of this machine alone; 0: any that is free."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as fault:
            raise ConfigurationError(
                f"cannot listen on port {port} ({fault.strerror}): choose another with --port"
            ) from fault
        listener.listen(128)
        yield listener
    finally:
        listener.close()
