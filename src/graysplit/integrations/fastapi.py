"""FastAPI: the middleware of ASGI, the version as a parameter, and the unit from a dependency that knows the user.

app.add_middleware(GraysplitMiddleware, router=gray, unit="header:x-user")

@app.get("/checkout")
def checkout(version: Annotated[str, version_of(gray, "checkout")]): ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from graysplit.core.bucketing import encode_unit
from graysplit.integrations.asgi import GraysplitMiddleware
from graysplit.scope import scope_get
from graysplit.scope_entry import context

try:
    from fastapi import Depends
except ImportError as missing:
    raise ImportError('graysplit.integrations.fastapi needs FastAPI: pip install "graysplit[fastapi]"') from missing

if TYPE_CHECKING:
    from graysplit.router.router import Router

__all__ = ["GraysplitMiddleware", "unit_of", "version_of"]


def version_of(router: Router, split: str) -> Any:  # noqa: ANN401 - FastAPI's own mark of a dependency
    """Return a dependency that gives a split's version for the request's unit, in `def` and `async def` endpoints."""

    async def version() -> str:
        return router.choose(split)

    return Depends(version)


def unit_of(dependency: Callable[..., Any], attributes: Callable[[Any], Mapping[str, object]] | None = None) -> Any:  # noqa: ANN401 - as above
    """Return a dependency that takes the request's unit from another one, the current user's id, say.

    Put it where versions are asked for: `FastAPI(dependencies=[unit_of(user_id)])`, a router's, or an endpoint's.
    `attributes` makes attributes of what the other one gives. Works below the middleware and without it; an answer
    with a version is then for one user's cache alone.
    """

    # A plain `def` that yields would run in a context of its own, and an endpoint would see nothing of it.
    async def identified(found: Any = Depends(dependency)) -> AsyncIterator[object]:  # noqa: ANN401, B008 - FastAPI's
        scope = scope_get()
        if scope is None or scope.taken is None:
            with context(found, attributes(found) if attributes is not None else None):
                yield found
            return
        scope.taken.others = True  # what it depends on is not known: no shared cache may keep the answer
        if encode_unit(found) is not None:  # else a visitor stays one
            scope.meet(found, attributes(found) if attributes is not None else None)
        yield found

    return Depends(identified)
