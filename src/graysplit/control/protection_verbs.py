"""The verbs that keep weights from rising, and the one for a store that has lost data."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from graysplit.control.inputs import check_reason, check_texts, new_id
from graysplit.control.leases import check_span
from graysplit.control.operator import Confirm, Operator
from graysplit.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.recovery.recover import Recovery, Take
    from graysplit.control.result import Result
    from graysplit.core.entry import Entry
    from graysplit.core.fleet import Fleet
    from graysplit.core.split_state import Change, Snapshot
    from graysplit.stores.text.content import Content

# Somebody else's freeze in between is no reason to leave a split unfrozen.
FREEZE_TRIES: Final = 5

# Whoever is shown both sides and agrees is asked about what processes told then.
TOLD_FOR_S: Final = 60.0

# More than a store keeps.
WHOLE_HISTORY: Final = 1_000_000


class ProtectionVerbs(Operator):
    """Freezes, protects and recovers."""

    _told: tuple[float, Mapping[str, Content]] | None = None  # what processes told when they were asked, and when

    def freeze(self, pattern: str, *, why: str = "", for_s: float | None = None, dry_run: bool = False) -> Result:
        """Have no split rise whose name matches, `checkout`, `checkout*` or `*`, those made later too.

        Lowering stays free. It stands for `for_s` seconds of the server's time, or until `unfreeze`; freezing a pattern
        again replaces reason and end. An edit past graysplit cannot be kept from raising: the history says so.
        """
        check_span(for_s)

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freeze import freeze
            from graysplit.core.freeze import Freeze

            now_ms = reading.load.now_ms
            until_ms = 0 if for_s is None else now_ms + int(for_s * 1000)
            change, notes = freeze(reading, Freeze(pattern, why, self.actor, now_ms, until_ms))
            return self._propose(reading, change, id_)._replace(notes=notes)

        for _ in range(FREEZE_TRIES):
            with suppress(ConflictError):
                return self._change(plan, why=why, dry_run=dry_run)
        return self._change(plan, why=why, dry_run=dry_run)

    def unfreeze(self, pattern: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """End the freeze of a pattern; others that hold the same splits stand."""

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freeze import unfreeze

            return self._propose(reading, unfreeze(reading, pattern), id_)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def protect(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Have every raise of a split ask for a reason and for the typed name."""
        return self._protect(split, why, on=True, dry_run=dry_run)

    def unprotect(self, split: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Have raises of a split ask no more than others."""
        return self._protect(split, why, on=False, dry_run=dry_run, confirm=confirm)

    def recover(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        splits: Collection[str] = (),
        *,
        source: str | Path = "fleet",
        take: Take = "lower",
        why: str = "",
        seen: Recovery | None = None,
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Recovery:
        """After a store lost data: write the lower of what it says and what a source knows, and end all doubt.

        The source is `fleet`, what live processes hold, or a file: a last-known-good file, an export, a bootstrap
        file. Lost keys are made whole, and an empty namespace is sown anew: from what live processes tell when they are
        asked, never higher than the lowest of them, or from a file. `take="source"` writes the source's weights even
        where they are higher. Refused unless it is still what was `seen`.
        """
        check_texts(self.actor, why)

        def plan(id_: str) -> Recovery:
            reading = self._read()  # first: where nobody answers, nothing else is needed to say so
            from pathlib import Path

            from graysplit.control.recovery.recover import Request, recover
            from graysplit.control.recovery.sources import of_file, of_fleet

            file = None if source == "fleet" else of_file(Path(source))
            request = Request(frozenset(splits), take, self.actor, self.namespace, id_)
            fleet = self.store.fleet()
            told = of_fleet(fleet, self._contents(reading, fleet), reading.held.lost)
            return recover(reading, told, file, self._whole_history, request)

        recovery = plan(new_id())
        if dry_run or not recovery.needed:
            return recovery
        check_reason(recovery.guarded, why)
        if recovery.ask is not None and self._ask(recovery, confirm):
            seen = seen or recovery
            recovery = plan(recovery.id)
        if seen is not None and seen.told != recovery.told:
            raise ConflictError(recovery.target, "the state that was shown", "something else")
        with self._submitting(recovery.id):
            return recovery.done(self.store.submit(recovery.submission(self.actor, why)))

    def _contents(self, reading: Reading, fleet: Fleet) -> Mapping[str, Content]:
        """Return what live processes tell that they hold; they are asked only where the store has lost something."""
        if not reading.held.lost and not any(process.receipt.held for process in fleet.live):
            return {}
        now = time.monotonic()
        if self._told is None or now - self._told[0] > TOLD_FOR_S:
            from graysplit.control.ask import ask

            self._told = now, ask(self.store, fleet)
        return self._told[1]

    def _protect(self, split: str, why: str, *, on: bool, dry_run: bool, confirm: Confirm | None = None) -> Result:
        def verb(snapshot: Snapshot) -> Change:
            from graysplit.core.changes import protect

            return protect(snapshot, split, on=on)

        return self._simple(split, verb, why=why, dry_run=dry_run, confirm=confirm)

    def _whole_history(self) -> tuple[Entry, ...]:
        return self.store.history(None, WHOLE_HISTORY)
