"""Versions on Sentry's errors and spans, once for each split and request. Needs the extra `sentry`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from graysplit.router.inside import Taking, listen

try:
    import sentry_sdk
    from sentry_sdk.feature_flags import add_feature_flag
except ImportError as fault:
    raise ImportError("graysplit's part in Sentry needs: pip install 'graysplit[sentry]'") from fault

if TYPE_CHECKING:
    from graysplit.router.router import Router

__all__ = ["report_versions"]

PATHS: Final = 2  # a split of two versions is one flag


def report_versions(router: Router) -> None:
    """Put the versions that a request takes on its errors and on its current span.

    A flag named as the split is True for a candidate; of more than two versions each candidate taken is a flag
    `split/version` beside it. The span's attribute `graysplit.<split>` is the version. Never the unit.
    """
    listen(router, _report)


def _report(taking: Taking) -> None:
    candidate = taking.version != taking.names[0]
    add_feature_flag(taking.split, candidate)
    if candidate and len(taking.names) > PATHS:
        add_feature_flag(f"{taking.split}/{taking.version}", True)  # noqa: FBT003 - Sentry's own
    span = sentry_sdk.get_current_span()
    if span is not None:
        span.set_data(f"graysplit.{taking.split}", taking.version)
