"""Flask: the extension, its configuration, the session, streamed answers, factories and templates."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pytest

from graysplit import ConfigurationError, Control, Router
from graysplit.integrations.flask import Graysplit
from graysplit.scope import scope_get
from tests.integrations.conftest import NEW, OLD


def application(router: Router, **config: object) -> flask.Flask:
    """Return an application that answers with the version, and logs its user in."""
    app = flask.Flask("shop")
    app.config.update({"SECRET_KEY": "a test's", "GRAYSPLIT_UNIT": ("session:user", "header:x-user"), **config})

    @app.get("/")
    def shop() -> str:
        return router.choose("checkout")

    @app.get("/login/<user>")
    def login(user: str) -> str:
        flask.session["user"] = user
        return router.choose("checkout")

    @app.get("/stream")
    def stream() -> flask.Response:
        def parts() -> Iterator[str]:
            for _ in range(3):
                yield router.choose("checkout")

        return flask.Response(parts())

    @app.get("/template")
    def template() -> str:
        return flask.render_template_string("{{ graysplit_version('checkout') }}")

    return app


@pytest.mark.parametrize("path", ["/", "/stream", "/template"])
def test_a_request_has_its_unit(router: Router, path: str) -> None:
    """In views, streamed bodies and templates, from the first request on."""
    app = application(router)
    Graysplit(app, router)
    with app.test_client() as client:
        assert {client.get(path, headers={"X-User": NEW}).text} <= {"new", "newnewnew"}
        assert {client.get(path, headers={"X-User": OLD}).text} <= {"old", "oldoldold"}
    assert scope_get() is None


def test_the_session_names_the_unit(router: Router) -> None:
    """Flask's own, by its own key; the request that logs in still has the unit that it began with."""
    app = application(router)
    Graysplit(app, router)
    with app.test_client() as client:
        assert client.get(f"/login/{NEW}").text == "old"
        assert client.get("/", headers={"X-User": OLD}).text == "new"


def test_a_callable_gets_flasks_request(router: Router) -> None:
    """And an answer that depends on it is for one user's cache alone."""
    app = application(router, GRAYSPLIT_UNIT=lambda request: request.args.get("user"))
    Graysplit(app, router)
    answer = app.test_client().get(f"/?user={NEW}")
    assert (answer.text, answer.headers["Cache-Control"]) == ("new", "private")


def test_visitors_and_versions_are_opted_into(router: Router) -> None:
    """By two keys."""
    app = application(router, GRAYSPLIT_VISITOR_COOKIE="visitor", GRAYSPLIT_VERSIONS_HEADER="X-Versions")
    Graysplit(app, router)
    client = app.test_client()
    first = client.get("/", base_url="https://localhost")
    assert first.headers["Set-Cookie"].startswith("visitor=")
    assert first.headers["X-Versions"] == f"checkout={first.text}"
    assert "Set-Cookie" not in client.get("/", base_url="https://localhost").headers


def test_a_factory_names_the_store() -> None:
    """The router of a module hears of it with `init_app`, and starts with the first request."""
    gray = Router()
    extension = Graysplit(router=gray)
    with Control("memory://flask", namespace="shop", confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 100)
    app = application(gray, GRAYSPLIT_URL="memory://flask", GRAYSPLIT_NAMESPACE="shop")
    extension.init_app(app)
    assert gray.status().phase == "asleep"
    assert app.extensions["graysplit"].router is gray
    assert app.test_client().get("/", headers={"X-User": OLD}).text == "new"
    with pytest.raises(ConfigurationError, match="init_app once"):
        extension.init_app(app)
    again = application(gray, GRAYSPLIT_URL="memory://flask")
    extension.init_app(again)
    assert again.test_client().get("/", headers={"X-User": OLD}).text == "new"
    gray.close()


def test_a_unit_that_cannot_be_read_is_an_error_at_once(router: Router) -> None:
    """With what can be written."""
    with pytest.raises(ConfigurationError, match='write "header:NAME"'):
        Graysplit(application(router, GRAYSPLIT_UNIT="user"), router)
