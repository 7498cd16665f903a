"""The command line: parse, one change, submit, print what now holds."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `graysplit`; without click, name the extra that brings it."""
    try:
        import click  # noqa: F401 - asked for, used below
    except ImportError:
        print(  # noqa: T201 - before there is anything else to print with
            'graysplit: the command line needs the extra "cli". Install it with: pip install "graysplit[cli]"',
            file=sys.stderr,
        )
        sys.exit(2)
    from graysplit.cli.app import run

    sys.exit(run())
