"""What every verb rests on: the store, a reading, a proposal, and its way into the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

from graysplit.control.actor import actor_of
from graysplit.control.agreement import Agreement, Confirm, Question, agree, is_open
from graysplit.control.inputs import check_reason, check_texts, new_id
from graysplit.core.weights import check_name
from graysplit.environment import check_namespace, check_store, check_text, kind_of, setting
from graysplit.errors import (
    ConfigurationError,
    ConflictError,
    GraysplitError,
    RefusedError,
    StoreCorruptError,
    StoreUnreachableError,
    UnknownSplitError,
)

if TYPE_CHECKING:
    from graysplit.control.guard.verdicts import Heard
    from graysplit.control.proposal import Proposal
    from graysplit.control.reading import Reading
    from graysplit.control.result import Result
    from graysplit.core.fleet import Fleet
    from graysplit.core.replica.record import Load
    from graysplit.core.split_state import Change, Snapshot
    from graysplit.stores.port import Store


T = TypeVar("T")

# Of more than so many splits the whole store is read: their fields would keep the server busy for longer.
FEW_SPLITS: Final = 100


class Request(Protocol):
    """What a verb asks for.

    It is proposed once more where a person was asked in between, by a newer reading, and where its splits alone were
    not enough.
    """

    @property
    def about(self) -> tuple[str, ...]:
        """The splits whose fields are enough for it, as a rule; none: it needs the whole store."""
        ...

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return what would be written, by what was read; raise where it is refused."""
        ...


class Seen(Protocol):
    """What a person was shown some time ago, and agreed to."""

    @property
    def id(self) -> str:
        """The id under which it was proposed, and is written: once, however often it is sent."""
        ...

    def check(self, proposal: Proposal) -> None:
        """Raise `ConflictError` where something else would be written now."""
        ...


class Operator:
    """One namespace of a store, and how a change of it is read, proposed, agreed to and submitted."""

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
            check_namespace(namespace)
            namespace = setting(namespace, "GRAYSPLIT_NAMESPACE", "default")
        self.namespace = "default" if namespace is None else namespace
        self.actor = actor_of(check_text("actor", actor))
        self.attempted: str | None = None  # the id of the last change handed to the store, for whoever is interrupted
        self.confirm: Confirm | None = _checked(confirm)
        self._last: Reading | None = None  # what was read last: of it, equal definitions are not parsed again
        self._given = store
        self._store: Store | None = store if not isinstance(store, str) else None
        self._fleet: Callable[[], Fleet] | None = None

    @property
    def store(self) -> Store:
        """The store, opened when first needed."""
        if self._store is None:
            from graysplit.stores import store_from_url

            self._store = store_from_url(str(self._given), namespace=self.namespace)
        return self._store

    @property
    def place(self) -> str:
        """Where the store is, for people: ` on db:6379/0`; empty until it is opened."""
        if self._store is None:
            return ""
        from graysplit.stores.url import place_of

        return f" on {place_of(self._store.name.removesuffix(f' namespace {self.namespace}'))}"

    def close(self) -> None:
        """Let go of the store's connections, if they were opened here."""
        if isinstance(self._given, str) and self._store is not None:
            self._store.close()

    # --- a change, from its request into the store -------------------------------------------------------------------

    def change(self, request: Request, agreement: Agreement, seen: Seen | None = None) -> Result:
        """Propose, ask where it must be confirmed (then read again and compare), submit.

        `seen` is what a person was shown before: then nothing else is written.
        """
        why = agreement.why
        check_texts(self.actor, why)
        id_ = new_id() if seen is None else seen.id
        proposal, begun_ms = self._proposal(request, agreement, id_)
        if agreement.dry_run:
            return proposal.result()
        if seen is not None:
            seen.check(proposal)
        check_reason(proposal.guarded, why)
        question = proposal._replace(stops={}) if agreement.unstop else proposal
        if is_open(question) and self.ask(question, agreement.confirm):
            now, _ = self._proposal(request, agreement, id_, begun_ms)
            proposal = _unless_changed(proposal, now)
        with self.submitting(id_):
            written = self.store.submit(proposal.submission(self.actor, why))
        return proposal.result(written)

    def foresee(self, request: Request, id_: str) -> Proposal:
        """Return what a change would write by what is read now, with what must be agreed to."""
        return self._proposal(request, Agreement(), id_)[0]

    def judged(
        self, splits: Collection[str], judge: Callable[[Reading], T], otherwise: Callable[[], Reading] | None = None
    ) -> T:
        """Return what is made of a reading of some splits, or of the whole store where that is not enough.

        Who is refused is refused by the whole store: its words may name other splits.
        """
        if 0 < len(splits) <= FEW_SPLITS:
            from graysplit.control.reading import NotReadError, read_splits

            try:
                reading = read_splits(self.store, [*map(check_name, splits)])
                if reading is not None:
                    return judge(reading)
            except StoreUnreachableError:
                raise
            except (NotReadError, GraysplitError):
                pass  # told by what follows
        return judge((otherwise or self.read)())

    def _read_to_write(self) -> Reading:
        from graysplit.control.reading import check_whole

        reading = self.read()
        check_whole(reading)
        self._check_not_emptied(reading)
        return reading

    def _proposal(
        self, request: Request, agreement: Agreement, id_: str, begun_ms: int | None = None
    ) -> tuple[Proposal, int]:
        """Return what would be written, with the time of the reading that it rests on, or of an earlier one."""

        def propose(reading: Reading) -> tuple[Proposal, int]:
            reading = reading if begun_ms is None else reading._replace(begun_ms=begun_ms)
            proposal = request.propose(self._knowing(reading.fleet), reading, id_)
            return proposal.replacing(reading) if agreement.replace else proposal, reading.begun_ms

        return self.judged(request.about, propose, self._read_to_write if begun_ms is None else None)

    def propose(self, reading: Reading, change: Change, id_: str, *, target: str | None = None) -> Proposal:
        """Return a change as it would be written: checked, with the waves and the past rate that it records."""
        from graysplit.control.create import check_baseline, check_one_baseline, joined
        from graysplit.control.guard.past_rate import remembered
        from graysplit.control.proposal import propose
        from graysplit.control.waves import recorded
        from graysplit.core.changes import applied

        check_baseline(reading, change, self.fleet, self.store.history)
        done = applied(reading.snapshot, change)
        waves, notes = recorded(reading, done, self.fleet)
        kept = remembered(reading, done, self.store.tally)
        done = done._replace(change=change._replace(marks={**change.marks, **waves, **kept.marks}))
        proposal = propose(reading, done, id_, target=target, actor=self.actor)
        if proposal.raises:
            check_one_baseline(reading, proposal, self.fleet())
        notes = (*joined(reading.snapshot, change), *notes)
        return proposal._replace(notes=(*proposal.notes, *notes)).leaving(kept.unwatched)

    def ask(self, question: Question, confirm: Confirm | None) -> bool:
        """Raise `RefusedError` unless the verb, or else this operator, was told to do what is asked for.

        True: a function was asked, and time has passed meanwhile.
        """
        return agree(question, self.confirm if confirm is None else confirm)

    @contextmanager
    def submitting(self, id_: str) -> Generator[None]:
        """Note that a change is handed to the store, until the store says that nothing was written."""
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

    def with_one_fleet(self) -> Operator:
        """Return the same operator for one proposal of many splits, who reads the fleet once at most."""
        return self._asking(cache(self.fleet))

    def _knowing(self, fleet: Callable[[], Fleet] | None) -> Operator:
        """Return the same operator for one proposal, who has the fleet with what that rests on."""
        return self if fleet is None else self._asking(fleet)

    def _asking(self, fleet: Callable[[], Fleet]) -> Operator:
        same = copy(self)
        same._fleet = fleet  # noqa: SLF001 - the same class
        return same

    # --- what is read ------------------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """Return what the store says now."""
        from graysplit.control.reading import read

        self._last = read(self.store, self._last)
        return self._last

    def reading_of(self, load: Load) -> Reading:
        """Return what the store has just said, as `read` does."""
        from graysplit.control.reading import reading_of

        self._last = reading_of(load, self._last)
        return self._last

    def fleet(self) -> Fleet:
        """Return the processes that follow the store."""
        return self.store.fleet() if self._fleet is None else self._fleet()

    def ensured(self, reading: Reading, split: str, versions: Collection[str] = ()) -> tuple[Snapshot, Change | None]:
        """Return a snapshot that knows a split and its versions, and the change that creates or adds what it must.

        That is a split that live code declares and the store does not know, and of `versions` those that the split has
        not got.
        """
        from graysplit.control.create import add_declared, create_declared
        from graysplit.core.split_state import apply

        if split in reading.snapshot.splits:
            return add_declared(reading.snapshot, self.fleet, split, versions)

        check_name(split)
        created = create_declared(reading.snapshot, self.fleet(), split)
        return apply(reading.snapshot, created), created

    def verdicts(self, reading: Reading, splits: Sequence[str]) -> Mapping[str, Heard]:
        """Return what guards say of the candidates that run, by field; what guards are is loaded where one is armed."""
        states = reading.snapshot.splits
        armed = [name for name in splits if name in states and states[name].definition.guard is not None]
        if not armed:
            return {}
        from graysplit.control.guard.verdicts import read_together, verdicts
        from graysplit.stores.port import Surveyor

        store = self.store
        tallies = read_together(reading, store, armed) if isinstance(store, Surveyor) else store.tally
        return verdicts(reading, tallies, armed)

    # --- what is checked ---------------------------------------------------------------------------------------------

    def check_unchanged(self, split: str, if_rev: int | None) -> None:
        """Raise `ConflictError` where a split has changed since a revision."""
        if if_rev is None:
            return
        last = next(iter(self.store.history(split, 1)), None)
        if last is not None and last.revision > if_rev:
            raise ConflictError(split, f"no change since revision {if_rev}", f"{last.cause} at {last.revision}")

    def check_known(self, reading: Reading, split: str) -> None:
        """Raise `UnknownSplitError` where a split has no record, with the nearest name that live code declares."""
        from graysplit.control.reading import check_whole
        from graysplit.control.recovery.loss import check_not_lost

        if split not in reading.snapshot.splits:
            fleet = self.store.fleet()
            check_not_lost(self.read(), fleet, split)  # read after the fleet, as it must be
            check_whole(reading)
            names = {name for process in fleet.live for name in process.declared}
            raise UnknownSplitError(split, (names | reading.snapshot.splits.keys()) - {split})

    def _check_not_emptied(self, reading: Reading) -> None:
        """Refuse a first write where processes run on what the store has lost: it would pass for all there is."""
        if not reading.empty:
            return
        from graysplit.control.recovery.loss import GO_BACK, SOW_AGAIN, emptied

        fleet = self.store.fleet()
        if emptied(reading, fleet):
            count = len(fleet.live)
            live = "1 live process still runs" if count == 1 else f"{count} live processes still run"
            raise RefusedError(
                f"the store is empty, and {live} with the values read last, so "
                f"nothing was written. Repair the store from them: {SOW_AGAIN}; "
                f"rollback still works: {GO_BACK}"
            )


class ControlVerbs:
    """One operator, and the verbs that a class below adds to it."""

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
        self._operator = Operator(store, namespace=namespace, actor=actor, confirm=confirm)

    @property
    def namespace(self) -> str:
        """The namespace that is changed."""
        return self._operator.namespace

    @property
    def actor(self) -> str:
        """Who the history says has made the changes."""
        return self._operator.actor

    def __repr__(self) -> str:
        """Return the namespace, the actor, and the server once it was reached: an address may hold a password."""
        return f"<{type(self).__name__} of namespace {self.namespace}{self._operator.place} as {self.actor}>"

    def close(self) -> None:
        """Let go of the store's connections, if they were opened here."""
        self._operator.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def operator_of(control: ControlVerbs) -> Operator:
    """Return what the verbs of a control rest on, for the command line and for tests."""
    # Of the public face only the verbs are a promise.
    return control._operator  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _unless_changed(shown: Proposal, now: Proposal) -> Proposal:
    """Return what would be written now, after a person has thought; refuse if it is not what they were shown."""
    for before, after in zip(shown.expect, now.expect, strict=False):
        if before != after and before.key != "splits":
            raise ConflictError(shown.change.split, f"{before.field} {before.value}", f"{after.field} {after.value}")
    if shown.told != now.told:
        raise ConflictError(shown.change.split, "the state that was shown", "something else")
    return now


def _checked(confirm: Confirm | None) -> Confirm | None:
    given: object = confirm
    if given is None or given is True or isinstance(given, str) or callable(given):
        return confirm
    raise ConfigurationError(
        f'invalid confirm: use the name that a person would type, confirm="checkout", or True, or a function, not '
        f"{kind_of(given)}"
    )


def _address(given: str | None) -> str:
    """Return the store's address, given or set; raise `ConfigurationError` where there is none."""
    url = setting(given, "GRAYSPLIT_URL")
    if not url:
        raise ConfigurationError("no store given: pass its address (redis://localhost:6379/0), or set GRAYSPLIT_URL")
    return url
