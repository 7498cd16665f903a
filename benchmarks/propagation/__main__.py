"""What following costs and keeps: changes by every kind of writer, whole fleets, rollbacks, restarts, faults.

Alone it takes some four minutes; `--small` (in `make bench`) one and a half; `--matrix` does the faults of
docs/explanation/consistency.md in each way of following, and nothing else. All of it shares this machine's processors:
the figures of large fleets say what one server does, and how long two processors need to play that many machines.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Final, NamedTuple

from benchmarks.propagation import changes, fleet, herd, matrix, rollback, waiting
from benchmarks.propagation.grid import grid, listing
from benchmarks.report import Row, as_json, misses, python


class Size(NamedTuple):
    """How much is measured."""

    processes: int
    changes: int
    writes: int
    fleets: tuple[int, ...]
    fleet_changes: int
    rollback_processes: int
    rollbacks: int
    stopped: int  # processes that are stopped, to see them named
    herd: int
    back_s: float  # how long the herd takes in the middle
    decisions: int
    turns: int


FULL: Final = Size(16, 200, 10_000, (1, 50, 500, 2_000), 20, 64, 40, 2, 500, herd.BACK_S, 1_000_000, 5)
SMALL: Final = Size(16, 200, 10_000, (1, 50, 500), 6, 64, 30, 2, 250, herd.BACK_S, 1_000_000, 5)
QUICK: Final = Size(2, 8, 300, (2,), 2, 2, 2, 0, 6, 1.0, 20_000, 1)
LEGEND: Final = (
    "CPU ms, kB out: the server's, for a change; pushes, loads: of each follower;\n"
    "rcpt us: the server's CPU for a heartbeat; idle %: of a core, nothing changing."
)


class Found(NamedTuple):
    """Figures with their goals, and tables for people."""

    rows: list[Row]
    tables: list[str]


def everything(size: Size) -> Found:
    """Measure all but the faults."""
    rows = changes.measure(size.processes, size.changes, size.writes)
    costs = [fleet.measure(count, size.fleet_changes) for count in size.fleets]
    made = "; ".join(f"{cost.followers:,} as {cost.made}" for cost in costs)
    tables = [
        grid("Write to visible, by the number of followers", fleet.HEADER, fleet.grid(costs)) + f"\n{LEGEND}\n{made}"
    ]
    rows += fleet.rows(costs)
    rows += rollback.measure(size.rollback_processes, size.rollbacks, size.stopped)
    rows += herd.rows(herd.measure(size.herd, back_s=size.back_s))
    rows += waiting.rows(waiting.measure(size.decisions, size.turns))
    return Found(rows, tables)


def faults() -> Found:
    """Measure the faults alone."""
    found = matrix.measure()
    title = "Longest staleness seen, in seconds, against the promise (R3, R2 / RX)"
    return Found(matrix.rows(found), [grid(title, matrix.HEADER, matrix.grid(found), words=2)])


def main() -> int:
    """Measure and print; 0 also where goals are missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of tables")
    parser.add_argument("--small", action="store_true", help="no 2,000 followers, a smaller herd: for `make bench`")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, proves nothing")
    parser.add_argument("--matrix", action="store_true", help="faults, in each way of following, and nothing else")
    asked = parser.parse_args()
    found = faults() if asked.matrix else everything(QUICK if asked.quick else SMALL if asked.small else FULL)
    title = f"Propagation ({python()})"
    if asked.json:
        value = json.loads(as_json(title, found.rows))
        print(json.dumps({**value, "tables": [text.splitlines() for text in found.tables]}, indent=1))
        return 0
    if not asked.matrix:
        print(f"{listing(title, found.rows)}\n")
    print(*found.tables, sep="\n\n")
    print(misses(found.rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
