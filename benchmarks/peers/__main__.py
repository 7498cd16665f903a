"""Run every peer in an environment of its own, and print what a decision costs there beside graysplit's figure.

20 % of one flag, 100,000 users, default settings; the process's CPU time per decision, background threads included, as
a ratio to one murmur3 hash. A peer that cannot be installed or run is reported, loudly, and the others are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.processes import ROOT
from benchmarks.report import python

HERE: Final = Path(__file__).resolve().parent
ENVIRONMENTS: Final = HERE / ".envs"
PRIVATE_UV: Final = ROOT / ".tools" / "bin" / "uv"
ITSELF: Final = "graysplit_itself"  # with the compiled core, where it is installed
PURE: Final = "graysplit_pure"
PEERS: Final = (
    "eppo",
    "datadog_ffe",
    "growthbook_sdk",
    "statsig_core",
    "openfeature_memory",
    "launchdarkly",
    "unleash",
    "openfeature_flagd",
)
USERS: Final = 100_000
FEW_USERS: Final = 5_000
INSTALL_WITHIN_S: Final = 300
RUN_WITHIN_S: Final = 300
NO_ENVIRONMENT: Final[Mapping[str, str]] = {}


class Failed(Exception):  # noqa: N818 - not an error of this program
    """Why a peer was not measured."""


class Line(NamedTuple):
    """One way of asking one peer."""

    peer: str
    way: str
    process: float
    thread: float
    share: float
    versions: str


def interpreter(name: str, requires: tuple[str, ...]) -> str:
    """Return the Python of a peer's environment, made if it is not there yet."""
    if not requires:
        return sys.executable
    folder = ENVIRONMENTS / f"{name}-{sys.version_info[0]}.{sys.version_info[1]}"
    python_there = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python_there.exists():
        uv = shutil.which("uv") or (str(PRIVATE_UV) if PRIVATE_UV.exists() else None)
        try:
            if uv is not None:
                said_by([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
                said_by([uv, "pip", "install", "--quiet", "--python", str(python_there), "mmh3", *requires])
            else:
                said_by([sys.executable, "-m", "venv", str(folder)])
                said_by([str(python_there), "-m", "pip", "install", "--quiet", "mmh3", *requires])
        except Failed:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return str(python_there)


def said_by(
    command: list[str], within_s: float = INSTALL_WITHIN_S, environment: Mapping[str, str] = NO_ENVIRONMENT
) -> str:
    """Run a command and return its output; the last thing it said is why it failed."""
    surrounded = {**os.environ, **environment}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=surrounded, timeout=within_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"not done within {within_s:g} s") from None
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip().splitlines()
        raise Failed(said[-1] if said else f"exit code {ended.returncode}")
    return ended.stdout


def measured(name: str, users: int) -> list[Line]:
    """Measure one peer."""
    peer: Any = import_module(f"benchmarks.peers.{name}")
    there = interpreter(name, peer.REQUIRES)
    command = [there, "-m", "benchmarks.peers.worker", name, str(users)]
    said = said_by(command, RUN_WITHIN_S, getattr(peer, "ENVIRONMENT", NO_ENVIRONMENT))
    versions = _versions(there, peer.REQUIRES)
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    lines = [Line(name, way, one["process"], one["thread"], one["share"], versions) for way, one in found.items()]
    for line in lines:
        if not 0.17 < line.share < 0.23:
            raise Failed(f"it gave {line.share:.1%} of the users the new version where 20 % were asked for")
    return lines


def _versions(there: str, requires: tuple[str, ...]) -> str:
    if not requires:
        return ""
    text = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
    return said_by([there, "-c", text, *requires]).strip()


def table(lines: list[Line]) -> str:
    """Return the figures in columns, the cheapest first."""
    width = max(len(_name(line)) for line in lines)
    own = min(line.process for line in lines if line.peer == ITSELF)
    pure = min((line.process for line in lines if line.peer == PURE), default=own)
    heads = f"{'per decision':>12}  {'on the thread':>13}  {'over graysplit':>14}  {'over pure':>9}  {'share':>7}"
    listed = [f"{'':<{width}}  {heads}"]
    for line in sorted(lines, key=lambda line: line.process):
        costs = (
            f"{line.process:>11.1f}x  {line.thread:>12.1f}x  {line.process / own:>14.1f}  {line.process / pure:>9.1f}"
        )
        listed.append(f"{_name(line):<{width}}  {costs}  {line.share:>7.2%}  {line.versions}".rstrip())
    return "\n".join(listed)


def _name(line: Line) -> str:
    return f"{line.peer}, {line.way}" if line.way else line.peer


def main() -> int:
    """Measure graysplit and every peer; 0 also where a peer could not be measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", nargs="*", help=f"only these (of {', '.join(PEERS)})")
    parser.add_argument("--quick", action="store_true", help="few users: shows that it runs, proves nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of a table")
    asked = parser.parse_args()
    unknown = sorted(set(asked.peers) - set(PEERS))
    if unknown:
        parser.error(f"no such peer: {', '.join(unknown)} (there are {', '.join(PEERS)})")
    lines: list[Line] = []
    failed: dict[str, str] = {}
    for name in (ITSELF, PURE, *(asked.peers or PEERS)):
        print(f"  {name} ...", file=sys.stderr, flush=True)
        try:
            lines += measured(name, FEW_USERS if asked.quick else USERS)
        except Failed as fault:
            failed[name] = str(fault)
    _print(lines, failed, json_wanted=asked.json)
    return 1 if ITSELF in failed else 0


def _print(lines: list[Line], failed: dict[str, str], *, json_wanted: bool) -> None:
    if json_wanted:
        listed = [line._asdict() for line in lines]
        print(
            json.dumps({"schema_version": 1, "python": python(), "measured": listed, "not_measured": failed}, indent=1)
        )
        return
    if any(line.peer == ITSELF for line in lines):
        print(f"One decision at 20 %, CPU as a multiple of one murmur3 hash ({python()})")
        print(table(lines))
    for name, why in failed.items():
        print(f"NOT MEASURED: {name}: {why}")


if __name__ == "__main__":
    sys.exit(main())
