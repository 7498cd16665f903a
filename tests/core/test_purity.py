"""The core imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import graysplit.core

CORE = Path(graysplit.core.__path__[0])
HEAVY = {"pydantic", "redis", "opentelemetry", "asyncio", "dataclasses", "inspect", "logging", "json", "uuid", "random"}


def test_the_core_loads_nothing_heavy() -> None:
    """Importing every module of the core loads none of the packages that would make a program start slowly."""
    modules = sorted(_dotted(path) for path in CORE.rglob("*.py"))
    assert {"graysplit.core.decision", "graysplit.core.guard.tally"} <= {*modules}
    imports = "; ".join(f"import {name}" for name in modules)
    program = f"import sys; sys.path[:] = {sys.path!r}; {imports}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _dotted(path: Path) -> str:
    return ".".join(("graysplit", "core", *path.relative_to(CORE).with_suffix("").parts)).removesuffix(".__init__")
