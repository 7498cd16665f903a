"""FastAPI: the version as a parameter, and the unit from the dependency that knows the user."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.testclient import TestClient

import graysplit
from graysplit.integrations.fastapi import GraysplitMiddleware, unit_of, version_of

gray = graysplit.Router("memory://fastapi")
gray.split("price", "old", "new")


def current_user(authorization: Annotated[str | None, Header()] = None) -> str | None:
    """Know the user."""
    return authorization


app = FastAPI(dependencies=[unit_of(current_user)])
app.add_middleware(GraysplitMiddleware, router=gray)


@app.get("/price")
def price(version: Annotated[str, version_of(gray, "price")]) -> str:
    """Price by the version."""
    return f"{version} price"


if __name__ == "__main__":
    with graysplit.Control("memory://fastapi") as control:
        control.create("price")
        control.set("price", 30)
    with TestClient(app) as client:
        for user in ("user-1", "user-8"):
            print(f"{user}: {client.get('/price', headers={'authorization': user}).json()}")
