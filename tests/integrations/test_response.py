"""What an answer says to caches: never one user's version to another, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from graysplit import ConfigurationError
from graysplit.integrations.asgi import READERS
from graysplit.integrations.request import OpenRequest, RequestPolicy, versions_text
from graysplit.scope import Taken


def marks(
    policy: RequestPolicy,
    *,
    taken: bool = True,
    others: bool = False,
    new: bool = False,
    vary: str = "",
    cache: str = "",
) -> tuple[str | None, str | None, list[str]]:
    """Return what an answer's `Vary` and `Cache-Control` become, None where they stay, and the names added."""
    noted = Taken("ann")
    if taken:
        noted.note("checkout", "new", "eve" if others else "ann")
    request = OpenRequest("ann", None, "0" * 32 if new else None)
    request.taken = noted
    found = policy.marks(request, [vary], [cache])
    return found.replaced.get("vary"), found.replaced.get("cache-control"), [name for name, _ in found.added]


def policy(unit: Any = "header:x-user", attributes: Any = None, **more: Any) -> RequestPolicy:
    """Return a policy with no opt-in but those named."""
    return RequestPolicy(READERS, unit, attributes, more.get("visitor_cookie"), more.get("versions_header"))


@pytest.mark.parametrize(
    ("made", "vary", "expected"),
    [
        ({}, "", "x-user"),
        ({}, "Accept-Encoding", "Accept-Encoding, x-user"),
        ({}, "X-User", None),
        ({}, "*", None),
        ({"unit": "cookie:sid"}, "", "cookie"),
        ({"unit": "session:user"}, "", "cookie"),
        ({"unit": ("header:x-user", "cookie:sid")}, "", "cookie, x-user"),
        ({"attributes": {"plan": "header:x-plan"}}, "", "x-plan, x-user"),
        ({"visitor_cookie": "v"}, "Cookie", "Cookie, x-user"),
    ],
)
def test_an_answer_varies_by_what_its_unit_is_read_from(made: Any, vary: str, expected: str | None) -> None:
    """Where a version was taken: by each header that it may depend on, once."""
    assert marks(policy(**made), vary=vary) == (expected, None, [])
    assert marks(policy(**made), vary=vary, taken=False) == (None, None, [])


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("", "private"),
        ("max-age=60", "max-age=60, private"),
        ("public, max-age=60, s-maxage=90", "max-age=60, private"),
        ('private="x-a"', 'private="x-a", private'),
        ("Private, max-age=60", None),
        ("no-store", None),
    ],
)
def test_what_no_header_tells_is_for_one_user_alone(cache: str, expected: str | None) -> None:
    """A callable, an attribute's callable, another unit than the request's: no shared cache may keep the answer."""
    for made in (policy(lambda _: "ann"), policy(attributes=lambda _: {})):
        assert marks(made, cache=cache)[1] == expected
        assert marks(made, cache=cache, taken=False)[1] is None
    assert marks(policy(), cache=cache, others=True)[1] == expected
    assert marks(policy(None), cache=cache, others=True) == (None, expected, [])


def test_a_visitors_cookie_is_kept_in_no_shared_cache() -> None:
    """Its answer is private; one that all users share sets none, unless a version was taken in it."""
    made = policy(visitor_cookie="v")
    assert marks(made, new=True, taken=False) == (None, "private", ["set-cookie"])
    assert marks(made, new=True, taken=False, cache="public, max-age=60") == (None, None, [])
    assert marks(made, new=True, cache="public, max-age=60") == (
        "cookie, x-user",
        "max-age=60, private",
        ["set-cookie"],
    )
    assert marks(made, new=False) == ("cookie, x-user", None, [])


def test_the_header_of_versions_holds_names_only() -> None:
    """What a request asks for may be any text; no such text splits a header."""
    taken = Taken(None)
    for split, version in (("checkout", "new"), ("a\r\nSet-Cookie: x=1", "old"), ("Ä", "old"), ("search", "old")):
        taken.note(split, version, None)
    assert versions_text(taken) == "checkout=new, search=old"
    assert marks(policy(versions_header="x-versions"))[2] == ["x-versions"]


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a\r\n", 7])
def test_a_name_that_no_header_can_have_is_an_error_at_once(name: Any) -> None:
    """For the visitor's cookie and for the versions."""
    for parameter in ("visitor_cookie", "versions_header"):
        with pytest.raises(ConfigurationError, match=f"invalid {parameter}"):
            policy(**{parameter: name})
