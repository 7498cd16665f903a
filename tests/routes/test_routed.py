"""A routed function decides, counts, and otherwise behaves as the function it stands in for."""

# ruff: noqa: ARG002, ARG005 - stand-ins have the parameters of what they stand for

from __future__ import annotations

import asyncio
import inspect
import linecache
import pickle
import sys
import traceback
import typing
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit import Control, Router
from graysplit.core.bucketing import encode_unit
from graysplit.core.compiled import CompileInput, constant_state
from graysplit.core.counters import Counts
from graysplit.errors import RegistrationError, SignatureMismatchError
from graysplit.routes.template import compiled
from graysplit.routes.wrap import RouteOptions, route
from graysplit.scope_entry import context
from tests.routes.making import FakeChooser, a_route, a_route_of, a_state, in_threads, read, routed

SENTINEL = object()


def price(unit: str, cart: list[int] = [], cur: object = SENTINEL, /, *, fast: bool = False, **more: int) -> str:  # noqa: B006 - handed on as it is
    """Say what it costs."""
    return f"old {unit} {cart} {cur is SENTINEL} {fast} {more}"


original = price
price, _ = routed(original)


def test_it_looks_like_the_function() -> None:
    """Name, signature, annotations, defaults and documentation are the function's own."""
    assert inspect.signature(price) == inspect.signature(original)
    assert inspect.signature(price, follow_wrapped=False) == inspect.signature(original)
    assert typing.get_type_hints(price) == typing.get_type_hints(original)
    assert price.__defaults__ is original.__defaults__
    assert price.__kwdefaults__ == original.__kwdefaults__
    assert price.__globals__ is original.__globals__
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(price, name) == getattr(original, name)
    assert price.__wrapped__ is original
    assert type(price) is type(original)
    assert price.__code__.co_name == "price"


def test_it_pickles_by_name() -> None:
    """A process pool finds it where it is defined."""
    assert pickle.loads(pickle.dumps(price)) is price  # noqa: S301 - our own bytes


def test_own_attributes_are_kept() -> None:
    """What other decorators left on the function is on the routed one."""

    def old(unit: str) -> None: ...

    vars(old)["marked"] = 1
    assert routed(old)[0].marked == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f("u"),
        lambda f: f("u", [1]),
        lambda f: f("u", [1], None),
        lambda f: f("u", fast=True),
        lambda f: f("u", more=1, fast=True),
    ],
)
def test_arguments_arrive_as_they_were_given(call: Callable[[Any], str]) -> None:
    """Positional-only, defaults, keyword-only and any number: the version sees what a direct call would give it."""
    assert call(price) == call(original)


def test_the_order_of_keywords_is_kept() -> None:
    """`**kw` arrives in the order of the call."""
    function, _ = routed(lambda unit, *args, **kw: (args, list(kw)))
    assert function("u", 1, 2, z=1, a=2) == ((1, 2), ["z", "a"])


@pytest.mark.parametrize("call", [lambda f: f(), lambda f: f("u", wrong=1), lambda f: f("u", unit="u")])
def test_a_wrong_call_is_a_type_error_of_its_name(call: Callable[[Any], object]) -> None:
    """A call that the function does not take is refused as ever, and not counted."""

    def old(unit: str) -> None: ...

    function, state = routed(old)
    with pytest.raises(TypeError, match="old"):
        call(function)
    assert read(state)["started"] == [0, 0]


def test_parameters_may_be_named_as_the_template_names_its_own() -> None:
    """The template's prefix gives way to the parameters, and it reads nothing from the module around it."""
    space: dict[str, Any] = {"next": None, "Exception": None, "BaseException": None, "str": None}
    exec("def old(gs_s, gs_state, *gs_, gs__x=3, gs_f=4): return gs_s, gs_state, gs_, gs__x, gs_f", space)  # noqa: S102
    function, _ = routed(space["old"], unit="gs_state")
    assert function(1, "u", 2, gs_f=5) == (1, "u", (2,), 3, 5)


def test_methods_bind_natively() -> None:
    """A routed function in a class body is a method; `self`, `super()` and subclasses work."""

    class Base:
        def name(self) -> str:
            return "base"

    class Shop(Base):
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        def name_old(self, more: int = 0) -> str:
            return f"old {super().name()} {self.tenant} {more}"

        name = routed(name_old, lambda self, more=0: f"new {self.tenant} {more}", weight=0, unit="self.tenant")[0]

    assert Shop("t-1").name() == "old base t-1 0"
    assert Shop.name(Shop("t-1"), more=2) == "old base t-1 2"
    assert inspect.ismethod(Shop("t-1").name)


def test_versions_lie_beside_it() -> None:
    """`.split`, `.versions` and `.version` are its attributes; a candidate comes back untouched."""
    registered: list[str] = []
    made, _ = a_route(original)

    def register(name: str, function: Callable[..., Any]) -> None:
        made.check(name, function)
        made.take(name, function)
        registered.append(name)

    made = route(original, RouteOptions("checkout", unit="unit"), a_state({"new": 0}), FakeChooser(), register)

    def new(unit: str, cart: object = (), cur: object = 1, /, *, fast: bool = False, **more: int) -> str:
        return "new"

    assert made.function.version("new")(new) is new  # type: ignore[attr-defined]
    assert made.function.split == "checkout"  # type: ignore[attr-defined]
    assert dict(made.function.versions) == {"old": original, "new": new}  # type: ignore[attr-defined]
    assert registered == ["new"]
    with pytest.raises(SignatureMismatchError):
        made.function.version("b")(lambda: None)  # type: ignore[attr-defined]
    with pytest.raises(RegistrationError, match="'old' is the baseline"):
        made.function.version("old")  # type: ignore[attr-defined]
    assert list(made.versions) == ["old", "new"]


@given(st.lists(st.text(), max_size=50), st.sampled_from([0, 0.001, 20, 99.999, 100]))
def test_it_chooses_as_the_state_does(units: list[str], weight: float) -> None:
    """Law 1: the straight line and the ladder give one answer, for a `str` parameter and for any."""

    def annotated(unit: str) -> str:
        return "old"

    for old in (annotated, lambda unit: "old"):
        function, state = routed(old, lambda unit: "new", weight=weight)
        for unit in units:
            encoded = encode_unit(unit)
            assert function(unit) == (state.names[state.pick(encoded)[0]] if encoded else "old")


def _answering(name: str) -> Callable[[str], str]:
    return lambda unit: name


@given(st.lists(st.text(min_size=1, max_size=5), max_size=100))
def test_several_candidates_are_each_reached(units: list[str]) -> None:
    """With several candidates each unit gets its owner, and each call is counted for it."""
    weights = {"b": 10, "c": 25, "d": 5.001, "e": 30}
    calls = {name: _answering(name) for name in ("old", *weights)}
    state = a_state(weights, calls)
    function = a_route_of(calls, state).function
    names = [state.names[state.pick(unit.encode())[0]] for unit in units if encode_unit(unit)]
    assert [function(unit) for unit in units if encode_unit(unit)] == names
    assert read(state)["started"] == [names.count(name) for name in state.names]
    assert read(state)["finished"] == [0, *(names.count(name) for name in state.names[1:])]


def test_an_absent_version_is_the_baseline() -> None:
    """A candidate that this process does not have answers with the baseline, counted apart; others are reached."""

    def old(unit: str) -> str:
        return "old"

    def there(unit: str) -> str:
        return "b"

    state = a_state({"b": 50, "c": 50}, {"old": old, "b": there})
    function = a_route_of({"old": old, "b": there}, state).function
    answers = [function(f"u-{number}") for number in range(100)]
    absent = state.counts.other(0, "version_absent").read()
    assert answers.count("old") == absent
    assert read(state)["started"] == [0, answers.count("b"), 0]
    assert 20 < absent < 80


def test_a_baseline_that_the_store_names_otherwise_is_the_codes() -> None:
    """Law 5: where the store's baseline has no function here, the code's baseline answers."""

    def old(unit: str) -> str:
        return "code"

    state = a_state({"b": 30, "c": 30}, {"b": lambda unit: "b"})
    made = a_route_of({"old": old, "b": lambda unit: "b"}, state)
    assert {made.function(f"u-{number}") for number in range(200)} == {"code", "b"}


HOSTILE: list[Any] = [
    "\ud800",
    "a\udc00b",
    "\0",
    "x" * 1_000_000,
    "",
    b"",
    b"u-1",
    b"\xff",
    None,
    True,
    False,
    0,
    -1,
    10**5000,
    1.5,
    float("nan"),
    uuid.UUID(int=7),
    type("Text", (str,), {})("u-1"),
    type("Number", (int,), {})(7),
    object(),
    [],
    {},
    ...,
    type("Equal", (), {"__eq__": lambda self, other: True, "__hash__": None})(),
    type("Encodes", (), {"encode": lambda self: "text"})(),
]


@pytest.mark.parametrize("weight", [0, 20, 100])
@pytest.mark.parametrize("unit", HOSTILE, ids=lambda unit: type(unit).__name__)
@pytest.mark.parametrize("annotation", ["", ": str", ": int"])
@pytest.mark.parametrize("scoped", [False, True])
def test_hostile_units_get_the_documented_answer(weight: float, unit: Any, annotation: str, *, scoped: bool) -> None:
    """No unit, whatever it is, crashes a call; what is no unit gets the baseline, also at 100 %."""
    old, new = (eval(f"lambda unit: {name!r}") for name in ("old", "new"))  # noqa: S307 - the test's own text
    if annotation:
        old.__annotations__["unit"] = annotation[2:]
    function, state = routed(old, new, weight=weight)
    encoded = encode_unit(unit)
    expected = state.names[state.pick(encoded)[0]] if encoded else "old"
    if scoped:
        with context():
            assert [function(unit) for _ in range(3)] == [expected] * 3
    else:
        assert function(unit) == expected
    counted = sum(read(state)["started"]) + state.counts.other(0, "no_unit").read()
    assert counted == (3 if scoped else 1)


def test_a_request_keeps_its_choice() -> None:
    """Inside a context a raise does not change a unit's version; outside it does. Both are counted."""
    made, state = a_route(lambda unit: "old", lambda unit: "new", weight=0)
    raised = a_state(
        {"new": 100}, {"old": made.original, "new": lambda unit: "new"}, counts=state.counts, key=state.key
    )
    with context():
        assert made.function("u-1") == "old"
        made.swap(raised)
        assert [made.function("u-1") for _ in range(2)] == ["old", "old"]
        assert made.function("u-2") == "new"
        assert made.function("u-2") == "new"
    assert made.function("u-1") == "new"
    assert read(state)["started"] == [3, 3]
    assert read(state)["finished"] == [0, 3]


def test_a_choice_kept_before_a_rollback_is_not_found_after_it() -> None:
    """Law 4: a state with another key finds no old choices."""
    made, state = a_route(lambda unit: "old", lambda unit: "new")
    stopped = a_state({"new": 0}, {"old": made.original, "new": lambda unit: "new"}, counts=state.counts)
    with context(unit="u-1"):
        assert [made.function("u-1") for _ in range(2)] == ["new", "new"]
        made.swap(stopped)
        assert [made.function("u-1") for _ in range(2)] == ["old", "old"]


def test_kept_choices_of_several_candidates_are_found() -> None:
    """The hot path answers for any kept version without asking the router again."""
    chooser = FakeChooser()
    weights = {"b": 30, "c": 30, "d": 30}
    calls = {name: _answering(name) for name in ("old", *weights)}
    state = a_state(weights, calls)
    function = a_route_of(calls, state, chooser).function
    for number in range(50):
        unit = f"u-{number}"
        outside = function(unit)
        with context():
            assert [function(unit) for _ in range(3)] == [outside] * 3
    assert len(chooser.asked) == 50
    assert sum(read(state)["started"]) == 200


def test_a_state_that_answers_for_one_reason_asks_the_router() -> None:
    """Break-glass and the like are swapped in; their calls are counted apart and never evidence."""
    made, state = a_route(lambda unit: 1 / 0, lambda unit: "new")
    calls = {"old": made.original, "new": lambda unit: "new"}
    made.swap(constant_state("checkout", ("old", "new"), "off", CompileInput(state.counts, object(), calls)))
    with pytest.raises(ZeroDivisionError):
        made.function("u-1")
    assert state.counts.other(0, "off").read() == 1
    assert read(state) == {"started": [0, 0], "finished": [0, 0], "failed": [0, 0]}


def test_a_router_that_raises_costs_nobody_a_call() -> None:
    """Law 5: whatever goes wrong while deciding, the baseline runs."""

    class Broken(FakeChooser):
        def resolve(self, state: Any, unit: object, attributes: object) -> Any:
            raise RuntimeError

    function, _ = routed(lambda unit: "old", lambda unit: "new", chooser=Broken())
    assert function(b"u-1") == "old"


def test_pinned_calls_are_never_evidence() -> None:
    """A pinned unit's failure and end are not counted among those drawn by the hash."""
    function, state = routed(lambda unit: "old", _trouble, weight=1, pins={"u-1": "new"})
    with pytest.raises(LookupError):
        function("u-1")
    assert read(state) == {"started": [0, 0], "finished": [0, 0], "failed": [0, 0]}
    assert state.counts.other(1, "pin").read() == 1


# What a version raises


def _trouble(unit: str) -> None:
    raise LookupError(unit)


@pytest.mark.parametrize("weight", [0, 100])
@pytest.mark.parametrize("unit", ["u-1", b"u-1"], ids=["straight", "slow"])
def test_what_a_version_raises_passes_through_untouched(weight: float, unit: Any) -> None:
    """The same exception object, no cause, no context, and one frame of ours whose line can be read."""
    function, state = routed(_trouble, weight=weight)
    with pytest.raises(LookupError) as caught:
        function(unit)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    frames = traceback.extract_tb(error.__traceback__)
    assert [frame.name for frame in frames][1:] == ["_trouble", "_trouble"]
    assert frames[1].filename == "<graysplit checkout>" or frames[1].filename.startswith("<graysplit checkout ")
    assert "(unit)" in (frames[1].line or "")
    assert read(state)["failed"] == ([1, 0] if weight == 0 else [0, 1])


def test_functions_of_one_shape_are_compiled_once_and_named_apart() -> None:
    """A program may route a thousand of them; a traceback tells which it is."""

    def first(unit: str, shape_of_one_test: int = 1) -> str:
        return "first"

    def second(unit: str, shape_of_one_test: int = 2) -> tuple[str, int]:
        return "second", shape_of_one_test

    before = compiled.cache_info().misses
    (one, _), (other, _) = routed(first), routed(second)
    assert compiled.cache_info().misses == before + 1
    assert (one("u-1"), other("u-1"), other("u-1", 3)) == ("first", ("second", 2), ("second", 3))
    assert (one.__name__, other.__code__.co_name) == ("first", "second")


def test_a_context_of_the_callers_is_kept() -> None:
    """Called inside an `except`, a version's exception has the caller's as its context, and nothing of ours."""
    function, _ = routed(_trouble)
    first = KeyError()
    try:
        raise first
    except KeyError:
        with pytest.raises(LookupError) as caught:
            function("\ud800")  # no unit: the slow path
    assert caught.value.__context__ is first
    assert first.__context__ is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_being_cut_short_is_no_failure(kind: type[BaseException]) -> None:
    """Interrupts and cancellations end a call; they do not speak against the version."""

    def new(unit: str) -> None:
        raise kind

    function, state = routed(lambda unit: None, new)
    with pytest.raises(kind):
        function("u-1")
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 0]}


def test_other_base_exceptions_are_failures() -> None:
    """Whatever else a version raises counts, be it an Exception or not."""

    class Odd(BaseException):
        pass

    def new(unit: str) -> None:
        raise Odd

    function, state = routed(lambda unit: None, new)
    with pytest.raises(Odd):
        function("u-1")
    assert read(state)["failed"] == [0, 1]


def test_a_version_may_call_the_routed_function() -> None:
    """A candidate that calls what it is a candidate of is decided and counted anew each time."""
    space: dict[str, Any] = {}

    def new(unit: str, depth: int = 0) -> int:
        return depth if depth == 5 else space["f"](unit, depth + 1)

    space["f"], state = routed(lambda unit, depth=0: -1, new)
    assert space["f"]("u-1") == 5
    assert read(state) == {"started": [0, 6], "finished": [0, 6], "failed": [0, 0]}


def test_endless_recursion_is_pythons_own_error() -> None:
    """A version without end ends in RecursionError, and the next call is as good as ever."""
    space: dict[str, Any] = {}

    def new(unit: str, *, end: bool = False) -> object:
        return end or space["f"](unit)

    space["f"], _ = routed(lambda unit, *, end=False: None, new)
    with pytest.raises(RecursionError):
        space["f"]("u-1")
    assert space["f"]("u-1", end=True) is True


def test_no_exposure_and_no_error_is_lost() -> None:
    """Eight threads, one call in 28 raising, states swapped all the while: each start, end and failure is counted."""
    calls, caught = 20_000, [0] * 8

    def old(unit: str, number: int) -> None:
        if number % 28 == 0:
            raise ValueError

    def new(unit: str, number: int) -> None:
        old(unit, number)

    functions = {"old": old, "new": new}
    made, state = a_route(old, new, weight=50)
    states = [a_state({"new": weight}, functions, counts=state.counts) for weight in (0, 20, 100)]
    states.append(a_state({"new": 50}, functions, counts=state.counts, pins={"nobody": "new"}))

    def work(place: int) -> None:
        for number in range(calls):
            try:
                made.function(f"u-{number}", number)
            except ValueError:
                caught[place] += 1

    in_threads(work, len(caught), meanwhile=lambda: [made.swap(state) for state in states])
    counted = read(state)
    assert sum(counted["started"]) == calls * len(caught)
    assert counted["finished"][1] == counted["started"][1]
    assert sum(counted["failed"]) == sum(caught) == len(caught) * len(range(0, calls, 28))


# fallback


def test_fallback_runs_the_baseline_once() -> None:
    """With fallback=True a candidate's Exception gives the baseline's answer, and is still its failure."""
    function, state = routed(lambda unit: "old", _trouble, fallback=True)
    assert function("u-1") == "old"
    assert function(b"u-1") == "old"
    assert read(state) == {"started": [0, 2], "finished": [0, 2], "failed": [0, 2]}


def test_what_the_baseline_raises_in_a_fallback_stands_alone() -> None:
    """The baseline's own exception passes through without the candidate's as its context."""

    def old(unit: str) -> None:
        raise KeyError

    function, state = routed(old, _trouble, fallback=True)
    for unit in ("u-1", b"u-1"):
        with pytest.raises(KeyError) as caught:
            function(unit)
        assert caught.value.__context__ is None
    assert read(state) == {"started": [0, 2], "finished": [0, 2], "failed": [0, 2]}


@pytest.mark.parametrize("unit", ["u-1", b"u-1"], ids=["straight", "slow"])
def test_fallback_leaves_the_baseline_and_interrupts_alone(unit: Any) -> None:
    """What the baseline raises is raised, once; an interrupt in the candidate is no reason to go on."""
    runs: list[int] = []

    def old(unit: str) -> None:
        runs.append(1)
        raise KeyError

    function, state = routed(old, weight=0, fallback=True)
    with pytest.raises(KeyError):
        function(unit)
    assert runs == [1]
    assert read(state)["failed"] == [1, 0]

    def new(unit: str) -> None:
        raise KeyboardInterrupt

    function, state = routed(old, new, fallback=True)
    with pytest.raises(KeyboardInterrupt):
        function(unit)
    assert runs == [1]


def test_fallback_is_for_what_can_run_twice() -> None:
    """Generators have given items already: fallback=True is refused there."""

    def items(unit: str) -> Iterator[int]:
        yield 1

    with pytest.raises(RegistrationError, match="fallback=True"):
        routed(items, fallback=True)


# What cannot be routed


class _Task:
    """Like a Celery task: an object that is called."""

    def __call__(self, unit: str) -> None: ...


_ABOVE = r'put @{} above the route, which goes next to the def, and .* @router.candidate\("checkout", "new"\)'


@pytest.mark.parametrize(
    ("thing", "way"),
    [
        (classmethod(lambda cls, unit: None), _ABOVE.format("classmethod")),
        (staticmethod(lambda unit: None), _ABOVE.format("staticmethod")),
        (property(lambda self: None), _ABOVE.format("property")),
        (_Task, r'choose between two classes with a handle, router.split\("checkout"\).choose\(\)'),
        (_Task(), "where a decorator made this object, put the route under it"),
        (partial(int, base=2), "route a plain function .* and call it from there"),
        (_Task().__call__, "route the method in its class"),
        (len, "route the method in its class, next to its def, or a plain function that calls it"),
        (3, "route a plain function"),
    ],
    ids=["classmethod", "staticmethod", "property", "class", "task", "partial", "bound", "builtin", "number"],
)
def test_what_cannot_be_routed_says_the_way_out(thing: Any, way: str) -> None:
    """Descriptors, classes, objects and C functions: each has one way, and the error names it."""
    with pytest.raises(RegistrationError, match=way):
        routed(thing)


class _Shop:
    """Each decorator of a class above a route, with the candidate registered by name."""

    name = "tea"
    gray = Router("memory://descriptors")

    @staticmethod
    @gray.route("static", unit="user")
    def static(user: str) -> str:
        return f"old {user}"

    @staticmethod
    @gray.candidate("static", "new")
    def static_new(user: str) -> str:
        return f"new {user}"

    @classmethod
    @gray.route("of-class", unit="user")
    def of_class(cls, user: str) -> str:
        return f"old {cls.__name__} {user}"

    @classmethod
    @gray.candidate("of-class", "new")
    def of_class_new(cls, user: str) -> str:
        return f"new {cls.__name__} {user}"

    @property
    @gray.route("label", unit="self.name")
    def label(self) -> str:
        return f"old {self.name}"

    @gray.candidate("label", "new")
    def label_new(self) -> str:
        return f"new {self.name}"

    @gray.route("called", unit="user")
    def __call__(self, user: str) -> str:
        return f"old {user}"

    @__call__.version("new")
    def called_new(self, user: str) -> str:
        return f"new {user}"


class _Corner(_Shop):
    """A class method is called with the class that was asked."""


def test_descriptors_go_above_the_route() -> None:
    """Both versions are reached through the class, a subclass and an object, and a class method gets its own class."""
    shop = _Shop()

    def asked() -> list[str]:
        return [
            _Shop.static("u"),
            shop.static("u"),
            _Corner.of_class("u"),
            _Corner().of_class("u"),
            shop.label,
            shop("u"),
        ]

    old = ["old u", "old u", "old _Corner u", "old _Corner u", "old tea", "old u"]
    with _Shop.gray as gray, Control("memory://descriptors", confirm=True) as control:
        assert asked() == old
        assert gray.wait_ready()
        for split in ("static", "of-class", "label", "called"):
            control.create(split)
            control.wait_confirmed(control.set(split, 100))
        assert asked() == [text.replace("old", "new") for text in old]
        for split in ("static", "of-class", "label", "called"):
            control.wait_confirmed(control.rollback(split))
        assert asked() == old


def test_the_text_of_two_functions_is_kept_apart() -> None:
    """Two routes of one name each keep their lines for tracebacks."""
    first, _ = routed(lambda unit, alpha=1: None)
    second, _ = routed(lambda unit, beta=2: None)
    for function, word in ((first, "alpha"), (second, "beta")):
        lines = linecache.getlines(function.__code__.co_filename)
        assert any(word in line for line in lines)
        linecache.checkcache()
        assert linecache.getlines(function.__code__.co_filename) == lines


def test_counts_outlive_a_swap() -> None:
    """A call that began on one state ends on it, whatever is swapped meanwhile."""
    space: dict[str, Any] = {}
    other = Counts(("old", "new"), routed=True)

    def new(unit: str) -> str:
        space["route"].swap(a_state({"new": 0}, {"old": new, "new": new}, counts=other))
        return "new"

    space["route"], state = a_route(lambda unit: "old", new)
    assert space["route"].function("u-1") == "new"
    assert read(state) == {"started": [0, 1], "finished": [0, 1], "failed": [0, 0]}
    assert [meter.read() for meter in other.finished] == [0, 0]


def test_annotations_that_a_decorator_below_has_replaced_are_the_routed_functions() -> None:
    """From Python 3.14 on a function makes them late, unless somebody has set them."""

    def price(user: str) -> int:
        return len(user)

    price.__annotations__ = {"user": "str", "return": "float"}
    routed = Router().route("price", unit="user")(price)
    assert typing.get_type_hints(routed) == {"user": str, "return": float}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters in brackets are Python 3.12's")
def test_type_hints_of_a_generic_function_can_be_read() -> None:
    """Its type parameters are named by its annotations, as text too."""
    found: dict[str, Any] = {}
    exec("from __future__ import annotations\ndef first[T](user: T) -> list[T]: return [user]", found)  # noqa: S102 - newer than 3.11's grammar
    routed = Router().route("first", unit="user")(found["first"])
    (parameter,) = found["first"].__type_params__
    assert typing.get_type_hints(routed) == {"user": parameter, "return": list[parameter]}
