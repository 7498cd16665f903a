"""What a candidate must take, and how a difference is named."""

# ruff: noqa: ARG005 - stand-ins have the parameters of what they stand for

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from graysplit import Router, context
from graysplit.errors import ConfigurationError, RegistrationError, SignatureMismatchError
from graysplit.routes.signature import check_candidate, shape_of


def _check(baseline: Callable[..., Any], candidate: Callable[..., Any]) -> None:
    check_candidate("checkout", "new", baseline, candidate)


def _differences(baseline: Callable[..., Any], candidate: Callable[..., Any]) -> str:
    with pytest.raises(SignatureMismatchError) as caught:
        _check(baseline, candidate)
    return "; ".join(caught.value.differences)


def _old(user: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> None: ...


def _everything(a: int, /, b: int, c: int = 1, *rest: int, d: int, e: int = 2, **more: int) -> None: ...


def _bare() -> None: ...


def _only(*, a: int) -> None: ...


@pytest.mark.parametrize("function", [_old, _everything, _bare, _only])
def test_shape_agrees_with_inspect(function: Callable[..., Any]) -> None:
    """What is read from the code is what inspect says."""
    expected = [
        (p.name, int(p.kind), p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        for p in inspect.signature(function).parameters.values()
    ]
    assert sorted(map(tuple, shape_of(function).parameters)) == sorted(expected)
    assert [p.name for p in shape_of(function).parameters] == [name for name, _, _ in expected]


def test_a_callable_without_code_is_read_through_inspect() -> None:
    """A partial, a bound method and an object with `__call__` may be candidates."""

    class Service:
        def price(self, user: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> None: ...

        def __call__(self, user: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> None: ...

    def longer(shop: str, user: str, cart: int, cur: str = "EUR", *, fast: bool = False) -> None: ...

    for candidate in (Service().price, Service(), functools.partial(longer, "shop")):
        _check(_old, candidate)


def test_asynchronous_callables_without_code_are_told_apart() -> None:
    """A partial of a coroutine function, and an object with an async `__call__`, are no plain functions."""

    class Service:
        async def __call__(self, user: str) -> None: ...

    async def price(shop: str, user: str) -> None: ...

    def plain(user: str) -> None: ...

    async def waiting(user: str) -> None: ...

    for candidate in (Service(), functools.partial(price, "shop")):
        assert "coroutine" in _differences(plain, candidate)
        _check(waiting, candidate)


@pytest.mark.parametrize(
    "candidate",
    [
        lambda user, cart, cur="EUR", *, fast=False: None,
        lambda user, cart=1, cur="USD", extra=None, *, fast=True, more=1: None,
        lambda user, cart, cur="EUR", fast=False: None,
        lambda *args, **kw: None,
        lambda user, *args, **kw: None,
        lambda user, cart, cur="EUR", **kw: None,
    ],
)
def test_right_candidates_are_taken(candidate: Callable[..., Any]) -> None:
    """A candidate that takes every call of the baseline is taken, with extra optional parameters too."""
    _check(_old, candidate)


@pytest.mark.parametrize(
    ("candidate", "named"),
    [
        (lambda uid, cart, cur="EUR", *, fast=False: None, "parameter 1 is 'uid' where the baseline has 'user'"),
        (lambda cart, user, cur="EUR", *, fast=False: None, "parameter 1 is 'cart'"),
        (lambda user, cart, *, fast=False: None, "it lacks 'cur'"),
        (lambda user, cart, cur, *, fast=False: None, "'cur' has a default at the baseline and none here"),
        (lambda user, cart, cur="EUR": None, "it lacks 'fast' by name"),
        (lambda user, cart, cur="EUR", *, fast: None, "'fast' has a default at the baseline and none here"),
        (lambda user, cart, cur="EUR", *, fast=False, more: None, "its 'more' has no default"),
        (lambda user, cart, *, cur="EUR", fast=False: None, "'cur' is keyword-only here"),
        (lambda user, cart, cur="EUR", /, *, fast=False: None, "'user' is positional-only here"),
        (lambda user, *args, fast=False: None, "it lacks 'cart'"),
    ],
)
def test_each_difference_is_named(candidate: Callable[..., Any], named: str) -> None:
    """A wrong candidate is refused with the parameter and what is wrong with it."""
    assert named in _differences(_old, candidate)


def test_an_extra_required_parameter_is_named() -> None:
    """A parameter that the baseline lacks needs a default."""

    def more(user: str, cart: int, cur: str, extra: int, *, fast: bool = False) -> None: ...

    assert "its 'extra' has no default" in _differences(lambda user, cart, cur, *, fast=False: None, more)


def test_variable_parameters_need_their_like() -> None:
    """What the baseline takes in any number, a candidate takes in any number."""

    def old(user: str, *items: int, **opts: int) -> None: ...

    _check(old, lambda user, *others, **more: None)
    _check(old, lambda user, *others, known=1, **more: None)
    assert "it lacks '*items'" in _differences(old, lambda user, **opts: None)
    assert "it lacks '**opts'" in _differences(old, lambda user, *items: None)
    assert "would take the first of '*items'" in _differences(old, lambda user, extra=1, *items, **opts: None)


def test_positional_only_names_do_not_matter() -> None:
    """What cannot be named may be named otherwise."""

    def old(user: str, /, cart: int) -> None: ...

    _check(old, lambda uid, cart: None)
    assert "it lacks" in _differences(old, lambda uid: None)


def test_kinds_of_function_must_agree() -> None:
    """Function, coroutine, generator and async generator are four different things."""

    def function(user: str) -> None: ...

    async def coroutine(user: str) -> None: ...

    def generator(user: str) -> Iterator[int]:
        yield 1

    async def async_generator(user: str) -> AsyncIterator[int]:
        yield 1

    kinds: list[Callable[..., Any]] = [function, coroutine, generator, async_generator]
    for baseline in kinds:
        for candidate in kinds:
            if baseline is candidate:
                _check(baseline, candidate)
            else:
                assert "the baseline is a" in _differences(baseline, candidate)


@pytest.mark.parametrize(
    ("candidate", "way"),
    [
        (classmethod(lambda cls, user: None), "put @classmethod above the line that registers it"),
        (staticmethod(lambda user: None), "put @staticmethod above the line that registers it"),
        (int, "register a plain function and call it from there"),
        (None, "register a plain function and call it from there"),
    ],
)
def test_what_is_no_function_is_no_candidate(candidate: Any, way: str) -> None:
    """Descriptors and classes are refused with the way out."""
    with pytest.raises(RegistrationError, match=way):
        _check(_old, candidate)


def test_an_unreadable_callable_is_refused() -> None:
    """A C function without a signature is refused with the way out."""
    with pytest.raises(RegistrationError, match="write a plain function that calls it"):
        _check(_old, dict.fromkeys if not _readable(dict.fromkeys) else max)


def _readable(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function)
    except ValueError:
        return False
    return True


def test_a_decorator_without_its_parentheses_is_an_error_at_once() -> None:
    """It would stand in the function's place and answer with something else at the first call."""
    gray = Router()

    def pay() -> str:
        return "old"

    with pytest.raises(RegistrationError, match=r"route takes a name, and was given .*pay': write \.route\("):
        gray.route(pay)  # type: ignore[arg-type]
    routed = gray.route("checkout", unit=lambda: "u")(pay)
    with pytest.raises(RegistrationError, match=r'write \.version\("new"\)'):
        routed.version(pay)  # type: ignore[arg-type]
    with pytest.raises(RegistrationError, match=r'write \.warm\("new"\)'):
        routed.warm(pay)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"write @context\(\) with its parentheses"):
        context(pay)  # type: ignore[arg-type]
