"""The WSGI middleware: one decision until the answer is closed, and nothing left open between two requests."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from graysplit import Router
from graysplit.integrations.wsgi import GraysplitMiddleware
from graysplit.log_writer import WRITER
from graysplit.scope import scope_get
from graysplit.testing import forced
from tests.integrations.conftest import NEW, OLD

App = Callable[[Any, Any], Iterable[bytes]]


def chosen_by(router: Router) -> App:
    """Return an application that answers with the version it gets."""

    @Request.application
    def app(_: Request) -> Response:
        return Response(router.choose("checkout"))

    return app


def client_of(app: App, router: Router, **settings: Any) -> Client:
    """Return a client of an application below the middleware, both held to the letter of WSGI."""
    return Client(validator(GraysplitMiddleware(validator(app), router, **{"unit": "header:x-user", **settings})))  # type: ignore[arg-type] # typeshed's validator


def test_a_request_has_its_unit_from_the_first_on(router: Router) -> None:
    """The first request of a process waits for the store; the context ends with the answer."""
    client = client_of(chosen_by(router), router)
    assert client.get("/", buffered=True, headers={"X-User": NEW}).text == "new"
    assert client.get("/", buffered=True, headers={"X-User": OLD}).text == "old"
    assert client.get("/", buffered=True).text == "old"
    assert scope_get() is None


def test_a_streamed_answer_is_in_the_context_until_it_is_closed(router: Router) -> None:
    """Each part and the close; between two parts, and beside another request, nothing is open."""
    seen: list[str] = []

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            for _ in range(3):
                yield router.choose("checkout").encode()
        finally:
            seen.append(router.choose("checkout"))

    middleware = GraysplitMiddleware(app, router, unit="header:x-user")
    answers = [iter(middleware({"HTTP_X_USER": unit}, lambda *_: None)) for unit in (NEW, OLD, NEW, OLD)]
    for _ in range(2):
        assert [next(answer) for answer in answers] == [b"new", b"old", b"new", b"old"]
        assert scope_get() is None
    for answer in answers:
        answer.close()  # type: ignore[attr-defined] # as PEP 3333 asks
    assert seen == ["new", "old", "new", "old"]
    assert scope_get() is None


def test_a_body_that_is_never_closed_leaves_nothing_behind(router: Router) -> None:
    """A server that forgets it does not hand one user's choices to the next."""

    def app(_: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield router.choose("checkout").encode()
        yield b""

    middleware = GraysplitMiddleware(app, router, unit="header:x-user")
    kept = [middleware({"HTTP_X_USER": unit}, lambda *_: None) for unit in (NEW, OLD)]
    assert [next(iter(body)) for body in kept] == [b"new", b"old"]
    assert scope_get() is None


def test_a_file_stays_the_servers_own(router: Router) -> None:
    """What the server can send by itself reaches it as it is; so does a list."""
    file = FileWrapper(io.BytesIO(b"bytes"))
    for answer in (file, [b"bytes"]):
        middleware = GraysplitMiddleware(lambda *_, found=answer: found, router)  # type: ignore[misc] # of this turn
        assert middleware({"wsgi.file_wrapper": FileWrapper}, lambda *_: None) is answer


def test_a_visitor_keeps_a_version_by_a_cookie(router: Router) -> None:
    """As under ASGI, to the letter."""
    client = client_of(chosen_by(router), router, visitor_cookie="visitor", versions_header="X-Versions")
    first = client.get("/", buffered=True, base_url="https://shop")
    rest = first.headers["Set-Cookie"].partition("; ")[2]
    assert rest == "Max-Age=31536000; Path=/; HttpOnly; Secure; SameSite=Lax"
    assert first.headers["X-Versions"] == f"checkout={first.text}"
    assert (first.headers["Cache-Control"], first.headers["Vary"]) == ("private", "cookie, x-user")
    again = client.get("/", buffered=True, base_url="https://shop")
    assert (again.text, "Set-Cookie" in again.headers) == (first.text, False)


def test_forced_in_a_test_reaches_the_request(router: Router) -> None:
    """Above all else."""
    with forced(checkout="new"):
        assert client_of(chosen_by(router), router).get("/", buffered=True, headers={"X-User": OLD}).text == "new"


def test_an_error_of_the_application_passes_through(router: Router) -> None:
    """As itself, and the context is closed."""

    def app(*_: object) -> Iterable[bytes]:
        raise LookupError("the application's own")

    with pytest.raises(LookupError, match="own"):
        GraysplitMiddleware(app, router)({}, lambda *_: None)
    assert scope_get() is None


def test_a_router_that_cannot_start_takes_nothing_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The application serves the baseline, and the log says why."""
    monkeypatch.setenv("GRAYSPLIT_URL", "ftp://nowhere")
    broken = Router()
    with caplog.at_level(logging.INFO):
        assert client_of(chosen_by(broken), broken).get("/", buffered=True, headers={"X-User": NEW}).text == "old"
        assert WRITER.flush(5)
    assert "this router could not start" in caplog.text
    broken.close()
