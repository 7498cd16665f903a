"""Where a unit is found is written in one way, read alike from ASGI and WSGI, and never takes a request down."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from graysplit import ConfigurationError
from graysplit.integrations import asgi, wsgi
from graysplit.integrations.units import read_attribute_sources, read_unit_source
from graysplit.log_writer import WRITER
from graysplit.scope import MISSING

CANARY = "canary-7f3a@example.org"


def asgi_scope(headers: list[tuple[str, bytes]], **more: object) -> dict[str, object]:
    """Return a request as ASGI has it."""
    return {"type": "http", "headers": [(name.encode(), value) for name, value in headers], **more}


def wsgi_environ(headers: list[tuple[str, bytes]], **more: object) -> dict[str, object]:
    """Return the same request as WSGI has it."""
    named = {f"HTTP_{name.upper().replace('-', '_')}": value.decode("latin-1") for name, value in headers}
    return {**named, **more}


BOTH = pytest.mark.parametrize(
    ("readers", "request_of"), [(asgi.READERS, asgi_scope), (wsgi.READERS, wsgi_environ)], ids=["asgi", "wsgi"]
)


@BOTH
@pytest.mark.parametrize(
    ("source", "headers", "unit"),
    [
        ("header:X-User", [("x-user", b"ann")], "ann"),
        ("header:x-user", [("x-user", b" ann ")], "ann"),
        ("header:x-user", [("x-user", "jürgen".encode())], "jürgen"),
        ("header:x-user", [("x-user", "jürgen".encode("latin-1"))], "jürgen"),
        ("header:x-user", [("x-user", b"")], MISSING),
        ("header:x-user", [("x-users", b"ann")], MISSING),
        ("cookie:sid", [("cookie", b'a=1; sid="s-1"; sid=s-2')], "s-1"),
        ("cookie:sid", [("cookie", b"xsid=1; sid")], MISSING),
        ("cookie:sid", [], MISSING),
        (("header:x-user", "cookie:sid"), [("cookie", b"sid=s-1")], "s-1"),
        (("header:x-user", "cookie:sid"), [("cookie", b"sid=s-1"), ("x-user", b"ann")], "ann"),
        ((lambda _: None, lambda _: 17), [], 17),
        (lambda _: True, [], MISSING),
        (None, [("x-user", b"ann")], MISSING),
    ],
)
def test_a_unit_is_found_where_it_is_written(
    readers: Any, request_of: Any, source: Any, headers: list[tuple[str, bytes]], unit: object
) -> None:
    """Header, cookie, callable, the first of several; what is not a unit is none."""
    assert read_unit_source(source, readers).find(request_of(headers)) == unit


def test_a_session_is_the_frameworks_own() -> None:
    """ASGI's stands in the scope, WSGI's in the environ."""
    assert read_unit_source("session:user", asgi.READERS).find(asgi_scope([], session={"user": 7})) == 7
    for key in wsgi.SESSIONS:
        assert read_unit_source("session:user", wsgi.READERS).find(wsgi_environ([], **{key: {"user": 7}})) == 7


@BOTH
def test_what_raises_is_told_once_without_the_user(
    readers: Any, request_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A callable that raises, and a session that is not there: no unit, one line for each kind, and no id in it."""

    def raises(_: object) -> str:
        raise KeyError(CANARY)

    with caplog.at_level(logging.DEBUG):
        for source in (raises, "session:user"):
            find = read_unit_source(source, readers).find
            assert {find(request_of([("x-user", CANARY.encode())])) for _ in range(5)} == {MISSING}
        assert WRITER.flush(5)
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" with ")[2] for line in told] == [
        "KeyError: such requests have none",
        "KeyError: such requests have none. Put the session's middleware outside of graysplit's",
    ]
    assert CANARY not in caplog.text


@pytest.mark.parametrize("bad", ["x-user", "header:", "heder:x", "header:a b", 7, ("cookie:a", "b")])
def test_a_source_that_cannot_be_read_is_an_error_at_once(bad: Any) -> None:
    """It says what can be written."""
    with pytest.raises(ConfigurationError, match='write "header:NAME"'):
        read_unit_source(bad, asgi.READERS)
    with pytest.raises(ConfigurationError, match='write "header:NAME"'):
        read_attribute_sources({"plan": bad}, asgi.READERS)


@BOTH
def test_attributes_are_named_or_a_callables(readers: Any, request_of: Any) -> None:
    """A mapping of names to sources, or a callable that gives a mapping; one that raises gives none."""
    request = request_of([("x-country", b"DE")])
    named = read_attribute_sources({"country": "header:x-country", "plan": lambda _: "pro"}, readers)
    called = read_attribute_sources(lambda _: {"plan": "pro"}, readers)
    broken = read_attribute_sources(lambda _: 1 / 0, readers)  # type: ignore[arg-type, return-value] # on purpose
    assert named is not None and named.find(request) == {"country": "DE", "plan": "pro"}  # noqa: PT018 - for mypy
    assert called is not None and called.find(request) == {"plan": "pro"}  # noqa: PT018 - for mypy
    assert broken is not None and broken.find(request) == {}  # noqa: PT018 - for mypy
