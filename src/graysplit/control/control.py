"""The verbs: read, decide with the core, submit, and say what was written."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, Self

from graysplit.control.actor import default_actor
from graysplit.control.receipts import wait_for
from graysplit.control.result import Confirmed, Receipts, Result
from graysplit.control.wishes import (
    NEVER,
    check_from,
    check_reason,
    check_target,
    lowered,
    new_id,
    planned_version,
    typed_weight,
    wanted_weights,
)
from graysplit.core import changes
from graysplit.core.adoption import text
from graysplit.core.record import SENTINEL, Entry
from graysplit.core.snapshot import SAME, Change, Snapshot, apply
from graysplit.core.weights import PREVIEW, Weight, check_name, format_weight
from graysplit.errors import (
    BadDefinitionError,
    ConflictError,
    RefusedError,
    StoreCorruptError,
    UnknownSplitError,
    nearest,
)
from graysplit.stores.port import Rollback, Store
from graysplit.stores.rules import OUTSIDE
from graysplit.stores.wire import exact

if TYPE_CHECKING:
    from pathlib import Path

    from graysplit.control.doctor import Finding
    from graysplit.control.explaining import Explained
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.recovering import Recovery, Take
    from graysplit.control.rolling import Crossing
    from graysplit.control.simulating import Simulation
    from graysplit.control.switching import Standby, Told
    from graysplit.control.views import Overview, SplitView
    from graysplit.control.waiting import Waited
    from graysplit.core.fleet import Fleet
    from graysplit.core.plan import Step
    from graysplit.core.progress import Progress

# How long a change may take to its replicas before they are counted as without it.
COPIED_WITHIN_S = 0.3

# Somebody else's freeze in between is no reason to leave a split unfrozen.
FREEZE_TRIES = 5

# How many of the newest changes are looked through for what was frozen when somebody edited past graysplit.
FREEZES_WITHIN = 5_000

# A driver that notes a plan's progress in between is no reason to fail.
NOTE_TRIES = 5

# What is said where nothing is left to be done.
SAID = {"approve": "approved already", "pause": "paused already", "resume": "it is not paused"}

# More than a store keeps.
WHOLE_HISTORY = 1_000_000


class Question(Protocol):
    """What a person should agree to before it is written."""

    @property
    def target(self) -> str:
        """What they type."""
        ...

    @property
    def ask(self) -> str | None:
        """What they type it for."""
        ...


Agree = Callable[[Question], None]


class Control:
    """An operator's hand on one namespace of a store.

    Every change compares what it was made from: `ConflictError` says that somebody was faster and nothing was
    written. `rollback` alone compares and reads nothing. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        store: str | Store,
        *,
        namespace: str = "default",
        actor: str | None = None,
        agree: Agree | None = None,
    ) -> None:
        """Take a store or its URL; `agree` is asked before what a person should confirm, and raises to refuse."""
        self.namespace = namespace
        self.actor = actor or default_actor()
        self.attempted: str | None = None  # the id of the last change handed to the store, for whoever is interrupted
        self._agree = agree
        self._given = store
        self._store: Store | None = store if not isinstance(store, str) else None

    @property
    def store(self) -> Store:
        """The store, opened when first needed."""
        if self._store is None:
            from graysplit.stores import store_from_url

            self._store = store_from_url(str(self._given), namespace=self.namespace)
        return self._store

    def close(self) -> None:
        """Let go of the store's connections, if they were opened here."""
        if isinstance(self._given, str) and self._store is not None:
            self._store.close()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # -- changes -------------------------------------------------------------------------------------------------

    def create(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        versions: Sequence[str] | None = None,
        *,
        salt: str | None = None,
        max_stale_s: int | None = None,
        in_flight: Literal["finish"] | None = None,
        by: Literal["unit", "instance"] | None = None,
        why: str = "",
        dry_run: bool = False,
    ) -> Result:
        """Define a split with all weights at zero; the first version is the baseline.

        Without versions: those that live code declares, else `old` and `new`. With `max_stale_s` everybody gets the
        baseline in a process that has not heard the store for so long. With `in_flight="finish"` choices kept in
        requests already open outlive a plain zero (a planned `switch` back), never a stop. With `by="instance"` hosts
        cross over in recorded waves, not units by their buckets; unless it is said, as live code declares it.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.creating import declared_by

            self._check_readable(reading, split)
            who = by or declared_by(self.store.fleet(), split)
            chosen = versions or self._declared(reading.snapshot, split, by=who) or ("old", "new")
            change = changes.create(reading.snapshot, split, chosen, salt, max_stale_s, in_flight=in_flight, by=who)
            return self._propose(reading, change, id_)._replace(created=tuple(chosen))

        return self._change(plan, why=why, dry_run=dry_run)

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
        dry_run: bool = False,
    ) -> Result:
        """Set the weight of a candidate (`checkout`, `ranking/b`), or with `weights` of several at once.

        Clears the stop that holds it, and creates a split that live code declares but the store does not know.
        `from_` is the weight in force that you saw; `if_rev` the revision since which this split must be unchanged;
        `yes` accepts that more units move than the difference; `for_s` makes a raise a lease of so many seconds,
        after which every process, cut off or not, goes back to the weight before.
        """
        typed: dict[str, Weight] = {version: typed_weight(value) for version, value in (weights or {}).items()}
        bare = None if weight is None else typed_weight(weight)
        return self._set(
            target, bare, typed, cause="set", why=why, from_=from_, if_rev=if_rev, yes=yes, for_s=for_s, dry_run=dry_run
        )

    def switch(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        *,
        to: str,
        over_s: float | None = None,
        why: str = "",
        told: Told | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Send everybody to one version, blue-green: in one write, or with `over_s` in ten steps over so many seconds.

        To a candidate it is a raise, refused unless every live process that declares the split has the version and
        what prepares it (`warm`) has succeeded. To the baseline all weights become a plain zero: no stop, and no new
        release. A change by somebody else between two steps ends it: `OvertakenError`. `told` hears who is ready
        (`Standby`) and of each step (`Step`).
        """
        from graysplit.control.switching import Hands, Plan, Wish, switch

        def ensured(reading: Reading) -> tuple[Snapshot, Change | None]:
            self._check_readable(reading, split)
            return self._ensured(reading, split)

        def change(plan: Plan, said: str) -> Result:
            return self._change(plan, why=said, dry_run=dry_run)

        unchanged = partial(self._check_unchanged, split)
        hands = Hands(ensured, self._propose, change, unchanged, self.store.fleet)
        return switch(hands, Wish(split, to, over_s, why, told), dry_run=dry_run)

    def preview(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Set a candidate's weight to `preview`: pinned units only."""
        return self._set(target, PREVIEW, {}, cause="preview", why=why, dry_run=dry_run)

    def rollback(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Set weight zero and a stop, for a split, one candidate, or `*`: everything unfinished.

        Reads nothing, compares nothing, is never refused for what the store holds, and succeeds twice.
        """
        check_target(target)
        if dry_run:
            return Result("rollback", target, {}, dry_run=True)
        rollback = Rollback(new_id(), target, self.actor, why)
        with self._submitting(rollback.id):
            written = self.store.roll_back(rollback)
        moves: dict[str, tuple[str | None, str | None]] = {}
        for at in sorted(written.before.keys() | written.after.keys()):
            key, _, field = at.partition(" ")
            if key == "weights" and "/" in field:
                moves[field] = (written.before.get(at), written.after.get(at))
        return Result(
            cause="rollback",
            split=target,
            moves=moves,
            revision=written.revision,
            change=written.id,
            at_ms=written.at_ms,
            unrecorded=written.unrecorded,
            left=written.left,
            expected=lowered(moves, whole=not written.revision),
        )

    def ramp(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        steps: Sequence[Step] | None = None,
        *,
        record: Mapping[str, object] | None = None,
        template: str | None = None,
        bake_s: float | None = None,
        save: str | None = None,
        yes: bool = False,
        why: str = "",
        dry_run: bool = False,
    ) -> Result:
        """Start a plan: the first of its steps now, each later one when its gates are open.

        The plan is `steps`, a file's `record`, a saved `template`, else the split's last plan, else 20 %, approve,
        50 %, approve, 100 %, bake for an hour. It begins at the first step that lowers nothing. `save` keeps it as a
        template. Live processes whose role may write weights drive it; any other weight in force ends it.
        """
        split, _, version = target.partition("/")

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control import planning

            self._check_readable(reading, split)
            base, created = self._ensured(reading, split)
            reading = reading._replace(snapshot=base)
            definition = base.splits[split].definition
            name = version or planned_version(definition.plan, record) or changes.only_candidate(split, definition)
            chosen = planning.chosen_plan(
                reading, split, name, steps=steps, record=record, template=template, bake_s=bake_s
            )
            start = planning.begin(
                reading,
                split,
                chosen,
                id_,
                mistyped=reading.mistyped(split, definition),
                driver=next((process.boot for process in self.store.fleet().live), ""),
                save=save,
                yes=yes or dry_run,
            )
            change = start.change
            if created is not None:
                change = change._replace(weights={**created.weights, **change.weights})
            return (
                self._propose(reading, change, id_)
                ._replace(created=definition.names if created else ())
                .beginning(start)
            )

        return self._change(plan, why=why, dry_run=dry_run)

    def approve(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Say yes to a plan's next step, once: bound to this release and this step; twice is the same as once."""
        return self._note(split, "approve", why, dry_run=dry_run)

    def pause(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Stop a plan's clock; its weight stays. Lowering is free, and no step is taken."""
        return self._note(split, "pause", why, dry_run=dry_run)

    def resume(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Let a plan's clock run on from where it stopped: the rest shifts, and nothing is skipped."""
        return self._note(split, "resume", why, dry_run=dry_run)

    def undo(self, split: str, *, force: bool = False, why: str = "", dry_run: bool = False) -> Result:
        """Make the inverse of the last change of a split, its definition byte for byte.

        What a change to zero brought down rises only with `force`, as a new release.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.undoing import undo

            last = next(iter(self.store.history(split, 1)), None)
            if last is None:
                changes.known(reading.snapshot, split)
                raise RefusedError(f"the history of '{split}' is empty. See what stands with: graysplit show {split}")
            change, writes = undo(reading, split, last, id_, force=force)
            proposal = self._propose(reading, change, id_, target=split)
            return proposal._replace(writes=(*writes, *(write for write in proposal.writes if write.key == "meta")))

        return self._change(plan, why=why, dry_run=dry_run)

    def pin(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        split: str,
        unit: str,
        version: str | None = None,
        *,
        deny: bool = False,
        why: str = "",
        dry_run: bool = False,
    ) -> Result:
        """Pin a unit to a version (the only candidate unless named), or deny it every candidate."""

        def verb(snapshot: Snapshot) -> Change:
            if deny:
                return changes.pin(snapshot, split, unit, None)
            definition = changes.known(snapshot, split).definition
            return changes.pin(snapshot, split, unit, version or changes.only_candidate(split, definition))

        return self._simple(split, verb, why=why, dry_run=dry_run)

    def unpin(self, split: str, unit: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Take away what `pin` said of a unit."""
        return self._simple(split, lambda snapshot: changes.unpin(snapshot, split, unit), why=why, dry_run=dry_run)

    def delete(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Take a split's record away and free its name.

        Refused while a weight is above zero, unless its release is finished and no code declares it any more.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            if split not in reading.unread:
                changes.known(reading.snapshot, split)
            weights: dict[str, Weight] = {
                field: reading.held.weights.get(field, 0) for field in reading.fields("weights", split)
            }
            from graysplit.control import freezing

            finished = freezing.finished_ms(reading, split) is not None
            change = changes.delete(split, weights, reading.fields("stops", split), finished=finished)
            freezing.check_undeclared(split, weights, freezing.declaring(self.store.fleet(), split))
            return self._propose(reading, change, id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def unstop(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Clear a stop; a raise, and a new release, wherever a weight above zero stands under it."""

        def plan(reading: Reading, id_: str) -> Proposal:
            change = changes.unstop(reading.snapshot, target, id_)
            return self._propose(reading, change, id_, target=target)

        return self._change(plan, why=why, dry_run=dry_run)

    def freeze(self, pattern: str, *, why: str = "", for_s: float | None = None, dry_run: bool = False) -> Result:
        """Have no split rise whose name matches, `checkout`, `checkout*` or `*`, those made later too.

        Lowering stays free. It stands for `for_s` seconds of the server's time, or until `unfreeze`; freezing a pattern
        again replaces reason and end. An edit past graysplit cannot be kept from raising: the history says so.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freezing import freeze
            from graysplit.core.freeze import Freeze

            now_ms = reading.load.now_ms
            until_ms = 0 if for_s is None else now_ms + max(1, int(for_s * 1000))
            change, notes = freeze(reading, Freeze(pattern, why, self.actor, now_ms, until_ms))
            return self._propose(reading, change, id_)._replace(notes=notes)

        for _ in range(FREEZE_TRIES):
            with suppress(ConflictError):
                return self._change(plan, why=why, dry_run=dry_run)
        return self._change(plan, why=why, dry_run=dry_run)

    def unfreeze(self, pattern: str, *, why: str = "", dry_run: bool = False) -> Result:
        """End the freeze of a pattern; others that hold the same splits stand."""

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freezing import unfreeze

            return self._propose(reading, unfreeze(reading, pattern), id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def protect(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Have every raise of a split ask for a reason and for the typed name."""
        return self._simple(split, lambda snapshot: changes.protect(snapshot, split, on=True), why=why, dry_run=dry_run)

    def unprotect(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Have raises of a split ask no more than others."""
        return self._simple(
            split, lambda snapshot: changes.protect(snapshot, split, on=False), why=why, dry_run=dry_run
        )

    def finish(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Say that a release is over: its weights stay, and `rollback("*")` leaves it alone.

        The next change of its weights is a release again.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.freezing import finish

            self._check_readable(reading, split)
            return self._propose(reading, finish(reading, split, id_), id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def rebalance(self, split: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Take dead instances from the waves of a split, and fill them up to what the weights ask for.

        Nothing else does, where instances cross over: who comes, goes or crashes moves nobody. Refused where nothing
        would change.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            from graysplit.control.rolling import rebalance

            self._check_readable(reading, split)
            change, notes = rebalance(reading, split, self.store.fleet())
            return self._propose(reading, change, id_)._replace(notes=notes)

        return self._change(plan, why=why, dry_run=dry_run)

    def crossings(self) -> tuple[Crossing, ...]:
        """Give how far instances have crossed, of every split and candidate for which they do."""
        from graysplit.control.rolling import all_crossings

        return all_crossings(self._read().snapshot, self.store.fleet())

    def recover(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        splits: Collection[str] = (),
        *,
        source: str | Path = "fleet",
        take: Take = "lower",
        why: str = "",
        seen: Recovery | None = None,
        dry_run: bool = False,
    ) -> Recovery:
        """After a store lost data: write the lower of what it says and what a source knows, and end all doubt.

        The source is `fleet`, what live processes hold, or a file: a last-known-good file, an export, a bootstrap
        file. Lost keys are made whole, and from a file an empty namespace is sown anew. `take="source"` writes the
        source's weights even where they are higher. Refused unless it is still what was `seen`.
        """

        def plan(id_: str) -> Recovery:
            reading = self._read()  # first: where nobody answers, nothing else is needed to say so
            from pathlib import Path

            from graysplit.control.recovering import Request, recover
            from graysplit.control.sources import of_file, of_fleet

            file = None if source == "fleet" else of_file(Path(source))
            request = Request(frozenset(splits), take, self.actor, self.namespace, id_)
            return recover(reading, of_fleet(self.store.fleet()), file, self._whole_history, request)

        recovery = plan(new_id())
        if dry_run or not recovery.needed:
            return recovery
        check_reason(recovery.guarded, why)
        if recovery.ask is not None and self._agree is not None:
            self._agree(recovery)
            seen = seen or recovery
            recovery = plan(recovery.id)
        if seen is not None and seen.told != recovery.told:
            raise ConflictError(recovery.target, "what was shown", "something else")
        with self._submitting(recovery.id):
            return recovery.done(self.store.submit(recovery.submission(self.actor, why)))

    # -- receipts ------------------------------------------------------------------------------------------------

    def wait_confirmed(self, result: Result, within_s: float = 5.0) -> Confirmed:
        """Wait until every live process shows a result's effect, and give the result with its receipts."""
        receipts = wait_for(
            self.store,
            result.change,
            result.revision or NEVER,
            result.expected,
            within_s=within_s,
            written_ms=result.at_ms,
        )
        return Confirmed(result, receipts)

    def meant(self, target: str) -> str | None:
        """Give the split or candidate that a typed name names, or else the nearest that has a weight; no parser."""
        load = self.store.load()
        split, slash, version = target.partition("/")
        raw = load.splits.fields.get(split.encode())
        if raw is not None and (not slash or f'"{version}"'.encode() in raw):
            return target
        known = load.weights.fields if slash else load.splits.fields
        return nearest(target, sorted({text(name) for name in known if name != SENTINEL} - {target}))

    def with_copies(self, result: Result, within_s: float = COPIED_WITHIN_S) -> Result:
        """Give a result with the number of replicas that have it; right after the change, from the same thread."""
        copies = self.store.replicas(within_s)
        return result._replace(copies=copies if copies is not None and copies.of else None)

    def wait_weights(self, target: str, weight: float | str | None = None, within_s: float = 60.0) -> Receipts:
        """Wait until every live process shows a split's weights as they stand, or the one given."""
        deadline = time.monotonic() + within_s
        while True:
            expected = self._in_force(target)
            if weight is None or set(expected.values()) == {format_weight(typed_weight(weight))}:
                left_s = max(0.0, deadline - time.monotonic())
                return wait_for(self.store, "", NEVER, expected, within_s=left_s)
            if time.monotonic() >= deadline:
                found = wait_for(self.store, "", NEVER, expected, within_s=0.0)
                return found._replace(confirmed=0)
            threading.Event().wait(0.2)

    def wait_until(
        self, target: str, until: str = "confirmed", within_s: float = 60.0, told: Callable[[str], None] | None = None
    ) -> Waited:
        """Wait until a split's weights are confirmed, its plan is `done`, or a weight is in force everywhere.

        Ends at once where it is rolled back or stopped meanwhile. An outage is outlived, and `told` hears of it; the
        first look alone must succeed.
        """
        from graysplit.control import waiting

        def receipts(expected: Mapping[str, str]) -> Receipts:
            return wait_for(self.store, "", NEVER, expected, within_s=0.0)

        eyes = waiting.Eyes(self._read, self.store.fleet, receipts, self._check_known, told or waiting.unheard)
        return waiting.wait_until(eyes, waiting.Goal(target, until), within_s)

    # -- reading -------------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """Give every split with its weights as asked, effective and actual, and the last change."""
        from graysplit.control.views import overview

        reading = self._read()
        last = next(iter(self._flagged(reading, self.store.history(None, 1))), None)
        return overview(self.store.name, self.namespace, reading, self.store.fleet(), last)

    def show(self, split: str) -> SplitView:
        """Give one split: what the store says beside what is in force, its stops and its last change."""
        from graysplit.control.views import split_view

        reading = self._read()
        if split not in reading.unread:
            self._check_known(reading, split)
        last = next(iter(self._flagged(reading, self.store.history(split, 1))), None)
        return split_view(reading, self.store.fleet(), split, last)

    def simulate(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        steps: Sequence[Step] | None = None,
        *,
        record: Mapping[str, object] | None = None,
        template: str | None = None,
        bake_s: float | None = None,
        confirm_s: float = 0.0,
        units: Callable[[], Iterable[bytes]] | None = None,
    ) -> Simulation:
        """Foretell the plan that runs, or with steps (as `ramp` takes them) one that would start now.

        Each step is taken to be confirmed after `confirm_s`; of `units`, encoded, it is counted who moves.
        """
        from graysplit.control import simulating

        split = target.partition("/")[0]
        reading = self._read()
        self._check_readable(reading, split)
        _check_whole(reading)
        base, _ = self._ensured(reading, split)
        wish = simulating.Wish(target, steps, record, template, bake_s)
        return simulating.simulate(simulating.Eyes(reading, self.store.fleet(), base), wish, confirm_s, units)

    def explain(self, split: str, unit: object) -> Explained:
        """Give the ladder that decides for a unit, as any process with all versions would."""
        from graysplit.control.explaining import explain

        reading = self._read()
        self._check_readable(reading, split)
        self._check_known(reading, split)
        return explain(reading.snapshot.splits[split], unit, reading.snapshot.revision)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Give the newest changes, newest first; a raise from outside during a freeze has that as its reason."""
        return self._flagged(None, self.store.history(split, count))

    def standby(self, split: str, version: str) -> Standby:
        """Give who of the live processes that declare a split is ready to take over with a version, and who is not."""
        from graysplit.control.switching import standby_of

        return standby_of(self.store.fleet(), split, version)

    def fleet(self) -> Fleet:
        """Give the processes that follow the store, and what they say."""
        return self.store.fleet()

    def doctor(self) -> tuple[Finding, ...]:
        """Look for everything that is wrong or about to be, each with the next command."""
        from graysplit.control.doctor import examine

        return examine(self._read(), self.store.fleet(), self.store)

    def export(self) -> Mapping[str, object]:
        """Give all that the store holds as plain values, ready for JSON."""
        from graysplit.control.views import export

        return export(self.namespace, self._read())

    # -- how -----------------------------------------------------------------------------------------------------

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
    ) -> Result:
        split, _, version = target.partition("/")

        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            self._check_unchanged(split, if_rev)
            base, created = self._ensured(reading, split)
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
                until_ms=None if for_s is None else reading.load.now_ms + int(for_s * 1000),
                leases=reading.held.leases,
            )
            if created is not None:
                change = change._replace(weights={**created.weights, **change.weights}, definition=created.definition)
            names = definition.names if created else ()
            return self._propose(reading, change, id_)._replace(created=names)

        return self._change(plan, why=why, dry_run=dry_run)

    def _note(self, split: str, cause: Literal["approve", "pause", "resume"], why: str, *, dry_run: bool) -> Result:
        """Change a plan's progress and nothing else; once more where a driver noted something in between."""
        from graysplit.control import planning

        def progress_of(found: planning.Running, now_ms: int) -> Progress | None:
            if cause == "approve":
                return planning.approved(found, split, self.actor)
            return (
                planning.paused(found, self.actor, why, now_ms) if cause == "pause" else planning.resumed(found, now_ms)
            )

        def plan(reading: Reading, id_: str) -> Proposal:
            found = planning.standing_plan(reading, split)
            progress = progress_of(found, reading.load.now_ms)
            start = planning.noted(reading, split, cause, progress or found.progress)
            return self._propose(reading, start.change, id_).beginning(start)

        for _ in range(NOTE_TRIES):
            reading = self._read()
            found = planning.standing_plan(reading, split)
            if progress_of(found, reading.load.now_ms) is None:
                return Result(cause, split, {}, revision=reading.snapshot.revision, notes=(f"{split}: {SAID[cause]}",))
            with suppress(ConflictError):
                return self._change(plan, why=why, dry_run=dry_run)
        return self._change(plan, why=why, dry_run=dry_run)

    def _simple(self, split: str, verb: Callable[[Snapshot], Change], *, why: str, dry_run: bool) -> Result:
        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            return self._propose(reading, verb(reading.snapshot), id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def _change(self, plan: Callable[[Reading, str], Proposal], *, why: str, dry_run: bool) -> Result:
        """Plan, show where somebody must agree (then read again and compare), submit."""
        id_ = new_id()
        reading = self._read()
        _check_whole(reading)
        proposal = plan(reading, id_)
        if dry_run:
            return proposal.result()
        check_reason(proposal.guarded, why)
        if proposal.ask is not None and self._agree is not None:
            self._agree(proposal)
            proposal = self._again(plan, id_, proposal)
        with self._submitting(id_):
            written = self.store.submit(proposal.submission(self.actor, why))
        return proposal.result(written)

    def _again(self, plan: Callable[[Reading, str], Proposal], id_: str, shown: Proposal) -> Proposal:
        """Read once more after a person has thought, and refuse if it is not what they were shown."""
        again = plan(self._read(), id_)
        for before, now in zip(shown.expect, again.expect, strict=False):
            if before != now and before.key != "splits":
                raise ConflictError(shown.change.split, f"{before.field} {before.value}", f"{now.field} {now.value}")
        if shown.told != again.told:
            raise ConflictError(shown.change.split, "what was shown", "something else")
        return again

    @contextmanager
    def _submitting(self, id_: str) -> Generator[None]:
        self.attempted = id_
        try:
            yield
        except (ConflictError, RefusedError, StoreCorruptError):
            self.attempted = None  # the store says that nothing was written
            raise

    def _flagged(self, reading: Reading | None, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Give entries, those of raises from outside flagged that came during a freeze."""
        if all(entry.cause != OUTSIDE for entry in entries):
            return entries
        from graysplit.control.freezing import during_freeze
        from graysplit.core.freeze import FREEZES

        raw = (reading.load if reading else self.store.load()).meta.fields.get(FREEZES.encode())
        now = None if raw is None else exact(raw)
        return tuple(during_freeze(entries, lambda: self.store.history(None, FREEZES_WITHIN), now))

    def _whole_history(self) -> tuple[Entry, ...]:
        return self.store.history(None, WHOLE_HISTORY)

    def _read(self) -> Reading:
        from graysplit.control.reading import read

        return read(self.store)

    def _propose(self, reading: Reading, change: Change, id_: str, *, target: str | None = None) -> Proposal:
        from graysplit.control.proposal import propose
        from graysplit.control.rolling import recorded

        change, notes = recorded(reading, change, self.store.fleet)
        proposal = propose(reading, change, id_, target=target)
        return proposal._replace(notes=(*proposal.notes, *notes))

    def _check_readable(self, reading: Reading, split: str) -> None:
        if split in reading.unread:
            reason = re.sub(r"^split '[^']*'[:,] ", "", reading.unread[split])
            raise BadDefinitionError(
                split,
                "",
                f"{reason}. Going back needs no definition: graysplit rollback {split}; "
                f"to begin anew: graysplit delete {split}",
            )

    def _check_unchanged(self, split: str, if_rev: int | None) -> None:
        if if_rev is None:
            return
        last = next(iter(self.store.history(split, 1)), None)
        if last is not None and last.revision > if_rev:
            raise ConflictError(split, f"no change since revision {if_rev}", f"{last.cause} at {last.revision}")

    def _ensured(self, reading: Reading, split: str) -> tuple[Snapshot, Change | None]:
        """Give a snapshot that knows the split, and the change that creates it where it must be."""
        if split in reading.snapshot.splits:
            return reading.snapshot, None
        from graysplit.control.creating import create_declared

        check_name(split)
        created = create_declared(reading.snapshot, self.store.fleet(), split)
        return apply(reading.snapshot, created), created

    def _declared(self, snapshot: Snapshot, split: str, *, by: Literal["unit", "instance"]) -> tuple[str, ...] | None:
        from graysplit.control.creating import create_declared

        try:
            definition = create_declared(snapshot, self.store.fleet(), split, by=by).definition
        except UnknownSplitError:
            return None
        return definition.names if definition is not SAME and definition is not None else None

    def _check_known(self, reading: Reading, split: str) -> None:
        if split not in reading.snapshot.splits:
            _check_whole(reading)
            names = {name for process in self.store.fleet().live for name in process.declared}
            raise UnknownSplitError(split, (names | reading.snapshot.splits.keys()) - {split})

    def _in_force(self, target: str) -> dict[str, str]:
        split, _, version = target.partition("/")
        standing = changes.known(self._read().snapshot, split)
        names = [candidate.name for candidate in standing.definition.candidates]
        chosen = [version] if version else names
        return {f"{split}/{name}": format_weight(standing.effective(name)) for name in chosen}


def _check_whole(reading: Reading) -> None:
    """Raise `StoreCorruptError` where a key is lost: what it says of the rest cannot be told."""
    from graysplit.control.views import empty

    for key, reason in sorted(reading.held.lost.items()):
        if not empty(reading):
            raise StoreCorruptError(
                f"the key '{key}' is lost ({reason}), so nothing was written; processes keep what they had. "
                "Make it whole with: graysplit recover; going back still works: graysplit rollback --all"
            )
