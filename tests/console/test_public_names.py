"""The names of the room: what a program imports is never the module of the same name."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from graysplit import console


@pytest.mark.parametrize("name", console.__all__)
def test_no_public_name_is_a_modules(name: str) -> None:
    """A module that is imported becomes an attribute of its package, in place of what is loaded when asked for."""
    import_module("graysplit.console.serve")
    assert find_spec(f"graysplit.console.{name}") is None
    assert getattr(console, name).__class__ is not console.__class__
