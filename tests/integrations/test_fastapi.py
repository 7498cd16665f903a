"""FastAPI: the version as a parameter, and the unit from a dependency, in `def` and `async def` endpoints."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Header
from fastapi.testclient import TestClient

import graysplit
from graysplit import Router
from graysplit.integrations.fastapi import GraysplitMiddleware, unit_of, version_of
from tests.integrations.conftest import NEW, OLD


def application(router: Router, endpoints: APIRouter) -> FastAPI:
    """Return an application of two endpoints, one of each kind."""

    @endpoints.get("/def")
    def plain(version: str = version_of(router, "checkout")) -> list[str]:
        return [version, router.choose("checkout")]

    @endpoints.get("/async")
    async def coroutine(version: str = version_of(router, "checkout")) -> list[str]:
        return [version, router.choose("checkout")]

    app = FastAPI()
    app.include_router(endpoints)
    return app


@pytest.mark.parametrize("path", ["/def", "/async"])
def test_the_version_is_a_parameter(router: Router, path: str) -> None:
    """As decided for the request's unit, the same as inside the endpoint."""
    app = application(router, APIRouter())
    app.add_middleware(GraysplitMiddleware, router=router, unit="header:x-user")
    with TestClient(app) as client:
        assert client.get(path, headers={"x-user": NEW}).json() == ["new", "new"]
        assert client.get(path, headers={"x-user": OLD}).json() == ["old", "old"]


@pytest.mark.parametrize("path", ["/def", "/async"])
@pytest.mark.parametrize("middleware", [True, False])
def test_the_unit_may_come_from_a_dependency(router: Router, path: str, middleware: bool) -> None:
    """From the one that knows the user, below the middleware and without it; nobody means a visitor or nobody."""

    def user(authorization: Annotated[str | None, Header()] = None) -> str | None:
        return authorization

    app = application(router, APIRouter(dependencies=[unit_of(user)]))
    if middleware:
        app.add_middleware(GraysplitMiddleware, router=router, visitor_cookie="v", versions_header="x-versions")
    router.wait_ready(5)
    with TestClient(app) as client:
        for unit, version in ((NEW, "new"), (OLD, "old")):
            answer = client.get(path, headers={"authorization": unit})
            assert answer.json() == [version, version]
            assert answer.headers.get("cache-control") == ("private" if middleware else None)
        nobody = client.get(path)
        assert nobody.json() == [nobody.headers.get("x-versions", "checkout=old").partition("=")[2]] * 2


def test_attributes_may_come_from_it_too(router: Router) -> None:
    """A split by tenant is decided by them."""

    def tenant_of(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant

    app = FastAPI(dependencies=[unit_of(tenant_of, lambda tenant: {"tenant": tenant})])

    @app.get("/")
    def by_tenant() -> str:
        return router.choose("checkout", unit=graysplit.attribute("tenant"))

    with TestClient(app) as client:
        router.wait_ready(5)
        assert client.get("/", headers={"x-tenant": NEW}).json() == "new"


def test_a_dependency_is_overridden_as_any_other(router: Router) -> None:
    """`dependency_overrides` of the user's own dependency counts."""

    def user() -> str:
        return OLD

    app = application(router, APIRouter(dependencies=[unit_of(user)]))
    app.dependency_overrides[user] = lambda: NEW
    router.wait_ready(5)
    answer: Any = TestClient(app).get("/def").json()
    assert answer == ["new", "new"]
