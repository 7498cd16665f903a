"""What a message carries, and the context of a task: the same for dramatiq, taskiq and RQ."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import uuid
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.stub import StubBroker
from rq import Queue, Retry, SimpleWorker
from taskiq import InMemoryBroker, SimpleRetryMiddleware

from graysplit import ConfigurationError, Router, context, embedded
from graysplit.integrations import dramatiq as on_dramatiq
from graysplit.integrations import rq as on_rq
from graysplit.integrations import taskiq as on_taskiq
from graysplit.integrations.task_context import argument_of, carried_context, task_context
from graysplit.scope import MISSING, scope_get
from tests.support import eventually

USER = "ada@example.org"
SENT = {"unit": USER, "attributes": {"country": "DE"}}

Seen = list[tuple[object, dict[str, object]]]
seen: Seen = []
fails: list[bool] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    """Begin each test with an empty list."""
    seen.clear()
    fails.clear()
    yield
    assert scope_get() is None


def look(user: str = "", number: int = 0) -> None:
    """Put down the context of this task; fail where the test asks for it."""
    scope = scope_get()
    assert scope is not None
    # A broker in memory runs a task inside its sender's context, which has more than a message carries.
    seen.append((scope.unit, {name: value for name, value in scope.attributes.items() if isinstance(value, str)}))
    if fails:
        fails.pop()
        raise RuntimeError("once more")


def broken(*_: object) -> object:
    """Find no unit."""
    raise KeyError(USER)


def arrived(carried: object) -> tuple[object, dict[str, object]]:
    """Return the unit and the attributes of a task whose message carries this; without one its settings fail."""
    with task_context(carried, broken):
        scope = scope_get()
        assert scope is not None
        return scope.unit, dict(scope.attributes)


def test_what_a_message_carries() -> None:
    """A unit and attributes that can be written as JSON; nothing outside a context, or without a unit."""
    assert carried_context() is None
    for none in (MISSING, b"\xff", True, 1.5):
        with context(none, {"country": "DE"}):
            assert carried_context() is None
    with context(uuid.UUID(int=7), {"country": "DE", "cart": object()}):
        carried = carried_context()
    assert arrived(carried) == (str(uuid.UUID(int=7)), {"country": "DE"})
    for unit in (USER, 7, "\N{GREEK SMALL LETTER ALPHA}", "a" * 10_000, "\ud800"):
        with context(unit):
            carried = carried_context()
        assert arrived(carried) == (unit, {})
        assert USER not in str(carried)


class Unreadable(UserDict[str, object]):
    """Attributes of a program's own that raise."""

    def __getitem__(self, key: str) -> object:
        """Raise."""
        raise LookupError(USER)


def test_attributes_that_raise_keep_no_task_from_being_sent() -> None:
    """It is sent without its unit."""
    with context(USER, Unreadable({"country": "DE"})):
        assert carried_context() is None


def written(value: object) -> str:
    """Return a value as a message would carry it."""
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "carried",
    [
        *(None, "text", 7, {}, SENT, "%", b"\xff", written(7), written([USER]), written({})),
        *(written({"unit": None, "attributes": "no"}), written({"attributes": [1]}), written(SENT) + "!"),
    ],
)
def test_a_message_of_anybody_raises_nothing(carried: object) -> None:
    """A context without a unit; the baseline."""
    unit, attributes = arrived(carried)
    assert unit in {MISSING, None}
    assert not attributes


@pytest.mark.parametrize("unit", ["user id", "header:x-user", "", 7, ["user"]])
def test_a_unit_that_names_nothing_fails_on_its_line(router: Router, unit: Any) -> None:
    """In each library, before anything is sent."""
    for declare in (
        lambda: on_dramatiq.GraysplitMiddleware(router, unit=unit),
        lambda: on_taskiq.GraysplitMiddleware(router, unit=unit),
        lambda: type("WrongJob", (on_rq.GraysplitJob,), {"router": router, "unit": unit}),
    ):
        with pytest.raises(ConfigurationError, match="write the name of a task's parameter, or a callable"):
            declare()


@pytest.mark.parametrize(
    ("args", "kwargs"), [((USER,), {}), ((), {"user": USER}), ((USER, 1), {}), ((), {"user": USER, "x": 1})]
)
def test_an_argument_is_found_by_its_name(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Whichever way it was sent."""
    assert argument_of(look, args, kwargs, "user") == USER
    assert argument_of(look, (), {}, "user") is MISSING


def run_dramatiq(router: Router, unit: Any, send: Callable[[Any], None]) -> None:
    """Send by an actor of a broker in memory, and run what was sent."""
    broker = StubBroker()
    broker.add_middleware(on_dramatiq.GraysplitMiddleware(router, unit=unit))
    actor = dramatiq.actor(look, broker=broker, min_backoff=1, max_backoff=1)
    worker = dramatiq.Worker(broker, worker_timeout=100)
    send(actor.send)
    worker.start()
    broker.join(actor.queue_name)
    worker.join()
    worker.stop()
    broker.close()


def run_taskiq(router: Router, unit: Any, send: Callable[[Any], None]) -> None:
    """Do the same with taskiq, whose broker in memory runs a task at once."""

    async def run() -> None:
        broker = InMemoryBroker(await_inplace=True).with_middlewares(
            SimpleRetryMiddleware(), on_taskiq.GraysplitMiddleware(router, unit=unit)
        )
        task = broker.register_task(look, "look", retry_on_error=True)
        await broker.startup()
        kicked: list[Any] = []
        send(lambda *args, **kwargs: kicked.append(asyncio.ensure_future(task.kiq(*args, **kwargs))))
        for kick in kicked:
            await kick
        assert scope_get() is None, "a context was left open in the sender"
        await broker.shutdown()

    asyncio.run(run())


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """Return a client of a server for RQ's queue."""
    with embedded.server() as server, redis.Redis.from_url(server.url) as made:
        yield made


def run_rq(router: Router, unit: Any, send: Callable[[Any], None], client: redis.Redis) -> None:
    """Do the same with RQ, by a worker that forks nothing."""
    job_class = type("LookJob", (on_rq.GraysplitJob,), {"router": router, "unit": unit})
    queue = Queue(connection=client, job_class=job_class)
    send(lambda *args, **kwargs: queue.enqueue(look, args=args, kwargs=kwargs, retry=Retry(max=1)))
    logging.getLogger("rq.worker").setLevel(logging.CRITICAL)
    SimpleWorker([queue], connection=client, job_class=job_class).work(burst=True, logging_level="CRITICAL")


@pytest.fixture(params=["dramatiq", "taskiq", "rq"])
def run(request: pytest.FixtureRequest, router: Router) -> Callable[..., None]:
    """Return what sends by one library, and runs what was sent."""
    if request.param == "rq":
        request.getfixturevalue("same_signals")
        client: redis.Redis = request.getfixturevalue("client")
        return lambda unit, send: run_rq(router, unit, send, client)
    chosen = {"dramatiq": run_dramatiq, "taskiq": run_taskiq}[request.param]
    return lambda unit, send: chosen(router, unit, send)


def test_a_task_has_the_unit_of_its_sender(run: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    """Before what the settings say; no line names it, of the library's own at DEBUG either."""
    caplog.set_level(logging.DEBUG)

    def send(task: Callable[..., object]) -> None:
        with context(USER, {"country": "DE", "cart": object()}):
            task("somebody else")

    run("user", send)
    assert seen == [(USER, {"country": "DE"})]
    assert caplog.handler
    assert USER not in caplog.text + repr([vars(record) for record in caplog.records])


def test_the_next_try_has_the_same_unit(run: Callable[..., None]) -> None:
    """It is sent again by the worker, in whatever context that has."""
    fails.append(True)

    def send(task: Callable[..., object]) -> None:
        with context(USER):
            task()

    run("user", send)
    assert seen == [(USER, {}), (USER, {})]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("user", USER), (None, MISSING), ("nothing", MISSING), (broken, MISSING), (lambda _: "team", "team")],
    ids=["parameter", "none", "no such", "raises", "callable"],
)
def test_a_task_sent_outside_has_what_the_settings_say(run: Callable[..., None], unit: Any, expected: object) -> None:
    """A parameter's name, a callable, or none; what raises gives none."""
    run(unit, lambda task: task(USER))
    run(unit, lambda task: task(user=USER))
    assert seen == [(expected, {})] * 2


def test_what_dramatiq_sends_after_a_message_has_its_unit(router: Router) -> None:
    """The next step of a pipeline follows the first one, whose unit was an argument."""
    broker = StubBroker()
    broker.add_middleware(on_dramatiq.GraysplitMiddleware(router, unit="user"))
    broker.add_middleware(on_dramatiq.GraysplitMiddleware(router, unit=lambda _: "other"))  # one context is for all
    actor = dramatiq.actor(look, broker=broker)
    steps = [actor.message(USER), actor.message_with_options(pipe_ignore=True)]
    worker = dramatiq.Worker(broker, worker_timeout=10)
    worker.start()
    dramatiq.pipeline(steps, broker=broker).run()
    eventually(lambda: len(seen) == len(steps))
    worker.stop()
    broker.close()
    assert seen == [(USER, {})] * 2


def test_a_second_worker_in_one_process_starts_the_router_again(router: Router) -> None:
    """As in tests of a program's own; each leaves the fleet at its end."""
    broker = StubBroker()
    broker.add_middleware(on_dramatiq.GraysplitMiddleware(router))
    for _ in range(2):
        worker = dramatiq.Worker(broker, worker_timeout=10)
        worker.start()
        assert router.status().phase == "live"
        worker.stop()
        assert router.status().phase == "closed"

    async def run() -> None:
        middleware = on_taskiq.GraysplitMiddleware(router)
        InMemoryBroker().with_middlewares(middleware).is_worker_process = True
        for _ in range(2):
            await middleware.startup()
            assert router.status().phase == "live"
            await middleware.shutdown()
            assert router.status().phase == "closed"

    asyncio.run(run())
