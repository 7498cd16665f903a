"""Simulate the guard's rule on the shipped functions: false rollbacks, speed, others' rules, `safe`, intervals.

Each figure stands beside its target, with 95 % Clopper-Pearson limits for shares. Seeds are fixed: a case and a run's
number make them. Names of tables after the options make only these: failing, healthy, sticky and so on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks.guard.parts import PARTS
from benchmarks.guard.tables import Table, plain
from benchmarks.report import as_json, misses, progress, python

RUNS: Final = 300
SMALL: Final = 25  # in `make bench`
QUICK: Final = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the tables; 0 also where targets are missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="of each case (%(default)s); large ones run a part of it"
    )
    parser.add_argument("--small", action="store_true", help=f"{SMALL} runs, as in `make bench`")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} runs: shows that it runs, proves nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of tables")
    asked = parser.parse_args(arguments)
    unknown = sorted(set(asked.tables) - set(PARTS))
    if unknown:
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(PARTS)}")
    runs = QUICK if asked.quick else SMALL if asked.small else asked.runs
    found = _made(asked.tables or list(PARTS), runs, silent=asked.json)
    rows = [line.row._replace(note=line.known) for table in found for line in table.lines]
    if asked.json:
        print(as_json(f"guard, {runs} runs ({python()})", rows))
    else:
        print(misses(rows))
    return 0


def _made(names: Sequence[str], runs: int, *, silent: bool) -> list[Table]:
    found: list[Table] = []
    for name in names:
        progress(name)
        found.append(PARTS[name](runs))
        if not silent:
            print(f"{plain(found[-1])}\n", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
