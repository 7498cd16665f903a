"""Splits that are parsed when they are first asked for: of thousands a command mostly needs one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from graysplit.core.split_state import SplitState

# A split's state, the reason why it cannot be read, or None where it was deleted.
Judge: TypeAlias = Callable[[str, bytes], SplitState | str | None]

# A seed as graysplit writes it; whoever writes another form of it is judged whole.
_SEED: Final = re.compile(rb'"seed":\s*[0-9]+\s*[,}]')


class Judgements:
    """What came of each definition that was asked for so far."""

    def __init__(self, raws: Mapping[str, bytes], judge: Judge) -> None:
        """Begin with nothing judged."""
        self.raws = raws
        self._judge = judge
        self._known: dict[str, SplitState | str | None] = {}

    def of(self, split: str) -> SplitState | str | None:
        """Judge a split, once; raise `KeyError` where nothing stands under its name."""
        if split not in self._known:
            self._known[split] = self._judge(split, self.raws[split])
        return self._known[split]

    def readable(self) -> dict[str, SplitState]:
        """Return what was asked for and can be read."""
        return {split: value for split, value in self._known.items() if isinstance(value, SplitState)}


class ReadableSplits(Mapping[str, SplitState]):
    """The splits that can be read."""

    def __init__(self, judgements: Judgements) -> None:
        """Take what judges them."""
        self._judgements = judgements

    def so_far(self) -> dict[str, SplitState]:
        """Return those that were asked for."""
        return self._judgements.readable()

    def may_be_sown_with(self, seed: int) -> Iterator[SplitState]:
        """Return the splits that may have a seed, without judging those whose bytes name another one."""
        text = str(seed).encode()
        for split, raw in self._judgements.raws.items():
            if (text in raw or _SEED.search(raw) is None) and split in self:
                yield self[split]

    def __getitem__(self, split: str) -> SplitState:
        """Return a split's state; raise `KeyError` where it has none."""
        judged = self._judgements.of(split)
        if not isinstance(judged, SplitState):
            raise KeyError(split)
        return judged

    def __iter__(self) -> Iterator[str]:
        """Name those that can be read, which judges all."""
        return (split for split in self._judgements.raws if isinstance(self._judgements.of(split), SplitState))

    def __len__(self) -> int:
        """Count them, which judges all."""
        return sum(1 for _ in self)


class UnreadableSplits(Mapping[str, str]):
    """The splits that cannot be read, each with the reason."""

    def __init__(self, judgements: Judgements) -> None:
        """Take what judges them."""
        self._judgements = judgements

    def __getitem__(self, split: str) -> str:
        """Return why a split cannot be read; raise `KeyError` where it can."""
        judged = self._judgements.of(split)
        if not isinstance(judged, str):
            raise KeyError(split)
        return judged

    def __iter__(self) -> Iterator[str]:
        """Name those that cannot be read, which judges all."""
        return (split for split in self._judgements.raws if isinstance(self._judgements.of(split), str))

    def __len__(self) -> int:
        """Count them, which judges all."""
        return sum(1 for _ in self)
