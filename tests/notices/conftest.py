"""A server that records what hooks send it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notices.recorder import Recorder, recording


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Return a server that records."""
    with recording() as found:
        yield found
