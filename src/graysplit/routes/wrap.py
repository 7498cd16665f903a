"""Make the plain function that stands in for a baseline for life; what it reads is swapped, never itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from types import FunctionType, MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar, cast

from graysplit.core.bucketing import hash32
from graysplit.core.compiled import BASELINE, CompiledSplit, with_calls
from graysplit.core.decision import DRAWN
from graysplit.core.durations import Span
from graysplit.core.guard.marks import Mark, Record
from graysplit.core.guard.second_buffer import SecondBuffer
from graysplit.errors import RegistrationError
from graysplit.native import compiled_core
from graysplit.routes import outcome
from graysplit.routes.origin import origin_of, rebinds
from graysplit.routes.port import Chooser, Prepare, Register, Warn, unprepared
from graysplit.routes.signature import (
    ASYNC_GENERATOR,
    COROUTINE,
    FUNCTION,
    LEGACY_COROUTINE,
    Function,
    check_called,
    check_candidate,
    described,
    shape_of,
    way_to_route,
)
from graysplit.routes.template import compiled, free_prefix
from graysplit.routes.text_parts import ParameterReading, TemplateInput
from graysplit.routes.unit import AttributesSpec, Place, UnitExpression, UnitSpec, is_unit, read_attributes, read_unit
from graysplit.scope import MISSING, NOT_KEPT, scope_get

CLASSES_AT_MOST: Final = 1_000  # of results that are known to be done

F = TypeVar("F", bound=Function)
H = TypeVar("H", bound=Callable[[], object])

# State decided on, index, function, whether it is measured; part, record and mark of an armed call.
_Asked = tuple[CompiledSplit, int, Function, bool, "SecondBuffer | None", "Record | None", Mark]
_Slow = Callable[[CompiledSplit, object, object], _Asked]
_Swap = Callable[[CompiledSplit], None]


class RouteOptions(NamedTuple):
    """How a function is to be routed."""

    split: str
    baseline: str = "old"
    unit: UnitSpec = None
    attributes: AttributesSpec = None
    fallback: bool = False
    ignore: outcome.Ignored = ()  # errors of these classes are not failures
    failed: Callable[[Any], object] | None = None  # declares a result a failure; Any: whatever the function returns


class Route:
    """One routed function as the router holds it."""

    __slots__ = ("__weakref__", "_swaps", "baseline", "function", "original", "own", "place", "split", "versions")

    def __init__(self, original: FunctionType, wishes: RouteOptions, chooser: Chooser) -> None:
        """Make the function; it may be called after the first swap."""
        self.split = wishes.split
        self.baseline = wishes.baseline
        self.original = original
        self.place = origin_of(original)
        self.own: dict[str, Function] = {wishes.baseline: original}  # by version: what is called, and nothing else
        self.versions: Mapping[str, Function] = MappingProxyType(self.own)
        # The generated function holds what `_slow` gives, and that this route: whoever can call it keeps it hearing.
        function, self._swaps = _build(original, wishes, _slow(chooser, self), chooser)
        self.function = function

    def check(self, version: str, function: Function, *, named: bool = True) -> None:
        """Raise `RegistrationError` unless a function can be a candidate here; `named`: its `def` is the newer one."""
        if named and rebinds(function, self.original, self.function):
            raise RegistrationError(
                f"version '{version}' of split '{self.split}' is a second def {self.original.__name__}: the name would "
                f"mean the candidate from then on, and every caller would get '{version}' whatever the "
                f"weight. Give it a name of its own: def {self.original.__name__}_{_as_name(version)}"
            )
        check_candidate(self.split, version, self.original, function)

    def take(self, version: str, function: Function) -> None:
        """Take in a candidate that has been checked; it is called from the next swap on."""
        self.own[version] = function

    def swap(self, state: CompiledSplit) -> None:
        """Let calls that begin from now on read another state, with this route's own functions in it."""
        # The store may know another baseline than the code; in doubt the code's answers (law 5).
        self._swaps(with_calls(state, (self.original, *map(self.own.get, state.names[1:]))))


def route(  # noqa: PLR0913, PLR0917 - what a router has, handed over once
    function: Function,
    wishes: RouteOptions,
    state: CompiledSplit,
    chooser: Chooser,
    register: Register,
    prepare: Prepare = unprepared,
) -> Route:
    """Make the routed function of a baseline, reading `state` until it is swapped.

    Costs about a millisecond, once. `register` is what `.version(name)` hands candidates to, `prepare` what
    `.warm(name)` hands hooks to.
    """
    original = _plain(function, wishes)
    made = Route(original, wishes, chooser)
    _dress(made.function, original)
    _equip(made.function, made, register, prepare)
    made.swap(state)
    return made


def _plain(function: Function, wishes: RouteOptions) -> FunctionType:
    """Refuse whatever a generated function could not stand in for."""
    where = f"split '{wishes.split}': "
    if not isinstance(function, FunctionType):
        raise RegistrationError(
            f"{where}{described(function)} ({type(function).__name__}) cannot be routed: "
            f"{way_to_route(function, wishes.split)}"
        )
    mode = shape_of(function).mode
    if mode == LEGACY_COROUTINE:
        raise RegistrationError(f"{where}{described(function)} is a {mode}: write it as async def to route it")
    if wishes.failed is not None and not callable(wishes.failed):
        raise RegistrationError(f"{where}failed= takes a function of the result, not {described(wishes.failed)}")
    if wishes.failed is not None and mode == ASYNC_GENERATOR:
        raise RegistrationError(f"{where}failed= looks at a result, and an {mode} has none: raise an error instead")
    outcome.check_ignored(wishes.split, wishes.ignore)
    if wishes.fallback and mode not in (FUNCTION, COROUTINE):
        raise RegistrationError(
            f"{where}fallback=True runs the baseline after the candidate, which a {mode} that has already given items "
            "cannot undo: leave it out, or route a function"
        )
    return function


def _build(original: FunctionType, wishes: RouteOptions, slow: _Slow, chooser: Chooser) -> tuple[FunctionType, _Swap]:
    shape = shape_of(original)
    prefix = free_prefix(shape)
    place = Place(wishes.split, original.__qualname__, shape, prefix, chooser.instance)
    readings = read_unit(wishes.unit, place, wishes.attributes)
    attributes = read_attributes(wishes.attributes, place)
    annotation = _annotation(original, readings[0].parameter if len(readings) == 1 else None)
    plan = TemplateInput(
        shape,
        prefix,
        tuple(ParameterReading(reading.expression, reading.parameter) for reading in readings),
        attributes.expression if attributes else None,
        annotation,
        wishes.fallback,
        wishes.failed is not None,
        has_core=compiled_core is not None,
    )
    objects = _objects(prefix, (*readings, *((attributes,) if attributes else ())))
    objects[prefix + "rare"] = rare = _rare_objects(original, wishes, slow, chooser)
    if compiled_core is not None:
        rare.line = compiled_core.RouteLine()
        rare.line.chooser = chooser
        objects[prefix + "pick"] = rare.line.pick
    lines, code = compiled(plan, tuple(objects))
    # The function's own globals, for whoever resolves its annotations by `__globals__`; the text reads none of them.
    namespace: dict[str, Any] = {}  # Any: what exec leaves there
    exec(code, original.__globals__, namespace)  # noqa: S102 - our text
    made = cast("tuple[FunctionType, _Swap]", namespace[prefix + "make"](None, **objects))
    _name(made[0], original, _listed(wishes.split, lines))
    return made


def _objects(prefix: str, readings: tuple[UnitExpression, ...]) -> dict[str, object]:
    """Return what the straight lines of the text name beside parameters and state: each is a cell of the function."""
    ours: dict[str, object] = {
        "MISSING": MISSING,
        "hash32": hash32,
        "int": int,
        "next": next,
        "nothing": NOT_KEPT,
        "scope_get": scope_get,
        "str": str,
    }
    named = {prefix + name: value for name, value in ours.items()}
    for reading in readings:
        named.update(reading.objects)
    return named


def _passed_on(error: BaseException) -> BaseException:
    """Take the generated frame out of what is thrown into an async generator: it will be passed again."""
    trace = error.__traceback__
    return error.with_traceback(trace.tb_next if trace else None)


class RareObjects:
    """What the text names off its straight lines: attributes of one object, because each cell costs each call."""

    __slots__ = ("answered", "baseline", "chooser", "done", "failed", "line", "returned", "slow")

    answered: Callable[..., None]
    baseline: Callable[..., object]
    chooser: Chooser
    done: set[int]  # ids of classes whose instances are done; asked of each timed call
    failed: Callable[..., None]
    line: Any  # Any: the compiled core's, where there is one
    returned: Callable[[CompiledSplit, int, SecondBuffer, object], None]
    slow: _Slow

    BaseException = BaseException
    Exception = Exception
    RecursionError = RecursionError
    StopAsyncIteration = StopAsyncIteration
    bisect_right = bisect_right
    clock = perf_counter
    end = None if compiled_core is None else compiled_core.end
    finished = staticmethod(outcome.finished)
    id = id
    is_unit = staticmethod(is_unit)
    passed_on = staticmethod(_passed_on)
    type = type


def _rare_objects(original: FunctionType, wishes: RouteOptions, slow: _Slow, chooser: Chooser) -> RareObjects:
    rare = RareObjects()
    rare.slow, rare.chooser, rare.baseline = slow, chooser, original
    rare.failed = partial(outcome.failed, ignored=wishes.ignore) if wishes.ignore else outcome.failed
    if wishes.failed is not None:
        rare.answered = partial(outcome.answered, _judge(wishes.split, wishes.failed, chooser.warn))
    rare.done = set()
    rare.returned = _returned(wishes.split, chooser.warn, rare.done)
    return rare


def _slow(chooser: Chooser, made: Route) -> _Slow:
    """Make what the text asks beside its straight lines."""
    original = made.original

    def slow(state: CompiledSplit, unit: object, given: object) -> _Asked:
        found, drawn = state, BASELINE
        try:
            attributes = cast("Mapping[str, object] | None", given)
            if given is not None and not isinstance(given, Mapping):
                unit, attributes = (
                    None,
                    None,
                )  # a callable that answers with anything else is as good as one that raises
            found, index, decision = chooser.resolve(state, unit, attributes)
            function = original if index == BASELINE else made.own.get(found.names[index])
            drawn = index if decision.reason in DRAWN else BASELINE
            if function is None:  # of this split's versions one that another route alone has
                outcome.let_go(found, drawn)
                return found, BASELINE, original, False, None, None, 0
            meant = outcome.resolve_unit(found, unit)
            evidence = outcome.is_evidence(found, index, decision.reason, meant)
            if not evidence:
                outcome.let_go(found, drawn)
                return found, index, function, False, None, None, 0
            if found.buffer is None:
                return found, index, function, True, None, None, 0
            part, record, mark = outcome.start_record(found, index, meant, kept=decision.reason == "kept")
        except Exception:  # noqa: BLE001 - law 5: in doubt, the baseline
            outcome.let_go(found, drawn)
            return state, BASELINE, original, False, None, None, 0
        else:
            return found, index, function, True, part, record, mark

    return slow


def _as_name(version: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in version)


def _judge(split: str, declares: Callable[[Any], object], warn: Warn) -> outcome.Judge:
    """Make a predicate that never raises: what it raises is said, and is not a failure."""

    def judge(result: object) -> bool:
        try:
            return bool(declares(result))
        except Exception as fault:  # noqa: BLE001 - the version has answered: that the predicate fails harms nobody
            warn(
                f"failed_raised {split}",
                f"split '{split}': failed= raised {type(fault).__name__}: not counted as a failure",
            )
            return False

    return judge


def _returned(split: str, warn: Warn, done: set[int]) -> Callable[[CompiledSplit, int, SecondBuffer, object], None]:
    """Make what looks at the result of a timed call: one that is not done yet vetoes `safe`, and is said once."""
    said: list[str] = []

    def returned(state: CompiledSplit, index: int, part: SecondBuffer, result: object) -> None:
        kind = outcome.unfinished(result)
        if kind:
            part.unfinished(index)
        elif len(done) < CLASSES_AT_MOST:
            done.add(id(type(result)))
        if kind and not said:
            said.append(kind)
            warn(
                f"unfinished {split}",
                f"split '{split}': '{state.names[index]}' has returned {kind}, and a call counts as done when it "
                "returns: failures after that are not seen, and no verdict is safe. Route an async def (or a "
                "generator) that awaits it, or mark the function with inspect.markcoroutinefunction",
            )

    return returned


def _annotation(function: FunctionType, parameter: str | None) -> str:
    try:
        found = function.__annotations__.get(parameter) if parameter else None
    except Exception:  # noqa: BLE001 - Python 3.14 evaluates here, and names may not exist yet
        return ""
    return found if isinstance(found, str) else getattr(found, "__name__", "")


def _listed(split: str, lines: list[str]) -> str:
    """Return the file name under which tracebacks find the text."""
    import linecache  # loads tokenize: nothing for import time

    name, number = f"<graysplit {split}>", 1
    while name in linecache.cache and linecache.getlines(name) != lines:
        number += 1
        name = f"<graysplit {split} {number}>"
    linecache.cache[name] = (len(lines), None, lines, name)
    return name


def _name(routed: FunctionType, original: FunctionType, filename: str) -> None:
    """Put a name of its own on a routed function's code, which all of its shape share."""
    routed.__code__ = routed.__code__.replace(
        co_name=original.__code__.co_name, co_qualname=original.__code__.co_qualname, co_filename=filename
    )


def _dress(routed: FunctionType, original: FunctionType) -> None:
    """Copy to the routed function the attributes of the original; its defaults are the same objects."""
    routed.__name__ = original.__name__
    routed.__qualname__ = original.__qualname__
    routed.__module__ = original.__module__
    routed.__doc__ = original.__doc__
    routed.__defaults__ = original.__defaults__
    routed.__kwdefaults__ = dict(original.__kwdefaults__) if original.__kwdefaults__ else None
    # Python 3.14 evaluates annotations when they are asked for, unless somebody has replaced them.
    late = "__annotate__" if getattr(original, "__annotate__", None) is not None else "__annotations__"
    for name in (late, "__type_params__"):  # the latter from Python 3.12 on
        if hasattr(original, name):
            setattr(routed, name, getattr(original, name))
    routed.__dict__.update(original.__dict__)
    routed.__dict__["__wrapped__"] = original


def _equip(routed: FunctionType, made: Route, register: Register, prepare: Prepare) -> None:
    def version(name: str) -> Callable[[F], F]:
        """Register the decorated function as a candidate; it is handed back untouched."""
        check_called(name, "version", '("new")')
        if name == made.baseline:
            raise RegistrationError(
                f"split '{made.split}': '{name}' is the baseline, which the route itself declares: "
                "give the candidate another name"
            )

        def take(function: F) -> F:
            register(name, function)
            return function

        return take

    def warm(name: str, /, *, every: Span | None = None) -> Callable[[H], H]:
        """Register what prepares a version; see `Router.warm`."""
        check_called(name, "warm", '("new")')

        def take(function: H) -> H:
            prepare(name, function, every)
            return function

        return take

    routed.__dict__.update(version=version, versions=made.versions, warm=warm, split=made.split)
