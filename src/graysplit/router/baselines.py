"""Where the code's baseline is another than the store's, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from graysplit.core.fleet import baseline_words
from graysplit.router.declarations import Declaration

if TYPE_CHECKING:
    from graysplit.core.replica.adoption import Adopted, Parse


class Baselines:
    """The baselines that the code declares, compared with what is held."""

    def __init__(self, declarations: Mapping[str, Declaration], parse: Parse) -> None:
        """Take what the code declares, and what reads a definition."""
        self._parse = parse
        self._declarations = declarations
        # By split: the definition last looked at, and how the code's baseline differs from the one it names.
        self._compared: dict[str, tuple[bytes, str, str]] = {}

    def differing(self, held: Adopted) -> dict[str, str]:
        """Return the splits whose baseline is another one in the code than in the store, and how they differ."""
        found = {split: self.differs(split, held) for split in self._declarations if split in held.definitions}
        return {split: words for split, words in found.items() if words}

    def differs(self, split: str, held: Adopted) -> str:
        """Return how the code's baseline differs from the store's, or ""; a definition is parsed once for it."""
        raw, declaration = held.definitions.get(split), self._declarations.get(split)
        if raw is None or declaration is None or declaration.baseline is None:
            return ""
        known = self._compared.get(split)
        if known is None or known[0] is not raw or known[1] != declaration.baseline:
            definition = self._parse(split, raw)
            store = declaration.baseline if definition is None else definition.baseline
            words = "" if store == declaration.baseline else baseline_words(declaration.baseline, store)
            known = self._compared[split] = (raw, declaration.baseline, words)
        return known[2]
