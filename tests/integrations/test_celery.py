"""Celery: the unit goes with the task, one context for its run, and the worker says goodbye."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any

import celery
import pytest
from celery import signals
from celery.contrib.testing.worker import start_worker

from graysplit import Control, Router, context
from graysplit.integrations.celery import TaskContexts, follow_tasks
from graysplit.integrations.task_context import task_context
from graysplit.scope import MISSING, scope_get
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

CANARY = "ada@example.org"


pytestmark = pytest.mark.usefixtures("celery_leaves_logging")


@pytest.fixture
def store() -> MemoryStore:
    """Return a store in which one unit is pinned, and the others are split."""
    control = Control(made := MemoryStore(), confirm=True)
    control.create("checkout")
    control.set("checkout", 50)
    control.pin("checkout", CANARY, "new")
    return made


@pytest.mark.usefixtures("celery_alone")
def test_a_task_has_the_unit_of_its_sender(store: MemoryStore) -> None:
    """Also when it is tried again; the next task has nothing of it; the worker leaves the fleet at its end."""
    router = Router(store)
    app = celery.Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.task_default_queue = f"graysplit-{uuid.uuid4().hex[:8]}"
    follow_tasks(router, unit="user")
    follow_tasks(router, unit="user")

    @app.task(bind=True, max_retries=1, default_retry_delay=0)
    def pay(self: Any, again: bool = False, user: str | None = None) -> list[object]:
        scope = scope_get()
        assert scope is not None
        if again and not self.request.retries:
            raise self.retry(countdown=0)
        first, second = router.decide("checkout"), router.decide("checkout")
        return [first.version, second.reason, scope.attributes.get("country"), scope.unit is MISSING]

    with start_worker(app, perform_ping_check=False, pool="solo", shutdown_timeout=30):
        with context(CANARY, {"country": "DE", "cart": object()}):
            handed = pay.delay()
            again = pay.delay(again=True)
        named, nobody = pay.delay(user=CANARY), pay.delay()
        assert handed.get(timeout=20) == ["new", "kept", "DE", False]
        assert again.get(timeout=20) == ["new", "kept", "DE", False]
        assert named.get(timeout=20) == ["new", "kept", None, False]
        assert nobody.get(timeout=20) == ["old", "no_unit", None, True]
        assert len(Control(store).fleet().processes) == 1
    signals.worker_shutdown.send(sender=None)  # a test's worker does not send it itself
    eventually(lambda: not Control(store).fleet().processes)


def test_two_routers_share_one_context(store: MemoryStore) -> None:
    """The first opens it and the end of either closes it: nothing is left in the worker's thread."""

    class Task:
        request = type("Request", (), {})()

    first, second = (TaskContexts(Router(store), lambda *_, unit=unit: unit) for unit in ("one", "two"))
    first.task_prerun(Task)
    second.task_prerun(Task)
    scope = scope_get()
    assert scope is not None
    assert scope.unit == "one"
    first.task_postrun(Task)
    second.task_postrun(Task)
    assert scope_get() is None


def test_what_raises_gives_no_unit(store: MemoryStore) -> None:
    """A task runs, with the baseline."""

    def broken(*_: object) -> object:
        raise KeyError("cart")

    class Task:
        request = type("Request", (), {})()

    contexts = TaskContexts(Router(store), broken)
    contexts.task_prerun(Task)
    scope = scope_get()
    contexts.task_postrun(Task)
    contexts.task_postrun(Task)
    assert scope is not None
    assert scope.unit is MISSING
    assert scope_get() is None
    contexts.before_task_publish(None)
    with context(uuid.UUID(int=7)):
        headers: dict[str, Any] = {}
        contexts.before_task_publish(headers)
    with task_context(headers["graysplit"], int):
        scope = scope_get()
        assert scope is not None
        assert scope.unit == str(uuid.UUID(int=7))
    with context(b"\xff"):
        contexts.before_task_publish(headers := {})
    assert headers == {}


@pytest.mark.parametrize(("pool", "phase"), [("prefork", "asleep"), ("solo", "live"), ("threads", "live")])
def test_a_worker_whose_pool_has_no_processes_starts_itself(store: MemoryStore, pool: str, phase: str) -> None:
    """So that its first task asks the store; where there are processes each of them starts."""
    with closing(Router(store)) as router:
        TaskContexts(router, None).worker_init(sender=type("Sender", (), {"pool_cls": pool})())
        assert router.status().phase == phase
