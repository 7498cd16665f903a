"""Which changes are told: causes by name, as the history has them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from graysplit.environment import items_of, kind_of
from graysplit.errors import ConfigurationError

EVERY: Final = "all"

# What a person wants to hear of at 3 a.m.: traffic went back or was moved by something other than the caller's own
# command, something waits for a person, or nobody may raise.
WANTED: Final = (
    "rollback",
    "trip",
    "suspect",
    "warned",
    "host lost",
    "step",
    "waiting",
    "plan over",
    "edited outside",
    "lease over",
    "freeze",
    "unfreeze",
    "switch",
    "winner",
    "finish",
    "recover",
    "fork",
    "unstop",
)
OTHERS: Final = (
    *("create", "set", "batch", "preview", "ramp", "approve", "pause", "resume", "undo", "delete", "rebalance"),
    *("add", "remove", "protect", "unprotect", "pin", "unpin", "deny", "guard", "guard off"),
)


def chosen(causes: str | Iterable[str] | None) -> frozenset[str]:
    """Return the causes to tell of; raise `ConfigurationError` for a name that no change has: it would stay silent."""
    if causes is None:
        return frozenset(WANTED)
    named = [cause.strip() for cause in _several(causes) if cause.strip()]
    if not named:
        raise ConfigurationError(f"no cause given to notify on. Use one or more of these, or {EVERY}: {_listed()}")
    for cause in named:
        if cause != EVERY and cause not in (*WANTED, *OTHERS):
            near = get_close_matches(cause, (*WANTED, *OTHERS), 1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"no change has the cause {cause!r}.{meant} There are {EVERY}, {_listed()}")
    return frozenset((*WANTED, *OTHERS) if EVERY in named else named)


def _several(causes: str | Iterable[str]) -> Iterable[str]:
    if isinstance(causes, str):
        return causes.split(",")
    several = items_of(causes)
    wrong = [one for one in several if not isinstance(one, str)] if several is not None else [causes]
    if several is None or wrong:
        raise _no_cause(wrong[0])
    return map(str, several)


def _no_cause(given: object) -> ConfigurationError:
    return ConfigurationError(
        f'invalid on: use causes by name, on="rollback" or on=["rollback", "trip"], not {kind_of(given)}'
    )


def _listed() -> str:
    return ", ".join((*WANTED, *OTHERS))
