"""aiohttp's server: one decision for a request's life, the router's own life, sub-applications, streams, sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, TypeAlias

import aiohttp_session
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import graysplit
from graysplit import ConfigurationError, Control, Router
from graysplit.integrations.aiohttp import ROUTER, setup
from graysplit.log_writer import WRITER
from graysplit.scope import scope_get
from graysplit.stores.memory import MemoryStore
from graysplit.testing import forced
from tests.integrations.conftest import NEW, OLD
from tests.support import eventually

Client: TypeAlias = "TestClient[web.Request, web.Application]"  # no generic before aiohttp 3.11
Visit: TypeAlias = "Callable[[Client], Awaitable[object]]"


def application(handler: Any, router: Router, **settings: Any) -> web.Application:
    """Return an application of one handler."""
    app = web.Application()
    app.router.add_get("/", handler)
    setup(app, router, **{"unit": "header:x-user", **settings})
    return app


def chosen_by(router: Router) -> Any:
    """Return a handler that answers with the version it gets."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=router.choose("checkout"))

    return handler


def visit(app: web.Application, visitor: Visit) -> None:
    """Serve an application on a socket while somebody visits it."""

    async def main() -> None:
        async with TestClient(TestServer(app)) as client:
            await visitor(client)

    asyncio.run(main())


async def text(client: Client, unit: str = "", path: str = "/") -> str:
    """Return what an application answers a unit."""
    return await (await client.get(path, headers={"X-User": unit} if unit else {})).text()


def test_a_request_has_its_unit_and_the_router_its_life(router: Router) -> None:
    """Ready at startup, the header's unit in each request, goodbye at the end; a second application begins again."""

    async def visitor(client: Client) -> None:
        assert router.status().phase == "live"
        assert [await text(client, unit) for unit in (NEW, OLD, "")] == ["new", "old", "old"]

    for _ in range(2):
        visit(application(chosen_by(router), router), visitor)
        assert router.status().phase == "closed"


def test_it_is_ready_before_the_application_starts_and_there_until_it_has_ended(router: Router) -> None:
    """Also for what was registered before it; handlers have the router from the application."""
    seen: list[str] = []

    async def life(app: web.Application) -> AsyncIterator[None]:
        seen.append(app[ROUTER].choose("checkout", NEW))
        yield
        seen.append(app[ROUTER].choose("checkout", NEW))

    async def visitor(_: Client) -> None:
        await asyncio.sleep(0)

    app = web.Application()
    app.cleanup_ctx.append(life)
    setup(app, router)
    visit(app, visitor)
    assert seen == ["new", "new"]


def test_a_choice_is_one_for_the_request_whatever_it_starts(store: MemoryStore, router: Router) -> None:
    """In tasks, threads and executors, while the weight rises in between."""
    control = Control(store, confirm=True)
    control.set("checkout", 0)

    async def handler(_: web.Request) -> web.Response:
        def ask() -> str:
            return router.choose("checkout")

        found = [ask()]
        control.set("checkout", 100, unstop=True)
        await asyncio.to_thread(eventually, lambda: Context().run(router.choose, "checkout", OLD) == "new")
        found += [ask(), await asyncio.to_thread(ask)]
        with ThreadPoolExecutor() as pool:
            found.append(await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, ask))

        async def later() -> str:
            await asyncio.sleep(0)
            return ask()

        found.append(await asyncio.create_task(later()))
        return web.Response(text=",".join(sorted({*found})))

    async def visitor(client: Client) -> None:
        assert await text(client, OLD) == "old"
        assert await text(client, OLD) == "new"  # the next request over the same connection decides anew
        assert scope_get() is None

    visit(application(handler, router), visitor)


def test_each_part_of_a_streamed_answer_is_in_the_context(router: Router) -> None:
    """Of one that the handler writes, and of a generator that aiohttp writes once all middlewares have ended."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield router.choose("checkout").encode()

    async def written(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        with graysplit.context(unit=OLD):
            await answer.prepare(request)
            await answer.write(router.choose("checkout").encode())
        async for part in parts():
            await answer.write(part)
        return answer

    async def handed(_: web.Request) -> web.Response:
        return web.Response(body=parts())

    app = application(written, router)
    app.router.add_get("/handed", handed)

    async def visitor(client: Client) -> None:
        for unit, version in ((NEW, "new"), (OLD, "old")):
            assert await text(client, unit) == "old" + 3 * version
            assert await text(client, unit, "/handed") == 3 * version

    visit(app, visitor)


def test_a_websocket_has_one_unit_for_its_life(router: Router) -> None:
    """From the header of its handshake, or as a visitor by a cookie that it gets with the handshake's answer."""

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for _ in range(2):
            await socket.send_str(router.choose("checkout"))
        await socket.close()
        return socket

    async def visitor(client: Client) -> None:
        for unit, version in ((NEW, "new"), (OLD, "old")):
            async with client.ws_connect("/", headers={"X-User": unit}) as socket:
                assert [await socket.receive_str(), await socket.receive_str()] == [version, version]
        async with client.ws_connect("/") as socket:
            assert socket._response.headers["Set-Cookie"].startswith("v=")

    visit(application(talk, router, visitor_cookie="v"), visitor)


def test_a_visitor_keeps_a_version_by_a_cookie(router: Router) -> None:
    """As under ASGI; an error's answer has the marks too, one that took no version has none."""

    async def missing(_: web.Request) -> web.Response:
        raise web.HTTPNotFound(text=router.choose("checkout"))

    async def plain(_: web.Request) -> web.Response:
        return web.Response()

    app = application(chosen_by(router), router, visitor_cookie="visitor", versions_header="X-Versions")
    app.router.add_get("/missing", missing)
    app.router.add_get("/plain", plain)

    async def visitor(client: Client) -> None:
        first = await client.get("/")
        said = await first.text()
        rest = first.headers["Set-Cookie"].partition("; ")[2]
        assert rest == "Max-Age=31536000; Path=/; HttpOnly; Secure; SameSite=Lax"
        assert first.headers["X-Versions"] == f"checkout={said}"
        assert (first.headers["Cache-Control"], first.headers["Vary"]) == ("private", "cookie, x-user")
        known = {"Cookie": first.headers["Set-Cookie"].partition(";")[0]}
        again = await client.get("/", headers=known)
        assert (await again.text(), "Set-Cookie" in again.headers) == (said, False)
        gone = await client.get("/missing", headers=known)
        assert (gone.status, await gone.text(), gone.headers["Vary"]) == (404, said, "cookie, x-user")
        assert not {"Vary", "X-Versions"} & {*(await client.get("/plain", headers=known)).headers}

    visit(app, visitor)


def test_vary_alone_is_added_beside_what_is_there(router: Router) -> None:
    """One header where a header names the unit, and the application's own values kept."""

    async def varied(_: web.Request) -> web.Response:
        return web.Response(text=router.choose("checkout"), headers={"Vary": "Accept"})

    app = application(chosen_by(router), router)
    app.router.add_get("/varied", varied)

    async def visitor(client: Client) -> None:
        assert (await client.get("/", headers={"X-User": NEW})).headers.getall("Vary") == ["x-user"]
        assert (await client.get("/varied", headers={"X-User": NEW})).headers.getall("Vary") == ["Accept, x-user"]

    visit(app, visitor)


@pytest.mark.filterwarnings("ignore:It is recommended to use web.RequestKey")  # aiohttp-session does not yet
def test_the_session_may_name_the_unit(router: Router) -> None:
    """That of aiohttp-session, where its setup comes first; its handlers need not have asked for it."""

    async def enter(request: web.Request) -> web.Response:
        (await aiohttp_session.get_session(request))["user"] = NEW
        return web.Response()

    app = web.Application()
    app.router.add_get("/", chosen_by(router))
    app.router.add_get("/enter", enter)
    aiohttp_session.setup(app, aiohttp_session.SimpleCookieStorage())
    setup(app, router, unit="session:user")

    async def visitor(client: Client) -> None:
        assert await text(client) == "old"
        await text(client, path="/enter")
        assert await text(client) == "new"

    visit(app, visitor)


def test_a_header_is_one_unit_in_every_framework(router: Router) -> None:
    """Bytes that are no UTF-8 are latin-1, and a callable gets aiohttp's request."""
    seen: list[object] = []

    async def handler(_: web.Request) -> web.Response:
        scope = scope_get()
        assert scope is not None
        seen.append(scope.unit)
        return web.Response()

    async def visitor(client: Client) -> None:
        for raw in (b"J\xf6rg", "Jörg".encode()):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nX-User: %b\r\n\r\n" % raw)
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        await text(client)

    visit(application(handler, router, unit=("header:x-user", lambda request: request.path)), visitor)
    assert seen == ["Jörg", "Jörg", "/"]


def test_a_sub_application_is_in_the_context_and_may_have_one_of_its_own(router: Router) -> None:
    """The outer one's unit in those without a setup; their own in those with one, and nothing of it outside."""
    after: list[str] = []

    @web.middleware
    async def outside(request: web.Request, handler: Any) -> Any:
        answer = await handler(request)
        after.append(router.choose("checkout"))
        return answer

    app = application(chosen_by(router), router)
    app.middlewares.append(outside)
    plain = web.Application()
    plain.router.add_get("/", chosen_by(router))
    app.add_subapp("/plain", plain)
    app.add_subapp("/own", application(chosen_by(router), router, unit="header:x-other"))

    async def visitor(client: Client) -> None:
        assert await text(client, NEW, "/plain/") == "new"
        own = await client.get("/own/", headers={"X-User": OLD, "X-Other": NEW})
        assert (await own.text(), sorted(own.headers["Vary"].split(", "))) == ("new", ["x-other", "x-user"])

    visit(app, visitor)
    assert after == ["new", "old"]


def test_forced_in_a_test_reaches_the_request(router: Router) -> None:
    """The test's server inherits its context."""

    async def visitor(client: Client) -> None:
        assert await text(client, OLD) == "new"

    with forced(checkout="new"):
        visit(application(chosen_by(router), router), visitor)


def test_an_error_of_the_application_stays_its_own(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """The server answers 500 as ever."""

    async def handler(_: web.Request) -> web.Response:
        raise LookupError(router.choose("checkout"))

    async def visitor(client: Client) -> None:
        answer = await client.get("/", headers={"X-User": NEW})
        assert answer.status == 500

    visit(application(handler, router), visitor)
    assert "LookupError: new" in caplog.text


def test_what_cannot_be_read_or_started_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A callable that raises, and a router without an address that works: the baseline, and the log says why."""
    monkeypatch.setenv("GRAYSPLIT_URL", "ftp://nowhere")
    broken = Router()

    def unit(_: object) -> object:
        raise ValueError(NEW)

    async def visitor(client: Client) -> None:
        assert await text(client, NEW) == "old"

    with caplog.at_level(logging.INFO):
        visit(application(chosen_by(broken), broken, unit=unit), visitor)
        assert WRITER.flush(5)
    assert "this router could not start" in caplog.text
    assert "reading a request's unit failed with ValueError" in caplog.text
    assert NEW not in caplog.text
    broken.close()


def test_a_wrong_setup_fails_on_its_line(router: Router) -> None:
    """An unknown source, a length that nobody can read, and a second setup of one application."""
    app = web.Application()
    for settings in ({"unit": "x-user"}, {"ready_within": "soon"}, {"visitor_cookie": "a b"}):
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            setup(app, router, **settings)  # type: ignore[arg-type] # wrong on purpose
    setup(app, router)
    with pytest.raises(ConfigurationError, match="call setup once"):
        setup(app, router)
