"""A process that tells a webhook: `python -m tests.notices.teller_process JSON`; ends with its standard input."""

from __future__ import annotations

import json
import sys
from typing import Any

import graysplit
from graysplit.core.notices import cursor, debt
from graysplit.notices import hooks, notifier


def main() -> None:
    """Follow and tell; turns are short, so that a test need not wait for the end of one."""
    settings: dict[str, Any] = json.loads(sys.argv[1])
    cursor.TURN_MS = settings["turn_ms"]
    notifier.SPREAD_S = (0.05, 0.3)
    if pause_ms := settings["pause_ms"]:
        debt.PAUSES_MS, cursor.PAUSES_MS = (pause_ms,) * 5, (pause_ms,) * 4
        hooks.WITHIN_S = 0.5
    hook = graysplit.Webhook(settings["hook"], on=["all"])
    gray = graysplit.Router(settings["url"], namespace=settings["namespace"], notify=hook)
    gray.wait_ready(30)
    print("ready", flush=True)  # noqa: T201 - what the test waits for
    sys.stdin.readline()


if __name__ == "__main__":
    main()
