"""Make a text fit to be shown: on one line, escaped, of bounded length. Nothing else decides what may reach a screen.

What a store holds may have been written by anybody. A terminal obeys escape sequences, a line feed forges a log line,
and a mark that turns the direction of writing hides one name in another.
"""

from __future__ import annotations

from typing import Final

LINE_AT_MOST: Final = 2_000  # characters of one log line, or of one sentence for people
NAME_AT_MOST: Final = 240  # every name that graysplit takes fits, with its split before it


def shown(text: str, at_most: int = LINE_AT_MOST) -> str:
    """Return a text escaped, and cut so that no more than `at_most` characters are left; done twice it stays."""
    if len(text) <= at_most and text.isprintable():
        return text
    found = escaped(text[: at_most + 1])
    if len(found) <= at_most:
        return found
    told = f"... ({len(text)} characters)"
    return found[: max(0, at_most - len(told))] + told


def escaped(text: str) -> str:
    """Return a text with every character that is not printable escaped: controls, marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
