"""Whatever a program declares, in any order: each route calls its own functions, each handle hears the rollback."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from graysplit import Control, RegistrationError, Router, SignatureMismatchError
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

UNIT = "u-1"
SPLITS = ("shop", "lane", "banner")


class Made(NamedTuple):
    """A routed function, and what it must answer on either side."""

    call: Callable[..., str]
    old: str
    new: str


def logged(function: Callable[..., str]) -> Callable[..., str]:
    """Wrap a function as a shared decorator does."""

    @wraps(function)
    def wrapper(user: str) -> str:
        return function(user)

    return wrapper


CELL = """
@gray.route("shop", unit="user")
@around
def pay(user):
    return "old {tag}"
"""
BESIDE = """
@pay.version("new")
@around
def pay_new(user):
    return "new {tag}"
"""


class Program:
    """Routers of one process, and all that has been declared on them and not been replaced."""

    def __init__(self) -> None:
        """Begin with an application's router and two libraries', each inert."""
        self.routers = [Router() for _ in range(3)]
        self.made: list[Made] = []
        self.handles: list[Any] = []
        self.number = 0

    def declare(self, at: int, how: str) -> None:
        """Do one thing that programs do; what is refused must leave nothing."""
        gray, tag = self.routers[at % 3], f"{how} {self.number}"
        self.number += 1
        getattr(self, how.replace(" ", "_"))(gray, tag)

    def factory(
        self, gray: Router, tag: str, around: Callable[[Any], Any] = lambda it: it, *, bare: bool = False
    ) -> None:
        """Call the factory once more, with both versions or with the baseline alone."""
        names: dict[str, Any] = {"gray": gray, "around": around, "__name__": "shop"}
        exec((CELL if bare else CELL + BESIDE).format(tag=tag), names)  # noqa: S102 - the text above
        self.made.append(Made(names["pay"], f"old {tag}", f"{'old' if bare else 'new'} {tag}"))

    def decorated(self, gray: Router, tag: str) -> None:
        """Do the same below a shared decorator."""
        self.factory(gray, tag, logged)

    def by_name(self, gray: Router, tag: str) -> None:
        """Call a factory that registers its candidate by name, now before and now after its route."""

        def lane(user: str) -> str:
            return f"old {tag} {user}"

        def lane_new(user: str) -> str:
            return f"new {tag} {user}"

        if self.number % 2:
            gray.candidate("lane", "new")(lane_new)
        routed = gray.route("lane", unit="user")(lane)
        if not self.number % 2:
            gray.candidate("lane", "new")(lane_new)
        self.made.append(Made(routed, f"old {tag} {UNIT}", f"new {tag} {UNIT}"))

    def bare(self, gray: Router, tag: str) -> None:
        """Do the same without a candidate."""
        self.factory(gray, tag, bare=True)

    def handle(self, gray: Router, tag: str) -> None:
        """Declare a handle, copy it, and keep both."""
        del tag
        handle = gray.split("banner")
        self.handles += (handle, copy.deepcopy([handle])[0], copy.copy(handle))

    def refused(self, gray: Router, tag: str) -> None:
        """Try what does not fit: parameters, a second place, a second def, another baseline."""
        if self.made:
            self._refuse(lambda: self.made[-1].call.version("new")(lambda: tag), SignatureMismatchError)  # type: ignore[attr-defined]
            names: dict[str, Any] = {"pay": self.made[-1].call, "around": logged, "__name__": "shop"}
            self._refuse(lambda: exec(BESIDE.format(tag=tag).replace("pay_new", "pay"), names))  # noqa: S102 - as above
        self._refuse(lambda: gray.split("broken", "old", "NOT A NAME"), Exception)
        self._refuse(lambda: gray.split("broken", ignore=3), Exception)  # type: ignore[call-overload]

    def include(self, gray: Router, tag: str) -> None:
        """Include a router into the next one; whoever is included already is so again."""
        del tag
        place = self.routers.index(gray)
        if place:
            self.routers[place - 1].include(gray)

    def start(self) -> None:
        """Include what has not been, the innermost first, and follow the store."""
        for outer, inner in ((1, 2), (0, 1)):
            self.routers[outer].include(self.routers[inner])
        assert self.routers[0].wait_ready(5)

    def answers(self) -> list[str]:
        """Return what all routes answer, then all handles."""
        return [*(made.call(UNIT) for made in self.made), *(handle.choose(UNIT) for handle in self.handles)]

    def expected(self, *, new: bool) -> list[str]:
        """Return what they must answer."""
        routes = (made.new if new else made.old for made in self.made)
        return [*routes, *("new" if new else "old" for _ in self.handles)]

    @staticmethod
    def _refuse(act: Callable[[], object], kind: type[Exception] = RegistrationError) -> None:
        try:
            act()
        except kind:
            return
        raise AssertionError("nothing was refused")


def _store() -> MemoryStore:
    store = MemoryStore()
    control = Control(store)
    for split in SPLITS:
        control.create(split)
        control.set(split, 100, confirm=True)
    return store


STEPS = st.sampled_from(("factory", "decorated", "by name", "bare", "handle", "refused", "include"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=1, max_size=12))
def test_each_route_calls_its_own_and_each_handle_hears(steps: Iterable[tuple[int, str]]) -> None:
    """Random programs on three routers: before the start, live, after a rollback, raised again, and closed."""
    program, store = Program(), _store()
    app = program.routers[0]
    app.configure(store)
    for at, how in steps:
        program.declare(at, how)
    try:
        program.start()
        assert program.answers() == program.expected(new=True)
        for router in program.routers:
            program.handle(router, "late")
            program.factory(router, f"late {id(router)}")
            program.by_name(router, f"late {id(router)}")
        assert program.answers() == program.expected(new=True)
        control = Control(store, confirm=True)
        for split in SPLITS:
            control.rollback(split)
        eventually(lambda: program.answers() == program.expected(new=False))
        for split in SPLITS:
            control.set(split, 100, confirm=True, unstop=True)
        eventually(lambda: program.answers() == program.expected(new=True))
    finally:
        for router in program.routers:
            router.close()
    assert program.answers() == program.expected(new=False)
