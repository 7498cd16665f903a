"""Who looks at the console, and what they may do: the host's login says it, request by request."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple, TypeAlias, cast, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from graysplit.errors import ConfigurationError

Role: TypeAlias = Literal["look", "lower", "operate"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)  # each may do what those before it may


class Person(NamedTuple):
    """Somebody with a name, which the history gets, and a role.

    `look` changes nothing. `lower` rolls back, pauses and freezes. `operate` raises too.
    """

    name: str
    role: Role = "look"

    def may(self, role: Role) -> bool:
        """Return whether this person's role reaches as far as another."""
        return ROLES.index(self.role) >= ROLES.index(role)


# Where nobody is asked, everybody who reaches a read-only console looks.
ANONYMOUS: Final = Person("anonymous")

# None: not logged in. A function that waits for something may be a coroutine; a plain one runs in a thread.
Answer: TypeAlias = "Person | tuple[str, Role] | None"
Auth: TypeAlias = Callable[[Request], "Answer | Awaitable[Answer]"]


async def person_of(auth: Auth | None, request: Request) -> Person | None:
    """Return who sends a request, or None for somebody who is not logged in; raise what the host's function raises."""
    if auth is None:
        return ANONYMOUS
    said: object
    if _is_coroutine(auth):
        said = await cast("Awaitable[object]", auth(request))
    else:
        said = await run_in_threadpool(cast("Callable[[Request], object]", auth), request)
        if inspect.isawaitable(said):
            said = await said
    return None if said is None else _checked(said)


def _is_coroutine(auth: Auth) -> bool:
    return inspect.iscoroutinefunction(auth) or inspect.iscoroutinefunction(getattr(auth, "__call__", None))  # noqa: B004 - an object with an `async def __call__`


def _checked(said: object) -> Person:
    """Return a person, or raise `ConfigurationError`: a slip in the host's function lets nobody in."""
    pair = cast("tuple[object, ...]", said) if isinstance(said, tuple) else ()
    match pair:
        case (str() as name, role) if name.strip() and role in ROLES:
            return Person(name, role)
        case _:
            raise ConfigurationError(
                "auth= must return Person(name, role), a tuple of both, or None. The name is text and not empty, "
                f"the role one of {', '.join(ROLES)}"
            )
