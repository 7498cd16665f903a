"""The verbs of `Control`: what they write, what they say of it, and what they refuse.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest

from graysplit import Router
from graysplit.control import Control
from graysplit.control.operator import operator_of
from graysplit.control.proposal import Proposal
from graysplit.core.changes import WhichCandidateError
from graysplit.core.fleet import Declared, Effect
from graysplit.errors import (
    BadDefinitionError,
    BadNameError,
    BadWeightError,
    ConflictError,
    RefusedError,
    UnknownSplitError,
)
from graysplit.stores.memory import MemoryStore
from tests.clocks import MovedClock
from tests.control.processes import live
from tests.support import eventually


@pytest.fixture
def clock() -> MovedClock:
    """Return a clock for the store."""
    return MovedClock()


@pytest.fixture
def store(clock: MovedClock) -> MemoryStore:
    """Return an empty store."""
    return MemoryStore(clock=clock)


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand on it."""
    return Control(store, actor="ada", confirm=True)


def raw(store: MemoryStore) -> tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]]:
    """Return the raw weights and stops."""
    load = store.load()
    return load.weights.fields, load.stops.fields


def test_a_set_is_written_and_recorded(store: MemoryStore, control: Control) -> None:
    """Create and set write weights, history and revisions; the result says from where to where."""
    control.create("checkout")
    result = control.set("checkout", 20, why="step 1")
    assert (result.from_, result.to, result.revision) == ("0", "20", 2)
    assert raw(store)[0][b"checkout/new"] == b"20"
    last = control.history("checkout", 1)[0]
    assert (last.id, last.cause, last.actor, last.why) == (result.change, "set", "ada", "step 1")


@pytest.mark.parametrize("weight", [True, float("nan"), float("inf"), -1, 101, "1_0", " 20 ", "٢٠", "", "2e1", 1e-5])
def test_no_weight_is_written_as_one(control: Control, weight: float | str) -> None:
    """Whatever is no weight is refused before anything is written."""
    control.create("checkout")
    with pytest.raises(BadWeightError):
        control.set("checkout", weight)


@pytest.mark.parametrize(
    ("weight", "text"), [(20, "20"), (20.0, "20"), (12.5, "12.5"), ("12.5%", "12.5"), (0.001, "0.001")]
)
def test_a_weight_may_be_typed_in_several_ways(control: Control, weight: float | str, text: str) -> None:
    """Numbers and texts, with or without a percent sign."""
    control.create("checkout")
    assert control.set("checkout", weight).to == text


def test_several_candidates_are_named(control: Control) -> None:
    """Weights of several candidates go in one write; a bare weight is ambiguous."""
    control.create("ranking", ["a", "b", "c"])
    with pytest.raises(WhichCandidateError, match=r"b=\.\. c=\.\."):
        control.set("ranking", 20)
    result = control.set("ranking", weights={"b": 10, "c": "10%"})
    assert result.to == {"b": "10", "c": "10"}
    assert control.set("ranking/b", 5).moves == {"ranking/b": ("10", "5")}


def test_a_rollback_stops_and_may_be_given_twice(store: MemoryStore, control: Control) -> None:
    """After it the weight is zero and a stop stands; the second changes nothing and succeeds."""
    control.create("checkout")
    control.set("checkout", 20)
    first = control.rollback("checkout")
    assert (first.from_, first.to, first.expected) == ("20", "0", {"checkout/new": "0"})
    weights, stops = raw(store)
    assert weights[b"checkout/new"] == b"0"
    assert b"checkout" in stops
    assert control.rollback("checkout").to == "0"


def test_a_rollback_needs_no_definition(store: MemoryStore, control: Control) -> None:
    """It works when the definition cannot be read, and a set says what to do then."""
    control.create("checkout")
    control.set("checkout", 20)
    store.raw_set("splits", "checkout", "{broken")
    assert control.rollback("checkout").to == "0"
    with pytest.raises(BadDefinitionError, match="graysplit rollback checkout"):
        control.set("checkout", 20, unstop=True)
    assert control.show("checkout").unread is not None


def test_a_rollback_does_not_import_pydantic() -> None:
    """The way back costs no parser: neither pydantic nor the codec is loaded."""
    program = (
        "import sys; from graysplit.control import Control; c = Control('memory://', actor='t', confirm=True); "
        "assert c.rollback('checkout').cause == 'rollback'; c.wait_confirmed(c.rollback('*')); "
        "found = [m for m in ('pydantic', 'graysplit.codec', 'opentelemetry') if m in sys.modules]; "
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_set_clears_the_stop_and_begins_a_release(store: MemoryStore, control: Control) -> None:
    """Starting again says whose stop it was, and begins a new release; a further step does not."""
    control.create("checkout")
    control.set("checkout", 20)
    began = store.load().meta.fields[b"release:checkout/new"]
    control.rollback("checkout", why="slow")
    result = control.set("checkout", 5, unstop=True)
    assert list(result.cleared) == ["checkout"]
    assert "slow" in result.cleared["checkout"].why
    again = store.load().meta.fields[b"release:checkout/new"]
    assert again != began
    control.set("checkout", 10, unstop=True)
    assert store.load().meta.fields[b"release:checkout/new"] == again
    assert b"checkout" not in raw(store)[1]


def test_a_mistyped_brake_goes_with_the_next_start(store: MemoryStore, control: Control) -> None:
    """`checkout` = 0 and the baseline at 100 hold the split at zero until a set takes them away."""
    control.create("checkout")
    control.set("checkout", 20)
    store.raw_set("weights", "checkout", "0")
    store.raw_set("weights", "checkout/old", "100")
    assert control.overview().rows[0].effective == "0"
    assert control.set("checkout", 30).moves == {"checkout/new": ("0", "30")}
    assert control.overview().rows[0].effective == "30"
    assert set(raw(store)[0]) == {b"_", b"checkout/new"}


def test_what_was_seen_is_compared(control: Control, store: MemoryStore) -> None:
    """`from_` is the weight in force, and `if_rev` the revision since which this split is unchanged."""
    control.create("checkout")
    control.create("other")
    seen = control.set("checkout", 20).revision
    with pytest.raises(ConflictError, match="checkout/new at 5"):
        control.set("checkout", 40, from_=5)
    control.set("other", 1)
    assert control.set("checkout", 30, from_=20, if_rev=seen).to == "30"
    with pytest.raises(ConflictError, match=f"since revision {seen}"):
        control.set("checkout", 40, if_rev=seen)
    store.raw_set("stops", "checkout", "by-hand")
    with pytest.raises(ConflictError, match="checkout/new at 0"):
        control.set("checkout", 40, from_=30)


def test_racing_sets_lose_nothing(control: Control) -> None:
    """Of many editors each edit either stands in the history or was told that somebody was faster."""
    control.create("checkout")
    made: list[str] = []

    def edit(editor: int) -> None:
        own = Control(operator_of(control).store, actor=f"e{editor}", confirm=True)
        for weight in range(20):
            try:
                made.append(own.set("checkout", editor * 10 + weight % 10).change)
            except ConflictError:
                continue

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(made) <= {entry.id for entry in control.history("checkout", 1000)}
    assert made


def test_a_set_creates_what_live_code_declares(control: Control, store: MemoryStore) -> None:
    """The versions are those of all live processes, the baseline first."""
    live(store, 1, declared={"checkout": Declared("old", ("old", "new"))})
    live(store, 2, declared={"checkout": Declared("old", ("old", "next"))})
    with pytest.raises(WhichCandidateError):
        control.set("checkout", 20)
    result = control.set("checkout", weights={"new": 20})
    assert result.created == ("old", "new", "next")
    assert result.moves == {"checkout/new": ("0", "20"), "checkout/next": (None, "0")}
    assert control.explain("checkout", "u").split == "checkout"


def test_differing_baselines_are_refused_with_the_hosts(control: Control, store: MemoryStore) -> None:
    """Where live processes differ on the baseline, nothing is created and both are named."""
    live(store, 1, declared={"checkout": Declared("old", ("old", "new"))})
    live(store, 2, declared={"checkout": Declared("new", ("new", "old"))})
    with pytest.raises(RefusedError, match=r"'new' on web-2/102, 'old' on web-1/101"):
        control.set("checkout", 20)


def test_a_split_that_nobody_knows_is_no_split(control: Control, store: MemoryStore) -> None:
    """The suggestion looks at the store and at live code."""
    live(store)
    with pytest.raises(UnknownSplitError, match="Did you mean 'checkout'"):
        control.set("chekout", 20)
    with pytest.raises(UnknownSplitError):
        control.show("chekout")
    with pytest.raises(BadNameError):
        control.rollback("Check out")


def test_undo_puts_the_definition_back_byte_for_byte(control: Control, store: MemoryStore) -> None:
    """The inverse of a pin restores the very bytes, and undoing that pins again."""
    control.create("checkout")
    before = store.load().splits.fields[b"checkout"]
    control.pin("checkout", "u-17")
    pinned = store.load().splits.fields[b"checkout"]
    control.undo("checkout")
    assert store.load().splits.fields[b"checkout"] == before
    control.undo("checkout")
    assert store.load().splits.fields[b"checkout"] == pinned


def test_undo_raises_from_zero_only_by_force(control: Control, store: MemoryStore) -> None:
    """What a rollback brought down stays down without force; with it the stop goes and a release begins."""
    control.create("checkout")
    first = control.set("checkout", 20)
    control.rollback("checkout")
    with pytest.raises(RefusedError, match=r"checkout/new to 20 from zero.*--force"):
        control.undo("checkout", unstop=True)
    assert control.undo("checkout", force=True, unstop=True).to == "20"
    assert raw(store)[1] == {b"_": b"1"}
    assert not store.load().meta.fields[b"release:checkout/new"].startswith(first.change.encode())


def test_undo_wants_what_it_undoes_to_stand(control: Control, store: MemoryStore) -> None:
    """Where a raw edit came after the last change, undo names what it found."""
    control.create("checkout")
    control.set("checkout", 20)
    store.raw_set("weights", "checkout/new", "30")
    with pytest.raises(ConflictError, match="'30'"):
        control.undo("checkout")


def test_undoing_a_create_leaves_a_tombstone(control: Control, store: MemoryStore) -> None:
    """The name is free again, and its absence is no accident."""
    control.create("checkout")
    control.undo("checkout")
    assert b"tombstone" in store.load().splits.fields[b"checkout"]
    with pytest.raises(UnknownSplitError):
        control.show("checkout")
    assert control.create("checkout", ["a", "b"]).created == ("a", "b")


def test_delete_frees_the_name(control: Control, store: MemoryStore) -> None:
    """A split at zero goes with weights and stops, even one whose definition cannot be read."""
    control.create("checkout")
    control.set("checkout", 5)
    with pytest.raises(RefusedError, match="not at zero"):
        control.delete("checkout")
    control.rollback("checkout")
    store.raw_set("splits", "checkout", "{broken")
    control.delete("checkout")
    assert raw(store) == ({b"_": b"1"}, {b"_": b"1"})
    assert control.overview().unread == {}


def test_unstop_raises_what_stands_under_a_stop(control: Control, store: MemoryStore) -> None:
    """Clearing `*` begins a release for everybody who rises by it."""
    control.create("checkout")
    control.set("checkout", 20)
    store.raw_set("stops", "*", "fire drill")
    before = store.load().meta.fields[b"release:checkout/new"]
    result = control.unstop("*")
    assert result.moves == {"checkout/new": ("0", "20")}
    assert store.load().meta.fields[b"release:checkout/new"] != before


def test_a_late_raise_is_refused(control: Control, clock: MovedClock) -> None:
    """A raise that a person agreed to rests on a second reading, not on the one they thought about."""
    control.create("checkout")
    asked: list[str] = []

    def think(proposal: Proposal) -> None:
        asked.append(proposal.ask or "")
        clock.now += 60

    slow = Control(operator_of(control).store, actor="ada", confirm=think)
    assert slow.set("checkout", 100).to == "100"
    assert asked == ["this sends everybody to checkout/new"]


def test_a_split_that_changed_under_a_prompt_is_left_alone(control: Control) -> None:
    """What a person agreed to is what they were shown, or nothing."""
    control.create("checkout")

    def think(_: Proposal) -> None:
        control.set("checkout", 1)

    with pytest.raises(ConflictError):
        Control(operator_of(control).store, actor="ada", confirm=think).set("checkout", 100)
    assert control.overview().rows[0].asked == "1"


@pytest.mark.parametrize("verb", ["create", "set", "rollback", "undo", "preview", "pin", "delete", "unstop"])
def test_a_dry_run_writes_nothing(control: Control, store: MemoryStore, verb: str) -> None:
    """Every change can be shown without being made."""
    control.create("checkout")
    store.raw_set("stops", "other", "")
    calls = {
        "create": lambda: control.create("search", dry_run=True),
        "set": lambda: control.set("checkout", 20, dry_run=True),
        "rollback": lambda: control.rollback("checkout", dry_run=True),
        "undo": lambda: control.undo("checkout", dry_run=True),
        "preview": lambda: control.preview("checkout", dry_run=True),
        "pin": lambda: control.pin("checkout", "u", dry_run=True),
        "delete": lambda: control.delete("checkout", dry_run=True),
        "unstop": lambda: control.unstop("other", dry_run=True),
    }
    before = store.load()
    assert calls[verb]().dry_run
    assert store.load() == before


def test_receipts_count_who_shows_the_effect(control: Control, store: MemoryStore, clock: MovedClock) -> None:
    """Live and current is confirmed, live and behind is lagging, unheard is silent."""
    live(store, 3)
    clock.now += 60
    control.create("checkout")
    result = control.set("checkout", 20)
    live(store, 1, effects={"checkout/new": Effect("20", 2)}, change=result.change, revision=2)
    live(store, 2, effects={"checkout/new": Effect("0", 0, "version_absent")})
    receipts = control.wait_confirmed(result, 0.0).receipts
    assert (receipts.confirmed, receipts.processes, receipts.running) == (1, 3, 2)
    assert receipts.lagging == ("web-2/102 (version_absent)",)
    assert receipts.silent == ("web-3/103",)
    assert not receipts.complete


def test_waiting_ends_when_the_last_one_confirms(control: Control, store: MemoryStore) -> None:
    """The wait notices a receipt that comes later, and does not wait for the silent."""
    control.create("checkout")
    live(store, 1)
    result = control.set("checkout", 20)
    answer: list[object] = []
    waiter = threading.Thread(target=lambda: answer.append(control.wait_confirmed(result, 30.0).receipts))
    waiter.start()
    live(store, 1, effects={"checkout/new": Effect("20")}, change=result.change)
    waiter.join(10)
    assert getattr(answer[0], "complete", False)


def test_nobody_is_said(control: Control) -> None:
    """A namespace without processes is answered at once."""
    control.create("checkout")
    receipts = control.wait_confirmed(control.set("checkout", 20), 30.0).receipts
    assert receipts.nobody
    assert not receipts.complete


def test_a_fleet_that_died_without_a_goodbye_is_no_proof(
    control: Control, store: MemoryStore, clock: MovedClock
) -> None:
    """Nobody is counted, but somebody declared it within a day: who it was is said, and nothing is complete.

    Timeline 20.
    """
    control.create("checkout")
    live(store, 1)
    clock.now += 3 * 3_600
    receipts = control.wait_confirmed(control.set("checkout", 20), 30.0).receipts
    assert receipts.gone == ("web-1/101 (3 h ago)",)
    assert not receipts.nobody
    assert not receipts.complete
    clock.now += 24 * 3_600
    assert control.wait_confirmed(control.set("checkout", 30), 30.0).receipts.nobody


def test_wait_weights_knows_what_stands(control: Control, store: MemoryStore) -> None:
    """Waiting for a split counts who shows the weights in force; for another weight it gives up."""
    control.create("checkout")
    control.set("checkout", 20)
    live(store, 1, effects={"checkout/new": Effect("20")})
    assert control.wait_weights("checkout").complete
    assert control.wait_weights("checkout", 20).complete
    assert not control.wait_weights("checkout", 50, timeout=0.0).complete


def test_export_holds_everything(control: Control) -> None:
    """The definition is there as a record, weights and stops as they stand."""
    control.create("checkout")
    control.set("checkout", 20)
    control.rollback("checkout")
    found = control.export()
    assert found["weights"] == {"checkout/new": "0"}
    assert isinstance(found["splits"], dict)
    assert found["splits"]["checkout"]["baseline"] == "old"
    assert isinstance(found["stops"], dict)
    assert list(found["stops"]) == ["checkout"]


def test_explain_prints_the_ladder_to_the_rung_that_answered(control: Control) -> None:
    """Version, reason and bucket agree with the last rung."""
    control.create("checkout")
    control.set("checkout", 50)
    found = control.explain("checkout", "u-1")
    assert found.reason == found.ladder[-1].reason == "bucket"
    assert found.version == found.ladder[-1].version
    assert found.bucket is not None
    assert (found.version == "new") is (found.bucket < 50_000)
    assert control.explain("checkout", None).bucket is None
    with pytest.raises(UnknownSplitError):
        control.explain("nothing", "u")


def test_a_row_says_what_is_in_force_where_the_store_does_not(store: MemoryStore) -> None:
    """A refused weight and a lost key show what the live processes do, and that the last content stands."""
    control = Control(store, confirm=True)
    control.create("checkout")
    control.set("checkout", 20)
    with Router(store) as router:
        assert router.wait_ready(5)
        store.raw_set("weights", "checkout/new", b"1_0")
        eventually(lambda: router.status().refused)
        [row] = eventually(lambda: [row for row in control.overview().rows if row.effective == "20"])
        assert (row.asked, row.actual) == ("1_0", "1/1")
        assert "last good value stays in force" in row.why


def test_a_row_shows_its_lease(store: MemoryStore) -> None:
    """A raise for a time says how long it lasts and what comes after it."""
    control = Control(store, confirm=True)
    control.create("checkout")
    control.set("checkout", 20, for_=1800)
    [row] = control.overview().rows
    assert row.effective == "20"
    assert row.why.endswith("s more, then 0")
