"""A change of a long text, as the log holds it: what stood, and what stands, between what both have in common.

`splice 120 300 9f86d081884c7d65 "u1":"new",`: behind the first 120 characters and before the last 300 stands the rest,
and the whole has this digest. So a pin costs the log what a pin is, and the whole is put together byte for byte, or not
at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

MARK: Final = "splice "
# A splice is for machines: what it saves is worth it from here on.
SAVES: Final = 1_000
_WORDS: Final = 5


class _Splice(NamedTuple):
    head: int  # characters that both texts begin with
    tail: int  # and end with
    digest: str  # of the whole
    middle: str

    def fits(self, text: str) -> bool:
        """Return whether a text is the whole that this is of."""
        end = len(text) - self.tail
        return self.head <= end and text[self.head : end] == self.middle and _digest(text) == self.digest

    def put_into(self, text: str, other: _Splice) -> str | None:
        """Return the whole that this is of, from the whole of the other; None where it is none."""
        whole = text[: self.head] + self.middle + text[self.head + len(other.middle) :]
        return whole if _digest(whole) == self.digest else None


def spliced(before: str, after: str) -> tuple[str, str]:
    """Return both texts as splices where that is much shorter, else as they are."""
    head = _in_common(before, after, 0)
    tail = _in_common(before[::-1], after[::-1], head)
    if 2 * (head + tail) < SAVES or not _is_text(before) or not _is_text(after):
        return before, after
    texts = [f"{MARK}{head} {tail} {_digest(text)} {text[head : len(text) - tail]}" for text in (before, after)]
    return (texts[0], texts[1]) if len(before) + len(after) - sum(map(len, texts)) >= SAVES else (before, after)


def is_splice(text: str | None) -> bool:
    """Return whether a text is a splice."""
    return text is not None and text.startswith(MARK) and _read(text) is not None


def widened(before: str, after: str, wholes: Iterable[str]) -> tuple[str, str] | None:
    """Return both wholes of two splices where the later is among some texts; else None."""
    was, is_ = _read(before), _read(after)
    if was is None or is_ is None or (was.head, was.tail) != (is_.head, is_.tail):
        return None
    for whole in wholes:
        if is_.fits(whole):
            stood = was.put_into(whole, is_)
            return None if stood is None else (stood, whole)
    return None


def _read(text: str) -> _Splice | None:
    words = text.split(" ", _WORDS - 1)
    if len(words) != _WORDS or not all(map(_is_count, words[1:3])):
        return None
    return _Splice(int(words[1]), int(words[2]), words[3], words[4])


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) < 10  # noqa: PLR2004 - no text is longer


def _in_common(one: str, other: str, taken: int) -> int:
    """Count the characters that both begin with, of those that are not taken from their ends."""
    low, high = 0, min(len(one), len(other)) - taken
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _digest(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode("utf-8", errors="surrogateescape")).hexdigest()[:16]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
