"""The command line: parse, one change, submit, print what now holds."""

from __future__ import annotations

import gc
import sys
from importlib import import_module


def main() -> None:
    """Run `graysplit`; without click, name the extra that brings it."""
    gc.disable()  # a run is short, and collecting while modules load costs a rollback one part in twelve
    try:
        import_module("click")
    except ImportError:
        print(  # noqa: T201 - before there is anything else to print with
            'graysplit: the command line needs the extra "cli". Install it with: pip install "graysplit[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)
    # redis-py loads OpenTelemetry's API where it finds it; the command line measures nothing, and a way back that is
    # needed at once should not wait for it. None means "not installed" to the import that asks.
    sys.modules.setdefault("opentelemetry", None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    from graysplit.cli.app import run

    sys.exit(run())
