"""Tests of programs without pytest: unittest's own runner, in its own process Django's."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import unittest
from pathlib import Path

from graysplit import Router
from graysplit.testing import both_paths, forced, private_store

gray = Router()
banner = gray.split("unittest-banner", "old", "new")
SEEN: list[str] = []


@both_paths("unittest-banner")
class _OnBoth(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        """Give each test a store of its own."""
        self.store = self.enterContext(private_store())

    def test_plain(self) -> None:
        """Runs once on each path."""
        SEEN.append(f"plain {banner.choose('u')}")

    async def test_async(self) -> None:
        """The same, awaited, in a thread too."""
        SEEN.append(f"async {banner.choose('u')} {await asyncio.to_thread(banner.choose, 'u')}")


@forced(**{"unittest-banner": "new"})
class _Forced(unittest.TestCase):
    def test_class(self) -> None:
        """Forced above the class."""
        SEEN.append(f"class {banner.choose('u')}")

    @both_paths("unittest-banner")
    def test_one_path_is_forced_above(self) -> None:
        """What is forced around it is its path."""
        SEEN.append(f"inner {banner.choose('u')}")


class _Mistyped(unittest.TestCase):
    @forced(**{"unittest-banner": "nwe"})
    def test_version(self) -> None:
        """Fails: there is no such version."""

    @both_paths("unittest-baner")
    def test_split(self) -> None:
        """Fails: there is no such split."""

    @both_paths("unittest-banner")
    def test_in_turn(self) -> None:
        """A method alone runs on one path after the other."""
        SEEN.append(f"turn {banner.choose('u')}")


for kind in (_OnBoth, _Forced, _Mistyped):
    kind.__test__ = False  # run by what is tested, not by pytest


def run(*cases: type[unittest.TestCase]) -> unittest.TestResult:
    """Run test cases by unittest's own runner, silently."""
    loader = unittest.TestLoader()
    SEEN.clear()
    suite = unittest.TestSuite([loader.loadTestsFromTestCase(case) for case in cases])
    return unittest.TextTestRunner(io.StringIO()).run(suite)


def test_a_test_case_runs_on_both_paths() -> None:
    """Each path is a test of its own, with a `setUp` of its own."""
    result = run(_OnBoth)
    assert (result.testsRun, result.wasSuccessful()) == (4, True), result.errors
    assert sorted(SEEN) == ["async new new", "async old old", "plain new", "plain old"]


def test_forced_above_a_class() -> None:
    """Each of its tests has the version."""
    assert run(_Forced).wasSuccessful()
    assert sorted(SEEN) == ["class new", "inner new"]


def test_a_mistyped_name_is_an_error() -> None:
    """Of the test that has it, and of no other."""
    result = run(_Mistyped)
    told = "".join(trace for _, trace in result.errors)
    assert len(result.errors) == 2
    assert "Did you mean 'new'" in told
    assert "Did you mean 'unittest-banner'" in told
    assert SEEN == ["turn old", "turn new"]


DJANGO = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
import unittest
from django.test import SimpleTestCase
from django.test.runner import DiscoverRunner
from graysplit import Router
from graysplit.testing import both_paths, private_store

gray = Router()
banner = gray.split("banner", "old", "new")

@both_paths("banner")
class Case(SimpleTestCase):
    def test_path(self):
        self.assertEqual(banner.choose("u"), self.id().rpartition("_")[2])

class Weights(SimpleTestCase):
    def test_store(self):
        store = self.enterContext(private_store())
        store.set("banner", 100)
        self.assertEqual(banner.choose("u"), "new")

load = unittest.TestLoader().loadTestsFromTestCase
suite = unittest.TestSuite([load(Case), load(Weights)])
result = DiscoverRunner(verbosity=0).run_suite(suite)
print(result.testsRun, len(result.errors) + len(result.failures))
"""


def test_djangos_runner(tmp_path: Path) -> None:
    """The same under Django's own runner."""
    (tmp_path / "run.py").write_text(DJANGO, encoding="utf-8")
    done = subprocess.run([sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["3", "0"], done.stderr
