"""What every verb rests on: the store, a reading, a proposal, and its way into the store."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, TypeAlias

from graysplit.control.actor import actor_of
from graysplit.control.inputs import check_reason, check_texts, new_id
from graysplit.core.weights import check_name
from graysplit.environment import check_store, setting
from graysplit.errors import (
    BadDefinitionError,
    ConfigurationError,
    ConflictError,
    RefusedError,
    StoreCorruptError,
    StoreUnreachableError,
    UnknownSplitError,
)

if TYPE_CHECKING:
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.result import Result
    from graysplit.core.split_state import Change, Snapshot
    from graysplit.stores.port import Store


class _Asked(NamedTuple):
    """A question as a function is asked it: `ask` names stops and plans too, so that no answer passes over them."""

    target: str
    ask: str | None
    stops: Mapping[str, str]
    plans: Mapping[str, str]


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

    @property
    def stops(self) -> Mapping[str, str]:
        """The stops that are cleared with it and that nobody has agreed to yet, with what they say."""
        ...

    @property
    def plans(self) -> Mapping[str, str]:
        """By split, what is said of the plans that end with it, are paused or somebody else's, and not agreed to."""
        ...


# How a program says yes: with the name that a person would type, with True to whatever is asked, or with a function
# that is asked and raises to refuse.
Confirm: TypeAlias = str | Literal[True] | Callable[[Question], None]


class Operator:
    """One namespace of a store, and how a change of it is read, planned, agreed to and submitted."""

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        namespace: str | None = None,
        actor: str | None = None,
        confirm: Confirm | None = None,
    ) -> None:
        """Take a store or its URL, else `GRAYSPLIT_URL`, `GRAYSPLIT_NAMESPACE` and `GRAYSPLIT_ACTOR`, as a router does.

        A store that is handed over has its namespace already. `confirm` answers for the verbs that are given none.
        """
        check_store(store)
        if store is None or isinstance(store, str):
            store = _address(store)
            namespace = setting(namespace, "GRAYSPLIT_NAMESPACE", "default")
        self.namespace = "default" if namespace is None else namespace
        self.actor = actor_of(actor)
        self.attempted: str | None = None  # the id of the last change handed to the store, for whoever is interrupted
        self._confirm = confirm
        self._last: Reading | None = None  # what was read last: of it, equal definitions are not parsed again
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
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _simple(
        self,
        split: str,
        verb: Callable[[Snapshot], Change],
        *,
        why: str,
        dry_run: bool,
        confirm: Confirm | None = None,
    ) -> Result:
        def plan(reading: Reading, id_: str) -> Proposal:
            self._check_readable(reading, split)
            return self._propose(reading, verb(reading.snapshot), id_)

        return self._change(plan, why=why, dry_run=dry_run, confirm=confirm)

    def _change(  # noqa: PLR0913 - how a change is agreed to
        self,
        plan: Callable[[Reading, str], Proposal],
        *,
        why: str,
        dry_run: bool,
        confirm: Confirm | None = None,
        unstop: bool = False,
        replace: bool = False,
    ) -> Result:
        """Plan, ask where it must be confirmed (then read again and compare), submit.

        `unstop` agrees to the stops that it clears, `replace` to the plans that end with it; with `replace` a plan
        whose weight it writes again ends too.
        """
        check_texts(self.actor, why)
        id_ = new_id()
        plan = _replacing(plan) if replace else plan
        reading = self._read()
        check_whole(reading)
        self._check_not_emptied(reading)
        proposal = plan(reading, id_)
        if dry_run:
            return proposal.result()
        check_reason(proposal.guarded, why)
        question = proposal._replace(stops={}) if unstop else proposal
        if (question.ask is not None or question.stops or question.plans) and self._ask(question, confirm):
            proposal = self._again(plan, id_, proposal, reading.begun_ms)
        with self._submitting(id_):
            written = self.store.submit(proposal.submission(self.actor, why))
        return proposal.result(written)

    def _again(self, plan: Callable[[Reading, str], Proposal], id_: str, shown: Proposal, begun_ms: int) -> Proposal:
        """Read once more after a person has thought, and refuse if it is not what they were shown."""
        again = plan(self._read()._replace(begun_ms=begun_ms), id_)
        for before, now in zip(shown.expect, again.expect, strict=False):
            if before != now and before.key != "splits":
                raise ConflictError(shown.change.split, f"{before.field} {before.value}", f"{now.field} {now.value}")
        if shown.told != again.told:
            raise ConflictError(shown.change.split, "the state that was shown", "something else")
        return again

    def _ask(self, question: Question, confirm: Confirm | None) -> bool:
        """Raise `RefusedError` unless the verb, or else the control, was told to do what is asked for.

        True: a function was asked, and time has passed meanwhile.
        """
        said = self._confirm if confirm is None else confirm
        if callable(said):
            from graysplit.control.stops import with_plans, with_stops

            ask = with_plans(with_stops(question.ask, question.stops), question.plans)
            said(_Asked(question.target, ask, question.stops, question.plans))
            return True
        if question.stops:
            from graysplit.control.stops import stop_words

            named = ", and ".join(stop_words(field, text) for field, text in question.stops.items())
            raise RefusedError(
                f"this clears the stop {named}. Nothing was written. To clear it, pass unstop=True (--unstop on the "
                "command line); confirm= alone does not clear it"
            )
        if question.plans:
            named = ", and ".join(question.plans.values())
            raise RefusedError(
                f"this ends {named}. Nothing was written. To end it, pass replace=True (--replace on the command "
                "line); confirm= alone does not end it"
            )
        if question.ask is not None and said is not True and said != question.target:
            got = "" if said is None else f", not {said!r}"
            raise RefusedError(
                f"{question.ask}. Nothing was written. To do it, pass confirm={question.target!r}{got} "
                "(or confirm=True, which agrees to every question)"
            )
        return False

    @contextmanager
    def _submitting(self, id_: str) -> Generator[None]:
        self.attempted = id_
        try:
            yield
        except (ConflictError, RefusedError, StoreCorruptError):
            self.attempted = None  # the store says that nothing was written
            raise
        except StoreUnreachableError as lost:
            if lost.written is False:
                self.attempted = None
            raise

    def _check_not_emptied(self, reading: Reading) -> None:
        """Refuse a first write where processes run on what the store has lost: it would pass for all there is."""
        from graysplit.control.recovery.loss import GO_BACK, SOW_AGAIN, emptied, empty

        if not empty(reading):
            return
        fleet = self.store.fleet()
        if emptied(reading, fleet):
            count = len(fleet.live)
            live = "1 live process still runs" if count == 1 else f"{count} live processes still run"
            raise RefusedError(
                f"the store is empty, and {live} with the values read last, so "
                f"nothing was written. Repair the store from them: {SOW_AGAIN}; "
                f"rollback still works: {GO_BACK}"
            )

    def _read(self) -> Reading:
        from graysplit.control.reading import read

        self._last = read(self.store, self._last)
        return self._last

    def _propose(self, reading: Reading, change: Change, id_: str, *, target: str | None = None) -> Proposal:
        from graysplit.control.create import check_baseline, check_one_baseline, joined
        from graysplit.control.guard.past_rate import remembered
        from graysplit.control.proposal import propose
        from graysplit.control.waves import recorded

        check_baseline(reading, change, self.store.fleet, self.store.history)
        change, notes = recorded(reading, change, self.store.fleet)
        kept = remembered(reading, change, self.store.tally)
        change = change._replace(marks={**change.marks, **kept.marks})
        proposal = propose(reading, change, id_, target=target, actor=self.actor)
        if proposal.raises:
            check_one_baseline(reading, proposal, self.store.fleet())
        notes = (*joined(reading.snapshot, change), *notes)
        return proposal._replace(notes=(*proposal.notes, *notes)).leaving(kept.unwatched)

    def _check_readable(self, reading: Reading, split: str) -> None:
        if split in reading.unread:
            reason = re.sub(r"^split '[^']*'[:,] ", "", reading.unread[split])
            raise BadDefinitionError(
                split,
                "",
                f"{reason}. Rollback needs no definition: graysplit rollback {split}; "
                f"to start over: graysplit delete {split}",
            )

    def _check_unchanged(self, split: str, if_rev: int | None) -> None:
        if if_rev is None:
            return
        last = next(iter(self.store.history(split, 1)), None)
        if last is not None and last.revision > if_rev:
            raise ConflictError(split, f"no change since revision {if_rev}", f"{last.cause} at {last.revision}")

    def _ensured(self, reading: Reading, split: str, versions: Collection[str] = ()) -> tuple[Snapshot, Change | None]:
        """Return a snapshot that knows a split and its versions, and the change that creates or adds what it must.

        That is a split that live code declares and the store does not know, and of `versions` those that the split has
        not got.
        """
        from graysplit.control.create import add_declared, create_declared
        from graysplit.core.split_state import apply

        if split in reading.snapshot.splits:
            return add_declared(reading.snapshot, self.store.fleet, split, versions)

        check_name(split)
        created = create_declared(reading.snapshot, self.store.fleet(), split)
        return apply(reading.snapshot, created), created

    def _check_known(self, reading: Reading, split: str) -> None:
        from graysplit.control.recovery.loss import check_not_lost

        if split not in reading.snapshot.splits:
            fleet = self.store.fleet()
            check_not_lost(self._read(), fleet, split)  # read after the fleet, as it must be
            check_whole(reading)
            names = {name for process in fleet.live for name in process.declared}
            raise UnknownSplitError(split, (names | reading.snapshot.splits.keys()) - {split})


def _replacing(plan: Callable[[Reading, str], Proposal]) -> Callable[[Reading, str], Proposal]:
    return lambda reading, id_: plan(reading, id_).replacing(reading)


def check_whole(reading: Reading) -> None:
    """Raise `StoreCorruptError` where a key is lost: what it says of the rest cannot be told."""
    from graysplit.control.recovery.loss import empty

    for key, reason in sorted(reading.held.lost.items()):
        if not empty(reading):
            raise StoreCorruptError(
                f"the key '{key}' is lost ({reason}), so nothing was written; processes keep their values. "
                "Repair it with: graysplit recover; rollback still works: graysplit rollback --all"
            )


def _address(given: str | None) -> str:
    """Return the store's address, given or set; raise `ConfigurationError` where there is none."""
    url = setting(given, "GRAYSPLIT_URL")
    if not url:
        raise ConfigurationError("no store given: pass its address (redis://localhost:6379/0), or set GRAYSPLIT_URL")
    return url
