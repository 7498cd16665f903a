"""Flask: an application factory, configured by GRAYSPLIT_ keys; the session names the unit."""

from __future__ import annotations

import flask

import graysplit
from graysplit.integrations.flask import Graysplit

gray = graysplit.Router()
splits = Graysplit(router=gray)


@gray.route("price")
def price() -> str:
    """Price as ever."""
    return "old price"


@price.version("new")
def price_new() -> str:
    """Price anew."""
    return "new price"


def create_app(url: str) -> flask.Flask:
    """Make the application."""
    app = flask.Flask("shop")
    app.config.update({"SECRET_KEY": "an example's", "GRAYSPLIT_URL": url, "GRAYSPLIT_UNIT": "session:user"})
    splits.init_app(app)
    app.add_url_rule("/price", view_func=price)
    app.add_url_rule("/login/<user>", view_func=lambda user: flask.session.update(user=user) or "", endpoint="login")
    return app


if __name__ == "__main__":
    with graysplit.Control("memory://flask") as control:
        control.create("price")
        control.set("price", 30)
    client = create_app("memory://flask").test_client()
    for somebody in ("user-1", "user-8"):
        client.get(f"/login/{somebody}")
        print(f"{somebody}: {client.get('/price').text}")
