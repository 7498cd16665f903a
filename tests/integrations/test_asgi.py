"""The ASGI middleware: one decision for a request's life, the router's own life, and no harm to the application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import graysplit
from graysplit import ConfigurationError, Control, Router
from graysplit.integrations import wsgi
from graysplit.integrations.asgi import GraysplitMiddleware
from graysplit.log_writer import WRITER
from graysplit.scope import scope_get
from graysplit.stores.memory import MemoryStore
from graysplit.testing import forced
from tests.integrations.conftest import NEW, OLD
from tests.support import eventually

Endpoint = Callable[[Any], Awaitable[Response]]


def starlette(router: Router, endpoint: Endpoint, *outside: Middleware, **settings: Any) -> Starlette:
    """Return an application of one endpoint, with the middleware below those outside of it."""
    settings = {"unit": "header:x-user", **settings}
    return Starlette(
        routes=[Route("/", endpoint)],
        middleware=[*outside, Middleware(GraysplitMiddleware, router=router, **settings)],
    )


def chosen_by(router: Router) -> Endpoint:
    """Return an endpoint that answers with the version it gets."""

    async def endpoint(_: object) -> Response:
        return PlainTextResponse(router.choose("checkout"))

    return endpoint


def test_a_request_has_its_unit_and_the_router_its_life(router: Router) -> None:
    """Ready at startup, the header's unit in each request, goodbye at shutdown, and a second lifespan begins again."""
    for _ in range(2):
        with TestClient(starlette(router, chosen_by(router))) as client:
            assert router.status().phase == "live"
            assert client.get("/", headers={"x-user": NEW}).text == "new"
            assert client.get("/", headers={"x-user": OLD}).text == "old"
            assert client.get("/").text == "old"
        assert router.status().phase == "closed"


def test_a_server_without_a_lifespan_is_served_from_the_first_request(router: Router) -> None:
    """The first request of a process waits for the store."""
    client = TestClient(starlette(router, chosen_by(router)))
    assert client.get("/", headers={"x-user": NEW}).text == "new"


def test_a_choice_is_one_for_the_request_whatever_it_starts(store: MemoryStore, router: Router) -> None:
    """In tasks, threads and executors, below a task group, and while the weight rises in between."""
    control = Control(store, confirm=True)
    control.set("checkout", 0)

    async def endpoint(_: object) -> Response:
        def ask() -> str:
            return router.choose("checkout")

        found = [ask()]
        control.set("checkout", 100, unstop=True)
        await asyncio.to_thread(eventually, lambda: Context().run(router.choose, "checkout", OLD) == "new")
        found += [ask(), await asyncio.to_thread(ask), *await asyncio.gather(asyncio.to_thread(ask))]
        with ThreadPoolExecutor() as pool:
            found.append(await asyncio.get_running_loop().run_in_executor(pool, copy_context().run, ask))

        async def later() -> None:
            await asyncio.sleep(0)
            found.append(ask())

        async with asyncio.TaskGroup() as group:
            group.create_task(later())
        return PlainTextResponse(",".join(sorted({*found})))

    with TestClient(starlette(router, endpoint)) as client:
        assert client.get("/", headers={"x-user": OLD}).text == "old"
        assert scope_get() is None
        control.rollback("checkout")


def test_two_threads_of_a_request_agree_on_the_first_choice(router: Router) -> None:
    """Whoever keeps a choice first answers for both."""
    with graysplit.context(OLD):
        scope = scope_get()
        assert scope is not None
        assert scope.keep("key", OLD, OLD.encode(), 1) == 1
        assert scope.keep("key", OLD, OLD.encode(), 0) == 1


def test_a_streamed_answer_is_in_the_context(router: Router) -> None:
    """Each part is made in it."""

    async def endpoint(_: object) -> Response:
        async def parts() -> Any:
            for _ in range(3):
                yield router.choose("checkout")

        return StreamingResponse(parts())

    with TestClient(starlette(router, endpoint)) as client:
        assert client.get("/", headers={"x-user": NEW}).text == "newnewnew"


def test_a_websocket_has_one_unit_for_its_life(router: Router) -> None:
    """From the header of its handshake, or as a visitor by a cookie that it gets with the accept."""

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(2):
            await socket.send_text(router.choose("checkout"))
        await socket.close()

    app = GraysplitMiddleware(
        Starlette(routes=[WebSocketRoute("/", talk)]), router, unit="header:x-user", visitor_cookie="v"
    )
    with TestClient(app) as client:
        for unit, version in ((NEW, "new"), (OLD, "old")):
            with client.websocket_connect("/", headers={"x-user": unit}) as socket:
                assert [socket.receive_text(), socket.receive_text()] == [version, version]
        with client.websocket_connect("/") as socket:
            assert len({socket.receive_text(), socket.receive_text()}) == 1
            cookies = [value for name, value in socket.extra_headers or () if name == b"set-cookie"]
            assert cookies[0].startswith(b"v=")


def test_a_visitor_keeps_a_version_by_a_cookie(router: Router) -> None:
    """Random, hidden from scripts, over https only; given once, and never taken from a value that we did not make."""
    app = starlette(router, chosen_by(router), visitor_cookie="visitor", versions_header="x-versions")
    with TestClient(app, base_url="https://shop") as client:
        first = client.get("/")
        (name, _, rest) = first.headers["set-cookie"].partition("=")
        assert name == "visitor"
        assert sorted(rest.split("; ")[1:]) == ["HttpOnly", "Max-Age=31536000", "Path=/", "SameSite=Lax", "Secure"]
        assert first.headers["x-versions"] == f"checkout={first.text}"
        assert (first.headers["cache-control"], first.headers["vary"]) == ("private", "cookie, x-user")
        again = client.get("/")
        assert (again.text, "set-cookie" in again.headers) == (first.text, False)
        assert "set-cookie" not in client.get("/", headers={"x-user": NEW}).headers
        client.cookies.clear()
        forged = client.get("/", headers={"cookie": "visitor=admin"})
        assert forged.headers["set-cookie"].startswith("visitor=")
        assert "admin" not in forged.headers["set-cookie"]


def test_the_session_may_name_the_unit(router: Router) -> None:
    """Where its middleware is outside of ours."""

    async def endpoint(request: Any) -> Response:
        said = router.choose("checkout")
        request.session["user"] = NEW
        return PlainTextResponse(said)

    outside = Middleware(SessionMiddleware, secret_key="a test's")  # noqa: S106 - not one
    with TestClient(starlette(router, endpoint, outside, unit="session:user")) as client:
        assert [client.get("/").text, client.get("/").text] == ["old", "new"]


def test_an_answer_without_a_decision_is_untouched(router: Router) -> None:
    """Its message reaches the server as the application made it."""
    sent: list[Any] = []
    start = {"type": "http.response.start", "status": 200, "headers": []}

    async def app(scope: object, receive: object, send: Any) -> None:
        await send(start)

    async def main() -> None:
        async def send(message: object) -> None:
            await asyncio.sleep(0)
            sent.append(message)

        wrapped = GraysplitMiddleware(app, router, unit="header:x-user")
        await wrapped({"type": "http", "headers": []}, None, send)  # type: ignore[arg-type] # never received from

    asyncio.run(main())
    assert sent[0] is start


def test_forced_in_a_test_reaches_the_request(router: Router) -> None:
    """The test client hands its context on."""
    with TestClient(starlette(router, chosen_by(router))) as client, forced(checkout="new"):
        assert client.get("/", headers={"x-user": OLD}).text == "new"


def test_an_error_of_the_application_passes_through(router: Router) -> None:
    """As itself, and the context is closed."""

    async def endpoint(_: object) -> Response:
        raise LookupError("the application's own")

    with TestClient(starlette(router, endpoint)) as client:
        with pytest.raises(LookupError, match="own"):
            client.get("/", headers={"x-user": NEW})
        assert scope_get() is None


@pytest.mark.parametrize("url", ["ftp://nowhere", "redis://127.0.0.1:1/0"])
def test_a_router_that_cannot_start_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    """The application starts, serves the baseline, and ends; the log says why."""
    monkeypatch.setenv("GRAYSPLIT_URL", url)
    broken = Router()
    with caplog.at_level(logging.INFO):
        with TestClient(starlette(broken, chosen_by(broken), ready_within="50ms")) as client:
            assert client.get("/", headers={"x-user": NEW}).text == "old"
        assert WRITER.flush(5)
    assert "graysplit" in {record.name for record in caplog.records}
    broken.close()


def test_a_lifespan_that_fails_is_the_applications_own(router: Router) -> None:
    """What it raises at startup reaches the server; one that knows no lifespan is served all the same."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": router.choose("checkout").encode()})

    wrapped = GraysplitMiddleware(app, router, unit="header:x-user")
    with pytest.raises(NotImplementedError):
        asyncio.run(wrapped({"type": "lifespan"}, None, None))  # type: ignore[arg-type] # never used
    assert TestClient(wrapped).get("/", headers={"x-user": NEW}).text == "new"


def test_no_address_of_ten_thousand_is_found_anywhere(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """E-mail addresses as units, everything at DEBUG, the callable and the endpoint failing now and then."""
    caplog.set_level(logging.DEBUG)
    headers: list[str] = []
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        router.choose("checkout")
        router.choose("checkout", unit=f"{scope['user']}/other")
        if scope["number"] % 7 == 0:
            raise RuntimeError("the application's own words")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    def unit(scope: Any) -> object:
        if scope["number"] % 5 == 0:
            raise ValueError(scope["user"])
        return [scope["user"]] if scope["number"] % 3 == 0 else scope["user"]

    wrapped = GraysplitMiddleware(
        app, router, unit=unit, attributes=lambda scope: {"mail": scope["user"]}, versions_header="x-versions"
    )

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        headers.append(repr(message))

    async def main() -> None:
        for number in range(10_000):
            scope = {"type": "http", "headers": [], "user": f"person-{number}@example.org", "number": number}
            try:
                await wrapped(scope, None, send)  # type: ignore[arg-type] # never received from
            except RuntimeError as fault:
                raised.append(repr((fault, fault.__notes__ if hasattr(fault, "__notes__") else None)))

    asyncio.run(main())
    assert WRITER.flush(5)
    assert len(headers) + len(raised) == 10_000
    assert "@example.org" not in caplog.text
    assert not [text for text in (*headers, *raised, repr(router), repr(router.status())) if "@example.org" in text]


def test_a_length_that_nobody_can_read_is_refused_where_it_is_written(router: Router) -> None:
    """`ready_within` is a length of time as everywhere else."""
    app: Any = None
    for make in (GraysplitMiddleware, wsgi.GraysplitMiddleware):
        with pytest.raises(ConfigurationError, match="ready_within"):
            make(app, router, ready_within="soon")
