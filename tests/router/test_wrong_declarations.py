"""Wrong declarations fail on the line that is wrong, and say the right one; a repr says what it is of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import graysplit
from graysplit import BadNameError, ConfigurationError, RegistrationError, Router


def plain(user_id: str) -> str:
    """Stand for a function of the program."""
    return user_id


def prepare() -> None:
    """Stand for what warms a version."""


@pytest.mark.parametrize(
    ("declare", "right"),
    [
        (lambda gray, _: gray.route(plain), '.route("checkout", unit="user_id") with parentheses'),
        (lambda gray, _: gray.route(["checkout"]), '.route("checkout", unit="user_id")'),
        (lambda gray, _: gray.route("checkout", baseline=["old"]), 'baseline="old"'),
        (lambda gray, _: gray.route("checkout", fallback="no"), "fallback= takes True or False"),
        (lambda _, route: route.version(plain), '.version("new") with parentheses'),
        (lambda _, route: route.version(["new"]), '.version("new")'),
        (lambda _, route: route.warm(plain), '.warm("new") with parentheses'),
        (lambda gray, _: gray.candidate("checkout", plain), '.candidate("checkout", "new")'),
        (lambda gray, _: gray.candidate("checkout", ["new"]), '.candidate("checkout", "new")'),
        (lambda gray, _: gray.warm("checkout", plain), '.warm("checkout", "new")'),
        (lambda gray, _: gray.warm("checkout", "new", every="soon")(prepare), 'every="30s"'),
        (lambda gray, _: gray.warm("checkout", "new", every=timedelta(0))(prepare), 'every="30s"'),
        (lambda gray, _: gray.warm("checkout", "new", every=True)(prepare), 'every="30s"'),
        (lambda gray, _: gray.split("banner", ["old", "new"]), "*names"),
        (lambda gray, _: gray.split("banner", ("old", "new")), "*names"),
        (lambda gray, _: gray.split("banner", {"old", "new"}), "*names"),
        (lambda gray, _: gray.split("banner", "old", 3), "one argument each"),
        (lambda gray, _: gray.split("banner", "old", "old"), "named twice"),
        (lambda gray, _: gray.split(["banner"]), '.split("banner", "old", "new")'),
        (lambda gray, _: gray.split(None), '.split("banner", "old", "new")'),
        (lambda gray, _: gray.split("banner").warm(plain), '.warm("new") with parentheses'),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_right_line(
    declare: Callable[[Router, Any], object], right: str, router: Router
) -> None:
    """Missing parentheses, lists and other kinds raise at once, and the message has what to write."""

    @router.route("basket", unit="user_id")
    def basket(user_id: str) -> str:
        return user_id

    with pytest.raises(RegistrationError) as refused:
        declare(router, basket)
    assert right in str(refused.value)


@pytest.mark.parametrize(
    "declare",
    [
        lambda gray: gray.route("A B"),
        lambda gray: gray.route("checkout", baseline="A B"),
        lambda gray: gray.candidate("checkout", "A B"),
        lambda gray: gray.split("banner", "old", "A B"),
    ],
)
def test_a_wrong_name_is_refused_before_the_function_comes(declare: Callable[[Router], object], router: Router) -> None:
    """A name outside the alphabet raises when it is written, not when something is decorated."""
    with pytest.raises(BadNameError):
        declare(router)


@pytest.mark.parametrize("library", ["memory://", None, 3])
def test_only_a_router_is_included(library: Any, router: Router) -> None:
    """An address or nothing is no library's router."""
    with pytest.raises(ConfigurationError, match="include takes the router"):
        router.include(library)


def test_what_is_printed_says_what_it_is(router: Router) -> None:
    """Router, handle, attempt and context name themselves, and neither a unit nor a password."""
    assert repr(router).startswith("<graysplit router: live, memory")
    sleeping = Router("redis://user:secret@host:1/0")
    assert (repr(sleeping), repr(Router())) == ("<graysplit router: asleep>", "<graysplit router: asleep>")
    banner = router.split("banner")
    attempt, context = banner.attempt("secret"), graysplit.context("secret", {"plan": "secret"})
    assert repr(attempt) == "<graysplit attempt of <graysplit split 'banner': old, new>>"
    assert repr(context).startswith("<graysplit opening")
    assert "secret" not in repr([sleeping, attempt, context])
