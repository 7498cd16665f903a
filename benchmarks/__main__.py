"""Run every benchmark of graysplit itself, each in a process of its own, and print figures beside goals.

Alone: `python -m benchmarks.hotpath`, `.imports`, `.reload`, `.measuring`, `.requests`, `.propagation` (there also
2,000 followers, and --matrix), `.guard` (simulations; there also more runs). Not among them, as it takes minutes:
`python -m benchmarks.living` (a request, rest, start, a change), `python -m benchmarks.crowded` (an armed guard beside
millions of users), `python -m benchmarks.console` (200 pages). Other libraries: `python -m benchmarks.peers`. Release
policies under load: `python -m benchmarks.policies`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.programs import concluded, measured
from benchmarks.report import Row, side_by_side, table
from graysplit import native

PURE: Final = {"GRAYSPLIT_PURE": "1"}
PARTS: Final = ("hotpath", "imports", "reload", "measuring", "requests", "propagation", "guard")
LONG: Final = ("propagation", "guard")  # those that have a small form


def main() -> int:
    """Run all parts; 0 also where goals are missed, 1 where a part could not run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, proves nothing")
    asked = parser.parse_args()
    found: list[Row] = []
    broken: list[str] = []
    for part in PARTS:
        print(f"{part}:", file=sys.stderr, flush=True)
        size = ["--quick"] if asked.quick else ["--small"] if part in LONG else []
        runs = [measured(f"benchmarks.{part}", size, environment) for environment in _cores(part)]
        if None in runs:
            broken.append(part)
        told = [run for run in runs if run is not None]
        for title, rows in told:
            print(f"\n{table(title, rows)}\n", flush=True)
            found += rows
        if len(told) > 1:
            beside = side_by_side("Hot path", ("compiled core", told[0][1]), ("pure Python", told[1][1]))
            print(f"\n{beside}\n", flush=True)
    return concluded(found, broken)


def _cores(part: str) -> Sequence[Mapping[str, str]]:
    """Return the settings to run a part with: the hot path with the compiled core, where there is one, and without."""
    return ({},) if part != "hotpath" else (PURE,) if native.compiled_core is None else ({}, PURE)


if __name__ == "__main__":
    sys.exit(main())
