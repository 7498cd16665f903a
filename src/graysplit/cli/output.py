"""Where text leaves the program: escaped, folded at 80 columns, data and talk apart."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final, TextIO, TypeAlias

from graysplit.core.limits import escaped, shown
from graysplit.words.commands import COPY

WIDTH: Final = 80
SCHEMA_VERSION: Final = 1

# Who takes what this thread prints, line by line, instead of stdout and stderr.
Taker: TypeAlias = Callable[[str], None]
_TAKER: Final[ContextVar[Taker | None]] = ContextVar("taker", default=None)

# Characters of one line before it is folded: a hundred rows, more than graysplit ever has to say in one.
SCREEN_AT_MOST: Final = 8_000


def clean(text: str) -> str:
    """Escape characters that cannot be printed: stored text must not move a cursor or forge a line."""
    return escaped(text)


def fold(line: str) -> list[str]:
    """Clean a line, cut what would fill the screen, and fold it, further lines two deeper than the first."""
    line = clean(line) if line.startswith(COPY) else shown(line, SCREEN_AT_MOST)
    return [line] if line.startswith(COPY) else _wrap(line, WIDTH, break_words=False)


def fold_to(line: str, width: int) -> list[str]:
    """Clean a line and fold it into a terminal's columns, whatever it takes; wide characters count twice."""
    line = clean(line)
    if line.isascii():
        return _wrap(line, width, break_words=True)
    import unicodedata

    spaced = "".join(f"{c}\0" if unicodedata.east_asian_width(c) in "WF" else c for c in line)
    return [part.replace("\0", "") for part in _wrap(spaced, width - 1, break_words=True)]


def _wrap(line: str, width: int, *, break_words: bool) -> list[str]:
    if len(line) <= width:
        return [line]
    import textwrap

    indent = line[: len(line) - len(line.lstrip())] + "  "
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent if len(indent) < width else "",
        break_on_hyphens=False,
        break_long_words=break_words,
    )


def say(*lines: str) -> None:
    """Print data on stdout, at once."""
    _print(lines, sys.stdout)


def say_whole(line: str) -> None:
    """Print one line for another program to read: escaped, and never folded."""
    _print_raw(clean(line), sys.stdout)


def tell(*lines: str) -> None:
    """Print everything else on stderr, at once; a stderr that is closed keeps nobody from going back."""
    with suppress(OSError, ValueError, AttributeError):  # AttributeError: Python has none where it began without
        _print(lines, sys.stderr)


def say_json(value: dict[str, object]) -> None:
    """Print one JSON object on one line of stdout; its ASCII form escapes every control character."""
    import json

    _print_raw(json.dumps({"schema_version": SCHEMA_VERSION, **value}), sys.stdout)


@contextmanager
def taken_by(taker: Taker | None) -> Generator[None]:
    """Have somebody take, line by line, what this thread prints."""
    token = _TAKER.set(taker)
    try:
        yield
    finally:
        _TAKER.reset(token)


def is_screen() -> bool:
    """Return whether stdout is a terminal that can redraw."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _print(lines: Iterable[str], to: TextIO) -> None:
    taker = _TAKER.get()
    for line in lines:
        if taker is not None:
            with taken_by(None):  # what it prints itself is printed
                taker(line)
            continue
        for folded in fold(line):
            _print_raw(folded, to)


def _print_raw(line: str, to: TextIO) -> None:
    try:
        to.write(line + "\n")
    except UnicodeEncodeError:  # a terminal that knows ASCII only
        to.write(line.encode("ascii", "backslashreplace").decode() + "\n")
    to.flush()
