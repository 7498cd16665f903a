"""Read-only is so by its routes: whatever is sent to them, the store holds what it held."""

from __future__ import annotations

from typing import Final

import pytest
import redis
from starlette.routing import Route

from graysplit import Control
from graysplit.console import Person, app
from graysplit.console.application import PATHS
from tests.console.site import OWN_PAGE, served

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "post")
INSTEAD: Final = ({}, {"x-http-method-override": "POST"}, {"x-http-method": "POST"}, {"x-method-override": "POST"})
BODY: Final = b"_method=POST&unit=u-17&to=90&version=new&name=checkout&why=x&for=1h&step=90&target=checkout&force=1"


def held(client: redis.Redis, namespace: str) -> dict[bytes, object]:
    """Return every key of a namespace with all that it holds."""
    return {key: client.dump(key) for key in client.scan_iter(f"graysplit:{{{namespace}}}:*")}


def test_its_routes_are_these() -> None:
    """Each by its path and its method: a new one is a decision, and stands here."""
    made = app("memory://", auth=lambda _: Person("anna", "operate"))
    assert {(route.path, *sorted(route.methods or ())) for route in made.routes if isinstance(route, Route)} == {
        ("/", "GET", "HEAD"),
        ("/events", "GET", "HEAD"),
        ("/splits/{split}", "GET", "HEAD"),
        ("/splits/{split}/events", "GET", "HEAD"),
        ("/splits/{split}/history", "GET", "HEAD"),
        ("/splits/{split}/evidence", "GET", "HEAD"),
        ("/splits/{split}/lines", "GET", "HEAD"),
        ("/splits/{split}/explain", "POST"),
    }
    assert [getattr(route, "path", "") for route in made.routes if not isinstance(route, Route)] == ["/static"]


@pytest.mark.parametrize("read_only", [True, False])
def test_no_request_changes_the_store(control: Control, redis_url: str, namespace: str, read_only: bool) -> None:
    """Every path that any console has, with every method and every header that stands for one.

    A console that may change something answers the same to all but its own POSTs.
    """
    made = app(control, auth=lambda _: Person("anna", "operate"), read_only=read_only)
    paths = {path.path.replace("{split}", "checkout") for path in PATHS} | {"/static/console.js", "/static/", "/nope"}
    with redis.Redis.from_url(redis_url) as store, served(made) as client:
        assert client.get("/").status_code == 200
        before = held(store, namespace)
        assert before
        for path in sorted(paths):
            for method in METHODS:
                if method == "POST" and not read_only:
                    continue
                for instead in INSTEAD:
                    body = {"content": BODY} if method not in {"GET", "HEAD"} else {}
                    headers = {"content-type": "application/x-www-form-urlencoded", **OWN_PAGE, **instead}
                    request = client.build_request(method, f"{path}?_method=POST", headers=headers, **body)
                    request.method = method  # as it was spelled
                    response = client.send(request, stream=True)
                    response.close()
                    assert response.status_code < 500, (method, path)
                    if method not in {"GET", "HEAD"} and (method, path) != ("POST", "/splits/checkout/explain"):
                        assert response.status_code in {400, 403, 404, 405}, (method, path)
        assert held(store, namespace) == before
