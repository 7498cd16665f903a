"""Open a scope: for a `with` block, or for each run of a function, coroutine or generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial, wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from graysplit.environment import kind_of
from graysplit.errors import ConfigurationError
from graysplit.log_writer import WRITER
from graysplit.scope import MISSING, Scope, scope_get, scope_reset, scope_set

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from graysplit.scope import Unit

P = ParamSpec("P")
R = TypeVar("R")
Y = TypeVar("Y")
S = TypeVar("S")
F = TypeVar("F", bound=Callable[..., Any])

ELSEWHERE: Final = (
    "a graysplit context was ended by another thread or task than began it: code in between may have had no unit "
    "and got the baseline. A dependency that yields must be async; a generator that is left must be closed (aclosing)"
)


class Opening:
    """What `context` gives: opens a scope for a `with` block, or for each run of what it decorates."""

    __slots__ = ("_attributes", "_forced", "_open", "_unit")

    def __init__(self, unit: object, attributes: Mapping[str, object] | None, forced: Mapping[str, str]) -> None:
        """Take what is laid over the context around it, whichever that will be; nothing is open yet."""
        self._unit = unit
        self._attributes = attributes
        self._forced = forced
        self._open: list[tuple[Scope, Scope | None, Token[Scope | None]]] = []

    def __repr__(self) -> str:
        """Return what it is, never for whom."""
        return f"<graysplit {type(self).__name__.lower()}, entered {len(self._open)} times>"

    def __enter__(self) -> None:
        """Open the scope."""
        outer = scope_get()
        inner = Scope(self._unit, self._attributes) if outer is None and not self._forced else self.scope()
        self._open.append((inner, outer, scope_set(inner)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        inner, outer, token = self._open.pop()
        try:
            scope_reset(token)
        except ValueError:  # another thread or task ends it, and cannot take it out of the one that began it
            inner.end(outer)
            _ELSEWHERE.say()

    def __call__(self, function: F) -> F:
        """Return a function of the same kind whose body runs in a scope of its own each time; refuses a class.

        Of a generator the body alone is in the scope, not whoever takes its values.
        """
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        if not callable(function):
            raise TypeError("write @context() with its parentheses: without them it replaces the function")
        if isinstance(function, type):
            raise TypeError(f"{function.__name__} is a class: decorate its methods, or open the context in its setUp")
        made: Callable[..., object]
        if isasyncgenfunction(function):
            made = _async_generator(function, self)
        elif iscoroutinefunction(function):
            made = _coroutine(function, self)
        elif isgeneratorfunction(function):
            made = _generator(function, self)
        else:
            made = _plain(function, self)
        return cast("F", made)

    def scope(self) -> Scope:
        """Make the scope that lies over the one in force here."""
        outer = scope_get()
        only_forces = bool(self._forced) and (outer is None or outer.keeps_nothing)
        if outer is None:
            scope = Scope(self._unit, self._attributes, self._forced)
        else:
            unit = self._unit if self._unit is not MISSING else outer.unit
            attributes = {**outer.attributes, **self._attributes} if self._attributes else outer.attributes
            forced = {**outer.forced, **self._forced} if self._forced else outer.forced
            scope = Scope(unit, attributes, forced).inherit(outer)
        return scope.keep_nothing() if only_forces else scope

    def again(self) -> Opening:
        """Return one that opens the same, for another run."""
        return Opening(self._unit, self._attributes, self._forced)


def context(unit: Unit = MISSING, attributes: Mapping[str, object] | None = None) -> Opening:
    """Set the ambient unit and attributes, and keep each decision made inside for as long as it is open.

    What is not given is inherited from the context around this one. Middleware opens one per request. For a `with`
    block, or above a function, coroutine function or generator function.
    """
    if attributes is not None or callable(unit):
        _check_given(unit, attributes)
    return Opening(unit, attributes, {})


def _check_given(unit: object, attributes: object) -> None:
    """Raise `ConfigurationError` for attributes without names, and where `@context` stands without parentheses."""
    if attributes is not None and not isinstance(attributes, Mapping):
        raise ConfigurationError(
            'invalid attributes: use a mapping of names to values, attributes={"plan": "pro"}, '
            f"not {kind_of(attributes)}"
        )
    if isinstance(unit, FunctionType):
        raise ConfigurationError("context takes a unit, not a function: write @context() with its parentheses")


def forcing(versions: Mapping[str, str]) -> Opening:
    """Force versions by split's name, above the whole ladder, in this context only; for tests."""
    return Opening(MISSING, None, versions)


class Resumed:
    """A `with` block in which a scope is in force that was made before: one step of a generator."""

    __slots__ = ("_scope", "_token")

    def __init__(self, scope: Scope) -> None:
        """Take the scope."""
        self._scope = scope

    def __enter__(self) -> None:
        """Set it."""
        self._token = scope_set(self._scope)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Return the scope to its place."""
        scope_reset(self._token)


class _Elsewhere:
    """The warning that contexts are ended where they were not begun; said once in a process."""

    def __init__(self) -> None:
        self._said = False

    def say(self) -> None:
        if not self._said:
            self._said = True
            WRITER.put("warning", ELSEWHERE, {"graysplit_event": "context_elsewhere"})


_ELSEWHERE: Final = _Elsewhere()


def _plain(function: Callable[P, R], opening: Opening) -> Callable[P, R]:
    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> R:
        with opening.again():
            return function(*args, **named)

    return run


def _coroutine(function: Callable[P, Awaitable[R]], opening: Opening) -> Callable[P, Coroutine[object, object, R]]:
    @wraps(function)
    async def run(*args: P.args, **named: P.kwargs) -> R:
        with opening.again():
            return await function(*args, **named)

    return run


def _generator(function: Callable[P, Generator[Y, S, R]], opening: Opening) -> Callable[P, Generator[Y, S, R]]:
    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> Generator[Y, S, R]:
        return (yield from _steps(function(*args, **named), opening.scope()))

    return run


def _steps(body: Generator[Y, S, R], scope: Scope) -> Generator[Y, S, R]:
    step: Callable[[], Y] = partial(next, body)
    try:
        while True:
            with Resumed(scope):
                try:
                    given = step()
                except StopIteration as end:
                    return cast("R", end.value)
            try:
                answer = yield given
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - the body's to handle
                step = partial(body.throw, error)
            else:
                step = partial(body.send, answer)
    finally:
        with Resumed(scope):
            body.close()


def _async_generator(
    function: Callable[P, AsyncGenerator[Y, S]], opening: Opening
) -> Callable[P, AsyncGenerator[Y, S]]:
    @wraps(function)
    async def run(*args: P.args, **named: P.kwargs) -> AsyncGenerator[Y, S]:
        body, scope = function(*args, **named), opening.scope()
        step: Callable[[], Awaitable[Y]] = partial(anext, body)
        try:
            while True:
                with Resumed(scope):
                    try:
                        given = await step()
                    except StopAsyncIteration:
                        return
                try:
                    answer = yield given
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - the body's to handle
                    step = partial(body.athrow, error)
                else:
                    step = partial(body.asend, answer)
        finally:
            with Resumed(scope):
                await body.aclose()

    return run
