"""Versions on errors, spans and log lines: once for each split and request, and never for whom."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sentry_sdk
import structlog
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import feature_flag_attributes as semconv
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from graysplit import ConfigurationError, Control, Router, context
from graysplit.integrations import opentelemetry as otel
from graysplit.integrations import sentry
from graysplit.integrations.structlog import VersionFilter, VersionProcessor, versions_taken
from graysplit.router.inside import Taking, listen
from graysplit.stores.memory import MemoryStore

CANARY = "ada@example.org"


@pytest.fixture
def router() -> Iterator[Router]:
    """Return a router of three splits: one settled, one of three versions, one at zero."""
    control = Control(store := MemoryStore(), confirm=True)
    for split, versions in {"checkout": ["old", "new"], "search": ["old", "b", "c"], "zero": ["old", "new"]}.items():
        control.create(split, versions=versions)
    control.set("checkout", 100)
    control.pin("search", CANARY, "c")
    control.set("search/c", 50)
    with Router(store) as made:
        assert made.wait_ready(5)
        yield made


def test_told_once_for_each_split_and_request(router: Router) -> None:
    """Whatever is asked again, also in a context inside; outside any context nothing is told."""
    told: list[Taking] = []
    listen(router, told.append)
    listen(router, told.append)  # the same again
    router.choose("checkout", CANARY)
    for _ in range(2):
        with context(CANARY):
            for _ in range(3):
                router.choose("checkout")
                router.decide("search")
            with context(attributes={"country": "DE"}):
                router.choose("checkout")
                router.choose("zero")
    assert [(taking.split, taking.version, taking.settled) for taking in told] == [
        ("checkout", "new", True),
        ("search", "c", False),
        ("zero", "old", True),
    ] * 2
    assert CANARY not in repr(told)


def test_a_library_that_is_included_keeps_its_listeners(router: Router) -> None:
    """They hear what the application's store says."""
    told: list[Taking] = []
    library = Router()
    listen(library, told.append)
    router.include(library)
    with context(CANARY):
        library.choose("checkout")
    assert [taking.version for taking in told] == ["new"]


def test_a_listener_that_raises_harms_nobody(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """The decision stands, the next listener is told, and a line says so."""
    told: list[Taking] = []
    listen(router, lambda _: 1 / 0)  # type: ignore[arg-type, return-value] # raises
    listen(router, told.append)
    with context(CANARY):
        assert router.choose("checkout") == "new"
    assert len(told) == 1
    assert caplog.handler
    assert "telling of a version failed: ZeroDivisionError" in caplog.text


class Sent(Transport):
    """What Sentry would send."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.events: list[dict[str, Any]] = []
        self.text = ""

    def capture_envelope(self, envelope: Envelope) -> None:
        """Take it."""
        self.text += repr(envelope.serialize())
        self.events += [item.payload.json for item in envelope.items if item.payload.json]


@pytest.fixture
def sent() -> Iterator[Sent]:
    """Return what is sent while Sentry is on."""
    transport = Sent()
    # Without its integrations: each changes a framework for the rest of the process.
    alone = {"default_integrations": False, "auto_enabling_integrations": False}
    sentry_sdk.init("https://key@localhost/1", transport=transport, traces_sample_rate=1.0, **alone)
    with sentry_sdk.isolation_scope():
        yield transport
    sentry_sdk.get_client().close(timeout=0.0)
    sentry_sdk.get_global_scope().set_client(None)


def test_sentry_has_flags_on_errors_and_attributes_on_spans(router: Router, sent: Sent) -> None:
    """A flag for each split, a candidate of several by its name; the version on the span."""
    sentry.report_versions(router)
    with sentry_sdk.start_transaction(name="request"), sentry_sdk.start_span(op="http"), context(CANARY):
        for split in ("checkout", "search", "zero"):
            router.choose(split)
        sentry_sdk.capture_message("failed")
    error, transaction = sent.events
    flags = {flag["flag"]: flag["result"] for flag in error["contexts"]["flags"]["values"]}
    assert flags == {"checkout": True, "search": True, "search/c": True, "zero": False}
    data = transaction["spans"][0]["data"]
    assert {name: data[name] for name in data if name.startswith("graysplit.")} == {
        "graysplit.checkout": "new",
        "graysplit.search": "c",
        "graysplit.zero": "old",
    }
    assert data["flag.evaluation.checkout"] is True
    assert CANARY not in sent.text


def events_of(exporter: InMemoryLogRecordExporter) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the events that were exported."""
    records = [found.log_record for found in exporter.get_finished_logs()]
    return [(str(record.event_name), dict(record.attributes or {})) for record in records]


def logs() -> tuple[LoggerProvider, InMemoryLogRecordExporter]:
    """Return a logger provider and what it exports."""
    provider, exporter = LoggerProvider(shutdown_on_exit=False), InMemoryLogRecordExporter()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    return provider, exporter


def test_the_event_has_todays_names(router: Router) -> None:
    """Each attribute is one of the semantic conventions', and none that is retired."""
    provider, exporter = logs()
    otel.report_versions(router, spans=False, events=True, provider=provider)
    with context(CANARY):
        router.choose("checkout")
        router.choose("search")
    names = {
        "key": semconv.FEATURE_FLAG_KEY,
        "variant": semconv.FEATURE_FLAG_RESULT_VARIANT,
        "reason": semconv.FEATURE_FLAG_RESULT_REASON,
        "provider": semconv.FEATURE_FLAG_PROVIDER_NAME,
        "version": semconv.FEATURE_FLAG_VERSION,
        "set": semconv.FEATURE_FLAG_SET_ID,
    }
    (event, first), (_, second) = events_of(exporter)
    assert event == "feature_flag.evaluation"
    assert set(first) == set(names.values())
    assert not set(first) & {
        semconv.FEATURE_FLAG_VARIANT,
        semconv.FEATURE_FLAG_EVALUATION_REASON,
        semconv.FEATURE_FLAG_EVALUATION_ERROR_MESSAGE,
        "feature_flag.provider_name",
    }
    assert first == {
        names["key"]: "checkout",
        names["variant"]: "new",
        names["reason"]: semconv.FeatureFlagResultReasonValues.STATIC.value,
        names["provider"]: "graysplit",
        names["version"]: first[names["version"]],
        names["set"]: "default",
    }
    assert second[names["reason"]] == semconv.FeatureFlagResultReasonValues.TARGETING_MATCH.value


def test_events_are_opt_in_sampled_and_deduplicated(router: Router) -> None:
    """A share of the units, each exposure once in a while; in hundred requests of ten units no more than ten."""
    provider, exporter = logs()
    otel.report_versions(router, provider=provider)
    otel.report_versions(router, events=True, provider=provider)
    for number in range(100):
        with context(f"user-{number % 10}"):
            router.choose("checkout")
    assert len(events_of(exporter)) == 10
    sampled, exporter = logs()
    otel.report_versions(router, events=True, sample=0.25, provider=sampled)
    for number in range(400):
        with context(f"other-{number}"):
            router.choose("checkout")
    assert 50 < len(events_of(exporter)) < 150
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        otel.report_versions(router, sample=25)


def test_the_version_is_on_the_current_span(router: Router) -> None:
    """And on no other; without one nothing happens."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    otel.report_versions(router)
    with context(CANARY):
        router.choose("checkout")
    with provider.get_tracer("test").start_as_current_span("request"), context(CANARY):
        router.choose("search")
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"graysplit.search": "c"}


def test_log_lines_have_the_versions_of_their_request(router: Router) -> None:
    """By a filter as text and as extras, by a processor as keys; outside a request there are none."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s [%(graysplit)s]"))
    handler.addFilter(VersionFilter(router))
    logger = logging.Logger("request")  # noqa: LOG001 - of this test alone
    logger.addHandler(handler)
    processor = VersionProcessor(router)
    bound = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[processor, structlog.processors.KeyValueRenderer()]
    )
    with context(CANARY):
        logger.info("before")
        router.choose("checkout")
        router.choose("search")
        logger.info("after")
        assert bound.info("x") == "event='x' graysplit.checkout='new' graysplit.search='c'"
        assert versions_taken() == {"checkout": "new", "search": "c"}
    logger.info("outside")
    assert written.getvalue().splitlines() == [
        "before []",
        "after [graysplit.checkout=new graysplit.search=c]",
        "outside []",
    ]


class Dead(SpanExporter):
    """An exporter whose collector is gone."""

    def export(self, _spans: object) -> Any:
        """Raise."""
        raise ConnectionError("the collector is gone")


@pytest.mark.parametrize("dead", [False, True], ids=["exporting", "dead"])
def test_ten_thousand_addresses_are_found_nowhere(
    router: Router, sent: Sent, caplog: pytest.LogCaptureFixture, dead: bool
) -> None:
    """Everything at DEBUG, exporters on, or dead: no unit leaves in an error, a span, an event or a line."""
    caplog.set_level(logging.DEBUG)
    provider, exporter = logs()
    tracing, spans = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    tracing.add_span_processor(SimpleSpanProcessor(Dead() if dead else spans))
    sentry.report_versions(router)
    otel.report_versions(router, events=True, provider=provider)
    handler_filter = VersionFilter(router)
    caplog.handler.addFilter(handler_filter)
    if dead:
        provider.shutdown()
        sent.capture_envelope = lambda _: None  # type: ignore[method-assign] # as Sentry's own drops what it cannot send
    tracer = tracing.get_tracer("test")
    for number in range(10_000):
        with context(f"user-{number}@canary.example"):
            if number % 500 == 0:
                with tracer.start_as_current_span("request"):
                    assert router.choose("checkout") == "new"
                    router.choose("search")
                    logging.getLogger("request").debug("asked")
                    sentry_sdk.capture_message("failed")
            else:
                assert router.choose("checkout") == "new"
    caplog.handler.removeFilter(handler_filter)
    told = [repr(events_of(exporter)), sent.text, caplog.text, repr([vars(record) for record in caplog.records])]
    told.append(repr([(span.name, dict(span.attributes or {})) for span in spans.get_finished_spans()]))
    assert not [text for text in told if "canary.example" in text]
    assert "graysplit.checkout" in told[3]
