"""The commands that bring a split to zero from anywhere, whole, and what their answers mean."""

from __future__ import annotations

import shlex

from graysplit.control.views import SplitView
from graysplit.words.commands import COPY


def emergency_lines(view: SplitView, namespace: str, redis_cli: str | None) -> list[str]:
    """Return the commands that bring a split to zero from anywhere, whole, and what their answers mean.

    `redis_cli` is the program with what reaches the server; None where the store has none.
    """
    own = "" if namespace == "default" else f" --namespace {shlex.quote(namespace)}"
    lines = ["in an emergency:", f"{COPY}graysplit rollback {view.split}{own}"]
    if redis_cli is None:
        return lines
    fields = [row.field for row in view.rows] or [f"{view.split}/new"]
    weights, stops = (shlex.quote(f"graysplit:{{{namespace}}}:{key}") for key in ("weights", "stops"))
    return [
        *lines,
        "or without graysplit (0: the weight was set and is zero now; 1: no such weight",
        "was set, so check the name):",
        *(f"{COPY}{redis_cli} HSET {weights} {field} 0" for field in fields),
        "when Redis is out of memory (1: removed, which means zero; 0: it was not set):",
        *(f"{COPY}{redis_cli} HDEL {weights} {field}" for field in fields),
        "to stop the whole split (1: stopped now; 0: it was stopped already):",
        f"{COPY}{redis_cli} HSETNX {stops} {view.split} by-hand",
    ]
