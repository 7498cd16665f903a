"""What may not rise, by whose word and until when.

A freeze holds every split that its pattern matches, those made later too. Lowering is always free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from graysplit.errors import BadValueError

FREEZES: Final = "freezes"  # the field of `meta`
THAWED: Final = "thawed"  # the field beside it: server time in ms at which a freeze was ended by hand

_PATTERN = re.compile(r"[a-z0-9*?][a-z0-9._*?-]{0,99}", re.ASCII)


class BadPatternError(BadValueError):
    """A text is not a pattern of split names."""

    def __init__(self, text: str) -> None:
        """Keep the text as it was given."""
        self.text = text
        super().__init__(
            f"invalid pattern {text!r}: use the name of a split (a freeze holds all of its candidates), "
            "with * for anything and ? for one character, as in checkout*"
        )


class Freeze(NamedTuple):
    """One freeze: no split that the pattern matches rises while it stands."""

    pattern: str
    why: str = ""
    who: str = ""
    at_ms: int = 0  # server time
    until_ms: int = 0  # server time; 0: until somebody ends it

    def stands(self, now_ms: int) -> bool:
        """Return whether it is not over yet, by the server's time."""
        return self.until_ms == 0 or now_ms < self.until_ms

    def holds(self, split: str) -> bool:
        """Return whether a split is among those it names."""
        from fnmatch import fnmatchcase

        return fnmatchcase(split, self.pattern)

    @property
    def words(self) -> str:
        """Return by whom and why: `frozen by ada: Black Friday`."""
        return f"frozen{f' by {self.who}' if self.who else ''}{f': {self.why}' if self.why else ''}"


def check_pattern(text: str) -> str:
    """Hand a pattern back, or raise `BadPatternError`."""
    if _PATTERN.fullmatch(text) is None:
        raise BadPatternError(text)
    return text


def frozen(freezes: Iterable[Freeze], split: str, now_ms: int) -> Freeze | None:
    """Return the freeze that holds a split at a server time, of several the one that lasts longest; or None."""
    in_effect = [freeze for freeze in freezes if freeze.stands(now_ms) and freeze.holds(split)]
    return max(in_effect, key=lambda freeze: freeze.until_ms or float("inf"), default=None)


def thawed_ms(freezes: Iterable[Freeze], split: str, by_hand: str | None, now_ms: int) -> int:
    """Return when the last freeze ended that may have held a split, by hand (of any) or by its time."""
    ended = [freeze.until_ms for freeze in freezes if 0 < freeze.until_ms <= now_ms and freeze.holds(split)]
    hand = by_hand or ""
    is_time = hand.isascii() and hand.isdigit() and len(hand) < 20  # noqa: PLR2004 - what Redis counts to
    return max(0, *ended, int(hand) if is_time else 0)
