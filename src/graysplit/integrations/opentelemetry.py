"""Versions on OpenTelemetry's spans, and the event `feature_flag.evaluation`, which needs opentelemetry-api 1.37."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from inspect import signature
from time import monotonic
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import get_current_span

from graysplit.core.durations import BadSpanError, seconds
from graysplit.environment import setting
from graysplit.errors import ConfigurationError
from graysplit.integrations.flag_reasons import flag_reason
from graysplit.router.inside import Taking, lifecycle_of, listen
from graysplit.version import __version__

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider

    from graysplit.core.durations import Span
    from graysplit.router.router import Router

__all__ = ["report_versions"]

EVENT: Final = "feature_flag.evaluation"
REMEMBERED: Final = 10_000  # exposures; of more the oldest is told again
HASHES: Final = 2**32
TOO_OLD: Final = "events need a newer API: pip install 'opentelemetry-api>=1.37'"


def report_versions(  # noqa: PLR0913 - keyword-only wishes
    router: Router,
    *,
    spans: bool = True,
    events: bool = False,
    sample: float = 1.0,
    every: Span = 3600.0,
    provider: LoggerProvider | None = None,
) -> None:
    """Report the versions that requests take, once for each split and request; never the unit.

    `spans`: the attribute `graysplit.<split>` of the current span. `events`: the event `feature_flag.evaluation`, for
    the share `sample` of all units, and once in `every` (3600 seconds, `"1h"`) for a unit and version; by the global
    logger provider unless one is given. Raises `ConfigurationError` for what cannot be read.
    """
    if not 0 <= sample <= 1:
        raise ConfigurationError(f"sample is a share of all units: write a number from 0 to 1, not {sample}")
    if spans:
        listen(router, _mark_span)
    if events:
        listen(router, EvaluationEvents(router, sample, _seconds(every), provider))


def _mark_span(taking: Taking) -> None:
    span = get_current_span()
    if span.is_recording():
        span.set_attribute(f"graysplit.{taking.split}", taking.version)


class EvaluationEvents:
    """Emits events, sampled by unit, each exposure once in a while."""

    def __init__(self, router: Router, sample: float, every_s: float, provider: LoggerProvider | None) -> None:
        """Emit nothing yet."""
        self._router = router
        self._below = int(sample * HASHES)
        self._every_s = every_s
        self._logger = _logger(provider)
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def __call__(self, taking: Taking) -> None:
        """Emit one, unless it was left out by chance, or told before."""
        if taking.mark is not None and taking.mark >= self._below:
            return
        now, exposure = monotonic(), (taking.mark, taking.split, taking.version)
        if now - self._seen.get(exposure, float("-inf")) < self._every_s:
            return
        self._seen[exposure] = now
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._logger.emit(event_name=EVENT, attributes=self._attributes(taking))

    def _attributes(self, taking: Taking) -> Mapping[str, str]:
        settings = lifecycle_of(self._router).settings
        return {
            "feature_flag.key": taking.split,
            "feature_flag.result.variant": taking.version,
            "feature_flag.result.reason": flag_reason(taking.reason, settled=taking.settled).lower(),
            "feature_flag.provider.name": "graysplit",
            "feature_flag.version": str(taking.revision),
            "feature_flag.set.id": setting(settings.namespace, "GRAYSPLIT_NAMESPACE", "default"),
        }


def _seconds(every: Span) -> float:
    try:
        return seconds(every)
    except BadSpanError as fault:
        raise ConfigurationError(f"invalid every: {fault}") from None


def _logger(provider: LoggerProvider | None) -> Logger:
    try:
        from opentelemetry._logs import Logger, get_logger_provider
    except ImportError:
        raise ConfigurationError(TOO_OLD) from None
    if "event_name" not in signature(Logger.emit).parameters:
        raise ConfigurationError(TOO_OLD)
    return (provider or get_logger_provider()).get_logger("graysplit", __version__)
