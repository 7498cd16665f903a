"""Where a routed call finds its unit and attributes."""

# ruff: noqa: ARG005 - stand-ins have the parameters of what they stand for

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from graysplit.errors import RegistrationError
from graysplit.routes.unit import INSTANCE, attribute, by_instance
from graysplit.scope import MISSING
from graysplit.scope_entry import context
from tests.routes.making import FakeChooser, a_state, read, routed


def _choices(weight: float = 50) -> dict[str, str]:
    """Return the version that a handle's state names, for some units."""
    state = a_state({"new": weight})
    return {unit: state.names[state.pick(unit.encode())[0]] for unit in (f"u-{number}" for number in range(60))}


def _pair(body: str, **wishes: Any) -> Any:
    """Route a function written as a lambda's parameters, which answers `old`; its candidate answers `new`."""
    old, new = (eval(f"lambda {body}: {name!r}") for name in ("old", "new"))  # noqa: S307 - the test's own text
    return routed(old, new, weight=50, **wishes)[0]


@pytest.mark.parametrize(
    ("parameters", "unit", "arguments"),
    [
        ("user_id", "user_id", lambda unit: ((unit,), {})),
        ("user", "user.id", lambda unit: ((SimpleNamespace(id=unit),), {})),
        ("self, x", "self.tenant.id", lambda unit: ((SimpleNamespace(tenant=SimpleNamespace(id=unit)), 1), {})),
        ("*, key, other=1", "key", lambda unit: ((), {"other": 2, "key": unit})),
        ("key, /, other", "key", lambda unit: ((unit,), {"other": 2})),
        ("a, b", lambda b: b, lambda unit: ((1, unit), {})),
        ("a, *, b", lambda *, b, nothing=None: b, lambda unit: ((1,), {"b": unit})),
        ("a, b", lambda nothing=None, b=None: b, lambda unit: ((1, unit), {})),
        ("*args, **kw", lambda args, kw: args[0] + kw["rest"], lambda unit: ((unit[:2],), {"rest": unit[2:]})),
        ("a, b", ("a", "b"), lambda unit: ((None, unit), {})),
        ("a, b", ("a.id", ("b.id", "b")), lambda unit: ((None, unit), {})),
        ("a=None, b=None", ("a", "b"), lambda unit: ((), {"b": unit})),
    ],
)
def test_each_kind_of_spec_finds_the_unit(parameters: str, unit: Any, arguments: Any) -> None:
    """Names, paths, callables and tuples of them give the version that the unit itself gets."""
    function = _pair(parameters, unit=unit)
    for name, version in _choices().items():
        args, kwargs = arguments(name)
        assert function(*args, **kwargs) == version


def test_a_units_default_is_a_unit() -> None:
    """A call that leaves the unit out is decided by its default."""
    for name, version in _choices().items():
        assert _pair(f"user={name!r}", unit="user")() == version


def test_the_contexts_attribute_is_a_unit() -> None:
    """`attribute(name)` reads the open context; outside it, and without the attribute, there is no unit."""
    function = _pair("", unit=attribute("tenant"))
    for name, version in _choices().items():
        with context(attributes={"tenant": name}):
            assert function() == version
    with context():
        assert function() == "old"
    assert function() == "old"
    assert repr(attribute("tenant")) == "graysplit.attribute('tenant')"


@pytest.mark.parametrize("unit", [None, ("missing", None)])
def test_the_contexts_unit_is_the_unit(unit: Any) -> None:
    """Without a spec, and as the last of a tuple, the context's unit decides: at first by the router, then kept."""
    chooser = FakeChooser()
    function = _pair("missing=None", unit=unit, chooser=chooser)
    for name, version in _choices().items():
        with context(unit=name):
            assert [function() for _ in range(3)] == [version] * 3
    assert chooser.asked == [(MISSING, None)] * 60
    assert function() == "old"


def test_what_raises_gives_no_unit() -> None:
    """A path or callable that raises is no unit: the baseline, counted apart; the call goes on."""

    def broken(user: object) -> str:
        raise KeyError(user)

    for unit in ("user.id.number", broken):
        function, state = routed(lambda user: "old", lambda user: "new", unit=unit)
        assert function(object()) == "old"
        assert read(state) == {"started": [0, 0], "finished": [0, 0], "failed": [0, 0]}
        assert state.counts.other(0, "no_unit").read() == 1


def test_a_unit_is_read_once_a_call() -> None:
    """A property or callable is asked once, whatever comes of it."""
    asked: list[object] = []

    def pick(user: object) -> object:
        asked.append(user)
        return user

    function, _ = routed(lambda user: "old", lambda user: "new", unit=pick)
    for user in ("u-1", 1, None, b"x", uuid.UUID(int=1)):
        function(user)
    assert asked == ["u-1", 1, None, b"x", uuid.UUID(int=1)]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("user_i", r"no parameter 'user_i' \(parameters: user_id, \*rest\). Did you mean 'user_id'\?"),
        ("usr.id", "'usr.id' begins with no parameter 'usr'"),
        ("rest", r"pick one, as in unit=lambda rest: rest\[...\]"),
        ("user_id.", "invalid path"),
        ("user_id.class", "invalid path"),
        ("user_id()", "invalid path"),
        ((), "unit=\\(\\) is empty"),
        (3, "invalid unit"),
        (lambda usr_id: usr_id, "asks for 'usr_id', but there is no parameter 'usr_id'.*Did you mean 'user_id'"),
    ],
)
def test_a_wrong_spec_is_refused_at_decoration(spec: Any, told: str) -> None:
    """A spec that can never work says so at once, with the names that there are."""
    with pytest.raises(RegistrationError, match=told):
        routed(lambda user_id, *rest: None, unit=spec)


def test_the_instance_is_a_unit() -> None:
    """`INSTANCE` is this host's name, alone or where nothing before it in a tuple is a unit."""
    for spec, given, meant in (
        (INSTANCE, "u-1", "web-1"),
        (("user_id", INSTANCE), None, "web-1"),
        (("user_id", INSTANCE), "u-1", "u-1"),
    ):
        chooser = FakeChooser()
        pins = {"nobody": "new"}  # so that the router is asked
        function, _ = routed(lambda user_id: "old", unit=spec, chooser=chooser, pins=pins)
        function(given)
        assert chooser.asked == [(meant, None)]


def test_only_what_is_asked_first_makes_instances_cross() -> None:
    """Behind another unit the instance is one unit among others, and the split is no rolling upgrade."""
    assert by_instance(INSTANCE)
    assert by_instance((INSTANCE, "user_id"))
    assert not by_instance(("user_id", INSTANCE))
    assert not by_instance("user_id")
    assert not by_instance(None)


def test_an_asynchronous_picker_is_refused() -> None:
    """A decision never waits, so neither does what finds the unit."""

    async def later(user: str) -> str:
        return user

    with pytest.raises(RegistrationError, match="a decision never waits"):
        routed(lambda user: None, unit=later)


def test_a_function_replaced_by_a_decorator_is_pointed_out() -> None:
    """A route above a wrapper that takes anything says where it belongs."""
    with pytest.raises(RegistrationError, match="put the route under it, next to the def"):
        routed(lambda *args, **kwargs: None, unit="user_id")


def test_attributes_are_read_only_where_a_rung_may_ask() -> None:
    """The plain percentage does not look at attributes; with pins the router is handed them."""
    asked: list[str] = []

    def attributes(user: str, plan: str) -> dict[str, object]:
        asked.append(plan)
        return {"plan": plan}

    function, _ = routed(lambda user, plan: "old", lambda user, plan: "new", unit="user", attributes=attributes)
    assert function("u-1", "pro") == "new"
    assert asked == []

    chooser = FakeChooser()
    function, _ = routed(
        lambda user, plan: "old",
        lambda user, plan: "new",
        unit="user",
        attributes=attributes,
        chooser=chooser,
        pins={"u-1": "old"},
    )
    assert function("u-1", "pro") == "old"
    assert chooser.asked == [("u-1", {"plan": "pro"})]


def test_a_mapping_of_paths_gives_attributes() -> None:
    """Each attribute has a path or callable of its own; names may hold anything."""
    chooser = FakeChooser()
    spec = {"plan $": "user.plan", "size": lambda cart: cart[-1], "user": "user"}
    user = SimpleNamespace(id="u-1", plan="pro")
    function, _ = routed(
        lambda user, cart: "old", unit="user.id", attributes=spec, chooser=chooser, pins={"u-1": "new"}
    )
    function(user, [1, 2])
    assert chooser.asked == [("u-1", {"plan $": "pro", "size": 2, "user": user})]


@pytest.mark.parametrize("attributes", [{"plan": "user.plan"}, lambda user: user.plan, lambda user: 3])
def test_attributes_that_raise_give_no_unit(attributes: Any) -> None:
    """In doubt, baseline: a rule must not be asked about attributes that are not known."""
    function, state = routed(
        lambda user: "old", lambda user: "new", unit="user", attributes=attributes, pins={"u-2": "new"}
    )
    assert function("u-1") == "old"
    assert state.counts.other(0, "no_unit").read() == 1


def test_wrong_attributes_are_refused_at_decoration() -> None:
    """A misspelt path in attributes is as much an error as in unit."""
    with pytest.raises(RegistrationError, match="no parameter 'usr'"):
        routed(lambda user: None, unit="user", attributes={"plan": "usr.plan"})
