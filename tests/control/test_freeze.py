"""Freezes, protection and `finish`: which raises they refuse, and what stays free.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from graysplit.control import Control
from graysplit.control.control import Question
from graysplit.control.operator import operator_of
from graysplit.core.fleet import Declared
from graysplit.core.freeze import BadPatternError
from graysplit.errors import ConflictError, GraysplitError, RefusedError
from graysplit.stores import store_from_url
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Store
from graysplit.stores.text.freezes import read_freezes
from tests.clocks import MovedClock
from tests.control.between import Between
from tests.control.processes import live
from tests.control.test_control import clock, control, store

__all__ = ["clock", "control", "store"]  # fixtures


def weight(control: Control, split: str = "checkout") -> str:
    """Return the weight in force of a split's first candidate."""
    return control.show(split).rows[0].effective


def finish_at(control: Control, percent: int) -> None:
    """Raise a new split to a weight, and finish its release there."""
    control.create("checkout")
    control.set("checkout", percent)
    control.finish("checkout", at=percent)


def lowered(control: Control, folder: Path) -> Path:
    """Bring a split to 20 and down to 10; return an export of when it stood at 20."""
    control.create("checkout")
    control.set("checkout", 20)
    export = folder / "export.json"
    export.write_text(json.dumps(control.export()))
    control.set("checkout", 10)
    return export


def held(store: Store) -> list[str]:
    """Name the patterns that the store holds."""
    raw = store.load().meta.fields.get(b"freezes")
    return [freeze.pattern for freeze in read_freezes(None if raw is None else raw.decode())]


# --- a freeze stands -------------------------------------------------------------------------------------------------


def test_a_frozen_split_does_not_rise_and_falls_freely(control: Control) -> None:
    """A raise is refused with pattern, reason, owner and the way out; lowering and a rollback are not."""
    control.create("checkout")
    control.set("checkout", 20)
    result = control.freeze("check*", why="Black Friday")
    assert (result.cause, result.split, result.moves) == ("freeze", "check*", {})
    assert "blocks checkout" in result.notes
    with pytest.raises(RefusedError, match=r"'check\*' is frozen by ada.*Black Friday.*graysplit unfreeze 'check\*'"):
        control.set("checkout", 21)
    assert control.set("checkout", 10).to == "10"
    assert control.rollback("checkout").to == "0"
    with pytest.raises(RefusedError, match="frozen"):
        control.set("checkout", 1, unstop=True)


def test_a_dry_run_of_a_raise_is_refused_too(control: Control) -> None:
    """What would be refused is not shown as if it could be written."""
    control.create("checkout")
    control.freeze("*")
    with pytest.raises(RefusedError, match="graysplit unfreeze --all"):
        control.set("checkout", 20, dry_run=True)


def test_splits_made_later_are_held(control: Control) -> None:
    """A freeze is of names, in an empty namespace too; creating a split at zero raises nobody."""
    control.freeze("*")
    control.create("checkout")
    for raised in (lambda: control.set("checkout", 1), lambda: control.preview("checkout")):
        with pytest.raises(RefusedError, match="frozen"):
            raised()
    live(operator_of(control).store, declared={"search": Declared("old", ("old", "new"))})
    with pytest.raises(RefusedError, match="frozen"):
        control.set("search", 1)


def test_other_splits_rise(control: Control) -> None:
    """A pattern holds what it matches and nothing else, and names what it holds."""
    control.create("checkout")
    control.create("search")
    assert "matches no split yet" in control.freeze("chekout").notes[1]
    control.freeze("checkout")
    assert control.set("search", 20).to == "20"


def test_every_verb_that_raises_is_refused(control: Control) -> None:
    """Set, preview, unstop, undo, a pin, and taking a denial away."""
    control.create("checkout")
    control.pin("checkout", "u-2", deny=True)
    control.set("checkout", 20)
    operator_of(control).store.raw_set("stops", "checkout", "by-hand")  # type: ignore[attr-defined]
    control.freeze("*")
    with pytest.raises(RefusedError, match="frozen"):
        control.unstop("checkout")
    control.unfreeze("*")
    control.unstop("checkout")
    control.set("checkout", 10)
    control.freeze("checkout")
    refused: Sequence[Callable[[], object]] = (
        lambda: control.set("checkout", 20, for_=60),
        lambda: control.pin("checkout", "u-1"),
        lambda: control.unpin("checkout", "u-2"),
    )
    for raised in refused:
        with pytest.raises(RefusedError, match="frozen"):
            raised()
    control.pin("checkout", "u-3", deny=True)
    control.pin("checkout", "u-3", "old")
    control.set("checkout", 5, unstop=True)
    with pytest.raises(RefusedError, match="frozen"):
        control.undo("checkout", unstop=True)
    assert weight(control) == "5"


def test_taking_a_pin_to_a_candidate_away_is_lowering(control: Control) -> None:
    """What lets nobody in is free during a freeze."""
    control.create("checkout")
    control.set("checkout", 20)
    control.pin("checkout", "u-1")
    control.freeze("*")
    assert control.unpin("checkout", "u-1").cause == "unpin"


def test_a_freeze_ends_by_the_servers_time(control: Control, clock: MovedClock) -> None:
    """`for_s` is an end; frozen again it has another one and another reason."""
    control.create("checkout")
    control.freeze("checkout", for_=60)
    clock.now += 59
    with pytest.raises(RefusedError, match="until"):
        control.set("checkout", 1)
    control.freeze("checkout", why="longer", for_=60)
    clock.now += 59
    with pytest.raises(RefusedError, match="longer"):
        control.set("checkout", 1)
    clock.now += 1
    assert control.overview().freezes == ()
    assert control.set("checkout", 1).to == "1"
    clock.now += 61
    control.freeze("other")
    assert held(operator_of(control).store) == ["other"]


def test_unfreeze_ends_one_freeze(control: Control, store: MemoryStore) -> None:
    """Others that hold the same split stand; what does not stand cannot be ended, and the message names what does."""
    control.create("checkout")
    control.freeze("*")
    control.freeze("checkout")
    asked: list[str | None] = []
    Control(store, confirm=lambda question: asked.append(question.ask)).unfreeze("*")
    assert asked == ["this allows increases again where only '*' blocked them"]
    with pytest.raises(RefusedError, match=r"no freeze 'check' \(freezes: 'checkout'\)"):
        control.unfreeze("check")
    with pytest.raises(RefusedError, match="frozen"):
        control.set("checkout", 1)
    control.unfreeze("checkout")
    assert b"freezes" not in store.load().meta.fields
    assert control.set("checkout", 1).to == "1"


def test_no_pattern_is_frozen(control: Control) -> None:
    """A candidate, or a word with letters that no name has, is refused before anything is written."""
    for text in ("checkout/new", "Checkout", ""):
        with pytest.raises(BadPatternError):
            control.freeze(text)


def test_a_field_that_cannot_be_read_freezes_everything(control: Control, store: MemoryStore) -> None:
    """In doubt, lower; a freeze beside it keeps it so, doctor names it, and `unfreeze '*'` ends it."""
    control.create("checkout")
    store.raw_set("meta", "freezes", "{oops")
    with pytest.raises(RefusedError, match="cannot be read"):
        control.set("checkout", 1)
    control.freeze("search")
    with pytest.raises(RefusedError, match="cannot be read"):
        control.set("checkout", 1)
    assert any(found.where == "meta freezes" and "cannot be read" in found.what for found in control.doctor())
    control.unfreeze("*")
    assert control.set("checkout", 1).to == "1"
    assert held(store) == ["search"]


def test_freezes_are_in_the_history_and_change_nothing_else(control: Control) -> None:
    """Each is a recorded change of its pattern; a split's own last change can be undone beside it."""
    control.create("checkout")
    control.set("checkout", 20)
    control.set("checkout", 10)
    control.freeze("check*", why="holiday")
    control.unfreeze("check*")
    assert [(entry.cause, entry.split) for entry in control.history(count=2)] == [
        ("unfreeze", "check*"),
        ("freeze", "check*"),
    ]
    assert control.history("check*", 1)[0].cause == "unfreeze"
    assert control.undo("checkout").to == "20"
    control.freeze("checkout")
    with pytest.raises(RefusedError, match="graysplit unfreeze checkout"):
        control.undo("checkout")


def test_a_freeze_is_shown(control: Control) -> None:
    """The overview shows all, a split those that hold it, and doctor each as a note."""
    control.create("checkout")
    control.freeze("check*")
    control.freeze("search")
    assert [freeze.pattern for freeze in control.overview().freezes] == ["check*", "search"]
    assert [freeze.pattern for freeze in control.show("checkout").freezes] == ["check*"]
    found = [finding for finding in control.doctor() if finding.where == "meta freezes"]
    assert [(finding.severity, finding.command) for finding in found] == [
        ("note", "graysplit unfreeze 'check*'"),
        ("note", "graysplit unfreeze search"),
    ]


def test_racing_freezes_all_stand(control: Control, store: MemoryStore) -> None:
    """Somebody else's freeze in between is no conflict: both stand."""
    control.create("checkout")
    between = Control(Between(store, lambda: control.freeze("b")), actor="bob", confirm=True)
    between.freeze("a")
    assert held(store) == ["b", "a"]


def test_a_raise_from_outside_is_flagged(control: Control, store: MemoryStore) -> None:
    """A raw HSET is no raise that a freeze can stop; the history says that it came during one, and only then."""
    control.create("checkout")
    feed = store.follow()

    def edit(text: str) -> str:
        store.raw_set("weights", "checkout/new", text)
        assert feed.record_raw_edits("web-1") == 1
        return control.history("checkout", 1)[0].why

    assert edit("5") == ""
    control.freeze("check*", why="holiday")
    assert edit("20").startswith("during freeze: 'check*' is frozen by ada")
    assert (control.overview().last or control.history()[0]).why == control.show("checkout").last.why  # type: ignore[union-attr]
    assert edit("10") == ""
    control.unfreeze("check*")
    assert edit("30") == ""
    control.freeze("other")
    assert edit("40") == ""
    flagged = [entry.after for entry in control.history() if "during freeze" in entry.why]
    assert flagged == [{"weights checkout/new": "20"}]


def test_a_recovery_that_raises_is_refused(control: Control, store: MemoryStore, tmp_path: Path) -> None:
    """Also where the freeze itself was lost with its key and only the history knows of it; a lower one is written."""
    export = lowered(control, tmp_path)
    control.freeze("checkout")
    with pytest.raises(RefusedError, match="frozen"):
        control.recover(source=export, take="source")
    store.raw_drop("meta")
    with pytest.raises(RefusedError, match="frozen"):
        control.recover(source=export, take="source")
    assert control.recover(source=export).needed
    assert held(store) == ["checkout"]
    assert weight(control) == "10"


def test_a_freeze_in_between_ends_a_recovery(control: Control, store: MemoryStore, tmp_path: Path) -> None:
    """A recovery that raises rests on the freezes as they were read."""
    export = lowered(control, tmp_path)
    between = Control(Between(store, lambda: control.freeze("*")), confirm=True)
    with pytest.raises(ConflictError, match="freezes"):
        between.recover(source=export, take="source")
    assert weight(control) == "10"


Verb = Callable[[Control, int], object]
VERBS: Sequence[Verb] = (
    lambda c, n: c.set("ranking/b", n),
    lambda c, n: c.set("ranking/c", n, allow_needless=True),
    lambda c, n: c.set("ranking", weights={"b": n, "c": 40 - n}, allow_needless=True),
    lambda c, n: c.set("ranking/b", n, for_=60),
    lambda c, _: c.preview("ranking/b"),
    lambda c, _: c.undo("ranking", force=True),
    lambda c, _: c.unstop("ranking"),
    lambda c, _: c.unstop("*"),
    lambda c, _: c.unstop("ranking/b"),
    lambda c, n: c.pin("ranking", f"u-{n % 3}", "b"),
    lambda c, n: c.pin("ranking", f"u-{n % 3}", "a"),
    lambda c, n: c.pin("ranking", f"u-{n % 3}", deny=True),
    lambda c, n: c.unpin("ranking", f"u-{n % 3}"),
    lambda c, _: c.rollback("ranking/b"),
    lambda c, _: c.rollback("*"),
    lambda c, n: c.finish("ranking", at=n),
    lambda c, _: c.delete("ranking"),
    lambda c, _: c.protect("ranking"),
    lambda c, _: c.recover(),
)
ACTS = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 40)), max_size=6)


def attempt(control: Control, acts: list[tuple[Verb, int]]) -> None:
    """Try verbs one after the other; what is refused is refused."""
    for verb, number in acts:
        try:
            verb(control, number)
        except GraysplitError:
            continue


def in_force(control: Control) -> dict[str, float]:
    """Return all weights in force, and which of three units a pin gives a candidate."""
    rows = {
        row.field: 0.0005 if row.effective == "preview" else float(row.effective) for row in control.overview().rows
    }
    for unit in (f"u-{number}" for number in range(3)) if rows else ():
        found = control.explain("ranking", unit)
        rows[unit] = float((found.reason, found.version) == ("pin", "b"))
    return rows


@given(before=ACTS, during=ACTS, pattern=st.sampled_from(["*", "ranking", "rank*", "?anking"]))
@settings(max_examples=150, deadline=None)
def test_with_a_freeze_nothing_rises(
    before: list[tuple[Verb, int]],
    during: list[tuple[Verb, int]],
    pattern: str,
) -> None:
    """Whatever stood, and whatever verb is tried: no weight in force is higher after it."""
    control = Control(MemoryStore(), actor="ada", confirm=True)
    control.create("ranking", ["a", "b", "c"])
    attempt(control, before)
    control.freeze(pattern)
    stood = in_force(control)
    for act in during:
        attempt(control, [act])
        now = in_force(control)
        higher = {field for field, value in now.items() if value > stood.get(field, 0)}
        assert not higher, (higher, stood, now)
        stood = now


# --- the race, on a real server --------------------------------------------------------------------------------------


@pytest.fixture(params=["by script", "by watching"])
def stores(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> Iterator[Callable[[], Store]]:
    """Open stores on a real server, as a user who may run scripts and as one who may not."""
    client = Redis.from_url(redis_url)
    user = f"plain-{uuid.uuid4().hex[:8]}"
    rules = ("+@all", "-eval", "-evalsha") if request.param == "by watching" else ("+@all",)
    client.execute_command("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", *rules)
    url = redis_url.replace("redis://", f"redis://{user}:secret@")
    opened: list[Store] = []

    def make() -> Store:
        opened.append(store_from_url(url, namespace))
        return opened[-1]

    yield make
    for found in opened:
        found.close()
    client.execute_command("ACL", "DELUSER", user)
    client.close()


RAISES: dict[str, Callable[[Control], object]] = {
    "set": lambda c: c.set("checkout", 20),
    "for a time": lambda c: c.set("checkout", 20, for_=60),
    "preview": lambda c: c.preview("search"),
    "undo": lambda c: c.undo("checkout"),
    "unstop": lambda c: c.unstop("stopped"),
    "pin": lambda c: c.pin("checkout", "u-1"),
}


@pytest.mark.parametrize("raised", RAISES.values(), ids=RAISES)
def test_a_freeze_in_between_is_a_conflict(
    stores: Callable[[], Store], redis_url: str, namespace: str, raised: Callable[[Control], object]
) -> None:
    """Read before the freeze and written after it, however soon, a raise changes nothing (timeline 18)."""
    other = Control(stores(), actor="bob", confirm=True)
    for split in ("checkout", "search", "stopped"):
        other.create(split)
        other.set(split, 10)
    other.set("search", 0)
    other.set("checkout", 5)
    with Redis.from_url(redis_url) as client:
        client.hset(f"graysplit:{{{namespace}}}:stops", "stopped", "by-hand")
    before = other.export()
    with pytest.raises(ConflictError, match="meta freezes"):
        raised(Control(Between(stores(), lambda: other.freeze("*")), actor="ada", confirm=True))
    after = other.export()
    assert [after[key] for key in ("weights", "stops", "splits")] == [
        before[key] for key in ("weights", "stops", "splits")
    ]
    assert other.history(count=1)[0].cause == "freeze"
    with pytest.raises(RefusedError, match="frozen"):
        raised(Control(stores(), actor="ada", confirm=True))


def test_a_lowering_does_not_mind_a_freeze_in_between(stores: Callable[[], Store]) -> None:
    """Only raises rest on the freezes."""
    other = Control(stores(), actor="bob", confirm=True)
    other.create("checkout")
    other.set("checkout", 20)
    between = Control(Between(stores(), lambda: other.freeze("*")), actor="ada", confirm=True)
    assert between.set("checkout", 10).to == "10"


# --- protection ------------------------------------------------------------------------------------------------------


def test_a_protected_split_rises_with_a_reason_and_the_typed_name(control: Control, store: MemoryStore) -> None:
    """Without a reason it is refused; with one a person types the name; lowering needs neither."""
    asked: list[tuple[str, str | None]] = []

    def agree(question: Question) -> None:
        asked.append((question.target, question.ask))

    control = Control(store, actor="ada", confirm=agree)
    control.create("checkout")
    control.protect("checkout")
    refused: Sequence[Callable[[str], object]] = (
        lambda why: control.set("checkout", 5, why=why),
        lambda why: control.preview("checkout", why=why),
    )
    for raised in refused:
        with pytest.raises(RefusedError, match="--why"):
            raised("")
        with pytest.raises(RefusedError, match="graysplit unprotect checkout"):
            raised("  ")
    assert not asked
    control.set("checkout", 5, why="step 1")
    assert asked == [("checkout", "this raises checkout/new 0 -> 5, and checkout is protected")]
    with pytest.raises(RefusedError, match="--why"):
        control.pin("checkout", "u-1")
    control.set("checkout", 1)
    control.rollback("checkout")
    assert len(asked) == 1


def test_taking_the_protection_away_is_asked(control: Control, store: MemoryStore) -> None:
    """By unprotect and by the undo of a protect; protecting asks nobody. Twice is refused."""
    asked: list[str | None] = []
    control = Control(store, actor="ada", confirm=lambda question: asked.append(question.ask))
    control.create("checkout")
    with pytest.raises(RefusedError, match="not protected"):
        control.unprotect("checkout")
    control.protect("checkout")
    with pytest.raises(RefusedError, match="already protected"):
        control.protect("checkout")
    assert not asked
    control.undo("checkout")
    control.protect("checkout")
    control.unprotect("checkout")
    assert asked == ["this removes the protection of 'checkout'"] * 2
    assert control.set("checkout", 5).to == "5"


def test_protection_and_a_freeze_are_no_hindrance_to_each_other(control: Control) -> None:
    """Protecting raises nobody: it is free during a freeze, above zero too."""
    control.create("checkout")
    control.set("checkout", 20)
    control.freeze("*")
    assert control.protect("checkout").cause == "protect"
    assert control.unprotect("checkout").cause == "unprotect"


# --- finish ----------------------------------------------------------------------------------------------------------


def test_a_finished_release_keeps_its_weight(control: Control) -> None:
    """It is shown as finished, and a rollback of everything leaves it and says so; one by name does not."""
    control.create("checkout")
    control.create("search")
    control.set("checkout", 100)
    control.set("search", 20)
    assert control.finish("checkout", why="two weeks without trouble").moves == {}
    assert list(control.overview().finished) == ["checkout"]
    assert control.show("checkout").finished_ms is not None
    assert control.rollback("*").left == ("checkout",)
    assert (weight(control), weight(control, "search")) == ("100", "0")
    assert control.rollback("checkout").to == "0"
    assert not control.overview().finished


def test_a_finished_release_that_was_rolled_back_is_spared_no_more(control: Control, store: MemoryStore) -> None:
    """Its mark went with the rollback: a raise past graysplit is an open release, which everything's rollback takes."""
    finish_at(control, 100)
    control.rollback("checkout")
    store.raw_delete("stops", "checkout")
    store.raw_set("weights", "checkout/new", "50")
    assert control.rollback("*").left == ()
    assert weight(control) == "0"


def test_what_cannot_be_finished(control: Control) -> None:
    """Nothing above zero, a preview, a stop, a weight that stands for a time, and what is finished already."""
    control.create("checkout")
    with pytest.raises(RefusedError, match="nothing to finish"):
        control.finish("checkout")
    control.preview("checkout")
    with pytest.raises(RefusedError, match="nothing to finish"):
        control.finish("checkout")
    control.set("checkout", 20)
    control.rollback("checkout")
    with pytest.raises(RefusedError, match="stop 'checkout'"):
        control.finish("checkout")
    control.set("checkout", 20, for_=600, unstop=True)
    with pytest.raises(RefusedError, match="graysplit set checkout/new 20"):
        control.finish("checkout")
    control.set("checkout", 20)
    with pytest.raises(RefusedError, match=r"'checkout' is at 20 %.*graysplit finish checkout --at 20"):
        control.finish("checkout")
    with pytest.raises(RefusedError, match="not at 95 %"):
        control.finish("checkout", at=95)
    control.finish("checkout", at="20%")
    with pytest.raises(RefusedError, match="was finished at"):
        control.finish("checkout")


@pytest.mark.parametrize("weight", [0, 5, 100])
def test_a_change_of_its_weights_is_a_release_again(control: Control, weight: int) -> None:
    """Whatever is set after it: a rollback of everything takes it again."""
    finish_at(control, 50)
    control.set("checkout", weight)
    assert not control.overview().finished
    assert control.rollback("*").left == ()


def test_clearing_a_stop_on_everything_ends_it_too(control: Control, store: MemoryStore) -> None:
    """What rises is a release again, whichever stop held it."""
    finish_at(control, 50)
    store.raw_set("stops", "*", "by-hand")
    control.unstop("*")
    assert control.rollback("*").left == ()


def test_undo_takes_a_finish_back_and_gives_it_back(control: Control, store: MemoryStore) -> None:
    """The mark is the one thing of `meta` that an undo puts back."""
    finish_at(control, 50)
    mark = store.load().meta.fields[b"finished:checkout"]
    control.undo("checkout")
    assert b"finished:checkout" not in store.load().meta.fields
    control.undo("checkout")
    assert store.load().meta.fields[b"finished:checkout"] == mark
    control.set("checkout", 40)
    control.undo("checkout")
    assert (weight(control), list(control.overview().finished)) == ("50", ["checkout"])
    assert control.rollback("*").left == ("checkout",)


def test_a_raw_start_after_it_is_a_release_again(control: Control, store: MemoryStore, clock: MovedClock) -> None:
    """A release that began later than the mark is not finished, whatever the mark says."""
    finish_at(control, 50)
    control.rollback("checkout")
    clock.now += 1
    store.raw_delete("stops", "checkout")
    store.raw_set("weights", "checkout/new", "5")
    assert store.follow().record_raw_edits("web-1")
    assert not control.overview().finished


# --- delete ----------------------------------------------------------------------------------------------------------


def test_a_finished_split_goes_once_no_code_declares_it(
    control: Control, store: MemoryStore, clock: MovedClock
) -> None:
    """Above zero its record goes only then, and whoever declares it is named; its name is free afterwards."""
    control.create("checkout")
    control.set("checkout", 100)
    with pytest.raises(RefusedError, match="graysplit finish checkout"):
        control.delete("checkout")
    control.finish("checkout")
    for number in range(7):
        live(store, number)
    with pytest.raises(RefusedError, match=r"web-0/100, .*web-4/104 and 2 more.*Remove the route from the code first"):
        control.delete("checkout")
    note = next(finding for finding in control.doctor() if finding.where == "code checkout" and "both" in finding.what)
    assert (note.severity, "web-0/100 and 6 more" in note.what) == ("note", True)
    for number in range(7):
        feed = store.follow()
        feed.leave(f"boot-{number}")
    assert any("its record can be deleted" in finding.what for finding in control.doctor())
    control.delete("checkout")
    assert b"finished:checkout" not in store.load().meta.fields
    control.create("checkout", ["new", "v3"])
    assert weight(control) == "0"


def test_a_silent_process_may_come_back(control: Control, store: MemoryStore, clock: MovedClock) -> None:
    """One that was cut off declares its routes still."""
    finish_at(control, 100)
    live(store)
    clock.now += 60
    with pytest.raises(RefusedError, match=r"web-1/101 \(silent\)"):
        control.delete("checkout")


def test_at_zero_a_declared_split_goes_as_ever(control: Control, store: MemoryStore) -> None:
    """Nobody loses anything by it."""
    control.create("checkout")
    live(store)
    assert control.delete("checkout").cause == "delete"
