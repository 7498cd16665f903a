"""Thousands of addresses as units through each task queue: in no line, span, event, metric or message to be read."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Final

import pytest
import redis
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from graysplit import Router, context, embedded
from graysplit.integrations import opentelemetry as otel
from graysplit.integrations.structlog import VersionFilter
from graysplit.integrations.task_context import carried_context
from graysplit.log_writer import WRITER
from graysplit.scope import scope_get
from graysplit.scope_entry import Opening
from graysplit.telemetry import observe
from tests.integrations.task_queues import QUEUES, held
from tests.integrations.test_versions_told import events_of, logs

READABLE: Final = "@canary.example"
FAILING_EACH: Final = 50
CARRIED: Final = re.compile(rb"eyJ1bml0[A-Za-z0-9+/]+={0,2}")  # base64 of what begins with {"unit


class Watch(logging.Handler):
    """Reads every line and all that its record holds, and counts them by their logger's first name."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.DEBUG)
        self.leaks: list[str] = []
        self.debug_lines: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Read one."""
        text = f"{self.format(record)} {vars(record)!r}"
        if READABLE in text:
            self.leaks.append(text)
        if record.levelno == logging.DEBUG:
            name = record.name.partition(".")[0]
            self.debug_lines[name] = self.debug_lines.get(name, 0) + 1


class Work:
    """What each task does: it asks in a span, writes a line, and fails the first time where its number says so."""

    def __init__(self, router: Router, provider: TracerProvider, addresses: list[str]) -> None:
        """Do nothing yet."""
        self._router = router
        self._tracer = provider.get_tracer("test")
        self.fails = set(addresses[::FAILING_EACH])
        self.runs = len(addresses) + len(self.fails)
        self.units: list[object] = []

    def run(self) -> None:
        """Be one task."""
        with self._tracer.start_as_current_span("work"):
            self._router.choose("checkout")
            logging.getLogger("work").debug("asked")
            scope = scope_get()
            assert scope is not None
            self.units.append(scope.unit)
            if scope.unit in self.fails:
                self.fails.discard(str(scope.unit))
                raise RuntimeError("once more")

    def is_done(self) -> bool:
        """Return whether all have run, and those that failed a second time."""
        return len(self.units) >= self.runs


_works: list[Work] = []


def work() -> None:
    """Be a task by name: a message holds no more of it."""
    _works[0].run()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Return what reads every line at DEBUG."""
    root, made = logging.getLogger(), Watch()
    before = root.level
    root.addHandler(made)
    root.setLevel(logging.DEBUG)
    yield made
    root.removeHandler(made)
    root.setLevel(before)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("celery_leaves_logging", "celery_alone", "same_signals")
@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", QUEUES)
def test_no_address_can_be_read_anywhere(router: Router, watch: Watch, kind: str, count: int) -> None:
    """Each task has its sender's unit; also where one fails and is retried, the unit leaves in no readable form."""
    addresses = [f"user-{number}{READABLE}" for number in range(count)]
    contexts = [context(address, {"mail": address}) for address in addresses]
    events, exporter = logs()
    tracing, spans, metrics = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter(), InMemoryMetricReader()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    otel.report_versions(router, events=True, provider=events)
    observe(router, MeterProvider([metrics]))
    watch.addFilter(VersionFilter(router))
    task = Work(router, tracing, addresses)
    _works[:] = [task]
    with embedded.server() as server, redis.Redis.from_url(server.url) as client:
        queue = QUEUES[kind](router, server.url, work)
        queue.send(contexts)
        sent = held(client)
        queue.work(task.is_done)
        left = held(client)
    assert WRITER.flush(5)
    assert set(task.units) == set(addresses)
    assert len(task.units) == task.runs
    assert carried_by(contexts) <= set(CARRIED.findall(sent)), "the messages were not read"
    assert READABLE.encode() not in sent + left
    assert watch.leaks == []
    assert {kind, "work"} <= watch.debug_lines.keys()
    told = [
        repr(events_of(exporter)),
        str(metrics.get_metrics_data()),
        *(span.to_json() for span in spans.get_finished_spans()),
    ]
    assert "checkout" in told[0]
    assert "checkout" in told[1]
    assert len(told) == 2 + task.runs
    assert not [text for text in told if READABLE in text]


def carried_by(contexts: list[Opening]) -> set[bytes]:
    """Return what their messages carry."""
    texts: set[bytes] = set()
    for opening in contexts:
        with opening:
            texts.add(str(carried_context()).encode())
    return texts
