"""Exceptions cross processes and copies as they are: a pool hands them on, with their message, data and cause."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import Any, get_type_hints

import pytest

import graysplit
from graysplit.control.switch import OvertakenError
from graysplit.errors import ConflictError, GraysplitError, RefusedError, UnknownSplitError, UnknownVersionError

SAMPLES: dict[object, Any] = {
    str: "checkout",
    bool: True,
    int: 3,
    bool | None: True,
    Sequence[str]: ["a", "b"],
    Iterable[str]: ("a", "b"),
    ConflictError: ConflictError("checkout", "20", "30"),
}


def classes() -> list[type[BaseException]]:
    """Return every class of exceptions that the package defines."""
    found: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(graysplit.__path__, "graysplit."):
        if module.name.endswith("__main__"):
            continue
        for one in vars(import_module(module.name)).values():
            kind = type(one)  # not `isinstance(one, ...)`, which asks Django's settings
            if issubclass(kind, type) and issubclass(one, BaseException) and one.__module__.startswith("graysplit"):
                found.add(one)
    return sorted(found, key=lambda one: one.__qualname__)


def made(kind: type[BaseException]) -> BaseException:
    """Return an error of a kind, made with a sample for each parameter; noted and with a cause."""
    own = kind.__init__
    if own is BaseException.__init__ or not inspect.isfunction(own):
        error = kind("what is wrong")
    else:
        hints = get_type_hints(own, vars(import_module(own.__module__)))
        taken = [name for name in inspect.signature(own).parameters if name not in {"self", "args", "kwargs"}]
        error = kind(**{name: SAMPLES[hints[name]] for name in taken})
    error.add_note("seen by a test")
    error.__cause__ = ValueError("what stood behind it")
    return error


def as_seen(error: BaseException) -> tuple[object, ...]:
    """Return all that whoever catches an error may look at."""
    data = {name: value for name, value in vars(error).items() if not isinstance(value, BaseException)}
    cause = error.__cause__
    return type(error), str(error), error.args, data, type(cause), str(cause), error.__suppress_context__


def deep_copied(error: BaseException) -> BaseException:
    """Return a copy that shares nothing."""
    return copy.deepcopy(error)


def pickled(error: BaseException) -> BaseException:
    """Return what another process would see."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - written here
    assert isinstance(again, BaseException)
    return again


def test_the_walk_finds_public_and_inner_classes() -> None:
    """Every public exception is among the classes that the properties below look at, and some that are not public."""
    public = {getattr(graysplit, name) for name in graysplit.__all__ if name.endswith("Error")}
    assert public < set(classes())
    assert OvertakenError in classes()


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__qualname__)
@pytest.mark.parametrize("again", [pickled, copy.copy, deep_copied])
def test_an_error_is_copied_as_it_is(kind: type[BaseException], again: Callable[[Any], BaseException]) -> None:
    """Message, arguments, data, notes and cause are the same after pickling and after either kind of copy."""
    error = made(kind)
    if not isinstance(error, GraysplitError):
        error.__cause__ = None  # nobody's but ours: Python itself leaves it behind
        error.__suppress_context__ = False
    assert as_seen(again(error)) == as_seen(error)


class Unreadable(Exception):  # noqa: N818 - a stand-in
    """Can be written and not read again, as errors of many libraries."""

    def __init__(self, one: int, two: int) -> None:
        """Hand one text on, where two numbers came."""
        super().__init__(f"{one} and {two}")


class Hostile:
    """Cannot be written."""

    def __reduce__(self) -> str:
        raise RuntimeError("never")


@pytest.mark.parametrize("cause", [Unreadable(1, 2), ValueError(Hostile())])
def test_a_cause_that_cannot_cross_arrives_as_its_text(cause: Exception) -> None:
    """The error itself arrives whole; a copy in the same process keeps the cause itself."""
    error = RefusedError("not now")
    error.__cause__ = cause
    error.hostile = Hostile()  # type: ignore[attr-defined] # somebody's own
    again = pickled(error)
    assert (str(again), type(again.__cause__), str(again.__cause__)) == (
        "not now",
        Exception,
        f"{type(cause).__name__}: {cause}",
    )
    assert copy.copy(error).__cause__ is cause


def test_a_subclass_of_a_users_own_crosses() -> None:
    """Whoever derives from one of these need not think of pickling."""
    again = pickled(OwnError("checkout", ["search"], reason="because"))
    assert isinstance(again, OwnError)
    assert (again.split, again.known, again.reason) == ("checkout", ("search",), "because")


class OwnError(UnknownSplitError):
    """With a constructor of its own."""

    def __init__(self, split: str, known: Iterable[str], *, reason: str) -> None:
        """Take more than the class above."""
        super().__init__(split, known)
        self.reason = reason


def fail(number: int) -> None:
    """Raise in another process what a caller here is to catch."""
    raise (UnknownVersionError("checkout", "nwe", ("old", "new")), ConflictError("checkout", "20", "30"))[number]


def pools() -> Iterator[Callable[[int], object]]:
    """Return what runs `fail` in a process pool of each kind."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context) as executor, context.Pool(1) as pool:
        yield lambda number: executor.submit(fail, number).result(30)
        yield lambda number: pool.apply_async(fail, (number,)).get(30)


def test_a_process_pool_hands_errors_on() -> None:
    """Both kinds of pool give the caller the error itself, and work on afterwards."""
    for run in pools():
        with pytest.raises(UnknownVersionError) as unknown:
            run(0)
        assert (unknown.value.version, unknown.value.suggestion) == ("nwe", "new")
        with pytest.raises(ConflictError) as conflict:
            run(1)
        assert (conflict.value.expected, conflict.value.found) == ("20", "30")
