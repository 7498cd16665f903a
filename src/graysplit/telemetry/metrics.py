"""Observable instruments over the counts that decisions make anyway; the names are a table that a test reads.

Attributes are split, version and reason, each with our name before it, never a unit. The SDK keeps 2,000 streams per
instrument and takes all attributes from the rest, so that splits beyond a budget are told together as `_other`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, TypeAlias

from graysplit.core.address import parse_address
from graysplit.core.counters import Measure
from graysplit.core.guard.tally import percentile
from graysplit.version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

OTHER: Final = "_other"
SPLITS_AT_MOST: Final = 150  # of two versions with six reasons each, within 2,000 streams

Attributes: TypeAlias = Mapping[str, str]
Point: TypeAlias = tuple[float, Attributes]


class RouterStatus(Protocol):
    """What a router says of itself."""

    @property
    def age_s(self) -> float | None:
        """Seconds since the store last answered; None for never."""
        ...

    @property
    def revision(self) -> int:
        """The revision that is held."""
        ...

    @property
    def refused(self) -> Mapping[str, str]:
        """What is not taken of the store."""
        ...

    @property
    def held(self) -> Mapping[str, str]:
        """What is not believed of the store."""
        ...

    @property
    def dropped(self) -> int:
        """Log lines left out."""
        ...

    @property
    def verdicts(self) -> Mapping[str, str]:
        """The guard's word on candidates, by field."""
        ...

    @property
    def trips(self) -> int:
        """Rollbacks that this process's guard has made."""
        ...

    @property
    def evidence_dropped(self) -> int:
        """Calls, users and goals that were counted for guards and never told."""
        ...


class MeasuredRouter(Protocol):
    """Whoever counts: a `graysplit.Router`."""

    def measures(self) -> list[Measure]:
        """Return what was counted so far."""
        ...

    def status(self) -> RouterStatus:
        """Return how it stands."""
        ...


class Metric(NamedTuple):
    """One metric: its name, kind, unit, meaning, and where its points come from."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    meaning: str
    points: Callable[[MeasuredRouter], Iterable[Point]]


def _evaluations(router: MeasuredRouter) -> Iterator[Point]:
    for one in _within_budget(router):
        for reason, number in one.evaluations.items():
            yield number, {"graysplit.split": one.split, "graysplit.version": one.version, "graysplit.reason": reason}


def _failures(router: MeasuredRouter) -> Iterator[Point]:
    return ((one.failures, _named(one)) for one in _within_budget(router))


def _running(router: MeasuredRouter) -> Iterator[Point]:
    return ((one.running, _named(one)) for one in _within_budget(router) if one.asked is not None)


def _durations(router: MeasuredRouter) -> Iterator[Point]:
    for one in _within_budget(router):
        for name, share in _QUANTILES.items() if one.durations else ():
            yield percentile(one.durations, share) / 1e9, {**_named(one), "graysplit.quantile": name}


def _verdicts(router: MeasuredRouter) -> Iterator[Point]:
    for field, word in router.status().verdicts.items():
        split, version = parse_address(field)
        yield 1, {"graysplit.split": split, "graysplit.version": version, "graysplit.verdict": word}


def _trips(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(router.status().trips, _NOTHING)])


def _evidence_dropped(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(router.status().evidence_dropped, _NOTHING)])


def _asked(router: MeasuredRouter) -> Iterator[Point]:
    found = ((one.asked, one) for one in _within_budget(router) if one.split != OTHER)
    return ((asked / 1000, _named(one)) for asked, one in found if asked is not None)


def _actual(router: MeasuredRouter) -> Iterator[Point]:
    found = ((one.actual, one) for one in _within_budget(router) if one.split != OTHER)
    return ((actual / 1000, _named(one)) for actual, one in found if actual is not None)


def _age(router: MeasuredRouter) -> Iterator[Point]:
    age_s = router.status().age_s
    return iter(()) if age_s is None else iter([(age_s, _NOTHING)])


def _revision(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(router.status().revision, _NOTHING)])


def _refused(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(len(router.status().refused), _NOTHING)])


def _held(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(len(router.status().held), _NOTHING)])


def _dropped(router: MeasuredRouter) -> Iterator[Point]:
    return iter([(router.status().dropped, _NOTHING)])


_NOTHING: Final[Attributes] = {}
_QUANTILES: Final = {"0.5": 0.5, "0.95": 0.95, "0.99": 0.99}

METRICS: Final = (
    Metric("graysplit.evaluations", "counter", "{decision}", "Decisions by split, version and reason.", _evaluations),
    Metric("graysplit.failures", "counter", "{call}", "Measured calls that raised, by split and version.", _failures),
    Metric("graysplit.running", "gauge", "{call}", "Measured calls of candidates that still run.", _running),
    Metric("graysplit.duration", "gauge", "s", "Quantiles of timed calls, while a guard is armed.", _durations),
    Metric("graysplit.guard.verdict", "gauge", "{verdict}", "1 for the guard's verdict on a candidate.", _verdicts),
    Metric("graysplit.guard.trips", "counter", "{trip}", "Rollbacks made by this process's guard.", _trips),
    Metric("graysplit.guard.dropped", "counter", "{piece}", "Guard evidence that was dropped.", _evidence_dropped),
    Metric("graysplit.weight.asked", "gauge", "%", "The weight set in the store.", _asked),
    Metric("graysplit.weight.actual", "gauge", "%", "The weight in force in this process.", _actual),
    Metric("graysplit.revision", "gauge", "{change}", "The revision in force in this process.", _revision),
    Metric("graysplit.age", "gauge", "s", "Seconds since the store last answered.", _age),
    Metric("graysplit.refused", "gauge", "{value}", "Values of the store that are refused.", _refused),
    Metric("graysplit.held", "gauge", "{value}", "Values kept although the store says more (SOURCE_REGRESSED).", _held),
    Metric("graysplit.events.dropped", "counter", "{line}", "Log lines counted instead of printed.", _dropped),
)


def observe(router: MeasuredRouter, provider: MeterProvider | None = None) -> None:
    """Register the metrics of a router, once per process; the provider is OpenTelemetry's global one unless given.

    Decisions cost nothing more: the numbers are read when somebody collects.
    """
    from opentelemetry.metrics import get_meter_provider

    meter = (provider or get_meter_provider()).get_meter("graysplit", __version__)
    for metric in METRICS:
        make = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
        make(metric.name, [_callback(router, metric)], metric.unit, metric.meaning)


def _callback(router: MeasuredRouter, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    from opentelemetry.metrics import Observation

    def collect(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, dict(attributes)) for value, attributes in metric.points(router)]

    return collect


def _named(one: Measure) -> Attributes:
    return {"graysplit.split": one.split, "graysplit.version": one.version}


def _within_budget(router: MeasuredRouter) -> list[Measure]:
    """Return the measures, those of splits beyond the budget added up as one; the first asked for keep their names."""
    named: dict[str, None] = {}
    told: list[Measure] = []
    others: dict[str, Measure] = {}
    for one in router.measures():
        if one.split in named or len(named) < SPLITS_AT_MOST:
            named[one.split] = None
            told.append(one)
        else:
            others[OTHER] = _added(others.get(OTHER), one)
    return [*told, *others.values()]


def _added(sum_: Measure | None, one: Measure) -> Measure:
    before = sum_ or Measure(OTHER, OTHER, {}, 0, 0, 0, 0)
    reasons = {**before.evaluations}
    for reason, number in one.evaluations.items():
        reasons[reason] = reasons.get(reason, 0) + number
    return before._replace(
        evaluations=reasons, failures=before.failures + one.failures, running=before.running + one.running
    )
