"""Changes of several splits that are written together: `Control.batch`."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from graysplit.control.agreement import Agreement
from graysplit.control.inputs import typed_weight
from graysplit.control.leases import check_span
from graysplit.control.operator import Operator, Request
from graysplit.control.requests.batch import CAUSE, ChangeSplits
from graysplit.control.requests.records import PinUnit, UnpinUnit
from graysplit.control.requests.weights import SetWeights
from graysplit.control.result import Result
from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.durations import Span, seconds
from graysplit.core.weights import PREVIEW, Weight, check_name
from graysplit.errors import RefusedError

# One script compares and writes all of them, and nobody else is answered meanwhile.
BATCH_AT_MOST: Final = 500


class ChangeBatch:
    """Changes that are noted in a `with` block, and written when it ends: all of them, in one transaction, or none.

    Nothing is read or written inside the block: each change is judged at its end, as its own verb judges it, by what
    is in force with those before it. Where one is refused, none is written, and an exception in the block writes
    nothing. `result` has the change as a whole.
    """

    def __init__(self, operator: Operator, agreement: Agreement) -> None:
        """Begin with nothing noted."""
        self._operator = operator
        self._agreement = agreement
        self._requests: list[Request] = []
        self._weighed: set[str] = set()
        self._result: Result | None = None

    def set(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        weight: float | str | None = None,
        *,
        weights: Mapping[str, float | str] | None = None,
        from_: float | str | None = None,
        if_rev: int | None = None,
        allow_needless: bool = False,
        for_: Span | None = None,
    ) -> None:
        """Note what `Control.set` is to do. The weights of a split are set once in a batch: name all in `weights`."""
        for_s = None if for_ is None else seconds(for_)
        check_span(for_s)
        typed: dict[str, Weight] = {version: typed_weight(value) for version, value in (weights or {}).items()}
        bare = None if weight is None else typed_weight(weight)
        self._weigh(SetWeights(target, bare, typed, "set", from_, if_rev, self._all_may_move(allow_needless), for_s))

    def preview(self, target: str) -> None:
        """Note what `Control.preview` is to do."""
        self._weigh(SetWeights(target, PREVIEW, cause="preview", yes=self._all_may_move(allowed=False)))

    def pin(self, split: str, unit: str, version: str | None = None, *, deny: bool = False) -> None:
        """Note what `Control.pin` is to do."""
        self._note(PinUnit(split, unit, version, deny))

    def unpin(self, split: str, unit: str) -> None:
        """Note what `Control.unpin` is to do."""
        self._note(UnpinUnit(split, unit))

    @property
    def result(self) -> Result:
        """What was written, the weights of all splits in it; raises `RefusedError` before the block has ended."""
        if self._result is None:
            raise RefusedError("the batch has no result: nothing was written. It is written at the end of its block")
        return self._result

    def __len__(self) -> int:
        """Return how many changes are noted."""
        return len(self._requests)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what was noted, or nothing where the block has failed."""
        if kind is None:
            self._write()

    def _write(self) -> None:
        if self._requests:
            self._result = self._operator.change(ChangeSplits(tuple(self._requests)), self._agreement)
        else:
            nothing = "nothing was noted, and nothing written"
            self._result = Result(
                cause=CAUSE, split=EVERYTHING, moves={}, dry_run=self._agreement.dry_run, idle=True, notes=(nothing,)
            )

    def _all_may_move(self, allowed: bool) -> bool:  # noqa: FBT001 - what the caller was told
        return allowed or self._agreement.dry_run

    def _weigh(self, request: SetWeights) -> None:
        split = check_name(split_of(request.target))
        if split in self._weighed:
            raise RefusedError(
                f"the weights of '{split}' are set in this batch already. Nothing was written. Set all of them "
                f"together: batch.set({split!r}, weights={{...}})"
            )
        self._note(request)
        self._weighed.add(split)

    def _note(self, request: Request) -> None:
        if self._result is not None:
            raise RefusedError("the batch was written already. Begin another one: control.batch()")
        if len(self._requests) >= BATCH_AT_MOST:
            raise RefusedError(
                f"a batch has at most {BATCH_AT_MOST} changes: they keep the server busy while it writes them. "
                "Nothing was written. Use several batches"
            )
        self._requests.append(request)
