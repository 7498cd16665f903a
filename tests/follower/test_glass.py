"""Break-glass: the words of the environment and of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from graysplit.follower.glass import BreakGlass


@pytest.mark.parametrize(
    ("words", "covered", "spared"),
    [
        ("", (), ("checkout",)),
        ("*", ("checkout", "anything"), ()),
        ("checkout,search", ("checkout", "search"), ("cart",)),
        (" checkout ,\n search\t", ("checkout", "search"), ("cart",)),
        ("checkout/new", ("checkout",), ("cart",)),
        ("cart, *", ("checkout",), ()),
    ],
)
def test_words_switch_off_what_they_name(words: str, covered: tuple[str, ...], spared: tuple[str, ...]) -> None:
    """Names are parted by commas or white space, `*` is everything, a version's address is its split."""
    glass = BreakGlass(words)
    assert all(glass.covers(split) for split in covered)
    assert not any(glass.covers(split) for split in spared)


def test_file_is_united_with_the_environment(tmp_path: Path) -> None:
    """The file adds to the environment's words, and takes nothing away."""
    path = tmp_path / "off"
    glass = BreakGlass("checkout", str(path))
    assert glass.names == {"checkout"}
    path.write_text("search", encoding="utf-8")
    assert glass.poll()
    assert glass.names == {"checkout", "search"}
    assert not glass.poll()
    path.unlink()
    assert glass.poll()
    assert glass.names == {"checkout"}


def test_a_file_that_cannot_be_read_keeps_its_last_words(tmp_path: Path) -> None:
    """In doubt, lower: a file that turns into something unreadable switches nothing on again."""
    path = tmp_path / "off"
    path.write_text("checkout", encoding="utf-8")
    glass = BreakGlass("", str(path))
    path.unlink()
    path.mkdir()
    assert not glass.poll()
    assert glass.covers("checkout")


def test_garbage_harms_nobody(tmp_path: Path) -> None:
    """Bytes that are no text name no split, and raise nothing."""
    path = tmp_path / "off"
    path.write_bytes(b"\xff\xfe\x00 checkout \x80")
    assert BreakGlass("", str(path)).covers("checkout")
