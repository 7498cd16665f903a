"""A record whose baseline is not the code's: refused, judged by version name, and never a way around a freeze."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graysplit import Control
from graysplit.core.fleet import Declared, Receipt, baseline_words
from graysplit.errors import RefusedError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Expect, Report, Submission, Write
from tests.control.processes import live

TURNED = {"checkout": Declared("new", ("new", "old"), "route", 5)}


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand whose question is always answered with yes."""
    return Control(store, actor="ada", confirm=True)


def test_create_with_another_baseline_than_the_codes_is_refused(control: Control, store: MemoryStore) -> None:
    """Today's surprise: 100 % to new without a question, also under a freeze, by delete and create."""
    live(store)
    with pytest.raises(RefusedError, match=r"declares 'old' on web-1/101.*graysplit create checkout$"):
        control.create("checkout", ["new", "old"])
    control.create("checkout")
    control.freeze("*")
    control.delete("checkout")
    for dry_run in (True, False):
        with pytest.raises(RefusedError, match="cannot be the baseline"):
            control.create("checkout", ["new", "old"], dry_run=dry_run)
    assert control.create("checkout", ["old", "new"]).created == ("old", "new")


def test_where_code_differs_one_that_it_declares_may_be_said(control: Control, store: MemoryStore) -> None:
    """In the middle of a deployment a person says which; whoever differs answers with its own, and nothing rises."""
    live(store, 1)
    live(store, 2, declared=TURNED)
    control.create("checkout", ["new", "old"])
    with pytest.raises(RefusedError, match=r"web-1/101 has baseline 'old' in its code, 'new' in the store"):
        control.set("checkout", 5)
    control.delete("checkout")
    control.create("checkout", ["old", "new"])


def test_the_last_record_counts_where_no_code_says_otherwise(control: Control, store: MemoryStore) -> None:
    """A tombstone remembers the baseline; new code has the last word, and says it by running."""
    control.create("checkout")
    control.delete("checkout")
    with pytest.raises(RefusedError, match=r"last record has 'old'.*--versions old,new; or start a process"):
        control.create("checkout", ["new", "old"])
    live(store, declared=TURNED)
    assert control.create("checkout").created == ("new", "old")


def test_a_tombstone_without_it_is_looked_up_in_the_history(control: Control, store: MemoryStore) -> None:
    """One that an older library wrote names no baseline, but the history does."""
    control.create("checkout", ["v1", "v2"])
    control.delete("checkout")
    store.raw_set("splits", "checkout", '{"tombstone": "c-1"}')
    with pytest.raises(RefusedError, match="last record has 'v1'"):
        control.create("checkout", ["v2", "v1"])
    control.create("search", ["new", "old"])  # a name that was never used: nobody can be moved
    control.create("checkout", ["v2", "v3"])  # and one that is used for something else


def test_undo_does_not_bring_back_another_baseline(control: Control, store: MemoryStore) -> None:
    """The inverse of a delete is a definition as any other."""
    control.create("checkout", ["new", "old"])
    control.delete("checkout")
    live(store)
    with pytest.raises(RefusedError, match="cannot be the baseline"):
        control.undo("checkout", force=True)


def test_undoing_a_turn_is_a_raise_by_name(control: Control, store: MemoryStore) -> None:
    """Who was on the old baseline moves to the new one: shown by name, asked for, and held by a freeze."""
    control.create("checkout")
    control.set("checkout", 30)
    straight = store.load().splits.fields[b"checkout"].decode()
    turned = json.loads(straight)
    turned |= {"baseline": "new", "versions": [{"name": "new"}, {"name": "old", "place": 0}]}
    store.raw_set("splits", "checkout", json.dumps(turned))
    expect, write = Expect("splits", "checkout", json.dumps(turned)), Write("splits", "checkout", straight)
    back = Submission("c-2", "checkout", "recover", "ada", "", (expect,), (write,), store.load().now_ms)
    store.submit(back)

    asked: list[str | None] = []
    careful = Control(store, actor="eve", confirm=lambda question: asked.append(question.ask))
    shown = careful.undo("checkout", dry_run=True)
    assert shown.moves == {"checkout/new": ("30", "100"), "checkout/old": ("70", "0")}
    assert (shown.moved, shown.needless) == (70.0, 0.0)
    assert shown.expected == {"checkout/old": "0"}, "of a baseline no receipt tells"
    control.freeze("*")
    with pytest.raises(RefusedError, match="may not rise"):
        careful.undo("checkout")
    control.unfreeze("*")
    careful.undo("checkout")
    assert asked == ["this sends everybody to checkout/new"]


def test_recover_leaves_a_split_whose_baseline_is_not_the_codes(
    control: Control, store: MemoryStore, tmp_path: Path
) -> None:
    """A file from before a deployment turns nothing around; the split is named as left, with both baselines."""
    old = MemoryStore()
    other = Control(old, actor="ada", confirm=True)
    other.create("checkout", ["new", "old"])
    other.create("search")
    file = tmp_path / "export.json"
    file.write_text(json.dumps(other.export()))
    live(store)
    found = control.recover(source=file, dry_run=True)
    assert found.left == {"checkout": "its baseline would be 'new', but in the running code it is 'old'"}
    assert {side.split for side in found.sides} == {"search"}


def test_recover_judges_a_turn_by_name(control: Control, store: MemoryStore, tmp_path: Path) -> None:
    """Where no code says otherwise it is possible, and a raise: a freeze holds it, and it asks for the name."""
    control.create("checkout")
    old = Control(MemoryStore(), actor="ada")
    old.create("checkout", ["new", "old"])
    file = tmp_path / "export.json"
    file.write_text(json.dumps(old.export()))
    found = control.recover(source=file, take="source", dry_run=True)
    assert (found.ask, found.raises) == ("this raises checkout/new 0 -> 100", True)
    control.freeze("checkout")
    with pytest.raises(RefusedError, match="frozen"):
        control.recover(source=file, take="source", dry_run=True)


def test_a_raise_waits_for_one_baseline(control: Control, store: MemoryStore) -> None:
    """Lowering stays free, and a record that nobody uses any more can be deleted above zero once it is finished."""
    control.create("checkout")
    control.set("checkout", 100)
    control.finish("checkout")
    live(store, declared=TURNED)
    with pytest.raises(RefusedError, match="web-1/101 has baseline 'new' in its code"):
        control.pin("checkout", "u-1", "new")
    control.delete("checkout")
    assert control.create("checkout").created == ("new", "old")


def test_a_rollback_is_never_confirmed_by_another_baseline(control: Control, store: MemoryStore) -> None:
    """It is written all the same, and the process named with both baselines."""
    control.create("checkout")
    control.set("checkout", 20)
    result = control.rollback("checkout")
    words = {"checkout": baseline_words("new", "old")}
    receipt = Receipt(result.change, result.revision, {}, "tracking", baselines=words)
    feed = store.follow()
    feed.report(Report("boot-1", "web-1", 7, "1", TURNED, receipt), about=True)
    feed.close()
    found = control.wait_confirmed(result, 0.0).receipts
    assert (found.confirmed, found.complete) == (0, False)
    assert found.lagging == ("web-1/7 (baseline 'new' in its code, 'old' in the store)",)
