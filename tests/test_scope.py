"""Contexts: what they inherit, what they keep of a request's choices, and how they end."""

from __future__ import annotations

import contextvars
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.scope import KEPT_AT_MOST, MISSING, Scope, scope_get
from graysplit.scope_entry import context, forcing


def current() -> Scope:
    """Return the open scope."""
    scope = scope_get()
    assert scope is not None
    return scope


def test_there_is_no_scope_outside() -> None:
    """Without a context nothing is ambient and nothing is kept."""
    assert scope_get() is None
    with context("user-17"):
        assert current().unit == "user-17"
    assert scope_get() is None


def test_what_is_not_given_is_inherited() -> None:
    """An inner context takes over unit and attributes, and lays its own over them."""
    with context("user-17", {"plan": "pro", "country": "DE"}):
        with context(attributes={"country": "FR"}):
            assert current().unit == "user-17"
            assert current().attributes == {"plan": "pro", "country": "FR"}
        with context("user-18"):
            assert current().unit == "user-18"
        assert current().attributes == {"plan": "pro", "country": "DE"}


def test_a_scope_closes_when_its_block_raises() -> None:
    """What is raised passes through, and the scope is gone."""
    with pytest.raises(KeyError), context("user-17"):
        raise KeyError
    assert scope_get() is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(("u1", "u2", "1")), st.integers(0, 3)), max_size=20))
def test_the_choice_kept_is_the_units_own(steps: list[tuple[str, str, int]]) -> None:
    """Two units in one request each keep their own version, per split's key."""
    scope, model = Scope(), dict[tuple[str, bytes], int]()
    for key, unit, index in steps:
        encoded = unit.encode()
        if scope.kept(key, encoded) is None:
            scope.keep(key, unit, encoded, index)
            model[key, encoded] = index
        assert scope.kept(key, encoded) == model[key, encoded]


def test_the_hot_paths_entry_is_the_first_unit_as_text() -> None:
    """`1 == True`, and True is no unit: only text or the context's unit stands under the bare key."""
    scope = Scope()
    assert scope.keep("k", 1, b"1", 1) == 1
    assert scope["k"] == ("1", 1)
    assert scope.keep("k", "1", b"1", 0) == 1
    scope.keep("k", "u2", b"u2", 0)
    assert scope["k"] == ("1", 1)
    assert scope.kept("k", b"u2") == 0
    other = Scope("u1")
    other.keep("k", MISSING, b"u1", 1)
    assert other["k"] == (MISSING, 1)


def test_bytes_that_are_no_text_stand_for_no_other_unit() -> None:
    """What replaces them in a text is a unit too, and another one."""
    scope = Scope()
    scope.keep("k", b"\xff", b"\xff", 1)
    assert scope.kept("k", "\ufffd".encode()) is None
    assert scope.keep("k", "\ufffd", "\ufffd".encode(), 0) == 0
    assert scope.kept("k", b"\xff") == 1


def test_an_inner_context_knows_what_the_outer_one_kept() -> None:
    """One request keeps one answer per unit; the hot path's entry, which means the outer unit, is left behind."""
    with context("user-17"):
        current().keep("k", MISSING, b"user-17", 1)
        with context("user-18"):
            assert current().kept("k", b"user-17") == 1
            assert "k" not in current()
            current().keep("k", MISSING, b"user-18", 0)
        assert current().kept("k", b"user-18") is None


def test_a_replaced_key_is_not_found() -> None:
    """A lowering to zero gives the split a new key, under which nothing is kept."""
    scope, before, after = Scope(), object(), object()
    scope.keep(before, "u", b"u", 1)
    assert scope.kept(after, b"u") is None


def test_what_is_kept_is_bounded() -> None:
    """A batch job under one context may meet any number of units."""
    scope = Scope()
    for number in range(2 * KEPT_AT_MOST):
        scope.keep("k", str(number), b"%d" % number, 1)
    assert len(scope) <= KEPT_AT_MOST + 1
    assert scope.kept("k", b"0") == 1
    assert scope.kept("k", b"%d" % (2 * KEPT_AT_MOST - 1)) is None


def test_forced_versions_are_laid_over_each_other() -> None:
    """An inner forcing adds to the outer one, and a context inside keeps it."""
    with forcing({"checkout": "new"}):
        with forcing({"search": "b"}), context("user-17"):
            assert current().forced == {"checkout": "new", "search": "b"}
        assert current().forced == {"checkout": "new"}
        assert current().unit is MISSING


def test_a_scope_never_prints_a_unit() -> None:
    """Its repr says how much is kept, and for nobody."""
    with context("user-17"):
        current().keep("k", MISSING, b"user-17", 1)
        assert "user-17" not in repr(current())


def test_scopes_are_equal_only_as_objects() -> None:
    """Two open contexts that have kept the same are two: what compares contexts before it sets them loses none."""
    first, second = Scope("user-1"), Scope("user-2")
    assert first != second
    assert not first == second  # noqa: SIM201 - both operators are a dict's own
    assert first == first  # noqa: PLR0124 - as above
    assert len({first, second}) == 2


def test_a_context_carried_over_a_thread_is_the_inner_one() -> None:
    """What asgiref 3.8 to 3.11 does: a variable is set only where the value differs from the one that is there."""

    def carried(context_of_thread: contextvars.Context) -> None:
        for variable, value in context_of_thread.items():
            if variable.get() != value:
                variable.set(value)

    with context("user-1"):

        def inner() -> contextvars.Context:
            with context("user-2"):
                return contextvars.copy_context()

        carried(contextvars.copy_context().run(inner))
        assert current().unit == "user-2"
        carried(contextvars.copy_context())


def test_the_missing_unit_is_one_object() -> None:
    """Copied or pickled, what stands for the context's unit stays what it is known by: itself."""
    pickled = pickle.loads(pickle.dumps(MISSING))  # noqa: S301 - our own bytes
    assert copy.copy(MISSING) is copy.deepcopy(MISSING) is pickled is MISSING
