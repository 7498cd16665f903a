"""What people write first: enums, decorators without parentheses, addresses, lengths of time, words for "nothing"."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, StrEnum
from types import ModuleType
from typing import Any, TypeAlias

import pytest

import graysplit
from graysplit import ConfigurationError, Control, RegistrationError, Router, context, embedded, errors
from graysplit.core.durations import BadSpanError

MakeRouter: TypeAlias = Callable[..., Router]


class Banner(StrEnum):
    """Versions as a program names them."""

    OLD = "old"
    NEW = "new-banner"


class Mixed(str, Enum):  # noqa: UP042 - as programs have it that ran under Python 3.10
    """The same, before Python 3.11."""

    OLD = "old"
    NEW = "new-banner"


@pytest.mark.parametrize("kind", [Banner, Mixed])
@pytest.mark.parametrize("wishes", [{}, {"unit": lambda: "u-1"}], ids=["named", "found"])
def test_an_enum_of_versions_gives_its_members(kind: Any, wishes: dict[str, Any], make_router: MakeRouter) -> None:
    """`choose`, `attempt`, `baseline` and `versions` are members, at any weight; the store has names."""
    url = f"memory://{kind.__name__}-{len(wishes)}"
    with make_router(url) as router, Control(url, confirm=True) as control:
        banner = router.split("banner", kind, **wishes)
        assert (banner.baseline, banner.versions) == (kind.OLD, (kind.OLD, kind.NEW))
        assert repr(banner) == "<graysplit split 'banner': old, new-banner>"
        assert banner.choose("u-1") is kind.OLD
        control.create("banner", [*banner.versions])
        assert router.wait_ready(10)
        control.wait_confirmed(control.set("banner", 100))
        assert banner.choose("u-1") is kind.NEW
        assert banner.choose(unit=1.5) is kind.OLD
        assert type(banner.decide("u-1").version) is str
        assert banner.decide("u-1").version == kind.NEW
        with context("u-1"):
            assert [banner.choose(), banner.choose()] == [kind.NEW, kind.NEW]
            with banner.attempt() as version:
                assert version is kind.NEW
        with banner.attempt("u-1") as version:
            assert version is kind.NEW
        assert router.split("banner", kind, **wishes) is banner
        assert router.split("banner", "old", "new-banner", **wishes).choose("u-1") == "new-banner"
        banner.warm(kind.NEW)(lambda: None)
        (process,) = control.fleet().live
        assert set(process.declared["banner"].versions) == {"old", "new-banner"}


def test_what_cannot_name_versions_is_refused_with_the_right_one() -> None:
    """A plain enum, an empty one, text as a class, and a wrong name in an enum."""
    gray = Router()
    for wrong in (Enum("Plain", {"OLD": "old"}), StrEnum("Empty", {}), str, int):
        with pytest.raises(RegistrationError, match=r"use an enum\.StrEnum with a member for each version"):
            gray.split("banner", wrong)  # type: ignore[call-overload]
    with pytest.raises(graysplit.BadNameError, match="invalid name 'Old One'"):
        gray.split("banner", StrEnum("Named", {"OLD": "Old One"}))


def a_function() -> int:
    """Do nothing."""
    return 1


@pytest.mark.parametrize("decorator", ["candidate", "version", "warm", "route", "split"])
def test_a_decorator_without_parentheses_says_so_on_its_line(decorator: str) -> None:
    """`@gray.warm` above a function is an error there, and names what to write."""
    gray: Any = Router()
    with pytest.raises(ConfigurationError) as refused:
        getattr(gray, decorator)(a_function)
    assert isinstance(refused.value, RegistrationError)
    assert "was given 'a_function': write ." + decorator in str(refused.value)


def test_the_former_name_of_candidate_warns() -> None:
    """`Router.version` works for one minor version, and warns where it is written."""
    gray = Router()
    with pytest.warns(DeprecationWarning, match=r"Router.version\(\) is now Router.candidate\(\)") as warned:
        gray.version("checkout", "new")(a_function)
    assert warned[0].filename == __file__
    with pytest.raises(RegistrationError, match="registered twice"):
        gray.candidate("checkout", "new")(lambda: 2)


@pytest.mark.parametrize("url", ["http://x", "HTTP://x", "localhost:6379", "x", "redi://h/0", "postgres://u:secret@h"])
def test_an_address_of_no_store_is_refused_by_the_constructor(url: str) -> None:
    """Not at the start; and the login in it is not repeated."""
    for take in (Router, Router().configure):
        with pytest.raises(ConfigurationError, match="redis://") as refused:
            take(url)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["redis://h:1/0", "rediss://h", "unix:///tmp/s", "redis+sentinel://h:1/m", "redis+cluster://h:1", "memory://"],
)
def test_each_kind_of_address_is_taken(url: str) -> None:
    """Nothing is connected by it."""
    assert "asleep" in repr(Router(f" {url}\n"))


def test_attributes_of_a_context_have_names() -> None:
    """A list is refused where it stands, and so is `@context` without parentheses."""
    wrong: Any
    for wrong in (["plan"], {"plan"}, "plan", 3):
        with pytest.raises(ConfigurationError, match="use a mapping of names to values"):
            context("u-1", wrong)
    with pytest.raises(ConfigurationError, match=r"write @context\(\) with its parentheses"):
        context(a_function)  # type: ignore[arg-type]
    with context("u-1", {}), context(attributes={"plan": "pro"}):
        pass


def test_a_closed_router_says_closed(make_router: MakeRouter) -> None:
    """By name, by handle and in the explanation; not that it is not ready."""
    router = make_router("memory://")
    banner = router.split("banner")
    assert router.wait_ready(10)
    router.close()
    reasons = {router.decide("banner", "u").reason, banner.decide("u").reason, router.explain("banner", "u").reason}
    assert reasons == {"closed"}
    assert router.status().phase == "closed"


def test_an_empty_namespace_says_so_until_something_is_there(make_router: MakeRouter) -> None:
    """Before the store has answered it is not ready; then empty; with the first split both are over."""
    router = make_router("memory://filled")
    banner = router.split("banner")
    assert router.wait_ready(10)
    assert {banner.decide("u").reason, router.decide("other", "u").reason} == {"empty_namespace"}
    with context("u"):
        assert [banner.decide().reason, banner.decide().reason] == ["empty_namespace", "empty_namespace"]
    with Control("memory://filled", confirm=True) as control:
        control.wait_confirmed(control.create("banner"))
        assert banner.decide("u").reason == "baseline"
        assert router.decide("other", "u").reason == "unknown_split"


@pytest.mark.parametrize("span", [10, 10.0, "10s", "0.2m", timedelta(seconds=10)])
def test_lengths_of_time_are_spans(span: graysplit.Span, make_router: MakeRouter) -> None:
    """`wait_ready` and `warm(every=)` take what every other length of time takes."""
    router = make_router("memory://")
    assert router.wait_ready(span)
    router.warm("banner", "new", every=span)(a_function)
    router.split("cart").warm("new", every=span)(a_function)
    router.route("pay")(lambda: 1).warm("old", every=span)(a_function)


def test_what_is_no_length_of_time_is_refused() -> None:
    """Where it was written."""
    wrong: Any
    for wrong in ("soon", True, [1]):
        with pytest.raises(BadSpanError):
            Router().wait_ready(wrong)
    for wrong in ("soon", "", "0s", 0, -1, math.inf, math.nan, True, timedelta(0)):
        with pytest.raises(RegistrationError, match='as in every="30s"'):
            Router().warm("banner", "new", every=wrong)(a_function)


def test_several_weights_are_named_by_their_keyword() -> None:
    """A mapping in the place of one weight is refused with the keyword that takes it."""
    weights: Any = {"new": 10}
    with Control("memory://", confirm=True) as control:
        control.create("banner")
        with pytest.raises(graysplit.BadValueError, match="name several with weights="):
            control.set("banner", weights)
        assert control.set("banner", weights=weights).to == "10"


@pytest.mark.parametrize("module", [errors, embedded])
def test_modules_list_what_is_public(module: ModuleType) -> None:
    """Each name is there; of the errors all are listed."""
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) >= {name for name in graysplit.__all__ if name.endswith("Error") and module is errors}
