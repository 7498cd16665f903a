"""`undo` of a change that brought a definition which cannot be read here: it says exactly what it writes."""

from __future__ import annotations

import json

from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Expect, Submission, Write
from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import folded
from tests.control.processes import live

__all__ = ["cli", "name", "store"]  # fixtures


def test_it_says_what_it_writes(cli: Cli, store: MemoryStore) -> None:
    """The weight from what the store says, down and so without `--force`, and the definition beside it."""
    live(store)
    cli("create", "checkout", "--no-wait")
    cli("set", "checkout", "20", "--no-wait")
    load = store.load()
    good = load.splits.fields[b"checkout"].decode()
    newer = json.dumps({**json.loads(good), "algorithm": 9})
    expect = (Expect("splits", "checkout", good), Expect("weights", "checkout/new", "20"))
    writes = (Write("splits", "checkout", newer), Write("weights", "checkout/new", "50"))
    store.submit(Submission("newer", "checkout", "set", "a newer library", "", expect, writes, load.now_ms))
    overview = folded(cli("list").out)
    assert "checkout: unreadable; its weights can only go down" in overview
    assert "guard: unknown, the definitions cannot be read" in overview
    dry = cli("undo", "checkout", "--dry-run")
    assert (dry.code, store.load().splits.fields[b"checkout"].decode()) == (0, newer)
    undone = cli("undo", "checkout", "--no-wait")
    assert undone.code == 0
    for said in (folded(dry.out), folded(undone.out)):
        assert "undo checkout: checkout/new 50% -> 20%" in said
        assert "the definition, which this graysplit cannot read, is set back to before revision 3" in said
    written = store.load()
    assert written.splits.fields[b"checkout"].decode() == good
    assert written.weights.fields[b"checkout/new"] == b"20"
    again = cli("undo", "checkout", "--no-wait", "--yes")
    assert again.code == 1
    assert "this graysplit cannot read the definition before the last change: nothing was reverted" in folded(again.err)
    assert store.load().meta.fields[b"revision"] == written.meta.fields[b"revision"]
