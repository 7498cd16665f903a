"""Break-glass: the words of the environment and of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from graysplit import Control, Router
from graysplit.follower.break_glass import BreakGlass
from graysplit.stores.memory import MemoryStore
from tests.support import eventually


@pytest.mark.parametrize(
    ("words", "covered", "spared"),
    [
        ("", (), ("checkout",)),
        ("*", ("checkout", "anything"), ()),
        ("checkout,search", ("checkout", "search"), ("cart",)),
        (" checkout ,\n search\t", ("checkout", "search"), ("cart",)),
        ("checkout/new", ("checkout",), ("cart",)),
        ("cart, *", ("checkout",), ()),
        ("'*'", ("checkout",), ()),
        ('"*"', ("checkout",), ()),
        ("\u201c*\u201d", ("checkout",), ()),
        ("1", ("checkout",), ()),
        ("true", ("checkout",), ()),
        ("ON", ("checkout",), ()),
        ("off", ("checkout",), ()),
        ("All", ("checkout",), ()),
        ("0", (), ("checkout",)),
        ("none", ("none",), ("checkout",)),
        ("1", ("1", "checkout"), ()),
        ("false", (), ("checkout",)),
        ("checkout;search", ("checkout", "search"), ("cart",)),
        ("Checkout", ("checkout",), ("cart",)),
        ("'checkout', \"search\"", ("checkout", "search"), ("cart",)),
        ("\ufeffcheckout", ("checkout",), ("cart",)),
        ("export GRAYSPLIT_OFF=checkout", ("checkout",), ("cart",)),
        ('GRAYSPLIT_OFF="*"', ("checkout",), ()),
        ("[checkout]", ("checkout",), ("cart",)),
    ],
)
def test_words_switch_off_what_they_name(words: str, covered: tuple[str, ...], spared: tuple[str, ...]) -> None:
    """Names are parted by commas or white space, `*` is everything, a version's address is its split."""
    break_glass = BreakGlass(words)
    assert all(break_glass.covers(split) for split in covered)
    assert not any(break_glass.covers(split) for split in spared)


def test_file_is_united_with_the_environment(tmp_path: Path) -> None:
    """The file adds to the environment's words, and takes nothing away."""
    path = tmp_path / "off"
    break_glass = BreakGlass("checkout", str(path))
    assert break_glass.names == {"checkout"}
    path.write_text("search", encoding="utf-8")
    assert break_glass.poll()
    assert break_glass.names == {"checkout", "search"}
    assert not break_glass.poll()
    path.unlink()
    assert break_glass.poll()
    assert break_glass.names == {"checkout"}


def test_a_file_that_cannot_be_read_keeps_its_last_words(tmp_path: Path) -> None:
    """In doubt, lower: a file that turns into something unreadable switches nothing on again."""
    path = tmp_path / "off"
    path.write_text("checkout", encoding="utf-8")
    break_glass = BreakGlass("", str(path))
    path.unlink()
    path.mkdir()
    assert not break_glass.poll()
    assert break_glass.covers("checkout")


def test_garbage_harms_nobody(tmp_path: Path) -> None:
    """Bytes that are no text name no split, and raise nothing."""
    path = tmp_path / "off"
    path.write_bytes(b"\xff\xfe\x00 checkout \x80")
    assert BreakGlass("", str(path)).covers("checkout")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_counts_whatever_wrote_it(tmp_path: Path, encoding: str) -> None:
    """Editors and shells of Windows write a byte order mark, or UTF-16."""
    path = tmp_path / "off"
    path.write_text("checkout\r\n'search'\r\n", encoding=encoding)
    assert BreakGlass("", str(path)).names == {"checkout", "search"}


def test_a_word_that_names_nothing_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once for each change of the words, once the store has answered; also in a process without a store."""
    path = tmp_path / "off"
    path.write_text("chekout", encoding="utf-8")
    store = MemoryStore()
    Control(store).create("checkout")
    with Router(store, off_file=str(path)) as router:
        assert router.wait_ready(5)
        assert eventually(lambda: [line for line in caplog.messages if "by the name 'chekout', so" in line])
        path.write_text("checkout, serch", encoding="utf-8")
        assert eventually(lambda: [line for line in caplog.messages if "by the name 'serch', so" in line])
        assert router.decide("checkout", "u").reason == "off"
    assert len([line for line in caplog.messages if "switches nothing off" in line]) == 2
