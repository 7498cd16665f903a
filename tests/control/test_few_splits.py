"""A change of one split reads what concerns it, and comes to what a reading of the whole store comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import pytest

from graysplit import Control
from graysplit.control.operator import operator_of
from graysplit.control.result import Result
from graysplit.control.steps import Step
from graysplit.core.entry import Entry
from graysplit.core.fleet import Declared
from graysplit.errors import GraysplitError
from graysplit.stores import port
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Submission
from graysplit.stores.wrappers import RecordingStore
from tests.clocks import MovedClock
from tests.control.processes import live

PLAN: Final = (Step(20, approve=True), Step(50, approve=True), Step(100))
DECLARED: Final[Mapping[str, Declared]] = {
    name: Declared("old", ("old", "new", "late"), "route", 5, measured=True) for name in ("checkout", "declared")
} | {"rolling": Declared("old", ("old", "new"), "route", 5, by="instance")}

Act = Callable[[Control], object]

# What stands in the store beforehand, each a way for a change to be judged otherwise.
SCENES: Final[dict[str, Act]] = {
    "at zero": lambda _: None,
    "at five": lambda c: c.set("checkout", 5),
    "at preview": lambda c: c.preview("checkout"),
    "at hundred": lambda c: c.set("checkout", 100),
    "stopped": lambda c: (c.set("checkout", 5), c.rollback("checkout")),
    "one stopped": lambda c: (c.set("checkout", 5), c.rollback("checkout/new")),
    "everything stopped": lambda c: (c.set("checkout", 5), c.set("other", 5), stop_all(c)),
    "another stopped": lambda c: (c.set("checkout", 5), c.rollback("other"), c.rollback("other/new")),
    "frozen": lambda c: (c.set("checkout", 5), c.freeze("check*", why="audit")),
    "another frozen": lambda c: c.freeze("other", why="audit"),
    "protected": lambda c: (c.protect("checkout"), c.set("checkout", 5, why="tried")),
    "planned": lambda c: c.ramp("checkout", PLAN),
    "paused": lambda c: (c.ramp("checkout", PLAN), c.pause("checkout", why="lunch")),
    "leased": lambda c: c.set("checkout", 30, for_="1h"),
    "finished": lambda c: (c.set("checkout", 100), c.finish("checkout")),
    "several": lambda c: (c.create("checkout", add="b"), c.set("checkout", weights={"new": 20, "b": 30})),
    "pinned": lambda c: (c.pin("checkout", "user-1", "new"), c.pin("checkout", "user-2", deny=True)),
    "guarded": lambda c: (c.guard("checkout"), c.set("checkout", 5)),
    "mistyped": lambda c: (c.set("checkout", 5), raw_of(c).raw_set("weights", "checkout", "0")),
    "unreadable": lambda c: raw_of(c).raw_set("splits", "checkout", '{"versions": 3}'),
    "deleted": lambda c: c.delete("checkout"),
    "stray": lambda c: (c.set("checkout", 5), raw_of(c).raw_set("weights", "checkout/nwe", "50")),
    "bad weight": lambda c: raw_of(c).raw_set("weights", "checkout/new", "many"),
    "lost": lambda c: (c.set("checkout", 5), raw_of(c).raw_drop("stops")),
}

VERBS: Final[dict[str, Act]] = {
    "set 5": lambda c: c.set("checkout", 5),
    "set 30": lambda c: c.set("checkout", 30, unstop=True, why="more"),
    "set for an hour": lambda c: c.set("checkout", 40, for_="1h"),
    "set replacing": lambda c: c.set("checkout", 20, replace=True),
    "set zero": lambda c: c.set("checkout/new", 0),
    "set late": lambda c: c.set("checkout/late", 3),
    "set unknown": lambda c: c.set("checkout/nobody", 3),
    "set another": lambda c: c.set("chekout", 3),
    "set declared": lambda c: c.set("declared", 3),
    "set rolling": lambda c: c.set("rolling", 50),
    "preview": lambda c: c.preview("checkout", unstop=True),
    "undo": lambda c: c.undo("checkout", force=True, unstop=True),
    "unstop": lambda c: c.unstop("checkout"),
    "unstop one": lambda c: c.unstop("checkout/new"),
    "unstop all": lambda c: c.unstop("*"),
    "pin": lambda c: c.pin("checkout", "user-9", "new"),
    "unpin": lambda c: c.unpin("checkout", "user-1"),
    "protect": lambda c: c.protect("checkout"),
    "unprotect": lambda c: c.unprotect("checkout"),
    "create": lambda c: c.create("checkout", ("old", "new")),
    "add": lambda c: c.create("checkout", add="c"),
    "add stray": lambda c: c.create("checkout", add="nwe"),
    "remove": lambda c: c.delete("checkout/new"),
    "delete": lambda c: c.delete("checkout"),
    "finish": lambda c: c.finish("checkout"),
    "rebalance": lambda c: c.rebalance("rolling"),
    "ramp": lambda c: c.ramp("checkout", PLAN, unstop=True),
    "ramp and save": lambda c: c.ramp("checkout", PLAN, save="slow"),
    "ramp and save over": lambda c: c.ramp("checkout", PLAN, save="usual"),
    "ramp as before": lambda c: c.ramp("checkout"),
    "ramp by template": lambda c: c.ramp("checkout", template="usual"),
    "approve": lambda c: c.approve("checkout", 50),
    "pause": lambda c: c.pause("checkout", why="a look"),
    "resume": lambda c: c.resume("checkout", everybody=True),
    "winner": lambda c: c.winner("checkout", "new"),
    "switch": lambda c: c.switch("checkout", to="new", unstop=True),
    "switch back": lambda c: c.switch("checkout", to="old"),
    "guard": lambda c: c.guard("checkout", action="warn"),
    "unguard": lambda c: c.unguard("checkout", why="not needed"),
}


def raw_of(control: Control) -> MemoryStore:
    """Return the store below, for edits past graysplit."""
    store = operator_of(control).store
    assert isinstance(store, MemoryStore)
    return store


def stop_all(control: Control) -> None:
    """Stop everything, as by hand."""
    raw_of(control).raw_set("stops", "*", "by hand")


class Written(RecordingStore):
    """Remembers what was submitted."""

    def __init__(self, inner: MemoryStore) -> None:
        """Wrap a store."""
        super().__init__(inner)
        self.submissions: list[Submission] = []

    def submit(self, submission: Submission) -> port.Written:
        """Remember it, and pass it on."""
        self.submissions.append(submission)
        return super().submit(submission)


class Outcome(NamedTuple):
    """What a verb came to."""

    told: object  # its result, or what it was refused with
    submissions: list[Submission]
    stored: dict[str, dict[bytes, bytes]]
    log: list[Entry]
    calls: list[str]


def scene(name: str) -> MemoryStore:
    """Return a store as a scene left it, a minute ago."""
    clock = MovedClock()
    store = MemoryStore(clock=clock)
    live(store, declared=DECLARED)
    control = Control(store, actor="ada", confirm=True)
    for split in ("checkout", "other"):
        control.create(split, ("old", "new"))
    control.create("rolling")
    control.ramp("other", PLAN, save="usual")
    SCENES[name](control)
    clock.now += 60.0
    live(store, declared=DECLARED)
    return store


def copied(store: MemoryStore) -> MemoryStore:
    """Return another store of the same content and time."""
    space, twin = store._space, MemoryStore(clock=MovedClock(store._space.clock.time()))
    other = twin._space
    other.hashes = {key: dict(fields) for key, fields in space.hashes.items()}
    other.log, other.processes, other._last = space.log.copy(), dict(space.processes), space._last
    return twin


def outcome(before: MemoryStore, act: Act) -> Outcome:
    """Do it in a copy of a store."""
    inner = copied(before)
    store = Written(inner)
    try:
        told: object = act(Control(store, actor="ada", confirm=True))
    except GraysplitError as refused:
        told = (type(refused), str(refused))
    log = [entry for _, entry in inner._space.log]
    return Outcome(told, store.submissions, inner._space.hashes, log, store.calls)


@pytest.mark.parametrize("name", list(SCENES))
def test_a_change_is_the_same_whatever_was_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, refusals to the word, what is written and what the history says are those of a whole reading.

    Of what is compared there may be less: fields that name no version of the split, which have no effect.
    """
    before = scene(name)
    monkeypatch.setattr("graysplit.control.operator.new_id", lambda: "0" * 24)
    for verb, act in VERBS.items():
        few = outcome(before, act)
        with monkeypatch.context() as patched:
            patched.setattr("graysplit.control.reading.read_splits", lambda *_: None)
            whole = outcome(before, act)
        assert few.told == whole.told, verb
        assert (few.stored, few.log) == (whole.stored, whole.log), verb
        for mine, other in zip(few.submissions, whole.submissions, strict=True):
            assert mine._replace(expect=()) == other._replace(expect=()), verb
            more = {at for at in other.expect if at not in mine.expect}
            assert {*mine.expect} <= {*other.expect}, verb
            assert {at.field for at in more} <= {"checkout/nwe"}, verb


ALONE: Final = {
    "at five": ("set 5", "set 30", "set for an hour", "set zero", "preview", "undo", "pin", "protect", "ramp", "winner",
                "switch", "switch back", "guard"),
    "planned": ("set replacing", "approve", "pause", "ramp as before"),
    "paused": ("resume",),
    "stopped": ("set 30", "unstop"),
    "everything stopped": ("set zero", "pin", "protect"),
    "pinned": ("unpin",),
    "protected": ("unprotect",),
    "guarded": ("unguard",),
    "at hundred": ("finish",),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ALONE))
def test_a_change_of_one_split_reads_that_split_alone(name: str) -> None:
    """Nobody reads the whole store for it."""
    before = scene(name)
    for verb in ALONE[name]:
        came = outcome(before, VERBS[verb])
        assert came.submissions or isinstance(came.told, tuple), verb
        read = {call for call in came.calls if call.startswith(("load", "read_splits"))}
        assert read == {"read_splits checkout"}, (verb, came.told)


def test_a_rollback_reads_nothing_of_other_splits() -> None:
    """Also where it lowers nothing, and asks whether anybody knows its target."""
    before = scene("at zero")
    for target in ("checkout", "checkout/new"):
        came = outcome(before, lambda control, target=target: control.rollback(target))
        assert isinstance(came.told, Result)
        assert came.told.known
        assert "load" not in came.calls
    unknown = outcome(before, lambda control: control.rollback("checkout/nobody"))
    assert isinstance(unknown.told, Result)
    assert unknown.told.known is False
