"""The pytest plugin, as suites of programs use it: run by pytester, most of them in this process."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import pytest

# Loaded before the first suite: a run in this process takes back what it has imported itself, and a second copy would
# know other routers.
import graysplit.control.control
import graysplit.router.router
import graysplit.stores.memory
import graysplit.testing.isolation
import graysplit.testing.paths  # noqa: F401 - and those above

pytest_plugins = ["pytester"]

SHOP: Final = """
import graysplit
from concurrent.futures import ThreadPoolExecutor

gray = graysplit.Router()

@gray.route("checkout", unit="user")
def checkout(user):
    return "old"

@checkout.version("new")
def checkout_new(user):
    return "new"

search = gray.split("search", "old", "b", "c")
"""
# An installation of before the plugin was there has no entry point for it.
LOADED: Final = () if entry_points(group="pytest11", name="graysplit") else ("-p", "graysplit.testing.plugin")
PLUGINS: Final = ("-p", "no:cacheprovider", *LOADED)
WITHOUT_ASYNCIO: Final = ("-p", "no:asyncio")


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Suite:
    """Return a suite beside a shop; each has module names of its own, as they share this process."""
    monkeypatch.setenv("GRAYSPLIT_URL", "redis://localhost:1/0")  # what a developer's shell may say
    monkeypatch.setenv("GRAYSPLIT_OFF", "*")
    return Suite(pytester, f"shop_{abs(hash(request.node.nodeid)):x}")


class Suite:
    """Tests of a shop, and their run."""

    def __init__(self, pytester: pytest.Pytester, shop: str) -> None:
        """Write the shop."""
        self._pytester = pytester
        self._shop = shop
        pytester.makepyfile(**{shop: SHOP})
        pytester.syspathinsert()

    def run(self, tests: str, *options: str, process: bool = False) -> pytest.RunResult:
        """Run tests; `shop` is the shop's module."""
        head = f"import pytest, graysplit, {self._shop} as shop\nfrom {self._shop} import *\n"
        self._pytester.makepyfile(**{f"test_{self._shop}": head + tests})
        how = self._pytester.runpytest_subprocess if process else self._pytester.runpytest_inprocess
        return how(*PLUGINS, *(() if "asyncio" in str(options) else WITHOUT_ASYNCIO), *options)


def test_a_fixture_a_marker_and_the_baseline(suite: Suite) -> None:
    """Without a word the baseline; forced by a marker; or by the weights of a store of the test's own."""
    suite.run("""
def test_baseline():
    assert checkout("u") == "old"

@pytest.mark.graysplit(checkout="new", search="b")
def test_marked():
    assert (checkout("u"), search.choose("u")) == ("new", "b")

@pytest.mark.graysplit(checkout="new")
class TestAll:
    def test_inherits(self):
        assert checkout("u") == "new"

    @pytest.mark.graysplit(checkout="old")
    def test_nearest_wins(self):
        assert checkout("u") == "old"

def test_fixture(graysplit):
    graysplit.set("checkout", 100)
    graysplit.set("search/c", 100)
    assert (checkout("u"), search.choose("u")) == ("new", "c")
    graysplit.control.rollback("checkout")
    assert graysplit.control.show("checkout").split == "checkout"
    with graysplit.forced(search="b"):
        assert search.choose("u") == "b"
""").assert_outcomes(passed=5)


def test_a_router_of_another_store_is_left_alone(suite: Suite) -> None:
    """Whoever sets a weight waits for those that follow the private store, and starts no other."""
    suite.run("""
elsewhere = graysplit.Router("redis://localhost:1/0")
payment = elsewhere.split("payment", "old", "new")

def test_fixture(graysplit):
    graysplit.set("checkout", 100)
    assert checkout("u") == "new"
""").assert_outcomes(passed=1)


def test_forty_tests_run_on_both_paths_with_two_lines(suite: Suite) -> None:
    """The first line imports, the second marks the module."""
    tests = "\n".join(f"def test_{number}():\n    seen.add(checkout('u'))\n" for number in range(40))
    two = "from graysplit.testing import both_paths\npytestmark = both_paths('checkout')\n"
    end = "\ndef test_z():\n    assert seen == {'old', 'new'}\n"
    suite.run(f"{two}seen = set()\n{tests}{end}").assert_outcomes(passed=82)
    suite.run(
        f"from graysplit.testing import both_paths\nseen = set()\n@both_paths('checkout')\n"
        f"def test_a():\n    seen.add(checkout('u'))\n{end}"
    ).assert_outcomes(passed=3)


def test_a_leak_from_test_to_test_is_impossible(suite: Suite) -> None:
    """Whatever a test leaves open or writes, the next begins as the first did."""
    leak = """
def test_leaks_{0}(monkeypatch):
    import os
    from graysplit.testing import forced
    assert checkout("u") == "old" and search.choose("u") == "old"
    assert "GRAYSPLIT_OFF" not in os.environ
    graysplit.Control("memory://kept", confirm=True).create("left", versions=["old", "new"])
    assert set(graysplit.Control("memory://kept").names().defined) == {{"left"}}
    own = graysplit.Control(confirm=True)
    assert not own.names().defined
    own.create("checkout")
    assert gray.wait_ready(5)
    own.wait_confirmed(own.set("checkout", 100))
    assert checkout("u") == "new"
    graysplit.context("u").__enter__()
    forced(search="b").__enter__()
    assert search.choose("u") == "b"
    {1}
"""
    ends = ("pass", "raise ValueError", "gray.close()", "pytest.skip('half way')", "pass")
    result = suite.run("".join(leak.format(number, end) for number, end in enumerate(ends)))
    result.assert_outcomes(passed=3, failed=1, skipped=1)


def test_a_mistyped_name_fails_the_test(suite: Suite) -> None:
    """A split or a version; by marker, by path and by block, asked for or not."""
    result = suite.run("""
from graysplit.testing import both_paths, forced

@pytest.mark.graysplit(chekout="new")
def test_split():
    pass

@pytest.mark.graysplit(checkout="nwe")
def test_version():
    pass

@both_paths("chekout")
def test_paths():
    pass

def test_block():
    with forced(checkout="nwe"):
        checkout("u")
""")
    result.assert_outcomes(failed=5)
    result.stdout.fnmatch_lines(["*Did you mean 'checkout'*"])
    result.stdout.fnmatch_lines(["*Did you mean 'new'*"])


def test_a_whole_suite_by_the_command_line(suite: Suite) -> None:
    """Forced in each test, a marker above it; a wrong version fails, and so does a split that nobody has."""
    tests = """
def test_forced():
    assert checkout("u") == "new"

@pytest.mark.graysplit(checkout="old")
def test_marker():
    assert checkout("u") == "old"
"""
    result = suite.run(tests, "--graysplit", "checkout=new")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["graysplit: checkout=new in every test"])
    suite.run(tests, "--graysplit", "checkout=nwe").assert_outcomes(failed=2)
    result = suite.run(tests, "--graysplit", "checkout=new", "--graysplit", "chekout=new")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["--graysplit chekout=*no router of these tests has a split 'chekout'"])
    assert suite.run(tests, "--graysplit", "checkout").ret == pytest.ExitCode.USAGE_ERROR


def test_a_real_server_only_if_asked_for(suite: Suite, redis_url: str) -> None:
    """A test that opens one fails, with the next command, though no decision raises; asked for, it is what it says."""
    tests = f"""
real = graysplit.Router({redis_url!r})

def test_by_a_router():
    assert real.choose("checkout", "u") == "old"

def test_by_a_control():
    with pytest.raises(graysplit.ConfigurationError):
        graysplit.Control({redis_url!r}).names()

@pytest.mark.graysplit_server
def test_asked():
    assert real.wait_ready(5)
    assert real.status().store.startswith("redis://")
"""
    result = suite.run(tests)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*opens redis://*pytest --graysplit-server*"])
    suite.run(
        tests.replace("with pytest.raises", "if 1: pass\n    with pytest.MonkeyPatch.context"), "--graysplit-server"
    )


def test_asyncio_anyio_and_threads(suite: Suite) -> None:
    """What is forced is so in the test's own task, in its threads by `to_thread`, and in whatever loop runs it."""
    suite.run("""
import asyncio, unittest
pytestmark = pytest.mark.graysplit(checkout="new")

@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"

@pytest.fixture(scope="module")
async def shared(anyio_backend):
    return checkout("u")  # keeps one loop, and its context, for the whole module

@pytest.mark.anyio
async def test_anyio(shared):
    assert checkout("u") == "new"
    assert await asyncio.to_thread(checkout, "u") == "new"

@pytest.mark.anyio
@pytest.mark.graysplit(checkout="old")
async def test_the_next(shared):
    assert checkout("u") == "old"
    assert await asyncio.gather(*(asyncio.to_thread(checkout, "u") for _ in range(3))) == ["old"] * 3

class TestCase(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        assert checkout("u") == "new"

    async def test_unittest(self):
        assert checkout("u") == "new"
""").assert_outcomes(passed=3)


def test_pytest_asyncio(suite: Suite) -> None:
    """Its runner, too."""
    tests = """
@pytest.fixture(scope="module")
async def shared():
    return 1

@pytest.mark.graysplit(checkout="new")
async def test_one(shared):
    assert checkout("u") == "new"

async def test_two(shared):
    assert checkout("u") == "old"
"""
    suite.run(
        tests, "--asyncio-mode=auto", "-o", "asyncio_default_fixture_loop_scope=module", process=True
    ).assert_outcomes(passed=2)


def test_xdist(suite: Suite) -> None:
    """Each worker process has stores of its own, and what one of them knows is known."""
    tests = """
from graysplit.testing import both_paths

@pytest.mark.parametrize("number", range(4))
@both_paths("checkout")
def test_one(number, graysplit):
    assert search.choose("u") == "old"
    graysplit.set("search/b", 100)
    assert search.choose("u") == "b"

def test_forced():
    assert gray.choose("by-name", "u") == "new"

by_name = gray.split("by-name", "old", "new")
"""
    options = ("-n", "2", "-p", "no:hypothesispytest", "-p", "no:anyio", "-p", "no:pytest_cov", "-p", "no:valkey")
    suite.run(tests, *options, "--graysplit", "by-name=new", process=True).assert_outcomes(passed=9)


def test_a_clock_for_plans(suite: Suite) -> None:
    """Ten minutes pass in a moment."""
    suite.run("""
def test_a_ramp(graysplit):
    graysplit.set("checkout", 5)
    graysplit.control.ramp("checkout", [50, 100], every="10m")
    graysplit.clock.move(minutes=11)
    graysplit.control.wait_weights("checkout", 50, timeout=5)
""").assert_outcomes(passed=1)


def test_the_plugin_costs_nothing_to_load() -> None:
    """Under 10 ms beyond pytest, and none of graysplit's rooms."""
    code = (
        "import sys, time, pytest; before = time.process_time(); import graysplit.testing.plugin; "
        "print(time.process_time() - before, sorted(name for name in sys.modules if name.startswith('graysplit')))"
    )
    took = []
    for _ in range(2):
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        took.append(float(told.split()[0]))
        assert told.count("graysplit.") == 3, told
    assert min(took) < 0.010, took
    assert Path(__file__).exists()
