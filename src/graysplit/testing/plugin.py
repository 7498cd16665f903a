"""The pytest plugin: each test has a private store, and versions are forced by marker, by path and by command line.

Loaded by `pytest11` in each run where graysplit is installed: it imports nothing but pytest until a test begins.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

if TYPE_CHECKING:
    from graysplit.testing.isolation import PrivateStore
    from graysplit.testing.paths import BothPaths

PATHS: Final = "graysplit_paths"
PARAMETER: Final = "graysplit "  # and the split: a name that no argument can have
MARKERS: Final = (
    "graysplit(**versions): force versions by split, for this test, class or module",
    "graysplit_paths(split, *versions): run once on each version; see graysplit.testing.both_paths",
    "graysplit_server: this test may open a real Redis or Valkey",
)
ROUTERS: Final = "graysplit.router.lifecycle"

_suite: Final = pytest.StashKey[dict[str, str]]()
_known: Final = pytest.StashKey[set[str]]()  # splits of the command line that some router of some process has
_store: Final = pytest.StashKey["PrivateStore"]()
_open: Final = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("graysplit")
    group.addoption(
        "--graysplit",
        action="append",
        default=[],
        metavar="SPLIT=VERSION",
        help="force a version in every test; may be given again for another split",
    )
    group.addoption(
        "--graysplit-server", action="store_true", help="let tests open a real Redis or Valkey: no private store"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what the command line forces, and describe the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[_suite] = dict(map(_pair, cast("list[str]", config.getoption("--graysplit"))))
    config.stash[_known] = set()


def _pair(text: str) -> tuple[str, str]:
    split, found, version = text.partition("=")
    if not (found and split and version):
        raise pytest.UsageError(f"--graysplit {text}: write SPLIT=VERSION, for example --graysplit checkout=new")
    return split, version


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what is forced in every test."""
    suite = config.stash[_suite]
    return f"graysplit: {', '.join(map('='.join, suite.items()))} in every test" if suite else None


# Paths


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once on each version of the splits that it is marked with."""
    for marker in metafunc.definition.iter_markers(PATHS):
        name = PARAMETER + marker.args[0]
        if name in metafunc.fixturenames:
            continue
        versions = _paths(marker).versions
        metafunc.fixturenames.append(name)
        metafunc.parametrize(name, versions, ids=[f"{marker.args[0]}={version}" for version in versions])


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> None:
    """Multiply the tests of each `unittest.TestCase` of a marked module: pytest hands it no parameters."""
    unittest = sys.modules.get("unittest")
    if unittest is None or not isinstance(obj, type) or not issubclass(obj, unittest.TestCase):
        return
    for marker in collector.iter_markers(PATHS):
        done = f"_graysplit_paths_{marker.args[0]}"
        if done not in vars(obj):
            from graysplit.testing.paths import multiply

            setattr(obj, done, True)
            multiply(obj, _paths(marker))


def _paths(marker: pytest.Mark) -> BothPaths:
    from graysplit.testing.paths import both_paths

    return both_paths(*marker.args)


# Each test


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Begin with a private store and what is forced, before any fixture."""
    item.stash[_open] = opened = ExitStack()
    _isolate(item, opened)
    versions = _forced(item)
    if versions:
        _force(item, opened, versions)
    yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that has opened a server without having asked for one, or that the command line has misnamed."""
    yield
    store = item.stash.get(_store, None)
    if store is not None and store.refused:
        from graysplit.testing.isolation import told_server

        pytest.fail(told_server(store.refused[0]), pytrace=False)
    _check_suite(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Take everything back once the last fixture of the test has ended."""
    try:
        yield
    finally:
        opened = item.stash.get(_open, None)
        if opened is not None:
            opened.close()


def _isolate(item: pytest.Item, opened: ExitStack) -> None:
    """Open a private store for a test; one that may open servers has only its routers begin anew."""
    from graysplit.testing.isolation import fresh_routers, private_store, same_scope

    if item.config.getoption("--graysplit-server") or item.get_closest_marker("graysplit_server") is not None:
        opened.enter_context(same_scope())
        fresh_routers()
        opened.callback(fresh_routers)
        return
    item.stash[_store] = opened.enter_context(private_store())


def _forced(item: pytest.Item) -> dict[str, str]:
    """Return what a test's markers and paths force; the nearest marker wins, a path over all."""
    versions: dict[str, str] = {}
    for marker in reversed(list(item.iter_markers("graysplit"))):
        if marker.args:
            raise pytest.UsageError('write @pytest.mark.graysplit(checkout="new"): a version for each split')
        versions.update(marker.kwargs)
    callspec = getattr(item, "callspec", None)
    params = cast("Mapping[str, Any]", callspec.params if callspec is not None else {})
    versions.update({name.removeprefix(PARAMETER): params[name] for name in params if name.startswith(PARAMETER)})
    suite: dict[str, str] = item.config.stash[_suite]
    return {**suite, **versions}


def _force(item: pytest.Item, opened: ExitStack, versions: Mapping[str, str]) -> None:
    """Force versions for the fixtures, and around the test itself, wherever a plugin runs it."""
    from graysplit.scope_entry import forcing
    from graysplit.testing.forced_versions import Forced

    opened.enter_context(forcing(versions))
    named = {split: version for split, version in versions.items() if item.config.stash[_suite].get(split) != version}
    function = getattr(item, "obj", None)
    if not isinstance(item, pytest.Function) or function is None:
        return
    # What the command line forces is checked by itself: not every test has to do with its splits.
    item.obj = around = forcing(versions)(Forced(named)(function) if named else function)
    if not _is_unittest(item):
        opened.callback(setattr, item, "obj", function)
        return
    # It may have copied its context before, and pytest hands it only functions that are not async.
    setattr(item.instance, item.name, around)
    for name in ("setUp", "asyncSetUp", "asyncTearDown", "tearDown"):
        if hasattr(item.instance, name):
            setattr(item.instance, name, forcing(versions)(getattr(item.instance, name)))


def _is_unittest(item: pytest.Function) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(item.instance, unittest.TestCase)


def _check_suite(item: pytest.Item) -> None:
    """Fail a test whose program has no such version as the command line forces, and note the splits that it has."""
    suite = item.config.stash[_suite]
    if not suite or ROUTERS not in sys.modules:
        return
    from graysplit.testing.forced_versions import check_known

    item.config.stash[_known] |= check_known(suite)


@pytest.fixture
def graysplit(request: pytest.FixtureRequest) -> PrivateStore:
    """Return the private store of this test, which every router of the process follows: set(), control, clock."""
    store = request.node.stash.get(_store, None)
    if store is None:
        pytest.fail("a test that may open a real server has no private store: ask for the fixture or the server")
    return cast("PrivateStore", store)


# Splits of the command line that nobody knows: said once, when all processes have ended


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - pytest-xdist's own
    """Take over what a worker process knew."""
    node.config.stash[_known] |= set(getattr(node, "workeroutput", {}).get("graysplit_known", ()))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of which no program had the splits of the command line."""
    known = session.config.stash[_known]
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["graysplit_known"] = sorted(known)
        return
    if _unknown(session.config) and session.testscollected and session.exitstatus in {0, 1}:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name them."""
    for split in _unknown(config):
        terminalreporter.write_line(
            f"--graysplit {split}={config.stash[_suite][split]}: no router of these tests has a split '{split}'",
            red=True,
        )


def _unknown(config: pytest.Config) -> list[str]:
    suite: dict[str, str] = config.stash[_suite]
    known: set[str] = config.stash[_known]
    return sorted(suite.keys() - known)
