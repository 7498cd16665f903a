"""What the routes of one console share: its store, its follower, its pages, and who may do what."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from graysplit.console.follower import ConsoleFollower
from graysplit.console.people import Auth, Person
from graysplit.console.picture import Picture
from graysplit.console.render import Parts, environment
from graysplit.control.control import Control
from graysplit.control.operator import operator_of
from graysplit.stores.port import Store
from graysplit.stores.url import place_of

FIRST_LOOK_S: Final = 2.0  # how long a page waits for the store where nobody has looked yet


class Visit(NamedTuple):
    """One request: who it is from, and under which path this console is mounted."""

    request: Request
    person: Person | None  # None: not logged in
    root: str

    @property
    def in_place(self) -> bool:
        """Whether the answer goes into the page that asks, and is no page of its own."""
        return "hx-request" in self.request.headers


class Console:
    """One console: everything but its routes."""

    def __init__(self, control: Control, auth: Auth | None, *, read_only: bool) -> None:
        """Take a control; its store is opened when it is first needed."""
        self.auth = auth
        self.read_only = read_only
        self.namespace = control.namespace
        self.boot = os.urandom(6).hex()  # pictures are counted from one in each process
        self._own = control
        self._operator = operator_of(control)
        self.follower = ConsoleFollower(self._operator)
        self.env = environment()
        self.parts = Parts(self.env)

    @property
    def store(self) -> Store:
        """The store."""
        return self._operator.store

    def control(self, actor: str) -> Control:
        """Return the verbs under a person's name, on the same store."""
        return Control(self.store, namespace=self.namespace, actor=actor)

    def name_of(self, visit: Visit) -> str:
        """Return the name under which a visit reads or changes."""
        return visit.person.name if visit.person else "anonymous"

    async def picture(self) -> Picture:
        """Return the last picture, or the first one."""
        if self.follower.is_fresh:
            return self.follower.picture()
        return await run_in_threadpool(self.follower.picture, FIRST_LOOK_S)

    def may_lower(self, person: Person | None) -> bool:
        """Return whether a page shows this person what lowers."""
        return not self.read_only and person is not None and person.may("lower")

    def may_operate(self, person: Person | None) -> bool:
        """Return whether a page shows this person what raises."""
        return not self.read_only and person is not None and person.may("operate")

    def page(self, visit: Visit, template: str, values: Mapping[str, object], status: int = 200) -> Response:
        """Return a page, or a part of one, as HTML."""
        found = self.env.get_template(template).render({**self._shared(visit), **values})
        return HTMLResponse(found, status)

    def message(self, visit: Visit, status: int, title: str, lines: Sequence[str], back: str = "/") -> Response:
        """Return a page that says something, or only what it says where it goes into the page that asked."""
        template = "part_message.html" if visit.in_place else "message.html"
        outcome = "done" if status < 400 else "refused"  # noqa: PLR2004 - HTTP's first error
        values = {"title": title, "lines": lines, "outcome": outcome, "back": f"{visit.root}{back}"}
        return self.page(visit, template, values, status)

    def _shared(self, visit: Visit) -> Mapping[str, object]:
        picture = self.follower.last
        now_ms = picture.now_ms(time.monotonic()) or int(time.time() * 1000)
        return {
            "root": visit.root,
            "person": visit.person,
            "namespace": self.namespace,
            "server": self._server(picture),
            "read_only": self.read_only,
            "may_lower": self.may_lower(visit.person),
            "may_operate": self.may_operate(visit.person),
            "now_ms": now_ms,
            "options": "" if self.namespace == "default" else f" --namespace {shlex.quote(self.namespace)}",
        }

    def _server(self, picture: Picture) -> str:
        if picture.look is None:
            return ""
        return place_of(picture.look.overview.store.removesuffix(f" namespace {self.namespace}"))


# What a route does.
Page: TypeAlias = Callable[[Console, Visit], Awaitable[Response]]


def root_of(request: Request) -> str:
    """Return the path under which this console is mounted, as it stands in a link; never with a scheme or a host."""
    root: str = request.scope.get("root_path", "")
    return quote(root.rstrip("/"), safe="/")
