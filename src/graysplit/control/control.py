"""The verbs: read, decide with the core, submit, and say what was written."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

from graysplit.control.actor import default_actor
from graysplit.control.receipts import wait_for
from graysplit.control.result import Confirmed, Receipts, Result
from graysplit.control.wishes import NEVER, check_from, check_target, lowered, new_id, typed_weight, wanted_weights
from graysplit.core import changes
from graysplit.core.record import Entry
from graysplit.core.snapshot import SAME, Change, Snapshot, apply
from graysplit.core.weights import PREVIEW, Weight, check_name, format_weight
from graysplit.errors import BadDefinitionError, ConflictError, RefusedError, StoreCorruptError, UnknownSplitError
from graysplit.stores.port import Rollback, Store

if TYPE_CHECKING:
    from pathlib import Path

    from graysplit.control.doctor import Finding
    from graysplit.control.explaining import Explained
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.recovering import Recovery, Take
    from graysplit.control.views import Overview, SplitView
    from graysplit.core.fleet import Fleet

# How long a change may take to its replicas before they are counted as without it.
COPIED_WITHIN_S = 0.3

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
        why: str = "",
        dry_run: bool = False,
    ) -> Result:
        """Define a split with all weights at zero; the first version is the baseline.

        Without versions: those that live code declares, else `old` and `new`. With `max_stale_s` everybody gets the
        baseline in a process that has not heard the store for so long.
        """

        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            chosen = versions or self._declared(reading.snapshot, split) or ("old", "new")
            change = changes.create(reading.snapshot, split, chosen, salt, max_stale_s)
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
            return self._propose(reading, change, id_, target=split)._replace(writes=writes)

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
        """Take a split's record away and free its name; refused while a weight is above zero."""

        def plan(reading: Reading, id_: str) -> Proposal:
            if split not in reading.unread:
                changes.known(reading.snapshot, split)
            weights: dict[str, Weight] = {
                field: reading.held.weights.get(field, 0) for field in reading.fields("weights", split)
            }
            change = changes.delete(split, weights, reading.fields("stops", split))
            return self._propose(reading, change, id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def unstop(self, target: str, *, why: str = "", dry_run: bool = False) -> Result:
        """Clear a stop; a raise, and a new release, wherever a weight above zero stands under it."""

        def plan(reading: Reading, id_: str) -> Proposal:
            change = changes.unstop(reading.snapshot, target, id_)
            return self._propose(reading, change, id_, target=target)

        return self._change(plan, why=why, dry_run=dry_run)

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

    # -- reading -------------------------------------------------------------------------------------------------

    def overview(self) -> Overview:
        """Give every split with its weights as asked, effective and actual, and the last change."""
        from graysplit.control.views import overview

        last = next(iter(self.store.history(None, 1)), None)
        return overview(self.store.name, self.namespace, self._read(), self.store.fleet(), last)

    def show(self, split: str) -> SplitView:
        """Give one split: what the store says beside what is in force, its stops and its last change."""
        from graysplit.control.views import split_view

        reading = self._read()
        if split not in reading.unread:
            self._check_known(reading, split)
        return split_view(reading, self.store.fleet(), split, next(iter(self.store.history(split, 1)), None))

    def explain(self, split: str, unit: object) -> Explained:
        """Give the ladder that decides for a unit, as any process with all versions would."""
        from graysplit.control.explaining import explain

        reading = self._read()
        self._check_readable(reading, split)
        self._check_known(reading, split)
        return explain(reading.snapshot.splits[split], unit, reading.snapshot.revision)

    def history(self, split: str | None = None, count: int = 50) -> tuple[Entry, ...]:
        """Give the newest changes, newest first."""
        return self.store.history(split, count)

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
        if (shown.expect, shown.writes) != (again.expect, again.writes):
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

    def _whole_history(self) -> tuple[Entry, ...]:
        return self.store.history(None, WHOLE_HISTORY)

    def _read(self) -> Reading:
        from graysplit.control.reading import read

        return read(self.store)

    def _propose(self, reading: Reading, change: Change, id_: str, *, target: str | None = None) -> Proposal:
        from graysplit.control.proposal import propose

        return propose(reading, change, id_, target=target)

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

    def _declared(self, snapshot: Snapshot, split: str) -> tuple[str, ...] | None:
        from graysplit.control.creating import create_declared

        try:
            definition = create_declared(snapshot, self.store.fleet(), split).definition
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
