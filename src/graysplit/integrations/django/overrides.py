"""A helper for tests: `@override_versions(checkout="new")` above a test, a coroutine, a TestCase, or as a block."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.test.utils import TestContextDecorator


class override_versions(TestContextDecorator):  # noqa: N801 - as Django's override_settings
    """Force versions by split's name, as `graysplit.testing.forced`; a name that nothing has fails the test."""

    def __init__(self, **versions: str) -> None:
        """Take the versions by split's name."""
        super().__init__()
        self._versions = versions
        self._forced: list[Any] = []  # Any: `graysplit.testing` is for tests, so it is imported by them alone

    def enable(self) -> None:
        """Force them."""
        forced = import_module("graysplit.testing").forced(**self._versions)
        forced.__enter__()
        self._forced.append(forced)

    def disable(self) -> None:
        """End it."""
        self._forced.pop().__exit__(None, None, None)
