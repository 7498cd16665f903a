"""The verbs of weights: what of them is asked for, and who is an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from graysplit.control.agreement import Agreement, Confirm
from graysplit.control.inputs import check_target, typed_weight, whole_seconds
from graysplit.control.operator import ControlVerbs
from graysplit.core.durations import Span, seconds
from graysplit.core.limits import check_typed
from graysplit.core.weights import PREVIEW, Weight
from graysplit.deprecation import renamed
from graysplit.errors import BadValueError

if TYPE_CHECKING:
    from graysplit.control.batch import ChangeBatch
    from graysplit.control.result import Result
    from graysplit.control.switch import Told


class WeightVerbs(ControlVerbs):
    """Sets weights, brings them down, and takes a change back."""

    @renamed(max_stale_s="max_stale")
    def create(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        versions: Sequence[str] | None = None,
        *,
        add: str | None = None,
        salt: str | None = None,
        max_stale: Span | None = None,
        in_flight: Literal["finish"] | None = None,
        by: Literal["unit", "instance"] | None = None,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Define a split with all weights at zero; the first version is the baseline.

        Without versions: those that live code declares, else `old` and `new`. With `max_stale` everybody gets the
        baseline in a process that has not heard the store for so long. With `in_flight="finish"` choices kept in
        requests already open outlive a plain zero (a planned `switch` back), never a stop. With `by="instance"` hosts
        cross over in recorded waves, not units by their buckets; unless it is said, as live code declares it.

        With `add`, and nothing else, a split that stands gets this candidate, at zero and in a place of its own: nobody
        moves. `delete` with an address takes one out again.
        """
        check_typed("salt", salt or "")
        agreement = Agreement(why, confirm, dry_run=dry_run)
        from graysplit.control.requests.records import AddVersion, CreateSplit

        if add is None:
            request = CreateSplit(split, versions, salt, whole_seconds("max_stale", max_stale), in_flight, by)
            return self._operator.change(request, agreement)
        if any(given is not None for given in (versions, salt, max_stale, in_flight, by)):
            raise BadValueError(f"--add takes no other versions: use graysplit create {split} --add {add}")
        return self._operator.change(AddVersion(split, add), agreement)

    @renamed(for_s="for_", yes="allow_needless")
    def set(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        weight: float | str | None = None,
        *,
        weights: Mapping[str, float | str] | None = None,
        why: str = "",
        from_: float | str | None = None,
        if_rev: int | None = None,
        allow_needless: bool = False,
        for_: Span | None = None,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Set the weight of a candidate (`checkout`, `ranking/b`), or with `weights` of several at once.

        Creates a split that live code declares but the store does not know. With `unstop` it clears the stop that
        holds it; without, a raise over a stop is refused, or shown to the function that confirms.
        `from_` is the weight in force that you saw; `if_rev` the revision since which this split must be unchanged;
        `allow_needless` accepts that more units move than the difference; `for_` makes a raise a lease of that
        length, after which every process, cut off or not, goes back to the weight before.

        Writing the weight that is in force changes nothing: a plan that runs goes on. Another weight ends it; a plan
        that is paused, or that somebody else has started, only with `replace`, or to zero. With `replace` the same
        weight ends it too.
        """
        from graysplit.control.leases import check_span

        for_s = None if for_ is None else seconds(for_)
        check_span(for_s)
        typed: dict[str, Weight] = {version: typed_weight(value) for version, value in (weights or {}).items()}
        bare = None if weight is None else typed_weight(weight)
        from graysplit.control.requests.weights import SetWeights

        request = SetWeights(target, bare, typed, "set", from_, if_rev, allow_needless or dry_run, for_s)
        return self._operator.change(request, Agreement(why, confirm, unstop, replace, dry_run))

    def batch(
        self,
        *,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> ChangeBatch:
        """Return a `with` block that notes changes of several splits, and writes all of them at its end, or none.

        One reading, one transaction, one entry in the history and one `result`. Its `set`, `preview`, `pin` and
        `unpin` take what those of `Control` take; the rest is said here, once for all of them. Each is judged as by
        itself: conflicts, stops, freezes, protection, plans. What a person would type the name for wants
        `confirm="*"`.

        It does not create, delete, switch, ramp or roll back; it sets the weights of a split once, has at most 500
        changes, and does not return what one of them alone has done. `undo` takes it back one split at a time.
        """
        from graysplit.control.batch import ChangeBatch

        return ChangeBatch(self._operator, Agreement(why, confirm, unstop, replace, dry_run))

    @renamed(over_s="over")
    def switch(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        to: str,
        over: Span | None = None,
        why: str = "",
        told: Told | None = None,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Send everybody to one version, blue-green: in one write, or with `over` in ten steps over a length of time.

        The steps are a plan: this returns once the first is written, and live processes take the others, each once all
        are ready; `pause`, `show` and whatever ends a plan hold for it. Only where weights must fall on the way, to the
        baseline or of other candidates, they are made from here, and this returns after the last.

        To a candidate it is a raise, refused unless every live process that declares the split has the version
        and what prepares it (`warm`) has succeeded. A stop that it clears needs `unstop`. To the baseline all
        weights become a plain zero: no stop, and no new release. A change by somebody else between two steps
        ends it: `OvertakenError`. `told` hears who is ready (`Standby`) and of each step (`SwitchStep`).
        """
        from graysplit.control.switch import SwitchRequest, switch

        agreement = Agreement(why, confirm, unstop, replace, dry_run)
        over_s = None if over is None else seconds(over)
        return switch(self._operator, SwitchRequest(split, to, over_s, told), agreement)

    def preview(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        *,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Set a candidate's weight to `preview`: pinned units only. A stop that it clears needs `unstop`."""
        from graysplit.control.requests.weights import SetWeights

        request = SetWeights(target, PREVIEW, cause="preview", yes=dry_run)
        return self._operator.change(request, Agreement(why, confirm, unstop, replace, dry_run))

    def rollback(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Set weight zero and a stop, for a split, one candidate, or `*`: everything unfinished.

        Reads nothing before it writes, compares nothing, is never refused for what the store holds, and succeeds twice:
        a stop that stands already keeps who set it, when and why. A reason that is too long is cut.
        Nothing was rolled back where the result is not `known`: nobody knows the target. A dry run reads what it would
        write.
        """
        check_target(target)
        from graysplit.control.rollback import foretell_rollback, roll_back

        return foretell_rollback(self._operator, target) if dry_run else roll_back(self._operator, target, why)

    def undo(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        force: bool = False,
        why: str = "",
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Make the inverse of the last change of a split, its definition byte for byte.

        What a change to zero brought down rises only with `force`, as a new release; a stop that it clears needs
        `unstop`.
        """
        from graysplit.control.requests.weights import UndoLast

        return self._operator.change(UndoLast(split, force), Agreement(why, confirm, unstop, replace, dry_run))

    def pin(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        unit: str,
        version: str | None = None,
        *,
        deny: bool = False,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Pin a unit to a version (the only candidate unless named), or deny it every candidate.

        The result says which version that is, and notes where the unit does not get it yet.
        """
        check_typed("unit", unit)
        from graysplit.control.requests.records import PinUnit

        return self._operator.change(PinUnit(split, unit, version, deny), Agreement(why, confirm, dry_run=dry_run))

    def unpin(
        self, split: str, unit: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False
    ) -> Result:
        """Take away what `pin` said of a unit."""
        from graysplit.control.requests.records import UnpinUnit

        return self._operator.change(UnpinUnit(split, unit), Agreement(why, confirm, dry_run=dry_run))

    def unstop(self, target: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Clear a stop; a raise, and a new release, wherever a weight above zero stands under it.

        A function that confirms is shown the stop, whatever stands under it.
        """
        from graysplit.control.requests.weights import ClearStop

        is_asked = callable(self._operator.confirm if confirm is None else confirm)
        return self._operator.change(ClearStop(target), Agreement(why, confirm, not is_asked, dry_run=dry_run))
