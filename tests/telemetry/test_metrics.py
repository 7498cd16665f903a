"""Metrics as the OpenTelemetry SDK collects them, and the documents that name them."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, NumberDataPoint

from graysplit import Control, Router
from graysplit.core.counters import Measure
from graysplit.router.status import Status
from graysplit.stores.memory import MemoryStore
from graysplit.telemetry import METRICS, observe
from graysplit.telemetry.metrics import OTHER, SPLITS_AT_MOST
from tests.support import eventually

CANARY = "canary-7f3a@example.org"
GUARDED = {"graysplit.duration", "graysplit.guard.verdict"}  # only while a guard is armed
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def store() -> MemoryStore:
    """Return a store with a split at 50 %."""
    made = MemoryStore()
    control = Control(made, confirm=True)
    control.create("checkout")
    control.set("checkout", 50)
    return made


@pytest.fixture
def router(store: MemoryStore) -> Iterator[Router]:
    """Return a router that follows it."""
    made = Router(store)
    assert made.wait_ready(5)
    yield made
    made.close()


def collected(reader: InMemoryMetricReader) -> dict[str, list[tuple[Mapping[str, object], float]]]:
    """Return all points that were collected, by the metric's name."""
    data = reader.get_metrics_data()
    assert isinstance(data, MetricsData)
    found: dict[str, list[tuple[Mapping[str, object], float]]] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            assert isinstance(point, NumberDataPoint)
            found.setdefault(metric.name, []).append((dict(point.attributes or {}), point.value))
    return found


def test_every_metric_is_collected_and_none_holds_a_unit(router: Router) -> None:
    """Decisions, failures, weights, revision, age: all of the table, by split, version and reason alone."""
    reader = InMemoryMetricReader()
    observe(router, MeterProvider([reader]))

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        raise ValueError

    raised = 0
    for number in range(100):
        try:
            checkout(f"{CANARY}-{number}")
        except ValueError:
            raised += 1
    router.choose("checkout", None)
    found = collected(reader)
    assert set(found) == {metric.name for metric in METRICS} - GUARDED
    by_version = {
        (point["graysplit.version"], point["graysplit.reason"]): value
        for point, value in found["graysplit.evaluations"]
        if value
    }
    assert by_version == {("old", "bucket"): 100 - raised, ("new", "bucket"): raised, ("old", "no_unit"): 1}
    assert ({"graysplit.split": "checkout", "graysplit.version": "new"}, raised) in found["graysplit.failures"]
    assert found["graysplit.weight.asked"] == [({"graysplit.split": "checkout", "graysplit.version": "new"}, 50.0)]
    assert found["graysplit.weight.actual"] == [({"graysplit.split": "checkout", "graysplit.version": "new"}, 50.0)]
    assert found["graysplit.running"] == [({"graysplit.split": "checkout", "graysplit.version": "new"}, 0)]
    assert CANARY not in repr(found)


def test_while_a_guard_is_armed_durations_and_verdicts_are_collected(router: Router, store: MemoryStore) -> None:
    """Of old and new by quantile, and the word on the candidate; a rollback counts once."""
    reader = InMemoryMetricReader()
    observe(router, MeterProvider([reader]))
    broken = False

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        if broken:
            raise ValueError
        return "new"

    control, users = Control(store, confirm=True), itertools.count()

    def visited() -> dict[str, list[tuple[Mapping[str, object], float]]]:
        for _ in range(50):
            with contextlib.suppress(ValueError):
                checkout(f"{CANARY}-{next(users)}")
        return collected(reader)

    eventually(lambda: "checkout" in control.fleet().live[0].declared)
    control.guard("checkout", every_call=True)

    def told() -> bool:
        found = visited()
        assert found.keys() == {metric.name for metric in METRICS}
        timed = {(point["graysplit.version"], point["graysplit.quantile"]) for point, _ in found["graysplit.duration"]}
        assert timed == {(version, share) for version in ("old", "new") for share in ("0.5", "0.95", "0.99")}
        verdict = {"graysplit.split": "checkout", "graysplit.version": "new", "graysplit.verdict": "unclear"}
        assert found["graysplit.guard.verdict"] in ([(verdict, 1)], [(verdict | {"graysplit.verdict": "safe"}, 1)])
        return found["graysplit.guard.trips"] == [({}, 0)]

    eventually(told, 20)
    broken = True
    eventually(lambda: visited()["graysplit.guard.trips"] == [({}, 1)], 20)
    assert CANARY not in repr(visited())


def test_a_stop_shows_in_the_actual_weight(router: Router, store: MemoryStore) -> None:
    """What the store asks for and what is in force here are told apart."""
    reader = InMemoryMetricReader()
    observe(router, MeterProvider([reader]))
    router.choose("checkout", "ana")
    store.raw_set("stops", "checkout", "by hand")
    eventually(
        lambda: (
            collected(reader)["graysplit.weight.actual"]
            == [({"graysplit.split": "checkout", "graysplit.version": "new"}, 0.0)]
        )
    )
    assert collected(reader)["graysplit.weight.asked"] == [
        ({"graysplit.split": "checkout", "graysplit.version": "new"}, 50.0)
    ]


class Crowd:
    """A router with more splits than the budget."""

    def measures(self) -> list[Measure]:
        """Return one version each, asked ten times."""
        return [
            Measure(f"split-{number}", "old", {"bucket": 10}, 1, 0, None, None) for number in range(SPLITS_AT_MOST + 50)
        ]

    def status(self) -> Status:
        """Say nothing of interest."""
        return Status("live", "memory", None, None, 7, 0, {}, {}, {}, (), "", stale=False, boot=None)


def test_splits_beyond_the_budget_are_told_together() -> None:
    """No attribute is ever lost to the SDK's limit, and no decision is left out."""
    reader = InMemoryMetricReader()
    observe(Crowd(), MeterProvider([reader]))
    found = collected(reader)
    assert len(found["graysplit.evaluations"]) == SPLITS_AT_MOST + 1
    assert ({"graysplit.split": OTHER, "graysplit.version": OTHER, "graysplit.reason": "bucket"}, 500) in found[
        "graysplit.evaluations"
    ]
    assert ({"graysplit.split": OTHER, "graysplit.version": OTHER}, 50) in found["graysplit.failures"]
    assert "graysplit.age" not in found


@pytest.mark.parametrize("path", ["dashboards/graysplit.json", "dashboards/alerts.yaml"])
def test_dashboard_and_alerts_name_only_metrics_that_exist(path: str) -> None:
    """In Prometheus a counter gains `_total`, a unit of seconds `_seconds`, per cent `_percent`; dots are `_`."""
    text = (DOCS / path).read_text()
    known = {_in_prometheus(metric.name, metric.kind, metric.unit) for metric in METRICS}
    labels = {f"graysplit_{name}" for name in ("split", "version", "reason", "quantile", "verdict")}
    named = set(re.findall(r"\bgraysplit_[a-z_]+", text)) - labels
    assert named
    assert not re.search(r"by \([^)]*\b(split|version|reason|verdict)\b|\{(split|version|quantile|verdict)=", text)
    assert named <= known, sorted(named - known)
    if path.endswith(".json"):
        assert json.loads(text)["panels"]
        assert named == known


def _in_prometheus(name: str, kind: str, unit: str) -> str:
    suffix = {"s": "_seconds", "%": "_percent"}.get(unit, "")
    return name.replace(".", "_") + suffix + ("_total" if kind == "counter" else "")
