"""`manage.py check`: settings that cannot work, and middlewares in an order that gives no unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name

from graysplit.errors import nearest
from graysplit.integrations.django.middleware import READERS
from graysplit.integrations.django.options import KEYS, get_router, make_policy, options

OURS: Final = "graysplit.integrations.django.GraysplitMiddleware"
SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"


def check_settings(app_configs: object = None, **_: object) -> Sequence[CheckMessage]:
    """Return what is wrong; opens no connection."""
    del app_configs
    try:
        return [*_keys(options()), *_order(options()), *_working()]
    except Exception as fault:  # noqa: BLE001 - a check that raises ends the command
        return [Error(f"{fault}", id="graysplit.E001")]


def _keys(asked: Any) -> Iterator[CheckMessage]:  # noqa: ANN401 - a settings dict
    for key in asked:
        if key not in KEYS:
            found = nearest(str(key), KEYS)
            hint = f"Did you mean '{found}'?" if found else f"Known: {', '.join(sorted(KEYS))}"
            yield Error(f"unknown key {key!r} in GRAYSPLIT", hint=hint, id="graysplit.E002")


def _order(asked: Any) -> Iterator[CheckMessage]:  # noqa: ANN401 - a settings dict
    order = list(settings.MIDDLEWARE)
    if OURS not in order:
        yield Warning("no request has a context", hint=f"Add '{OURS}' to MIDDLEWARE", id="graysplit.W001")
    elif "session:" in repr(asked.get("UNIT")) and SESSIONS not in order[: order.index(OURS)]:
        yield Error(
            "GRAYSPLIT['UNIT'] reads the session, which is not there yet",
            hint=f"Put '{OURS}' below '{SESSIONS}' in MIDDLEWARE",
            id="graysplit.E003",
        )


def _working() -> Iterator[CheckMessage]:
    for make in (get_router, lambda: make_policy(READERS)):
        try:
            make()
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is told
            yield Error(f"{fault}", hint="Change GRAYSPLIT in the settings", id="graysplit.E001")
