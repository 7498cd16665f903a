"""Run the benchmarks of what living with graysplit costs: a request, a process at rest, its start, a change.

Each in a process of its own, and alone as `python -m benchmarks.living.requests`, `.rest`, `.start`, `.change`. It
takes some minutes: a process at rest must be watched for a while.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from benchmarks.programs import run_all

PARTS: Final = ("requests", "rest", "start", "change")


def main() -> int:
    """Run all parts; 0 also where goals are missed, 1 where a part could not run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, proves nothing")
    words = ["--quick"] if parser.parse_args().quick else []
    return run_all({f"benchmarks.living.{part}": words for part in PARTS})


if __name__ == "__main__":
    sys.exit(main())
