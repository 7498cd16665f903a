"""What every verb rests on: the store, a reading, a proposal, and its way into the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Self

from graysplit.control.actor import default_actor
from graysplit.control.wishes import check_reason, new_id
from graysplit.core.weights import check_name
from graysplit.errors import (
    BadDefinitionError,
    ConflictError,
    RefusedError,
    StoreCorruptError,
    UnknownSplitError,
)

if TYPE_CHECKING:
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.result import Result
    from graysplit.core.snapshot import Change, Snapshot
    from graysplit.stores.port import Store


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


class Hand:
    """One namespace of a store, and how a change of it is read, planned, agreed to and submitted."""

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

    def _simple(self, split: str, verb: Callable[[Snapshot], Change], *, why: str, dry_run: bool) -> Result:
        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            return self._propose(reading, verb(reading.snapshot), id_)

        return self._change(plan, why=why, dry_run=dry_run)

    def _change(self, plan: Callable[[Reading, str], Proposal], *, why: str, dry_run: bool) -> Result:
        """Plan, show where somebody must agree (then read again and compare), submit."""
        id_ = new_id()
        reading = self._read()
        check_whole(reading)
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
        from graysplit.core.snapshot import apply

        check_name(split)
        created = create_declared(reading.snapshot, self.store.fleet(), split)
        return apply(reading.snapshot, created), created

    def _check_known(self, reading: Reading, split: str) -> None:
        if split not in reading.snapshot.splits:
            check_whole(reading)
            names = {name for process in self.store.fleet().live for name in process.declared}
            raise UnknownSplitError(split, (names | reading.snapshot.splits.keys()) - {split})


def check_whole(reading: Reading) -> None:
    """Raise `StoreCorruptError` where a key is lost: what it says of the rest cannot be told."""
    from graysplit.control.views import empty

    for key, reason in sorted(reading.held.lost.items()):
        if not empty(reading):
            raise StoreCorruptError(
                f"the key '{key}' is lost ({reason}), so nothing was written; processes keep what they had. "
                "Make it whole with: graysplit recover; going back still works: graysplit rollback --all"
            )
