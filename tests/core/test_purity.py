"""The core imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import graysplit.core

HEAVY = {"pydantic", "redis", "opentelemetry", "asyncio", "dataclasses", "inspect", "logging", "json", "uuid", "random"}


def test_the_core_loads_nothing_heavy() -> None:
    """Importing every module of the core loads none of the packages that would make a program start slowly."""
    modules = sorted(path.stem for path in Path(graysplit.core.__path__[0]).glob("*.py"))
    assert "decision" in modules
    imports = "; ".join(f"import graysplit.core.{name}" for name in modules if name != "__init__")
    program = f"import sys; sys.path[:] = {sys.path!r}; {imports}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
