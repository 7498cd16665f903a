"""What the source promises a reader: a class name means one thing, and a module is named by a noun."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.xdist_group("house")  # one worker reads the source, once
ROOT = Path(__file__).resolve().parents[1]


class House(NamedTuple):
    """The script that prints the table, and what it reads."""

    script: Any  # Any: a program, not a module of the package
    sources: list[Any]


@pytest.fixture(scope="module")
def house() -> House:
    """Return the script that prints the table."""
    spec = importlib.util.spec_from_file_location("house", ROOT / "tools" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return House(module, module.sources(ROOT))


def test_a_class_name_is_defined_once(house: House) -> None:
    """Who reads a name in one room finds no other class under it in the next."""
    names = Counter(house.script.classes(house.sources))
    del names[
        "GraysplitMiddleware"
    ]  # each framework's users find theirs under the one name, in their framework's module
    assert {name for name, number in names.items() if number > 1} == set()


def test_a_module_is_named_by_a_noun(house: House) -> None:
    """What ends as a gerund does is on a short list of nouns of the field."""
    assert set(house.script.gerunds(house.sources)) == {"bucketing", "reading", "settings"} == house.script.NOUNS


def test_the_stops_over_a_candidate_are_listed_in_one_module(house: House) -> None:
    """Which stops hold a candidate at zero is for `core/address.py` to say."""
    found = {str(one.path) for one in house.sources if house.script.rules(one)}
    assert found == {"src/graysplit/core/address.py"}


def test_a_docstring_returns_and_does_not_give(house: House) -> None:
    """A docstring says what a function returns."""
    assert house.script.gives(house.sources) == []
