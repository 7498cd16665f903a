"""The verbs of weights: what of them is asked for, and who is an exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from graysplit.control.inputs import (
    check_from,
    check_target,
    is_zero,
    lowered,
    new_id,
    split_and_version,
    typed_weight,
    wanted_weights,
)
from graysplit.control.leases import check_span, end_of, span_words
from graysplit.control.operator import Confirm, Operator
from graysplit.control.plan.ended import ended_notes, ended_plans
from graysplit.control.result import Result
from graysplit.control.stops import when
from graysplit.control.targets import names_of
from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.limits import check_typed, cut
from graysplit.core.weights import PREVIEW, Weight, format_weight
from graysplit.errors import BadValueError, RefusedError, StoreUnreachableError, UnknownSplitError
from graysplit.stores.port import Rollback

if TYPE_CHECKING:
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.switch import Told
    from graysplit.core.split_state import Change, Snapshot

Moves: TypeAlias = "dict[str, tuple[str | None, str | None]]"  # by field: its text before and after


class WeightVerbs(Operator):
    """Sets weights, brings them down, and takes a change back."""

    def create(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        versions: Sequence[str] | None = None,
        *,
        add: str | None = None,
        salt: str | None = None,
        max_stale_s: int | None = None,
        in_flight: Literal["finish"] | None = None,
        by: Literal["unit", "instance"] | None = None,
        why: str = "",
        confirm: Confirm | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Define a split with all weights at zero; the first version is the baseline.

        Without versions: those that live code declares, else `old` and `new`. With `max_stale_s` everybody gets the
        baseline in a process that has not heard the store for so long. With `in_flight="finish"` choices kept in
        requests already open outlive a plain zero (a planned `switch` back), never a stop. With `by="instance"` hosts
        cross over in recorded waves, not units by their buckets; unless it is said, as live code declares it.

        With `add`, and nothing else, a split that stands gets this candidate, at zero and in a place of its own: nobody
        moves. `delete` with an address takes one out again.
        """
        check_typed("salt", salt or "")
        if add is not None:
            if any(given is not None for given in (versions, salt, max_stale_s, in_flight, by)):
                raise BadValueError(f"--add takes no other versions: use graysplit create {split} --add {add}")
            return self._simple(split, partial(_added, split, add), why=why, confirm=confirm, dry_run=dry_run)

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.create import declared_by
            from graysplit.core.changes import create

            self._check_readable(reading, split)
            who = by or declared_by(self.store.fleet(), split)
            declared = versions if versions is not None else self._declared(reading.snapshot, split, by=who)
            chosen = ("old", "new") if declared is None else declared
            change = create(reading.snapshot, split, chosen, salt, max_stale_s, in_flight=in_flight, by=who)
            return self._propose(reading, change, id_)._replace(created=tuple(chosen))

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def set(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        weight: float | str | None = None,
        *,
        weights: Mapping[str, float | str] | None = None,
        why: str = "",
        from_: float | str | None = None,
        if_rev: int | None = None,
        yes: bool = False,
        for_s: float | None = None,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Set the weight of a candidate (`checkout`, `ranking/b`), or with `weights` of several at once.

        Creates a split that live code declares but the store does not know. With `unstop` it clears the stop that
        holds it; without, a raise over a stop is refused, or shown to the function that confirms.
        `from_` is the weight in force that you saw; `if_rev` the revision since which this split must be unchanged;
        `yes` accepts that more units move than the difference; `for_s` makes a raise a lease of so many seconds,
        after which every process, cut off or not, goes back to the weight before.

        The weight that stands already is no change: a plan that runs goes on. Another ends it; one that is paused, or
        that somebody else has started, only with `replace`, or to zero. With `replace` the same weight ends it too.
        """
        check_span(for_s)
        typed: dict[str, Weight] = {version: typed_weight(value) for version, value in (weights or {}).items()}
        bare = None if weight is None else typed_weight(weight)
        return self._set(
            target,
            bare,
            typed,
            cause="set",
            why=why,
            from_=from_,
            if_rev=if_rev,
            yes=yes,
            for_s=for_s,
            dry_run=dry_run,
            confirm=confirm,
            unstop=unstop,
            replace=replace,
        )

    def switch(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        to: str,
        over_s: float | None = None,
        why: str = "",
        told: Told | None = None,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
        dry_run: bool = False,
    ) -> Result:
        """Send everybody to one version, blue-green: in one write, or with `over_s` in ten steps over so many seconds.

        The steps are a plan: this returns once the first is written, and live processes take the others, each once all
        are ready; `pause`, `show` and whatever ends a plan hold for it. Only where weights must fall on the way, to the
        baseline or of other candidates, they are made from here, and this returns after the last.

        To a candidate it is a raise, refused unless every live process that declares the split has the version
        and what prepares it (`warm`) has succeeded. A stop that it clears needs `unstop`. To the baseline all
        weights become a plain zero: no stop, and no new release. A change by somebody else between two steps
        ends it: `OvertakenError`. `told` hears who is ready (`Standby`) and of each step (`Step`).
        """
        from graysplit.control.switch import Plan, SwitchAccess, SwitchRequest, switch

        def ensured(reading: Reading) -> tuple[Snapshot, Change | None]:
            self._check_readable(reading, split)
            return self._ensured(reading, split, [to])

        def change(plan: Plan, said: str) -> Result:
            return self._change(plan, why=said, dry_run=dry_run, confirm=confirm, unstop=unstop, replace=replace)

        unchanged = partial(self._check_unchanged, split)
        hands = SwitchAccess(ensured, self._propose, change, unchanged, self.store.fleet, self.actor)
        return switch(hands, SwitchRequest(split, to, over_s, why, told), dry_run=dry_run)

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
        return self._set(
            target,
            PREVIEW,
            {},
            cause="preview",
            why=why,
            dry_run=dry_run,
            confirm=confirm,
            unstop=unstop,
            replace=replace,
        )

    def rollback(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Set weight zero and a stop, for a split, one candidate, or `*`: everything unfinished.

        Reads nothing before it writes, compares nothing, is never refused for what the store holds, and succeeds twice:
        a stop that stands already keeps who set it, when and why. A reason that is too long is cut.
        Nothing was rolled back where the result is not `known`: nobody knows the target. A dry run reads what it would
        write.
        """
        check_target(target)
        if dry_run:
            return self._lowering(target)
        rollback = Rollback(new_id(), target, cut("actor", self.actor), cut("reason", why))
        with self._submitting(rollback.id):
            written = self.store.roll_back(rollback)
        moves: Moves = {}
        stops: Moves = {}
        ended = ended_plans(written.before, written.after)
        for at in sorted(written.before.keys() | written.after.keys()):
            key, _, field = at.partition(" ")
            if key == "weights" and "/" in field:
                moves[field] = (written.before.get(at), written.after.get(at))
            if key == "stops":
                stops[field] = (written.before.get(at), written.after.get(at))
        if target == EVERYTHING and EVERYTHING not in stops:
            self._roll_back_untold(why, moves, stops)
        return Result(
            cause="rollback",
            split=target,
            moves=moves,
            revision=written.revision,
            change=written.id,
            at_ms=written.at_ms,
            unrecorded=written.unrecorded,
            stops=stops,
            left=written.left,
            kept=written.kept,
            parts=written.parts,
            expected=lowered(moves, whole=not written.revision),
            notes=ended_notes(ended),
            ended=ended,
            known=self._knows(target, written.before),
            idle=all(written.before.get(at) == after for at, after in written.after.items()),
        )

    def _roll_back_untold(self, why: str, moves: Moves, stops: Moves) -> None:
        """Roll back what live processes run and the store says nothing of: it lists what stands in the store alone."""
        from graysplit.control.recovery.loss import untold

        for split, weights in untold(self.store, moves.keys()).items():
            rollback = Rollback(new_id(), split, cut("actor", self.actor), cut("reason", why))
            with self._submitting(rollback.id):
                written = self.store.roll_back(rollback)
            moves |= {field: (weight, "0") for field, weight in weights.items()}
            stops[split] = (written.before.get(f"stops {split}"), written.after.get(f"stops {split}"))

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
        idle: list[bool] = []

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.undo import before_unread, undo
            from graysplit.core.changes import known

            last = next(iter(self.store.history(split, 1)), None)
            if last is None:
                known(reading.snapshot, split)
                raise RefusedError(f"the history of '{split}' is empty. See the split with: graysplit show {split}")
            unread, reading = split in reading.unread, before_unread(reading, split, last)
            change, writes = undo(reading, split, last, id_, force=force)
            idle[:] = [
                all(reading.text(write.key, write.field) == write.value for write in writes) and not change.marks
            ]
            proposal = self._propose(reading, change, id_, target=split)
            if unread and any(write.key == "splits" for write in writes):
                note = (
                    f"the definition, which this graysplit cannot read, is set back to before revision {last.revision}"
                )
                proposal = proposal._replace(notes=(*proposal.notes, note))
            if idle[0]:
                note = f"nothing to revert: the last change of '{split}' ({last.cause}) changed nothing"
                proposal = proposal._replace(notes=(*proposal.notes, note))
            return proposal._replace(writes=(*writes, *(write for write in proposal.writes if write.key == "meta")))

        result = self._change(plan, why=why, dry_run=dry_run, confirm=confirm, unstop=unstop, replace=replace)
        return result._replace(idle=idle[0])

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
        given: list[str] = []

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.core import changes

            self._check_readable(reading, split)
            standing = changes.known(reading.snapshot, split)
            definition = standing.definition
            named = changes.only_candidate(split, definition) if version is None and not deny else version
            wanted = None if deny else named
            given[:] = [definition.baseline if wanted is None else wanted]
            proposal = self._propose(reading, changes.pin(reading.snapshot, split, unit, wanted), id_)
            proposal = proposal._replace(notes=(*proposal.notes, *self._host_notes(definition.by, unit)))
            if wanted in {None, definition.baseline} or standing.in_force(str(wanted)) != 0:
                return proposal
            note = f"'{wanted}' is at zero: until it rises, the unit gets '{definition.baseline}'"
            return proposal._replace(notes=(*proposal.notes, note))

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)._replace(pinned=given[0])

    def _host_notes(self, by: Literal["unit", "instance"], unit: str) -> list[str]:
        """Return under which name a host is pinned, and that nobody knows it."""
        from graysplit.core.host_name import unit_name
        from graysplit.core.waves import unknown_host

        name = unit_name(by, unit)
        renamed = f"the host '{unit}' is known as '{name}', and is pinned under that name" if name != unit else ""
        unknown = unknown_host(self.store.fleet(), name) if by == "instance" else ""
        return [*filter(None, (renamed, unknown))]

    def unpin(
        self, split: str, unit: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False
    ) -> Result:
        """Take away what `pin` said of a unit."""

        def verb(snapshot: Snapshot) -> Change:
            from graysplit.core.changes import unpin

            return unpin(snapshot, split, unit)

        return self._simple(split, verb, why=why, dry_run=dry_run, confirm=confirm)

    def unstop(self, target: str, *, why: str = "", confirm: Confirm | None = None, dry_run: bool = False) -> Result:
        """Clear a stop; a raise, and a new release, wherever a weight above zero stands under it.

        A function that confirms is shown the stop, whatever stands under it.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.core.changes import unstop

            change = unstop(reading.snapshot, target, id_)
            return self._propose(reading, change, id_, target=target)

        asked = callable(self._confirm if confirm is None else confirm)
        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm, unstop=not asked)

    def _set(  # noqa: PLR0913 - what `set` and `preview` share
        self,
        target: str,
        bare: Weight | None,
        typed: Mapping[str, Weight],
        *,
        cause: str,
        why: str,
        from_: float | str | None = None,
        if_rev: int | None = None,
        yes: bool = False,
        for_s: float | None = None,
        dry_run: bool,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
    ) -> Result:
        split, version = split_and_version(target)

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.create import made
            from graysplit.core import changes

            self._check_readable(reading, split)
            self._check_unchanged(split, if_rev)
            base, created = self._ensured(reading, split, [version, *typed])
            definition = base.splits[split].definition
            wanted = wanted_weights(version, bare, typed, lambda: changes.only_candidate(split, definition))
            check_from(base, split, wanted, from_)
            change = changes.set_weights(
                base,
                split,
                wanted,
                release=id_,
                mistyped=reading.mistyped(split, definition),
                cause=cause,
                yes=yes or dry_run,
                until_ms=end_of(reading, for_s),
                leases=reading.held.leases,
            )
            if created is not None:
                change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
            return _leased(self._propose(reading, change, id_)._replace(created=made(created)), reading)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm, unstop=unstop, replace=replace)

    def _lowering(self, target: str) -> Result:
        """Say what a rollback would write, and what it would leave alone."""
        from graysplit.core.replica.adoption import text
        from graysplit.stores import write_rules

        load = self.store.load()
        finished = write_rules.finished_of(load.meta, load.weights, load.stops, load.booked.fields)
        found = write_rules.lowering(target, load.weights, finished)
        stood = {text(name): text(raw) for name, raw in load.weights.fields.items()}
        moves: dict[str, tuple[str | None, str | None]] = {field: (stood.get(field), "0") for field in found.fields}
        known = names_of(load, self.store.fleet(), {}).know(target)
        notes = tuple(
            f"{field} would stay at {weight}; to roll it back too: graysplit rollback {split_of(field)}"
            for field, weight in found.kept.items()
        )
        over = write_rules.plans_over(
            load.meta, (split for stop in found.stops for split in write_rules.ended_by(load.meta, stop))
        )
        ended = ended_plans(over, dict.fromkeys(over))
        notes = (*ended_notes(ended, "would end"), *notes)
        return Result("rollback", target, moves, dry_run=True, left=found.left, notes=notes, ended=ended, known=known)

    def _knows(self, target: str, before: Mapping[str, str | None]) -> bool | None:
        """Say after a rollback whether anybody knows its target; a weight above zero that it lowered is enough."""
        if any(where.startswith("weights ") and not is_zero(weight) for where, weight in before.items()):
            return True
        try:
            return names_of(self.store.load(), self.store.fleet(), before).know(target)
        except StoreUnreachableError:
            return None

    def _declared(self, snapshot: Snapshot, split: str, *, by: Literal["unit", "instance"]) -> tuple[str, ...] | None:
        from graysplit.control.create import create_declared
        from graysplit.core.definition import Definition

        try:
            definition = create_declared(snapshot, self.store.fleet(), split, by=by).definition
        except UnknownSplitError:
            return None
        return definition.names if isinstance(definition, Definition) else None


def _added(split: str, version: str, snapshot: Snapshot) -> Change:
    from graysplit.core.changes import add_version

    return add_version(snapshot, split, version)


def _leased(proposal: Proposal, reading: Reading) -> Proposal:
    """Return a proposal that says of each lease when it ends, where it is asked for and where it is written."""
    leases = proposal.change.leases
    ends = {field: f"{span_words(lease.until_ms - reading.begun_ms)}" for field, lease in leases.items()}
    notes = tuple(
        f"{field} is at {format_weight(lease.at)}% for {ends[field]}, until {when(lease.until_ms)}, "
        f"then at {format_weight(lease.then)}%"
        for field, lease in leases.items()
    )
    ask = proposal.ask and ": ".join([proposal.ask, *notes[:1]])
    return proposal._replace(ask=ask, notes=(*proposal.notes, *notes))
