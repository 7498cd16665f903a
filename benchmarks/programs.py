"""Run benchmarks, each in a process of its own, and print their tables as they come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.processes import ROOT, surroundings
from benchmarks.report import Row, from_json, misses, table

NO_ENVIRONMENT: Final[Mapping[str, str]] = {}


def run_all(modules: Mapping[str, Sequence[str]]) -> int:
    """Run these modules, each with its words; return 0 also where goals are missed, 1 where one could not run."""
    found: list[Row] = []
    broken: list[str] = []
    for module, words in modules.items():
        name = module.rpartition(".")[2]
        print(f"{name}:", file=sys.stderr, flush=True)
        run = measured(module, words)
        if run is None:
            broken.append(name)
            continue
        title, rows = run
        print(f"\n{table(title, rows)}\n", flush=True)
        found += rows
    return concluded(found, broken)


def measured(
    module: str, words: Sequence[str], environment: Mapping[str, str] = NO_ENVIRONMENT
) -> tuple[str, list[Row]] | None:
    """Run a module; return its title and its rows, or None where it could not run."""
    command = [sys.executable, "-m", module, "--json", *words]
    surrounded = {**surroundings(None), **environment}
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surrounded, check=False)
    return None if ended.returncode else from_json(ended.stdout)


def concluded(found: Sequence[Row], broken: Sequence[str]) -> int:
    """Print which goals are missed, and what could not run; return the exit code."""
    print(misses(found))
    if broken:
        print(f"could not run: {', '.join(broken)}")
    return 1 if broken else 0
