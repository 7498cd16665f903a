"""One real server for all tests that need one; each test has a namespace of its own in it."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from _pytest.logging import LogCaptureHandler
from hypothesis import HealthCheck, settings
from redis import Redis

from graysplit import embedded, native
from graysplit.errors import ConfigurationError
from graysplit.log_writer import WRITER
from tests.support import hear_interrupts

hear_interrupts()

# Properties speak of answers, never of time: a busy machine is no counterexample.
settings.register_profile("graysplit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graysplit")

# Tests that run programs and servers take seconds, all others milliseconds: begun last, one of them would keep a whole
# run waiting for a single worker. Files of which one test takes 15 s or more, then folders and files.
LONGEST_FIRST: Final = (
    "model/test_two_stores.py",
    "faults/test_guard_live.py",
    "cli/test_ten_incidents.py",
    "model/test_plans.py",
    "examples/test_shop.py",
    "laws/test_what_is_said_is_so.py",
    "faults/test_rollback_all.py",
    "model/test_bounds.py",
    "benchmarks",
    "runtimes",
    "faults",
    "topologies",
    "typing",
    "examples",
    "packaging",
    "laws",
    "cli",
    "test_house.py",
    "model",
    "docs",
    "control",
    "stores",
)
TESTS: Final = Path(__file__).parent

# What the tests of a file import beyond graysplit, its extras, pytest, pytest-timeout and hypothesis: those who build
# a distribution from the sdist may not have it.
NEEDS: Final = {
    "tests/benchmarks/test_benchmarks.py": "httpx",
    "tests/console/browser/test_accessible.py": "playwright",
    "tests/console/browser/test_pictures.py": "playwright",
    "tests/console/browser/test_ten_incidents.py": "playwright",
    "tests/console/browser/test_without_script.py": "playwright",
    "tests/console/browser/test_weight_and_policy.py": "playwright",
    "tests/console/test_assets.py": "httpx",
    "tests/console/test_beside.py": "fastapi",
    "tests/console/test_changes.py": "httpx",
    "tests/console/test_hostile_texts.py": "httpx",
    "tests/console/test_live.py": "httpx",
    "tests/console/test_looking.py": "httpx",
    "tests/console/test_mount.py": "httpx",
    "tests/console/test_mounts.py": "litestar",
    "tests/console/test_outages.py": "httpx",
    "tests/console/test_people.py": "httpx",
    "tests/console/test_read_only.py": "httpx",
    "tests/console/test_requests.py": "httpx",
    "tests/console/test_serve.py": "httpx",
    "tests/core/test_bucketing.py": "django",
    "tests/core/test_plan_schema.py": "jsonschema",
    "tests/docs/test_site.py": "sphinx",
    "tests/examples/test_shop.py": "httpx",
    "tests/faults/test_guard_live.py": "httpx",
    "tests/integrations/openfeature/test_provider.py": "openfeature",
    "tests/integrations/openfeature/test_scenarios.py": "openfeature",
    "tests/integrations/test_aiohttp.py": "aiohttp",
    "tests/integrations/test_asgi.py": "starlette",
    "tests/integrations/test_django.py": "django",
    "tests/integrations/test_fastapi.py": "fastapi",
    "tests/integrations/test_flask.py": "flask",
    "tests/integrations/test_grpc.py": "grpc",
    "tests/integrations/test_grpc_load.py": "grpc",
    "tests/integrations/test_wsgi.py": "werkzeug",
    "tests/integrations/test_celery.py": "celery",
    "tests/integrations/test_task_context.py": "dramatiq",
    "tests/integrations/test_versions_told.py": "sentry_sdk",
    "tests/notices/test_shapes.py": "jsonschema",
    "tests/testing/test_plugin.py": "pytest_asyncio",
    "tests/testing/test_unittest.py": "django",
    "tests/telemetry/test_metrics.py": "opentelemetry.sdk",
}


def missing() -> dict[str, str]:
    """Return the files whose tests cannot be imported here, each with the module that is missing."""
    return {file: module for file, module in NEEDS.items() if not installed(module)}


def installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    parent = module.rpartition(".")[0]
    return (not parent or installed(parent)) and find_spec(module) is not None


# Left out where a package is missing, and told at the end; CI installs all of them, so there the import fails aloud.
collect_ignore = [] if os.environ.get("CI") else [TESTS.parent / file for file in missing()]


def pytest_report_header() -> str:
    """Tell which core decides: `make test` runs the tests of decisions with both."""
    return f"core: {native.words}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which tests were left out."""
    for file, module in missing().items() if collect_ignore else ():
        terminalreporter.write_line(f"not collected: {file}: no {module} (pip install --group test)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests first that take long; the others keep their order."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(TESTS)
        return rank.get(path.as_posix(), rank.get(path.parts[0], len(rank)))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Spare each later collection of garbage the thousands of tests, which stay until the end."""
    gc.collect()
    gc.freeze()


class WrittenLogs(pytest.LogCaptureFixture):
    """What was logged, once graysplit's own thread has written all that was put before."""

    @property
    def handler(self) -> LogCaptureHandler:
        """Return the handler, with every line in it."""
        assert WRITER.flush(10), "a line of graysplit's was not written within 10 s"
        return super().handler

    @contextmanager
    def at_level(self, level: int | str, logger: str | None = None) -> Iterator[None]:
        """Keep a level until what was put at it has been written."""
        with super().at_level(level, logger):
            yield
            assert WRITER.flush(10), "a line of graysplit's was not written within 10 s"


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return pytest's capture, which waits for the thread that writes graysplit's lines."""
    caplog.__class__ = WrittenLogs
    return caplog


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """Return a running server; a test that stops or starves it starts one of its own."""
    try:
        binary = embedded.find_binary()
    except ConfigurationError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no server: {missing}")
    assert binary
    with embedded.server() as running:
        yield running


@pytest.fixture
def redis_url(server: embedded.Server) -> str:
    """Return the shared server's address."""
    return server.url


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """Return a plain client, for raw edits."""
    found = Redis.from_url(redis_url)
    yield found
    found.close()


@pytest.fixture
def namespace() -> str:
    """Return a namespace that nobody has used."""
    return f"test-{uuid.uuid4().hex[:12]}"
