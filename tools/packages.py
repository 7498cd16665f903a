"""Build what a release uploads, and use it as those do who get it.

    python tools/packages.py build                 wheel and sdist into dist/, `twine check --strict`
    python tools/packages.py sdist                 the sdist unpacked, in an environment of its own: its tests
    python tools/packages.py installs [3.12 ...]   the wheel in clean environments: each Python, each set of extras
    python tools/packages.py lowest [ARGS ...]     the tests with the lowest versions that pyproject.toml allows
    python tools/packages.py matrix [EXTRA ...]    each integration's tests, with its lowest and its latest version
    python tools/packages.py tag v1.2.3            a release's tag: version, changelog, repository

All but `tag` make their environments by uv, as tools/bootstrap.py does, and need a package index.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import bootstrap

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "dist"
PYTHONS: Final = ("3.11", "3.12", "3.13")
EXTRAS: Final = ("", "[cli]", "[embedded]", "[cli,embedded]")
NO_INTEGRATION: Final = ("cli", "embedded", "speed")

# What a distribution's builder has at hand; the other tests say what they miss.
FEW: Final = ("pytest>=8.3", "pytest-timeout>=2.3", "hypothesis>=6.100")
# Some of each kind, in half a minute: pure, with a server, the documentation, the frozen answers.
SELECTED: Final = (
    "tests/core/test_allocation.py",
    "tests/docs/test_contributing.py",
    "tests/router/test_router.py",
    "tests/stores/test_memory.py",
    "tests/test_embedded.py",
    "tests/vectors",
)
# What touches the four packages and the extras most, in two minutes; the whole suite: `lowest tests`.
LOWEST_TESTS: Final = (
    "tests/test_codec.py",
    "tests/cli/test_process.py",
    "tests/core/test_bucketing.py",
    "tests/core/test_plan_schema.py",
    "tests/router/test_router.py",
    "tests/stores/test_redis.py",
    "tests/telemetry",
    "tests/test_embedded.py",
    "tests/vectors",
)

# What shows an integration beside the test that is named as it.
FURTHER_TESTS: Final = {
    "celery": ("tests/runtimes/test_celery.py", "tests/integrations/test_workers.py"),
    "console": ("tests/console",),
    "dramatiq": ("tests/integrations/test_task_context.py", "tests/integrations/test_workers.py"),
    "fastapi": ("tests/integrations/test_asgi.py",),
    "flask": ("tests/integrations/test_wsgi.py",),
    "grpc": ("tests/integrations/test_grpc_load.py",),
    "openfeature": ("tests/integrations/openfeature",),
    "rq": ("tests/integrations/test_task_context.py", "tests/integrations/test_workers.py"),
    "sentry": ("tests/integrations/test_versions_told.py",),
    "structlog": ("tests/integrations/test_versions_told.py",),
    "taskiq": ("tests/integrations/test_task_context.py", "tests/integrations/test_workers.py"),
}

IMPORTS: Final = """
import importlib, sys
import graysplit
for name in graysplit.__all__:
    assert getattr(graysplit, name) is not None, name
for room in sys.argv[1:]:
    found = importlib.import_module(room)
    for name in found.__all__:
        assert getattr(found, name) is not None, f"{room}.{name}"
with graysplit.Router("memory://clean") as gray, graysplit.Control("memory://clean", confirm=True) as control:
    checkout = gray.split("checkout", "old", "new")
    control.create("checkout")
    assert gray.wait_ready(10)
    control.wait_confirmed(control.set("checkout", 100))
    assert checkout.choose("user-1") == "new"
print(graysplit.__version__)
"""
# Modules whose names are promised (docs/reference/stability.md), and what `import graysplit` alone does not show.
ROOMS: Final = ("graysplit.control", "graysplit.embedded", "graysplit.errors", "graysplit.testing")


def main(arguments: Sequence[str]) -> int:
    """Do one of the jobs; return the exit code."""
    job, *rest = arguments or [""]
    if job not in JOBS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        JOBS[job](rest)
    except subprocess.CalledProcessError as failure:
        print(failure.output or "", file=sys.stderr)
        print(f"packages: this failed (exit {failure.returncode}): {' '.join(map(str, failure.cmd))}", file=sys.stderr)
        return 1
    return 0


def build(_rest: Sequence[str]) -> None:
    """Build the wheel and the sdist, each in isolation, and read their metadata as the index does."""
    shutil.rmtree(DIST, ignore_errors=True)
    bootstrap.step("building the sdist, and the wheel from it", [uv(), "build", "-q", "-o", str(DIST), str(ROOT)])
    built = sorted(map(str, DIST.glob("graysplit-*")))
    bootstrap.step("twine check --strict", [uv(), "tool", "run", "-q", "twine", "check", "--strict", *built])


def sdist(_rest: Sequence[str]) -> None:
    """Collect the sdist's tests with few packages and with all of them, and run some."""
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(built_file("*.tar.gz")) as archive:
            archive.extractall(scratch, filter="data")
        (unpacked,) = Path(scratch).glob("graysplit-*")
        everything = [*bootstrap.expand(["test"])]
        for title, packages in (("few packages", FEW), ("the group test", everything)):
            python = environment(Path(scratch) / title.replace(" ", "-"), sys.executable)
            install(python, title, f"{unpacked}[cli,embedded]", *packages)
            pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            run(f"with {title}: collecting", [*pytest, "--collect-only"], unpacked)
            run(f"with {title}: some of its tests", [*pytest, *SELECTED], unpacked)


def installs(versions: Sequence[str]) -> None:
    """Install the wheel for each Python with each set of extras; check and import it with warnings as errors."""
    wheel = built_file("*.whl")
    for version in versions or PYTHONS:
        interpreter = find_python(version)
        for extras in EXTRAS:
            with tempfile.TemporaryDirectory() as scratch:
                python = environment(Path(scratch) / "venv", interpreter)
                install(python, f"{version}, graysplit{extras}", f"{wheel}{extras}")
                run("  pip check", [uv(), "pip", "check", "-q", "-p", str(python)], ROOT)
                run("  -W error, every public name", [str(python), "-W", "error", "-c", IMPORTS, *ROOMS], Path(scratch))
                check_extras(python, extras)


def check_extras(python: Path, extras: str) -> None:
    """See that an extra brings what it promises, and that without it the way to it is said."""
    command = [str(python.with_name("graysplit")), "--version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if (told.returncode == 0) != ("cli" in extras) or ("cli" not in extras and "graysplit[cli]" not in told.stderr):
        raise subprocess.CalledProcessError(told.returncode, command, told.stdout + told.stderr)
    if "embedded" in extras:
        serve = "from graysplit import embedded\nwith embedded.server() as server: print(server.url)"
        run("  a server of its own", [str(python), "-W", "error", "-c", serve], python.parent)


def lowest(rest: Sequence[str]) -> None:
    """Run tests with the lowest version of each package that graysplit and its extras need."""
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "lowest.txt"
        pins.write_text("\n".join(lowest_versions()) + "\n", encoding="utf-8")
        python = environment(Path(scratch) / "venv", sys.executable)
        install(
            python, "the lowest versions", "-c", str(pins), "-e", f"{ROOT}[cli,embedded]", *bootstrap.expand(["test"])
        )
        run("pip check", [uv(), "pip", "check", "-q", "-p", str(python)], ROOT)
        print("  " + ", ".join(pins.read_text("utf-8").split()), file=sys.stderr)
        tests = [str(python), "-m", "pytest", "-q", "-n", "auto", "--dist", "loadgroup", "-p", "no:cacheprovider"]
        run("the tests with them", [*tests, *(rest or LOWEST_TESTS)], ROOT)


def matrix(extras: Sequence[str]) -> None:
    """Run the tests of each integration, or of those named, with the lowest and the latest version of its packages."""
    known = integration_tests()
    if unknown := set(extras) - known.keys():
        sys.exit(f"packages: no integration has the extra '{min(unknown)}'; these have one: {', '.join(known)}")
    optional = described()["optional-dependencies"]
    failed = list[str]()
    for extra in extras or known:
        for title, pins in (("lowest", list(pinned(optional[extra]))), ("latest", [])):
            try:
                matrix_cell(extra, title, pins, known[extra])
            except subprocess.CalledProcessError as failure:
                failed.append(f"{extra}, {title}")
                print(failure.output or "", file=sys.stderr)
    if failed:
        sys.exit(f"packages: failed: {'; '.join(failed)}")


def integration_tests() -> dict[str, list[str]]:
    """Return each integration's extra, and the tests that show it."""
    extras = [extra for extra in described()["optional-dependencies"] if extra not in NO_INTEGRATION]
    own = {path.stem.removeprefix("test_"): str(path) for path in (ROOT / "tests" / "integrations").glob("test_*.py")}
    return {extra: [*filter(None, [own.get(extra)]), *FURTHER_TESTS.get(extra, ())] for extra in extras}


def matrix_cell(extra: str, title: str, pins: Sequence[str], tests: Sequence[str]) -> None:
    """Run one integration's tests in an environment of its own, where its packages have these versions."""
    with tempfile.TemporaryDirectory() as scratch:
        constraints = Path(scratch) / "pins.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
        python = environment(Path(scratch) / "venv", sys.executable)
        group = bootstrap.expand(["test"])
        install(python, f"{extra}, {title}", "-c", str(constraints), "-e", f"{ROOT}[cli,embedded,{extra}]", *group)
        names = [re.split(r"[^\w.-]", item)[0] for item in described()["optional-dependencies"][extra]]
        asked = (
            "import sys; from importlib.metadata import version; print(*(f'{n} {version(n)}' for n in sys.argv[1:]))"
        )
        run(f"  {extra}", [str(python), "-c", asked, *names], ROOT)
        # An old package warns of its newer neighbours.
        calm = ["-W", "ignore::DeprecationWarning"] if pins else []
        pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *calm]
        run("  its tests", [*pytest, *tests], ROOT)


def lowest_versions() -> Iterator[str]:
    """Return `package==version` for the lower bound of each dependency, those of the extras included.

    graysplit-speed has one version only, and comes from this folder.
    """
    project = described()
    extras = (group for extra, group in project["optional-dependencies"].items() if extra != "speed")
    for group in (project["dependencies"], *extras):
        yield from pinned(group)


def pinned(requirements: Sequence[str]) -> Iterator[str]:
    """Return `package==version` for the lower bound of each requirement."""
    for requirement in requirements:
        found = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
        if found is None:
            sys.exit(f"packages: '{requirement}' in pyproject.toml names no lowest version: write it as 'name>=1.2'")
        yield f"{found[1]}=={found[2]}"


def tag(rest: Sequence[str]) -> None:
    """Check a tag before anything is built: it cannot be taken back once it is uploaded."""
    wrong = list(tag_faults(rest[0] if rest else "", os.environ.get("GITHUB_REPOSITORY")))
    if wrong:
        sys.exit("packages: " + "\npackages: ".join(wrong))


def tag_faults(name: str, repository: str | None, changelog: str | None = None) -> Iterator[str]:
    """Say where the tag, the version, the changelog and the project's addresses differ."""
    found = re.search(r'^__version__.* = "(.+)"$', (ROOT / "src/graysplit/version.py").read_text("utf-8"), re.MULTILINE)
    version = found[1] if found else "?"
    if name != f"v{version}":
        yield f"the tag is '{name}', and src/graysplit/version.py says {version}: tag v{version}"
    told = (ROOT / "CHANGELOG.md").read_text("utf-8") if changelog is None else changelog
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", told, re.MULTILINE):
        yield f"CHANGELOG.md has no heading '## [{version}] - YYYY-MM-DD': name and date what is under Unreleased"
    address = described()["urls"]["Repository"]
    if repository is not None and not address.endswith(f"/{repository}"):
        yield f"this is {repository}, and [project.urls] in pyproject.toml names {address}: correct it, links included"


def described() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"])


def built_file(pattern: str) -> Path:
    """Return what `build` has made, making it where it is not there."""
    if not list(DIST.glob(pattern)):
        build(())
    (found,) = DIST.glob(pattern)
    return found


def find_python(version: str) -> str:
    """Return an interpreter of a version, or end: what was not run must not look as if it had been."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in filter(None, (shutil.which(f"python{version}"), *map(str, kept))):
        asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version:
            return candidate
    sys.exit(f"packages: no Python {version} on PATH. Install it, or name others: packages.py installs 3.11 3.13")


def uv() -> str:
    """Return uv, or end: only it resolves to lowest versions and builds without this environment's packages."""
    found = bootstrap.find_uv()
    if found is None:
        sys.exit("packages: this needs uv (pip install uv)")
    return found


def environment(folder: Path, interpreter: str) -> Path:
    """Make an empty environment and return its Python."""
    made = [uv(), "venv", "-q", "--clear", "--python", interpreter, str(folder)]
    subprocess.run(made, check=True, env=bootstrap.environment())
    return folder / "bin" / "python"


def install(python: Path, title: str, *packages: str) -> None:
    """Install into an environment, from the index and nothing else."""
    bootstrap.step(f"installing {title}", [uv(), "pip", "install", "-q", "-p", str(python), *packages])


def run(title: str, command: Sequence[str], folder: Path) -> None:
    """Run a command in a folder, outside this source tree's environment; raise with its output where it fails."""
    own = {
        name: value for name, value in bootstrap.environment().items() if not name.startswith(("GRAYSPLIT_", "PYTHON"))
    }
    print(f"  {title} ...", end="", flush=True, file=sys.stderr)
    done = subprocess.run(
        command, cwd=folder, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or [""]
    print(f" {lines[-1].strip('= ')}" if done.returncode == 0 else " failed", flush=True, file=sys.stderr)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(command), done.stdout)


JOBS: Final[dict[str, Callable[[Sequence[str]], None]]] = {
    "build": build,
    "sdist": sdist,
    "installs": installs,
    "lowest": lowest,
    "matrix": matrix,
    "tag": tag,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
