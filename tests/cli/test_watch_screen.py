"""`watch` on terminals of many widths: what it draws is looked at as a terminal would show it."""

from __future__ import annotations

import subprocess
import unicodedata
from contextlib import closing

import pytest

from graysplit import Control
from graysplit.cli.output import fold_to
from graysplit.control.operator import operator_of
from tests.cli.terminal import Terminal, at_terminal
from tests.cli.test_process import surroundings
from tests.control.processes import live
from tests.support import eventually


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 132])
def test_the_picture_fits_the_terminal(redis_url: str, namespace: str, columns: int) -> None:
    """No line wraps by itself, none loses its last letter, and nothing is left of the picture before."""
    why = "結帳錯誤增加" * 8 + " https://example.com/" + "x" * 90
    with closing(Control(redis_url, namespace=namespace, actor="ada@lab")) as control:
        control.create("checkout")
        control.set("checkout", 20, why=why)
        control.create("a-split-with-a-name-that-is-longer-than-a-small-terminal-is-wide")
        control.rollback("checkout", why=why)
        live(operator_of(control).store, 1)
        screen = drawn(redis_url, namespace, columns)
    shown = "".join(line.strip() for line in screen.lines()).replace(" ", "")
    assert "stopcheckout:byada@lab," in shown
    assert why.replace(" ", "") in shown
    assert "lastchange:" in shown
    lines = [line for line in screen.lines() if line]
    assert sum("namespace" in line.split()[:1] for line in lines) == 1
    assert lines[-1].endswith("ago"), lines


def drawn(url: str, namespace: str, columns: int) -> Terminal:
    """Return what a terminal of this width shows once `watch` has drawn at least three times."""
    with at_terminal(surroundings(url, namespace), "watch", columns=columns, stdin=subprocess.DEVNULL) as place:

        def three() -> bool:
            place.look()
            return place.terminal.frames >= 3

        eventually(three, 30.0)
        return place.terminal


@pytest.mark.parametrize("width", [20, 21, 40, 79, 80])
@pytest.mark.parametrize("line", ["word " * 40, "x" * 300, "結" * 101, "a結 " * 60, "    deep: " + "y" * 90, ""])
def test_a_line_is_folded_into_the_columns_there_are(line: str, width: int) -> None:
    """Nothing is lost, and wide characters count twice."""
    parts = fold_to(line, width)
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
    for part in parts:
        assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in part) <= width
