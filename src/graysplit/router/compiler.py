"""Compile the state of a split from what is adopted and what the code declares. Imported when a router starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from graysplit.core.compiled import CompiledSplit, CompileInput, compile_state, constant_state, names_of
from graysplit.core.fleet import baseline_words
from graysplit.core.replica.adoption import Parse, state_of
from graysplit.router.declarations import Declaration
from graysplit.router.view import Lacking, View, key_of

if TYPE_CHECKING:
    from graysplit.core.decision import Reason
    from graysplit.core.definition import Definition
    from graysplit.core.guard.buffer import EvidenceBuffer
    from graysplit.core.replica.adopted import Adopted
    from graysplit.core.split_state import SplitState
    from graysplit.events import Events
    from graysplit.router.call_counts import CallCounts
    from graysplit.router.guarded_splits import GuardedSplits

# The reason where the code's baseline is not the store's: the code's own answers every call (law 5).
DIFFERS: Final[Reason] = "baseline_differs"


class Baselines:
    """The baselines that the code declares, compared with what is adopted."""

    def __init__(self, declarations: Mapping[str, Declaration], parse: Parse) -> None:
        """Take what the code declares, and what reads a definition."""
        self._parse = parse
        self._declarations = declarations
        # By split: the definition last looked at, and how the code's baseline differs from the one it names.
        self._compared: dict[str, tuple[bytes, str, str]] = {}

    def differing(self, held: Adopted) -> dict[str, str]:
        """Return the splits whose baseline is another one in the code than in the store, and how they differ."""
        known = {split: self.differs(split, held) for split in self._declarations if split in held.definitions}
        return {split: words for split, words in known.items() if words}

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


class StateCompiler:
    """Compiles the states of one router, by what is in force: not by phase, nor by age."""

    def __init__(
        self, declarations: Mapping[str, Declaration], counts: CallCounts, parse: Parse, events: Events
    ) -> None:
        """Take what the code declares, what counts its calls, and what reads a definition."""
        self.baselines = Baselines(declarations, parse)
        self.guarded: GuardedSplits | None = None  # once a split is armed
        self._parse = parse
        self._declarations = declarations
        self._counts = counts
        self._events = events

    def split_state(self, split: str, held: Adopted) -> SplitState | None:
        """Return the state of a split by what is adopted; None where that has no such split."""
        definition = self.definition(split, held)
        return state_of(held, split, definition) if definition is not None else None

    def definition(self, split: str, held: Adopted) -> Definition | None:
        """Return the definition of a split; None where there is none."""
        raw = held.definitions.get(split)
        return self._parse(split, raw) if raw is not None else None

    def compiled(
        self, state: SplitState, view: View, own: tuple[str, ...], instance: str, missing: frozenset[str] = frozenset()
    ) -> CompiledSplit:
        """Compile what is in force on the host `instance`; `own` are the versions that this process's code knows.

        `missing`: versions that a route alone cannot call, though others here can.
        """
        split, names, held = state.split, names_of(state), view.held
        declaration = self._declarations.get(split)
        present = frozenset(declaration.places) - missing if declaration is not None and declaration.places else None
        counts, key = self._counts.of(split, names), key_of(state, names, view)
        # What others keep in a request is not what such a route calls.
        inputs = CompileInput(
            counts, Lacking(key, missing) if missing else key, {}, present, held.revision, instance=instance
        )
        if declaration is not None and declaration.baseline not in (None, state.definition.baseline):
            self._events.warning(
                f"baseline_differs {split}", f"'{split}': {self.baselines.differs(split, held)}: the code's answers"
            )
            return constant_state(split, own, DIFFERS, inputs._replace(counts=self._counts.of(split, own)))
        if present is not None and state.definition.baseline not in present:
            return constant_state(split, own, "version_absent", inputs._replace(counts=self._counts.of(split, own)))
        buffer = None if missing else self._buffer(state, held, present, instance)
        return compile_state(state, inputs._replace(buffer=buffer))

    def _buffer(
        self, state: SplitState, held: Adopted, present: frozenset[str] | None, instance: str
    ) -> EvidenceBuffer | None:
        """Return the buffer of an armed split; None where none is armed."""
        if state.definition.guard is None:
            return None
        if self.guarded is None:
            from graysplit.router.guarded_splits import GuardedSplits

            self.guarded = GuardedSplits(self._events)
        return self.guarded.buffer(state, held, present, instance)
