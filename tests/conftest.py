"""One real server for all tests that need one; each test has a namespace of its own in it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from graysplit import embedded
from graysplit.errors import ConfigurationError
from tests.support import hear_interrupts

hear_interrupts()


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """Give a running server; a test that stops or starves it starts one of its own."""
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
    """Give the shared server's address."""
    return server.url


@pytest.fixture
def namespace() -> str:
    """Give a namespace that nobody has used."""
    return f"test-{uuid.uuid4().hex[:12]}"
