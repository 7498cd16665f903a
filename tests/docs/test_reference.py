"""The generated parts of the reference say what the code says."""

from __future__ import annotations

import re
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import graysplit
from graysplit.core.definition import Definition
from graysplit.core.fleet import PROMISES

ROOT = Path(__file__).resolve().parents[2]
# Where the source names a reason: a constant state's, a step's, or beside the baseline's index.


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the generator, which is a program and no package."""
    spec = util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    found = util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_generated_parts_say_what_the_code_says(reference: ModuleType) -> None:
    """Command line, environment, keys, errors, reasons and laws in the docs are those of the code."""
    stale = sorted(str(page.relative_to(ROOT)) for page in reference.stale())
    assert not stale, f"out of date: {', '.join(stale)}. Write them again with: {reference.COMMAND}"


def test_every_part_has_its_page(reference: ModuleType) -> None:
    """Nothing is generated for nobody."""
    assert reference.used() == set(reference.PARTS)


def test_the_public_words_are_those_of_the_tables(reference: ModuleType) -> None:
    """What `Reason`, `Phase` and `Mode` name stands in the reference, and nothing else; the source gives no other."""
    assert set(get_args(graysplit.Reason)) == set(reference.TEXTS["reasons"])
    assert set(re.findall(r"`(\w+)`", reference.TEXTS["status"]["phase"])) == set(get_args(graysplit.Phase))
    assert set(get_args(graysplit.Mode)) == {"starting", "lost", *PROMISES}


def test_the_glossary_has_words_that_are_used(reference: ModuleType) -> None:
    """Each word stands in a page besides the glossary, and its meaning is one sentence without a full stop."""
    words = reference.glossary_words()
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages if page.name != "glossary.md").lower()
    assert [word for word in words if not re.search(rf"\b{re.escape(word)}", text)] == []
    assert [word for word, (meaning, _) in words.items() if meaning.endswith(".") or not meaning] == []


def test_a_name_without_a_text_is_an_error(reference: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new field cannot be forgotten."""
    first, *others = Definition._fields
    monkeypatch.setitem(reference.TEXTS, "definition", dict.fromkeys(others, ""))
    with pytest.raises(SystemExit, match=first):
        reference.definition()
