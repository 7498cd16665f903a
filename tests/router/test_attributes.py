"""Attributes of one question: `attribute` reads them, laid over the context's, wherever a question is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import graysplit
from graysplit import INSTANCE, Router, attribute
from graysplit.core.bucketing import bucket_of, seed_of

NEW = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), seed_of("checkout")) < 20_000)
OLD = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), seed_of("checkout")) >= 50_000)
TENANT = attribute("tenant")


def asked_by_name(router: Router, attributes: Any) -> str:
    """Ask the router itself."""
    assert router.decide("checkout", TENANT, attributes).version == router.choose("checkout", TENANT, attributes)
    return router.choose("checkout", unit=TENANT, attributes=attributes)


def asked_by_handle(router: Router, attributes: Any) -> str:
    """Ask a handle that finds the tenant, in each of its three ways; and one that is told to look for it."""
    handle, plain = router.split("checkout", unit=TENANT), router.split("checkout")
    with handle.attempt(attributes=attributes) as attempted, plain.attempt(TENANT, attributes) as named:
        answers = {attempted, named, handle.choose(attributes=attributes), plain.choose(TENANT, attributes)}
    answers |= {handle.decide(attributes=attributes).version, plain.decide(TENANT, attributes).version}
    return answers.pop() if len(answers) == 1 else f"differing: {answers}"


WAYS = pytest.mark.parametrize("ask", [asked_by_name, asked_by_handle])


@WAYS
def test_a_questions_attributes_are_laid_over_the_contexts(ask: Any, router: Router) -> None:
    """The question's own attribute counts first, then the inner context's, then the outer's; none is no unit."""
    assert ask(router, {"tenant": NEW}) == "new"
    assert ask(router, {"tenant": OLD}) == "old"
    assert ask(router, None) == "old"
    with graysplit.context(attributes={"tenant": OLD, "plan": "pro"}):
        assert ask(router, {"tenant": NEW}) == "new"
        with graysplit.context(attributes={"tenant": NEW}):
            assert ask(router, None) == "new"
            assert ask(router, {"plan": "free"}) == "new"
            assert ask(router, {"tenant": OLD}) == "old"
        assert ask(router, {}) == "old"


@WAYS
@pytest.mark.parametrize("attributes", [["tenant"], "tenant", 3, {"tenant": None}, {"tenant": 1.5}])
def test_attributes_that_cannot_be_read_raise_nothing(ask: Any, attributes: Any, router: Router) -> None:
    """Law 5: in doubt, the baseline, with the reason."""
    assert ask(router, attributes) == "old"
    assert router.decide("checkout", TENANT, attributes).reason == "no_unit"


@pytest.mark.parametrize(
    "attributes",
    [{"tenant": "user.tenant"}, {"tenant": lambda user: user.tenant}, lambda user: {"tenant": user.tenant}],
)
def test_a_route_reads_its_own_attributes_first(attributes: Any, router: Router) -> None:
    """A route whose unit is an attribute finds it among its own, laid over the context's."""

    @router.route("checkout", unit=TENANT, attributes=attributes)
    def checkout(user: SimpleNamespace) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: SimpleNamespace) -> str:
        return "new"

    with graysplit.context(attributes={"tenant": OLD}):
        assert checkout(SimpleNamespace(tenant=NEW)) == "new"
    with graysplit.context(attributes={"tenant": NEW}):
        assert checkout(SimpleNamespace(tenant=OLD)) == "old"
        assert checkout(SimpleNamespace()) == "old"


def test_a_routes_other_attributes_leave_the_contexts_in_place(router: Router) -> None:
    """An attribute that a route does not give itself is the context's."""

    @router.route("checkout", unit=TENANT, attributes={"plan": "plan"})
    def checkout(plan: str) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(plan: str) -> str:
        return "new"

    assert checkout("pro") == "old"
    with graysplit.context(attributes={"tenant": NEW}):
        assert checkout("pro") == "new"


def test_this_host_may_be_named_in_a_question(router: Router) -> None:
    """`graysplit.INSTANCE` as the unit of one question is this host, as in a declaration."""
    by_host = router.decide("checkout", router.instance())
    assert router.decide("checkout", INSTANCE)[:3] == by_host[:3]
    assert router.split("checkout").choose(INSTANCE) == by_host.version
