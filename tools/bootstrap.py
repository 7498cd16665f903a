"""Make the virtual environment that the Makefile works in, from nothing but Python and a package index.

    python3.11 tools/bootstrap.py [--venv .venv] [GROUP ...]

Installs graysplit (editable, with its extras) and dependency groups of pyproject.toml; with the group test also the
compiled core (the folder speed/), where a C compiler and Python's headers are there. A private uv, fetched with
`pip install --target .tools`, does it quickly; where that is not to be had, the standard venv and pip do it slowly.
Writes nothing outside this folder but the tools' own caches, and does nothing at all when all is there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
TOOLS: Final = ROOT / ".tools"
STAMP: Final = "graysplit-stamp"
SPEED: Final = ROOT / "speed"
SPEED_STAMP: Final = "graysplit-speed-stamp"
STRICT: Final = {"GRAYSPLIT_SPEED_STRICT": "1"}  # a compiler's warning is an error
ITSELF: Final = "-e .[cli,embedded]"

# uv does not read pip's settings; a machine that needs a mirror has it there.
PIP_TO_UV: Final = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


def main(arguments: Sequence[str]) -> int:
    """Make or complete the environment; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="the folder to make it in")
    parser.add_argument("groups", nargs="*", default=["test", "lint"], help="dependency groups of pyproject.toml")
    options = parser.parse_args(arguments)
    venv = ROOT / options.venv
    wanted = set(options.groups)
    there = installed(venv)
    try:
        if not wanted <= there:
            make(venv, sorted(wanted | there))
        if "test" in wanted | there:
            return make_speed(venv)
    except subprocess.CalledProcessError as failure:
        print(failure.output or "", file=sys.stderr)
        print(f"bootstrap: this failed (exit {failure.returncode}): {' '.join(map(str, failure.cmd))}", file=sys.stderr)
        return 1
    return 0


def make(venv: Path, groups: Sequence[str]) -> None:
    """Make the environment unless one of this Python stands there, and install into it."""
    uv = find_uv()
    python = venv / "bin" / "python"
    version = "{}.{}".format(*sys.version_info)
    if not runs_this_version(python):
        step(f"making {venv.name} with Python {version}", [*venv_command(uv), str(venv)])
    stamp = venv / STAMP
    stamp.unlink(missing_ok=True)
    requirements = TOOLS / f"{venv.name}.txt"
    TOOLS.mkdir(exist_ok=True)
    requirements.write_text("\n".join([ITSELF, *expand(groups)]) + "\n", encoding="utf-8")
    command = [*pip(uv, python), "-r", str(requirements)]
    step(f"installing graysplit, its extras and {', '.join(groups)}", command)
    stamp.write_text(f"{fingerprint()} {' '.join(groups)}\n", encoding="utf-8")


def make_speed(venv: Path) -> int:
    """Build and install the compiled core, unless its stamp says that it is there; give the exit code."""
    stamp = venv / SPEED_STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == speed_fingerprint():
        return 0
    python = venv / "bin" / "python"
    if lack := speed_lack():
        print(f"bootstrap: NO COMPILED CORE: {lack}; the tests run in pure Python only", file=sys.stderr)
        if stamp.is_file():
            step("removing the compiled core of before", [*pip(find_uv(), python, "uninstall"), "graysplit-speed"])
            stamp.unlink()
        return 1 if os.environ.get("CI") else 0
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:  # setuptools would build on what an older version left there
        source = shutil.copytree(SPEED, Path(scratch) / "speed")
        options = ["--no-build-isolation", "--no-deps", "--force-reinstall"]
        step("compiling graysplit-speed", [*pip(find_uv(), python), *options, str(source)], STRICT)
    stamp.write_text(speed_fingerprint(), encoding="utf-8")
    return 0


def speed_lack() -> str | None:
    """Return what is missing to compile, or None."""
    compiler = os.environ.get("CC", "cc").partition(" ")[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler}; Debian, Ubuntu: apt-get install gcc libc6-dev)"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"{header} is missing (Debian, Ubuntu: apt-get install python3-dev)"
    return None


def speed_fingerprint() -> str:
    """Tell apart what the compiled core is made of: its files, the Python, the compiler's own settings."""
    made_of = hashlib.sha256(f"{sys.version_info[:2]} {os.environ.get('CC')} {os.environ.get('CFLAGS')}".encode())
    for path in sorted(SPEED.rglob("*")):
        if path.is_file() and not {"build", "__pycache__"} & {*path.parts} and ".egg-info" not in str(path):
            made_of.update(path.read_bytes())
    return made_of.hexdigest()


def installed(venv: Path) -> set[str]:
    """Return the groups that the environment holds, none if it is another Python's or pyproject.toml has changed."""
    stamp = venv / STAMP
    if not stamp.is_file() or not (venv / "bin" / "python").exists():
        return set()
    print_, *groups = stamp.read_text(encoding="utf-8").split() or [""]
    return set(groups) if print_ == fingerprint() else set()


def fingerprint() -> str:
    """Tell apart what was asked for: pyproject.toml, the Python, and where the folder lies."""
    asked = f"{sys.version_info[:2]} {ROOT}".encode()
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + asked).hexdigest()


def expand(groups: Sequence[str]) -> Iterator[str]:
    """Return the requirements of dependency groups; older pips and uvs do not read them themselves."""
    known: dict[str, list[Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    for group in groups:
        if group not in known:
            sys.exit(f"bootstrap: no dependency group '{group}' in pyproject.toml (known: {', '.join(known)})")
        for item in known[group]:
            if isinstance(item, dict):
                yield from expand([item["include-group"]])
            else:
                yield item


def find_uv() -> str | None:
    """Return a uv: the private one, fetched if need be, or one on PATH, or None."""
    private = TOOLS / "bin" / "uv"
    if not private.exists() and has("pip"):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-script-location"]
        try:
            step("fetching a private uv", [*pip, "--upgrade", "--target", str(TOOLS), "uv"])
        except subprocess.CalledProcessError:
            print("  no uv to be had here; going on with venv and pip", file=sys.stderr)
    return str(private) if private.exists() else shutil.which("uv")


def venv_command(uv: str | None) -> list[str]:
    """Return the command that makes an environment, or end with what is missing."""
    if uv is not None:
        return [uv, "venv", "-q", "--clear", "--python", sys.executable]
    if has("venv") and has("ensurepip"):
        return [sys.executable, "-m", "venv", "--clear"]
    sys.exit(
        f"bootstrap: {sys.executable} has neither pip nor venv with ensurepip, so nothing can be installed.\n"
        "Install one of them (Debian, Ubuntu: apt-get install python3-pip; Fedora: dnf install python3-pip), "
        "or put uv on PATH, and run make again."
    )


def pip(uv: str | None, python: Path, verb: str = "install") -> list[str]:
    """Return the beginning of a command that installs into an environment: uv's, or the environment's own pip's."""
    if uv is not None:
        return [uv, "pip", verb, "-q", "-p", str(python)]
    unasked = ["--yes"] if verb == "uninstall" else []
    return [str(python), "-m", "pip", verb, "-q", "--disable-pip-version-check", *unasked]


def has(module: str) -> bool:
    """Return whether this Python can run a module; Debian takes pip, venv and ensurepip out."""
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def runs_this_version(python: Path) -> bool:
    """Return whether an environment's Python works and is of this version."""
    if not python.exists():
        return False
    asked = [str(python), "-c", "import sys; print(sys.version_info[:2])"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return answer.stdout.strip() == str(sys.version_info[:2])


def step(title: str, command: Sequence[str], more: Mapping[str, str] = {}) -> None:
    """Run one command quietly under one line of progress; raises with its output where it fails.

    `more` is added to its environment.
    """
    print(f"  {title} ...", end="", flush=True, file=sys.stderr)
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment(), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f" {time.monotonic() - begun:.0f} s" if done.returncode == 0 else " failed", flush=True, file=sys.stderr)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(command), done.stdout)


def environment() -> dict[str, str]:
    """Return the environment of a step: pip's settings in uv's words, where uv has none of its own."""
    found = dict(os.environ)
    found.pop("VIRTUAL_ENV", None)
    for setting, value in pip_settings().items():
        if setting in PIP_TO_UV:
            found.setdefault(PIP_TO_UV[setting], value.replace(" ", ",") if setting == "find-links" else value)
    if "UV_INDEX" in found:
        found.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # what pip does with several
    return found


def pip_settings() -> dict[str, str]:
    """Return what pip's files and environment say, by the setting's name."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return dict(re.findall(r"^(?:global|install|user|site|:env:)\.([a-z-]+)='(.*)'$", listed, re.MULTILINE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
