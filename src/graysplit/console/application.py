"""The console as an ASGI application: which routes exist, and what each asks of a person."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from graysplit.console import changes, pages
from graysplit.console.console import Console, Page, Visit, root_of
from graysplit.console.mount import WholePath
from graysplit.console.origin import OriginCheck, checked_hosts
from graysplit.console.people import Auth, Role, person_of
from graysplit.console.preview import RAISES, change_of, page_of
from graysplit.console.receipts import receipts
from graysplit.console.refusals import foreign, not_logged_in, not_served, refusal, role_missing
from graysplit.console.render import STATIC
from graysplit.control.control import Control
from graysplit.environment import kind_of
from graysplit.errors import ConfigurationError, GraysplitError


class Path(NamedTuple):
    """One route: the role it asks for, and whether a read-only console is without it."""

    path: str
    method: str
    page: Page
    role: Role = "look"
    changes: bool = False


PATHS: Final = (
    Path("/", "GET", pages.index),
    Path("/events", "GET", pages.index_events),
    Path("/splits/{split}", "GET", pages.split),
    Path("/splits/{split}/events", "GET", pages.split_events),
    Path("/splits/{split}/history", "GET", pages.history),
    Path("/splits/{split}/evidence", "GET", pages.evidence),
    Path("/splits/{split}/lines", "GET", pages.lines),
    Path("/splits/{split}/explain", "POST", pages.explain),
    Path("/rollback", "POST", changes.rollback_all, "lower", changes=True),
    Path("/freeze", "POST", changes.freeze_all, "lower", changes=True),
    Path("/receipts", "POST", receipts, "lower", changes=True),
    Path("/splits/{split}/rollback", "POST", changes.rollback, "lower", changes=True),
    Path("/splits/{split}/pause", "POST", changes.pause, "lower", changes=True),
    Path("/splits/{split}/freeze", "POST", changes.freeze, "lower", changes=True),
    Path("/splits/{split}/resume", "POST", changes.resume, "operate", changes=True),
    *(Path(f"/splits/{{split}}/{name}", "GET", page_of(name), "operate", changes=True) for name in RAISES),
    *(Path(f"/splits/{{split}}/{name}", "POST", change_of(name), "operate", changes=True) for name in RAISES),
)


def app(
    source: Control | str | None = None,
    *,
    auth: Auth | None = None,
    read_only: bool = True,
    namespace: str | None = None,
    hosts: Collection[str] | None = None,
) -> Starlette:
    """Return the console of one namespace, to be mounted under any path or served by itself.

    `source` is a `Control`, a store's URL, or None for what the environment names. `auth` is the host's login: a
    function (or coroutine) from the request to `Person(name, role)`, or None for somebody who is not logged in. The
    name is the actor in the history. A read-only console has no route that changes anything; with `read_only=False`
    there must be an `auth`. `hosts` names the hosts it is reached under beside addresses and `localhost`:
    `["ops.example.com"]`, or `["*"]` where a proxy or the application around it checks them.
    """
    if not read_only and auth is None:
        raise ConfigurationError(
            "a console that is not read-only needs a login: pass auth=, a function from the request to "
            "Person(name, role) or None"
        )
    control = _control(source, namespace)
    console = Console(control, auth, read_only=read_only)
    offered = [path for path in PATHS if not (read_only and path.changes)]
    routes: list[BaseRoute] = [Route(path.path, _endpoint(console, path), methods=[path.method]) for path in offered]
    routes.append(Mount("/static", Assets(directory=STATIC), name="static"))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        console.follower.close()

    made = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(WholePath),
            Middleware(OriginCheck, refuse=partial(foreign, console), hosts=checked_hosts(hosts)),
        ],
        exception_handlers={HTTPException: partial(_not_served, console)},
    )
    made.router.redirect_slashes = False  # such a redirect names a scheme and a host, which a proxy may have changed
    return made


class Assets(StaticFiles):
    """The files of a page, kept by browsers: their address changes with their content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - Starlette's own
        """Return a file, to be kept."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def _endpoint(console: Console, path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        person = await person_of(console.auth, request)
        visit = Visit(request, person, root_of(request))
        if person is None:
            return not_logged_in(console, visit)
        if not person.may(path.role):
            return role_missing(console, visit, path.role)
        try:
            return await path.page(console, visit)
        except GraysplitError as fault:
            return refusal(console, visit, fault)

    return endpoint


async def _not_served(console: Console, request: Request, fault: Exception) -> Response:
    return not_served(console, request, fault)


def _control(source: object, namespace: str | None) -> Control:
    if isinstance(source, Control):
        if namespace not in {None, source.namespace}:
            raise ConfigurationError(f"this Control has the namespace {source.namespace}, not {namespace}")
        return source
    if source is None or isinstance(source, str):
        return Control(source, namespace=namespace)
    raise ConfigurationError(f"the console needs a Control, a store's URL or nothing, not {kind_of(source)}")
