"""`watch` with a defect in its picture or in its keys: `python -m tests.cli.broken_watch picture|keys`."""

from __future__ import annotations

import sys

from graysplit.cli import main, watch, watch_keys


def _break(*_: object, **__: object) -> list[str]:
    raise RuntimeError("a defect of the test")


def run() -> None:
    """Break one part, and watch."""
    part = sys.argv.pop(1)
    setattr(*((watch, "tree_lines") if part == "picture" else (watch_keys.WatchKeys, "_ask")), _break)
    main()


if __name__ == "__main__":
    run()
