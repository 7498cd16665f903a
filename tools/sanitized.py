"""Run tests with a compiled core that AddressSanitizer and UndefinedBehaviorSanitizer watch: faults of memory end them.

    .venv/bin/python tools/sanitized.py [PYTEST'S ARGUMENTS ...]

Builds into .tools/sanitized with gcc. Memory comes from malloc, so that each object is watched by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import bootstrap

BUILT: Final = bootstrap.TOOLS / "sanitized"
FLAGS: Final = "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
LOADED: Final = "import sys; from graysplit import native; sys.exit('sanitized' not in str(native.compiled_core))"


def main(arguments: Sequence[str]) -> int:
    """Build, see that the build is what runs, and run pytest; return its exit code."""
    try:
        build()
    except subprocess.CalledProcessError as failure:
        print(failure.output or "", file=sys.stderr)
        return 1
    watched = environment()
    if subprocess.run([sys.executable, "-c", LOADED], env=watched, cwd=bootstrap.ROOT, check=False).returncode:
        print("sanitized: not this build is loaded", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, env=watched, cwd=bootstrap.ROOT, check=False).returncode


def build() -> None:
    """Compile the core with both sanitizers, warnings being errors."""
    install = bootstrap.pip(bootstrap.find_uv(), Path(sys.executable))
    shutil.rmtree(BUILT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        source = shutil.copytree(bootstrap.SPEED, Path(scratch) / "speed")
        command = [*install, "--no-build-isolation", "--no-deps", "--target", str(BUILT), str(source)]
        bootstrap.step("compiling graysplit-speed with sanitizers", command, {**bootstrap.STRICT, "CFLAGS": FLAGS})


def environment() -> Mapping[str, str]:
    """Return the environment in which Python loads the sanitizers first, and the build before the installed one."""
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so")]
    return {
        **os.environ,
        "GRAYSPLIT_PURE": "0",
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONPATH": str(BUILT),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0",  # of Python's own at its end: tests/speed/test_memory.py looks for ours
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def _library(name: str) -> str:
    asked = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
