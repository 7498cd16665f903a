"""Copies of handles and routers: a copy is the thing itself, and what cannot be pickled says what to do."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.stores.memory import MemoryStore
from tests.router.test_router import NEW
from tests.support import eventually


class _Service:
    """What a program keeps its handle and router in."""

    def __init__(self, router: Router) -> None:
        self.gray = router
        self.banner = router.split("checkout")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_rollback_reaches_copies(store: MemoryStore, router: Router, copied: Any) -> None:
    """A copied handle is the handle: also within an object, and with a unit of its own."""
    service = copied(_Service(router))
    handle, instance = copied(router.split("checkout")), copied(router.split("checkout", unit=graysplit.INSTANCE))
    assert service.gray is router
    assert handle.choose(NEW) == service.banner.choose(NEW) == instance.choose(NEW) == "new"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: handle.choose(NEW) == service.banner.choose(NEW) == instance.choose(NEW) == "old")


def test_attempts_of_copies_are_the_handles(store: MemoryStore, router: Router) -> None:
    """A block that was copied before a rollback decides by what is in force after it."""
    block = copy.deepcopy(router.split("checkout").attempt(unit=NEW))
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: router.choose("checkout", NEW) == "old")
    with block as version:
        assert version == "old"


def test_pickling_says_what_to_do(router: Router) -> None:
    """A handle and a router cannot arrive in another process; the sentence names the way."""
    service = _Service(router)
    with pytest.raises(TypeError, match=r"call split\('checkout'\) or import the handle"):
        pickle.dumps(service.banner)
    with pytest.raises(TypeError, match="import it from the module that makes it"):
        pickle.dumps(router)
    with pytest.raises(TypeError, match="each process has its own"):
        pickle.dumps(service)


def test_the_instance_is_one_object() -> None:
    """A unit that is known by identity survives the copy of a configuration that names it."""
    asked = {"unit": graysplit.INSTANCE}
    assert copy.deepcopy(asked)["unit"] is graysplit.INSTANCE
    assert pickle.loads(pickle.dumps(asked))["unit"] is graysplit.INSTANCE  # noqa: S301 - our own bytes
