"""The router: what application code asks, declares with, and starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, Self, TypeAlias, TypeVar, cast, overload

from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.compiled import CompiledSplit
from graysplit.core.decision import Decision
from graysplit.core.durations import Span, seconds
from graysplit.core.hot_state import VersionFunction
from graysplit.environment import check_store, kind_of
from graysplit.errors import ConfigurationError
from graysplit.native import compiled_core
from graysplit.router.arguments import make_settings, with_parentheses
from graysplit.router.chooser import RouterChooser
from graysplit.router.declarations import HANDLE, ROUTES_TOLD, Declaration
from graysplit.router.lifecycle import Lifecycle
from graysplit.router.name_line import NameLine
from graysplit.routes.one_object import OneObject
from graysplit.scope import MISSING

if TYPE_CHECKING:
    from typing import LiteralString

    from graysplit.core.counters import Measure
    from graysplit.notices.hooks import Hook
    from graysplit.router.explanation import Explanation
    from graysplit.router.status import Status
    from graysplit.routes.handle import Split
    from graysplit.routes.types import Routed
    from graysplit.routes.unit import AttributesSpec, UnitSpec
    from graysplit.routes.wrap import RouteOptions
    from graysplit.scope import Unit
    from graysplit.stores.port import Store

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=VersionFunction)
H = TypeVar("H", bound=Callable[[], object])
V = TypeVar("V", bound=str)
L = TypeVar("L", bound="LiteralString")
Ignore: TypeAlias = type[BaseException] | Iterable[type[BaseException]]


class Router(NameLine, OneObject):
    """Decides which version a unit gets. Inert until the first decision, `start()` or `wait_ready()`.

    A process needs one. Reads the environment when it starts (`GRAYSPLIT_URL`, `_NAMESPACE`, `_OFF`, `_OFF_FILE`,
    `_CACHE_DIR`, `_BOOTSTRAP`, `_INSTANCE`, `_ZONE`, `_NOTIFY_URL`, `_CONSOLE_URL`, `_SIGTERM`);
    arguments win. Without a URL every answer is the baseline (`not_configured`).
    """

    def __init__(  # noqa: PLR0913 - keyword-only settings
        self,
        url: str | Store | None = None,
        *,
        namespace: str | None = None,
        off: str | Iterable[str] | bool | None = None,
        off_file: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        bootstrap: str | os.PathLike[str] | None = None,
        instance: str | None = None,
        zone: str | None = None,
        sigterm: bool | None = None,
        notify: str | Hook | Iterable[str | Hook] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Take what is known already; nothing is read, opened or started."""
        self._table = {}
        self._lifecycle = Lifecycle(clock)
        self._chooser = RouterChooser(self._lifecycle)
        self._lifecycle.states.readers.append(self._read_table)
        self._lifecycle.movers += [self._move, self._chooser.move]
        self.configure(
            url,
            namespace=namespace,
            off=off,
            off_file=off_file,
            cache_dir=cache_dir,
            bootstrap=bootstrap,
            instance=instance,
            zone=zone,
            sigterm=sigterm,
            notify=notify,
        )

    def __repr__(self) -> str:
        """Return the phase, and the store once it is known by its printable name: an address may hold a password."""
        return f"<graysplit router: {self._lifecycle.place}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: each process has a router, a thread and a connection of its own."""
        raise TypeError(
            "a Router cannot be pickled: each process has its own. Leave it out (__getstate__), and import it from the "
            "module that makes it; cloudpickle leaves out what it can import, so keep it out of __main__"
        )

    # Decisions

    def explain(self, split: str, unit: Unit = MISSING) -> Explanation:
        """Return the ladder with the rung that answers, and the bucket. Counts nothing; for people."""
        if self._lifecycle.states.phase == "asleep":
            self._lifecycle.start()
        from graysplit.router.explanation import explain

        return explain(self._lifecycle.states, split, unit)

    def instance(self) -> str:
        """Return the name of this host, `GRAYSPLIT_INSTANCE` or its host name: the unit `graysplit.INSTANCE`."""
        return self._lifecycle.instance()

    def _ask(self, split: str, unit: object, attributes: Mapping[str, object] | None) -> Decision:
        """Decide off the hot path; law 5: whatever happens here, the caller gets a baseline."""
        try:
            state = self._table.get(split) or self._lifecycle.states.state(split)
        except TypeError:  # a name that cannot be one
            state = self._lifecycle.states.state(None)
        return self._chooser.resolve(state, unit, attributes)[2]

    # Results

    def record(self, goal: str, *, unit: Unit = MISSING, value: float | None = None, at_most: float = 1.0) -> None:
        """Note that a unit has reached a goal ("purchase"), for the reports of every armed split that it has met.

        `value` is counted as a share of `at_most`, from 0 to 1; without one the goal counts as 1. A unit counts once
        per goal. Never raises, never waits; what cannot be counted is said in the log.
        """
        self._lifecycle.decisions.record(goal, unit, value, at_most)

    # Declarations

    def route(  # noqa: PLR0913 - keyword-only wishes
        self,
        split: str,
        *,
        unit: UnitSpec = None,
        attributes: AttributesSpec = None,
        baseline: str = "old",
        fallback: bool = False,
        ignore: Ignore = (),
        failed: Callable[[Any], object] | None = None,  # Any: a result, of a coroutine what it is awaited for
    ) -> Callable[[Callable[P, R]], Routed[P, R]]:
        """Declare a function as a split's baseline: what runs today, and whenever in doubt.

        `unit` is a parameter's name with an optional attribute path (`"user.id"`), a callable whose parameter names
        pick from the arguments, `graysplit.attribute(name)`, `graysplit.INSTANCE` (this host), a tuple of these (the
        first that is a unit), or absent: the context's. `attributes` is a mapping of such paths, or such a callable.
        With `fallback`, declared safe to run twice, the baseline runs once when the candidate raises an `Exception`.
        Errors of the classes in `ignore` (a client's mistakes, say) are not failures of a version; a result for which
        `failed(result)` is true is one. Other decorators go outside.
        """
        from graysplit.routes.signature import check_called, check_flag
        from graysplit.routes.wrap import RouteOptions

        check_called(split, "route", '("checkout", unit="user_id")')
        check_called(baseline, "route", '("checkout", baseline="old")')
        check_flag(split, "fallback", fallback)
        wishes = RouteOptions(split, baseline, unit, attributes, fallback, _several(ignore), failed)

        def decorate(function: Callable[P, R]) -> Routed[P, R]:
            return cast("Routed[P, R]", self._route(function, wishes))

        return decorate

    @with_parentheses('("checkout", "new")')
    def candidate(self, split: str, name: str) -> Callable[[F], F]:
        """Register a candidate by name, from any module, before or after its baseline; the function is handed back."""
        from graysplit.routes.signature import check_called

        for given in (split, name):
            check_called(given, "candidate", '("checkout", "new")')

        def take(function: F) -> F:
            self._register(split, name, function)
            return function

        return take

    @with_parentheses('("checkout", "new")')
    def version(self, split: str, name: str) -> Callable[[F], F]:
        """Register a candidate by the former name of `candidate`, which goes with the next minor version."""
        from graysplit.deprecation import warn_renamed

        warn_renamed("Router.version()", "Router.candidate()", stacklevel=4)
        return self.candidate(split, name)

    @with_parentheses('("checkout", "new")')
    def warm(self, split: str, name: str, *, every: Span | None = None) -> Callable[[H], H]:
        """Register what prepares a version, by name; the function (no arguments) is handed back.

        It runs once in each process that follows a store, beside the follower, and again in forked children; until
        it has succeeded `graysplit switch` refuses. With `every` (30, "30s", a timedelta) it runs again that long after
        each start, to keep the version warm, so it must only read: a query, a connection, a cache.
        """
        from graysplit.routes.signature import check_called

        for given in (split, name):
            check_called(given, "warm", '("checkout", "new")')

        def take(function: H) -> H:
            self._prepare(split, name, function, every)
            return function

        return take

    @overload
    def split(self, name: str, /, *, unit: UnitSpec = None, ignore: Ignore = ()) -> Split[Literal["old", "new"]]: ...
    @overload
    def split(self, name: str, versions: type[V], /, *, unit: UnitSpec = None, ignore: Ignore = ()) -> Split[V]: ...
    @overload
    def split(self, name: str, /, *versions: L, unit: UnitSpec = None, ignore: Ignore = ()) -> Split[L]: ...
    @overload
    def split(  # type: ignore[overload-cannot-match] # mypy takes LiteralString for str, pyright narrows to the names
        self, name: str, /, *versions: V, unit: UnitSpec = None, ignore: Ignore = ()
    ) -> Split[V]: ...
    def split(  # Any: the overloads say which
        self, name: str, /, *versions: str | type[str], unit: UnitSpec = None, ignore: Ignore = ()
    ) -> Split[Any]:
        """Declare a split without functions and return its handle; the first version is the baseline.

        `versions` are names, or one `enum.StrEnum` whose values are the names: then `choose` and `attempt` give its
        members, and type checkers know them exactly. Of names mypy knows that they are text, and these names where the
        handle is annotated (`Split[Literal["old", "new"]]`); pyright knows them by itself.
        `unit` is who is meant where a question names nobody: `graysplit.INSTANCE`, `graysplit.attribute(name)`, a
        callable without parameters, a tuple of these (the first that is a unit), or absent: the context's. Errors of
        the classes in `ignore` are not failures of an attempt. The same declaration gives the same handle.
        """
        from graysplit.routes.handle import EnumSplit, FindingSplit, Split
        from graysplit.routes.outcome import check_ignored
        from graysplit.routes.signature import check_called, members_of, versions_of
        from graysplit.routes.unit import by_instance, handle_unit, unit_key

        check_called(name, "split", '("banner", "old", "new")')
        members = members_of(name, versions)
        names = versions_of(name, versions) if members is None else tuple(members)
        states = self._lifecycle.states
        asked, ignored = unit_key(unit), check_ignored(name, _several(ignore))
        key = (names, members and versions, asked, ignored) if asked is not None else None
        declared = states.declarations.get(name) if key is not None else None
        if declared is not None and (known := declared.kept.get(key)) is not None:
            return known
        find = handle_unit(unit, name, self.instance) if unit is not None else None
        prepare, state = partial(self._prepare, name), states.present(name)
        handle: Split[Any] = Split(name, names, state, self._chooser, prepare, ignored)  # Any: as above
        if members is not None:
            handle = EnumSplit(name, members, state, self._chooser, prepare, ignored, find)
        elif find is not None:
            handle = FindingSplit(name, names, state, self._chooser, prepare, ignored, find)

        def change(declaration: Declaration) -> None:
            for version in names:
                declaration.claim(version, HANDLE)
            declaration.lead_handle(names[0])
            if by_instance(unit):
                declaration.by = "instance"
            declaration.hold(handle, key)

        states.declare(name, change)
        return handle

    def _route(self, function: VersionFunction, wishes: RouteOptions) -> VersionFunction:
        from graysplit.routes.unit import by_instance
        from graysplit.routes.wrap import route

        def change(declaration: Declaration) -> None:
            declaration.lead_route(made)
            if by_instance(wishes.unit):
                declaration.by = "instance"

        def beside(version: str, candidate: VersionFunction) -> None:
            self._lifecycle.states.declare(split, lambda declaration: declaration.take_beside(made, version, candidate))

        states, split = self._lifecycle.states, wishes.split
        made = route(function, wishes, states.present(split), self._chooser, beside, partial(self._prepare, split))
        states.declare(split, change)
        if states.declarations[split].made_per_call():
            self._lifecycle.events.warning(
                f"route_per_call {split}",
                f"split '{split}': {made.place} was routed {ROUTES_TOLD} times and most of these routes are gone: "
                "each call seems to make a route, at a millisecond each. Route a function of the module",
            )
        return made.function

    def _prepare(self, split: str, name: str, function: Callable[[], object], every: Span | None) -> None:
        from graysplit.router.warmup_hook import make_hook

        hook = make_hook(split, name, function, every)
        self._lifecycle.states.declare(split, lambda declaration: declaration.prepare(name, hook))

    def _register(self, split: str, name: str, function: VersionFunction) -> None:
        self._lifecycle.states.declare(split, lambda declaration: declaration.take(name, function))

    # Life

    def configure(  # noqa: PLR0913 - keyword-only settings
        self,
        url: str | Store | None = None,
        *,
        namespace: str | None = None,
        off: str | Iterable[str] | bool | None = None,
        off_file: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        bootstrap: str | os.PathLike[str] | None = None,
        instance: str | None = None,
        zone: str | None = None,
        sigterm: bool | None = None,
        notify: str | Hook | Iterable[str | Hook] | None = None,
    ) -> None:
        """Set what the constructor was not told; before the router starts. For app factories."""
        check_store(url)
        settings = make_settings(
            url=url if isinstance(url, str) else None,
            namespace=namespace,
            off=off,
            off_file=off_file,
            cache_dir=cache_dir,
            bootstrap=bootstrap,
            instance=instance,
            zone=zone,
            sigterm=sigterm,
            notify=notify,
        )
        store = None if isinstance(url, str) else url
        self._lifecycle.configure(store, settings)

    def start(self) -> None:
        """Read the environment, import what the store needs, start the daemon thread. Never waits for the store.

        May be called again, does nothing then. Raises `ConfigurationError` for an address that cannot work.
        """
        self._lifecycle.start()

    def wait_ready(self, timeout: Span = 2.0) -> bool:
        """Start, and wait until the store has answered; False when that takes longer, or no store is set."""
        return self._lifecycle.wait_ready(seconds(timeout))

    def close(self) -> None:
        """Say goodbye to the fleet and stop following, within about a second. Every answer is a baseline then."""
        self._lifecycle.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    async def ready(self, timeout: Span = 2.0) -> bool:  # noqa: ASYNC109 - a router that is late is not an error
        """Start, and wait as `wait_ready` does, without blocking the loop."""
        from asyncio import to_thread

        await to_thread(self.start)
        self.start()  # in the loop's own thread, which alone may listen for SIGTERM
        return await to_thread(self.wait_ready, timeout)

    async def __aenter__(self) -> Self:
        """Start, without blocking the loop by what a start imports."""
        from asyncio import to_thread

        await to_thread(self.start)
        self.start()  # as above
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close, without blocking the loop."""
        from asyncio import to_thread

        await to_thread(self.close)

    def status(self) -> Status:
        """Return how this router stands: phase, mode of following, age, what is refused or lost."""
        return self._lifecycle.status()

    def measures(self) -> list[Measure]:
        """Return what this process has counted, by split and version; `graysplit.telemetry` makes metrics of it."""
        return self._lifecycle.measures()

    def include(self, library: Router) -> None:
        """Take over what a library declares on its own router; from now on both are served by this one's store.

        The library goes on declaring and deciding on its router, as do libraries that it has included itself. One that
        a decision has started already follows this store from now on, and its own no more. All or nothing: what clashes
        with a declaration here is refused, and nothing has been taken over.
        """
        if not isinstance(cast("object", library), Router):
            raise ConfigurationError(f"include takes the router that a library declares on, not {kind_of(library)}")
        theirs = library._lifecycle
        if theirs is self._lifecycle:
            return
        self._lifecycle.states.include(theirs.states)
        for move in theirs.movers:
            move(self._lifecycle)
        self._lifecycle.movers += theirs.movers
        self._lifecycle.decisions.listen(*theirs.decisions.listeners)
        if theirs.started:
            theirs.retire(self._lifecycle)

    def _move(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def _read_table(self, table: dict[str, CompiledSplit]) -> None:
        self._table = table


if compiled_core is not None:
    compiled_core.adopt(Router)


def _several(kinds: Ignore) -> tuple[type[BaseException], ...]:
    """Return classes of exceptions, however many were named; what is none of them is refused further on."""
    return tuple(kinds) if isinstance(kinds, (tuple, list, set, frozenset)) else (cast("type[BaseException]", kinds),)
