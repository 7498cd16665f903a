"""The verb that a mistyped or foreign word stands for: by meaning and by spelling, in doubt the one that lowers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import Final

# Words that people try, with what they mean here.
MEANINGS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            *("abort", "back", "cancel", "decrease", "disable", "down", "downgrade", "emergency", "fallback", "halt"),
            *("kill", "lower", "off", "panic", "reduce", "reset", "restore", "revert", "rewind", "safe", "shutdown"),
            *("stop", "terminate", "unset", "withdraw", "zero"),
        ),
        ("rollback",),
    ),
    **dict.fromkeys(("get", "info", "ls", "overview", "splits", "state", "status"), ("list",)),
    **dict.fromkeys(("describe", "inspect"), ("show",)),
    **dict.fromkeys(("audit", "blame", "changes", "events", "log", "logs"), ("history",)),
    **dict.fromkeys(("hold", "suspend"), ("pause",)),
    **dict.fromkeys(("check", "diagnose", "health"), ("doctor",)),
    **dict.fromkeys(("browser", "dashboard", "serve", "ui", "web"), ("console",)),
    **dict.fromkeys(("decide", "why"), ("explain",)),
    **dict.fromkeys(("instances", "processes", "ps", "workers"), ("fleet",)),
    **dict.fromkeys(("add", "declare", "new"), ("create",)),
    **dict.fromkeys(
        ("canary", "deploy", "enable", "increase", "on", "promote", "raise", "rollout", "start"), ("set", "ramp")
    ),
    **dict.fromkeys(("continue", "unpause"), ("resume",)),
    **dict.fromkeys(("archive", "complete", "done"), ("finish",)),
    **dict.fromkeys(("remove", "rm"), ("delete",)),
    **dict.fromkeys(("choose", "pick", "conclude"), ("winner",)),
}
# The verbs after which more users may reach a candidate than before.
RAISING: Final = frozenset(
    (
        *("approve", "drive", "pin", "preview", "ramp", "rebalance", "recover", "resume", "set", "switch"),
        *("undo", "unfreeze", "unpin", "unprotect", "unstop", "winner"),
    )
)
LOWERING: Final = frozenset(("pause", "rollback"))
# A word that begins so takes something back, whatever it ends in.
_TAKING_BACK: Final = ("de", "dis", "no", "off", "un")
_NEAR: Final = 0.6
_MISTYPED: Final = 0.8  # so near that a verb which raises is meant
_DOUBT: Final = 0.1  # between two words that are nearly as near, the one that lowers is meant


def did_you_mean(word: str, verbs: Iterable[str]) -> str:
    """Return a question that names what was meant; "" for no idea."""
    found = " or ".join(f"'{verb}'" for verb in meant(word, verbs))
    return f" Did you mean {found}?" if found else ""


def meant(word: str, verbs: Iterable[str]) -> tuple[str, ...]:
    """Return the verbs that a word may stand for; one that may lower is never answered with one that raises."""
    word = word.lower().lstrip("-").replace("_", "").replace("-", "")
    meanings = {**{verb: (verb,) for verb in verbs}, **MEANINGS}
    near = {known: SequenceMatcher(None, word, known).ratio() for known in meanings}
    allowed = {known: ratio for known, ratio in near.items() if ratio >= _least(word, known, meanings[known])}
    best = max(allowed.values(), default=0.0)
    ranked = sorted(allowed, key=lambda known: (LOWERING.isdisjoint(meanings[known]), -allowed[known]))
    return next((meanings[known] for known in ranked if allowed[known] >= best - _DOUBT), ())


def _least(word: str, known: str, verbs: tuple[str, ...]) -> float:
    """Return how near a word must be to stand for these verbs: nothing is near enough to raise what it takes back."""
    if RAISING.isdisjoint(verbs):
        return _NEAR
    takes_back = any(word.startswith(mark) and not known.startswith(mark) for mark in _TAKING_BACK)
    return float("inf") if takes_back else _MISTYPED
