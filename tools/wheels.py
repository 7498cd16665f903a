"""Build the pure wheel and this machine's wheel of the compiled core, and use both as those do who get them.

    python tools/wheels.py [3.12 ...]

Into build/wheels: graysplit, and graysplit-speed as sdist and, made from that, as wheel. The wheel has the tag for all
Pythons from 3.11, at most 60 kB, and by abi3audit nothing that one of them has not. Then for each Python that is here:
`graysplit[speed]` in a clean environment says that it is compiled, and decides as it does turned off (tools/alike.py).

A release builds the wheels of the other platforms by cibuildwheel: .github/workflows/release.yml.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import bootstrap
import packages

BUILT: Final = packages.ROOT / "build" / "wheels"
AT_MOST_BYTES: Final = 60_000
ALIKE: Final = packages.ROOT / "tools" / "alike.py"


def main(versions: Sequence[str]) -> int:
    """Build and try them; return the exit code."""
    try:
        pure, speed = build()
        check(speed)
        for version in versions or packages.PYTHONS:
            run(version, pure, speed)
    except subprocess.CalledProcessError as failure:
        print(failure.output or "", file=sys.stderr)
        print(f"wheels: this failed (exit {failure.returncode}): {' '.join(map(str, failure.cmd))}", file=sys.stderr)
        return 1
    return 0


def build() -> tuple[Path, Path]:
    """Return the pure wheel and the compiled one; the sdist that it is made from is beside it."""
    shutil.rmtree(BUILT, ignore_errors=True)
    uv = packages.uv()
    bootstrap.step("building the pure wheel", [uv, "build", "-q", "--wheel", "-o", str(BUILT), str(packages.ROOT)])
    with tempfile.TemporaryDirectory() as scratch:  # setuptools leaves a folder beside what it builds
        source = shutil.copytree(bootstrap.SPEED, Path(scratch) / "speed")
        command = [uv, "build", "-q", "-o", str(BUILT), str(source)]
        bootstrap.step("building graysplit-speed's sdist, and the wheel from it", command, bootstrap.STRICT)
    built = sorted(map(str, BUILT.glob("graysplit*")))
    bootstrap.step("twine check --strict", [uv, "tool", "run", "-q", "twine", "check", "--strict", *built])
    (pure,), (speed,) = BUILT.glob("graysplit-*.whl"), BUILT.glob("graysplit_speed-*.whl")
    return pure, speed


def check(wheel: Path) -> None:
    """End where the wheel is not for all Pythons, is too large, or uses what the limited API does not have."""
    size = wheel.stat().st_size
    print(f"  {wheel.name}: {size:,} bytes", file=sys.stderr)
    if "-cp311-abi3-" not in wheel.name or size > AT_MOST_BYTES:
        sys.exit(f"wheels: {wheel.name} must be for cp311-abi3 and have at most {AT_MOST_BYTES:,} bytes")
    command = [packages.uv(), "tool", "run", "-q", "abi3audit", "--strict", "--summary", str(wheel)]
    bootstrap.step("abi3audit --strict", command)


def run(version: str, pure: Path, speed: Path) -> None:
    """Install both for a Python by the extra, and hold the compiled core's answers against pure Python's."""
    with tempfile.TemporaryDirectory() as scratch:
        python = packages.environment(Path(scratch) / "env", packages.find_python(version))
        fresh = ("--refresh-package", "graysplit-speed", "--find-links", str(speed.parent))  # not the build before
        packages.install(python, f"for Python {version}", *fresh, f"{pure}[speed]")
        packages.run("  -W error, both ways", [str(python), "-W", "error", str(ALIKE)], Path(scratch))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
