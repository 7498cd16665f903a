"""The verbs that keep weights from rising, and the one for a store that has lost data."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from graysplit.control.agreement import Agreement, Confirm
from graysplit.control.operator import ControlVerbs
from graysplit.core.durations import Span, seconds
from graysplit.deprecation import renamed
from graysplit.errors import ConflictError

if TYPE_CHECKING:
    import os

    from graysplit.control.ask import RememberedAnswers
    from graysplit.control.recovery.recovery import Recovery, Take
    from graysplit.control.result import Result

# Somebody else's freeze in between must not leave a split unfrozen.
FREEZE_TRIES: Final = 5


class ProtectionVerbs(ControlVerbs):
    """Freezes, protects and recovers."""

    _answers: RememberedAnswers | None = None

    @renamed(for_s="for_")
    def freeze(self, pattern: str, *, why: str = "", for_: Span | None = None, dry_run: bool = False) -> Result:
        """Have no split rise whose name matches, `checkout`, `checkout*` or `*`, those made later too.

        Lowering stays free. It lasts for a length of the server's time (`for_`), or until `unfreeze`; freezing a
        pattern again replaces reason and end. An edit past graysplit cannot be kept from raising: the history says so.
        """
        from graysplit.control.leases import check_span
        from graysplit.control.requests.freezes import FreezePattern

        for_s = None if for_ is None else seconds(for_)
        check_span(for_s)
        request, agreement = FreezePattern(pattern, why, for_s), Agreement(why, dry_run=dry_run)
        for _ in range(FREEZE_TRIES):
            with suppress(ConflictError):
                return self._operator.change(request, agreement)
        return self._operator.change(request, agreement)

    def unfreeze(self, pattern: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """End the freeze of a pattern; others that hold the same splits stand."""
        from graysplit.control.requests.freezes import UnfreezePattern

        return self._operator.change(UnfreezePattern(pattern), Agreement(why, confirm, dry_run=dry_run))

    def protect(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Have every raise of a split ask for a reason and for the typed name."""
        from graysplit.control.requests.records import ProtectSplit

        return self._operator.change(ProtectSplit(split, on=True), Agreement(why, dry_run=dry_run))

    def unprotect(self, split: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Have raises of a split ask no more than others."""
        from graysplit.control.requests.records import ProtectSplit

        return self._operator.change(ProtectSplit(split, on=False), Agreement(why, confirm, dry_run=dry_run))

    def recover(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        splits: Collection[str] = (),
        *,
        source: str | os.PathLike[str] = "fleet",
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
        from graysplit.control.ask import RememberedAnswers
        from graysplit.control.requests.recovery import RepairRequest, repair

        self._answers = self._answers or RememberedAnswers(self._operator.store)
        request = RepairRequest(frozenset(splits), source, take, seen)
        return repair(self._operator, request, Agreement(why, confirm, dry_run=dry_run), self._answers)
