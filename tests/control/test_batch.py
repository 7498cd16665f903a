"""`Control.batch`: changes of several splits in one transaction, judged as by themselves, and written all or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from redis import Redis

from graysplit import Control, Router
from graysplit.console.picture import RecentChanges
from graysplit.control.agreement import Question
from graysplit.control.batch import BATCH_AT_MOST, ChangeBatch
from graysplit.control.steps import Step
from graysplit.core.fleet import Declared
from graysplit.errors import (
    BadNameError,
    BadWeightError,
    ConflictError,
    GraysplitError,
    RefusedError,
    UnknownSplitError,
    UnknownVersionError,
)
from graysplit.stores import Store, store_from_url
from graysplit.stores.memory import MemoryStore
from graysplit.stores.wrappers import RecordingStore
from graysplit.words.entries import entry_line
from tests.clocks import MovedClock
from tests.control.between import Between
from tests.control.processes import live

NAMES: Final = ("ranking", "search", "shop")


def prepared(store: Store) -> Control:
    """Return an operator's hand on a store with three splits at zero."""
    control = Control(store, actor="ada")
    for split in NAMES:
        control.create(split, ("old", "new"))
    return control


@pytest.fixture(params=["memory", "redis", "redis without scripts"])
def control(request: pytest.FixtureRequest) -> Iterator[Control]:
    """Return an operator's hand on a store of each kind."""
    if request.param == "memory":
        yield prepared(MemoryStore())
        return
    url, namespace = request.getfixturevalue("redis_url"), request.getfixturevalue("namespace")
    with Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "batcher", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha")
        if "without" in request.param:
            url = url.replace("redis://", "redis://batcher:secret@")
        store = store_from_url(url, namespace)
        yield prepared(store)
        store.close()
        client.execute_command("ACL", "DELUSER", "batcher")


@pytest.fixture
def memory() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore(clock=MovedClock())


def weights_of(control: Control) -> dict[str, str]:
    """Return what the store says, by candidate."""
    return {f"{row.split}/{row.version}": row.asked for row in control.overview().rows}


def revision_of(control: Control) -> int:
    """Return the revision of the last change."""
    return control.history(count=1)[0].revision


# --- what is written -------------------------------------------------------------------------------------------------


def test_all_of_it_is_one_change(control: Control) -> None:
    """One revision and one entry, which the history of each of its splits has, and of no other."""
    before = revision_of(control)
    with control.batch(why="the new kernel") as batch:
        batch.set("ranking", 5)
        batch.set("search", weights={"new": "12.5"})
        assert len(batch) == 2
        assert revision_of(control) == before
    done = batch.result
    assert (done.cause, done.split, done.revision) == ("batch", "*", before + 1)
    assert done.moves == {"ranking/new": ("0", "5"), "search/new": ("0", "12.5")}
    (entry,) = control.history("ranking", 1)
    assert (entry.id, entry.cause, entry.actor, entry.why) == (done.change, "batch", "ada", "the new kernel")
    assert entry.after == {"weights ranking/new": "5", "weights search/new": "12.5"}
    assert control.history("search", 1) == (entry,)
    assert control.history("shop", 1)[0].cause == "create"
    assert revision_of(control) == before + 1


def test_one_refusal_keeps_all_from_being_written(control: Control) -> None:
    """What would have been written before it, and after it, is not."""
    before = weights_of(control), revision_of(control)
    for wrong in (
        lambda batch: batch.set("search/nobody", 5),
        lambda batch: batch.set("serch", 5),
        lambda batch: batch.set("search", weights={"new": 60, "old": 60}),
        lambda batch: batch.set("search", 5, from_=7),
        lambda batch: batch.set("search", 100),
        lambda batch: batch.unpin("search", "user-1"),
    ):
        with pytest.raises(GraysplitError), control.batch() as batch:  # noqa: PT012 - the block is what is tested
            batch.set("ranking", 5)
            wrong(batch)
            batch.set("shop", 5)
        assert (weights_of(control), revision_of(control)) == before
        with pytest.raises(RefusedError, match="no result"):
            _ = batch.result


def test_an_exception_in_the_block_writes_nothing(control: Control) -> None:
    """It goes to whoever opened the block."""
    before = revision_of(control)
    with pytest.raises(ZeroDivisionError), control.batch() as batch:  # noqa: PT012 - the block is what is tested
        batch.set("ranking", 5)
        _ = 1 / 0
    assert revision_of(control) == before
    with pytest.raises(RefusedError, match="nothing was written"):
        _ = batch.result


def test_an_undo_takes_back_one_split_of_it(control: Control) -> None:
    """The others stay as they are."""
    with control.batch() as batch:
        batch.set("ranking", 5)
        batch.set("search", 7)
    control.undo("ranking")
    assert weights_of(control) == {"ranking/new": "0", "search/new": "7", "shop/new": "0"}


def test_a_batch_writes_what_its_changes_write_one_by_one(memory: MemoryStore) -> None:
    """Weights, definitions, stops and marks are the same; only releases have one id."""

    def same(change: Callable[[Control | ChangeBatch], object]) -> None:
        change(one_by_one)
        with together.batch(unstop=True) as batch:
            change(batch)

    def content(store: MemoryStore) -> dict[str, set[bytes]]:
        load = store.load()
        marks = {name for name in load.meta.fields if name not in {b"revision", b"lineage"}}
        kept = {
            key: {name + b"=" + raw for name, raw in getattr(load, key).fields.items()} for key in ("weights", "stops")
        }
        return {**kept, "splits": set(load.splits.fields.values()), "meta": marks}

    other = MemoryStore(clock=MovedClock())
    one_by_one, together = prepared(memory), prepared(other)
    same(lambda on: [on.set("ranking", 5), on.preview("search"), on.set("shop", 30, for_="1h")])
    same(lambda on: [on.set("ranking", 0), on.set("search", 40), on.set("shop", 50)])
    same(lambda on: [on.pin("shop", "user-1", "new"), on.pin("shop", "user-2", deny=True), on.pin("ranking", "u")])
    same(lambda on: [on.unpin("shop", "user-1"), on.set("shop", 12), on.pin("search", "user-3")])
    assert content(memory) == content(other)
    states = [control.show("shop") for control in (one_by_one, together)]
    assert states[0].rows == states[1].rows


def test_a_declared_split_is_made_on_the_way(memory: MemoryStore) -> None:
    """As by `set`; the notes say so."""
    live(memory, declared={name: Declared("old", ("old", "new"), "route", 5) for name in ("ranking", "brand", "fresh")})
    control = prepared(memory)
    with control.batch() as batch:
        batch.set("brand", 5)
        batch.set("ranking", 5)
        batch.set("fresh", 10)
    assert weights_of(control)["fresh/new"] == "10"
    assert {"creates brand (old, new)", "creates fresh (old, new)"} <= set(batch.result.notes)


def test_it_reads_once(memory: MemoryStore) -> None:
    """Its splits at one moment, and the fleet."""
    prepared(memory)
    store = RecordingStore(memory)
    with Control(store).batch() as batch:
        for split in NAMES:
            batch.set(split, 5)
            batch.pin(split, "user-1")
    assert store.calls == ["read_splits ranking search shop", "fleet", "submit batch *"]


def test_many_splits_are_written_at_once(redis_url: str, namespace: str) -> None:
    """As many as a batch takes, on a real server, and a live process shows them all."""
    store = store_from_url(redis_url, namespace)
    control = Control(store)
    names = [f"split-{number}" for number in range(BATCH_AT_MOST)]
    router = Router(redis_url, namespace=namespace)
    splits = [router.split(name, "old", "new") for name in names]
    assert router.wait_ready(10)
    assert splits[0].choose("u") == "old"
    with control.batch() as batch:
        for name in names:
            batch.set(name, 40)
    receipts = control.wait_confirmed(batch.result, 10).receipts
    assert (receipts.confirmed, receipts.lagging) == (1, ())
    assert {weight for _, weight in batch.result.moves.values()} == {"40"}
    assert 0.3 < sum(split.choose("u") == "new" for split in splits) / len(splits) < 0.5
    router.close()
    store.close()


def test_one_line_names_a_few_of_many(memory: MemoryStore) -> None:
    """The rest is counted; as values all of it is there."""
    control = Control(memory)
    names = [f"split-{number}" for number in range(10, 30)]
    for name in names:
        control.create(name, ("old", "new"))
    with control.batch() as batch:
        for name in names:
            batch.set(name, 5)
    (entry,) = control.history(count=1)
    assert entry_line(entry).startswith("21 batch * split-29/new 0% -> 5%, split-28/new 0% -> 5%")
    assert "split-20/new 0% -> 5%, and 10 more by" in entry_line(entry)
    assert len(entry.after) == 20


def test_in_the_console_it_is_the_last_change_of_its_splits(memory: MemoryStore) -> None:
    """And of no other, unlike a rollback of everything."""
    control, changes = prepared(memory), RecentChanges()
    with control.batch() as batch:
        batch.set("ranking", 5)
        batch.set("search", 5)
    changes.note(reversed(control.history()))
    found = changes.of_splits(NAMES)
    assert [found[split].cause for split in NAMES] == ["batch", "batch", "create"]


# --- what is refused, and asked --------------------------------------------------------------------------------------


def test_a_conflict_names_the_split(memory: MemoryStore) -> None:
    """Somebody was faster with one of them: nothing is written, of the others neither."""
    control = prepared(memory)
    late = Control(Between(memory, lambda: control.set("search", 7)))
    with pytest.raises(ConflictError, match=r"'search'.*'7' in weights search/new") as told, late.batch() as batch:  # noqa: PT012
        batch.set("ranking", 5)
        batch.set("search", 5)
    assert told.value.split == "search"
    assert weights_of(control)["ranking/new"] == "0"


def test_a_conflict_names_the_split_of_a_real_server(control: Control, request: pytest.FixtureRequest) -> None:
    """The store says which field it was."""
    assert request
    from graysplit.control.operator import operator_of  # the fixture's store

    late = Control(Between(operator_of(control).store, lambda: control.pin("shop", "user-1")))
    with pytest.raises(ConflictError, match="'shop'"), late.batch() as batch:  # noqa: PT012 - as above
        batch.set("ranking", 5)
        batch.set("shop", 5)
    assert weights_of(control)["ranking/new"] == "0"


def test_a_freeze_that_comes_in_between_is_a_conflict(memory: MemoryStore) -> None:
    """As for a single raise."""
    control = prepared(memory)
    late = Control(Between(memory, lambda: control.freeze("search", why="audit")))
    with pytest.raises(ConflictError), late.batch() as batch:  # noqa: PT012 - as above
        batch.set("ranking", 5)
        batch.set("search", 5)
    with pytest.raises(RefusedError, match="'search' is frozen"), control.batch() as batch:  # noqa: PT012 - as above
        batch.set("ranking", 5)
        batch.set("search", 5)
    with control.batch() as batch:
        batch.set("search", 0)
    assert weights_of(control)["ranking/new"] == "0"


def test_protection_asks_for_a_reason_and_for_the_name(memory: MemoryStore) -> None:
    """Once, for all of them."""
    control = prepared(memory)
    control.protect("search")

    def raise_both(**said: object) -> ChangeBatch:
        with control.batch(**said) as batch:  # type: ignore[arg-type] # what a test says
            batch.set("ranking", 5)
            batch.set("search", 5)
        return batch

    with pytest.raises(RefusedError, match="'search' is protected"):
        raise_both()
    with pytest.raises(RefusedError, match=r"confirm='\*'"):
        raise_both(why="tried")
    assert raise_both(why="tried", confirm="*").result.moves.keys() == {"ranking/new", "search/new"}


def test_a_person_is_shown_all_of_it(memory: MemoryStore) -> None:
    """What sends everybody over, the stops it clears and the plans it ends, in one question."""
    control = prepared(memory)
    control.set("ranking", 5)
    control.rollback("ranking", why="errors")
    Control(memory, actor="bo").ramp("shop", (Step(20, approve=True), Step(50)))
    shown: list[Question] = []
    with control.batch(confirm=shown.append) as batch:
        batch.set("ranking", 5)
        batch.set("search", 100)
        batch.set("shop", 30)
    (question,) = shown
    assert question.target == "*"
    assert [*question.stops] == ["ranking"]
    assert [*question.plans] == ["shop"]
    assert all(words in (question.ask or "") for words in ("errors", "everybody to search/new", "plan of 'shop'"))
    assert batch.result.cleared.keys() == {"ranking"}
    assert batch.result.ended.keys() == {"shop"}


def test_who_thinks_too_long_is_told_what_has_changed(memory: MemoryStore) -> None:
    """What a person was shown is written, or nothing."""
    control = prepared(memory)
    with pytest.raises(ConflictError), control.batch(confirm=lambda _: control.set("search", 7)) as batch:  # noqa: PT012
        batch.set("ranking", 100)
        batch.set("search", 5)
    assert weights_of(control)["ranking/new"] == "0"


def test_a_dry_run_writes_nothing(memory: MemoryStore) -> None:
    """Its result says what would be."""
    control = prepared(memory)
    before = revision_of(control)
    with control.batch(dry_run=True) as batch:
        batch.set("ranking", 100)
        batch.set("search", 5)
    assert batch.result.dry_run
    assert batch.result.moves == {"ranking/new": ("0", "100"), "search/new": ("0", "5")}
    assert batch.result.moved == 105.0
    assert revision_of(control) == before


def test_the_stop_on_everything_is_cleared_for_all_of_it(memory: MemoryStore) -> None:
    """As long as nobody rises who is not in the batch."""
    control = prepared(memory)
    control.set("shop", 5)
    memory.raw_set("stops", "*", "by hand")
    with pytest.raises(RefusedError, match="shop/new"), control.batch(unstop=True) as batch:  # noqa: PT012 - as above
        batch.set("ranking", 5)
        batch.set("search", 5)
    with control.batch(unstop=True) as batch:
        batch.set("shop", 0)
        batch.set("ranking", 5)
        batch.set("search", 6)
    assert weights_of(control) == {"ranking/new": "5", "search/new": "6", "shop/new": "0"}
    assert not control.overview().stops


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        (lambda batch: batch.set("ranking", 101), BadWeightError),
        (lambda batch: batch.set("Ranking!", 5), BadNameError),
        (lambda batch: [batch.set("ranking", 5), batch.set("ranking", 6)], RefusedError),
        (lambda batch: [batch.set("ranking", 5), batch.preview("ranking/new")], RefusedError),
        (lambda batch: batch.set("rankin", 5), UnknownSplitError),
        (lambda batch: batch.pin("ranking", "u", "nobody"), UnknownVersionError),
        (lambda batch: [batch.pin("ranking", str(number)) for number in range(BATCH_AT_MOST + 1)], RefusedError),
    ],
    ids=["weight", "name", "twice", "twice by another verb", "unknown", "no version", "too many"],
)
def test_what_cannot_be_meant_is_refused(
    memory: MemoryStore, wrong: Callable[[ChangeBatch], object], kind: type[GraysplitError]
) -> None:
    """With the error of the single verb; nothing is written."""
    control = prepared(memory)
    before = revision_of(control)
    with pytest.raises(kind), control.batch() as batch:
        wrong(batch)
    assert revision_of(control) == before


def test_a_batch_is_written_once(memory: MemoryStore) -> None:
    """An empty one writes nothing, and none takes more after its end."""
    control = prepared(memory)
    before = revision_of(control)
    with control.batch() as batch:
        pass
    assert (batch.result.idle, batch.result.revision) == (True, 0)
    assert revision_of(control) == before
    with pytest.raises(RefusedError, match="written already"):
        batch.set("ranking", 5)
