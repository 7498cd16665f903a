"""After the store has lost changes: `recover` shows both sides, writes the lower, and nothing is held any more.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
import tempfile

import pytest

from graysplit.errors import RefusedError
from tests.faults.pairs import FIELD, Pair, kept, regressed, settled
from tests.faults.shares import share, units, watching
from tests.support import eventually


def test_f05_recover_settles_an_old_backup(pair: Pair) -> None:
    """The lower of backup and fleet is written, nothing is held any more, and who is born later does the same.

    Timeline 5.
    """
    with pair.given_a_backup() as router:
        kept(pair.two.control, {f"weights {FIELD}": "10"})
        with pair.process() as newborn:
            assert share(newborn) == 50
            found = pair.two.control.recover()
            assert [(s.field, s.store, s.fleet, s.written) for s in found.sides] == [(FIELD, "50", "10", "10")]
            assert pair.two.control.wait_confirmed(found.result).receipts.complete
            settled(router, 10)
            settled(newborn, 10)
            assert share(router, "search") == share(newborn, "search") == 5
        kept(pair.two.control, {})
        assert not pair.two.control.recover().needed
        pair.two.control.set("checkout", 70)
        settled(router, 70)


def test_f05_an_emptied_store_is_sown_anew_from_an_export(pair: Pair) -> None:
    """Timeline 5: another lineage, weights at zero: the fleet obeys it down and, once a person raises, up."""
    file = json.dumps(dict(pair.one.control.export()))
    with pair.process() as router, tempfile.NamedTemporaryFile("w", suffix=".json") as written:
        written.write(file)
        written.flush()
        for key in pair.one.client.keys(pair.one.prefix.replace("{", "\\{") + "*"):
            pair.one.client.delete(key)
        eventually(lambda: router.status().lost)
        assert share(router) == 50
        found = pair.one.control.recover(source=written.name)
        assert found.fresh
        settled(router, 0)
        pair.one.control.set("checkout", 30)
        settled(router, 30)


def test_f05_keys_that_go_one_by_one_are_sown_anew_like_an_emptied_store(pair: Pair) -> None:
    """Timeline 5: the log first, and a process reads after each: nothing is kept against a store that says nothing."""
    file = json.dumps(dict(pair.one.control.export()))
    with pair.process() as router, tempfile.NamedTemporaryFile("w", suffix=".json") as written:
        written.write(file)
        written.flush()
        pair.one.client.delete(pair.one.prefix + "log")
        for key in ("meta", "weights", "splits", "stops"):
            pair.one.client.delete(pair.one.prefix + key)
            eventually(lambda key=key: key in router.status().lost)
        assert not router.status().held
        assert share(router) == 50
        assert pair.one.control.recover(source=written.name).fresh
        settled(router, 0)
        pair.one.control.set("checkout", 30)
        settled(router, 30)


def test_f06_recover_writes_the_zero_under_the_stop_that_was_written_back(pair: Pair) -> None:
    """Timeline 6: the store's 50 under a process's stop becomes a 0, so that clearing the stop raises nobody."""
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.lose_a_rollback(first, second)
        eventually(lambda: not first.status().held and not second.status().held)
        assert pair.two.control.recover().sides[0][2:] == ("50", "0", None, "0")
        assert pair.two.control.unstop(FIELD).moves == {}
        settled(first, 0)
        settled(second, 0)


def test_f07_recover_puts_back_the_definition_that_runs(pair: Pair) -> None:
    """The baseline had been changed, and that was lost: the definition that processes hold is written, whole.

    Timeline 7.
    """
    pair.two.become(pair.one.dump())
    other = pair.one.swap()
    with pair.process() as router:
        pair.mark(router)
        pair.fail_over()
        regressed(router, "splits checkout")
        eventually(lambda: any("splits checkout" in p.receipt.held for p in pair.two.control.fleet().live))
        # By its name it is a raise, whoever runs it.
        with pytest.raises(RefusedError, match="this raises checkout/new 0 -> 100"):
            pair.two.control.recover(confirm="another name")
        pair.two.control.recover(confirm=True)
        eventually(lambda: not router.status().held)
        assert pair.two.definition() == other
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"new"}
        with pair.process() as newborn:
            assert {newborn.choose("checkout", unit) for unit in units("checkout")} == {"new"}


@pytest.mark.parametrize("key", ["weights", "stops", "splits", "meta"])
@pytest.mark.parametrize("wrong_type", [False, True])
def test_a_lost_key_is_made_whole_while_a_process_runs(pair: Pair, key: str, *, wrong_type: bool) -> None:
    """Deleted, or overwritten by something else: the process keeps what it has throughout, and all works again."""
    pair.one.control.create("search")
    pair.one.control.set("search", 40)
    pair.one.control.rollback("search")
    with pair.process() as router:
        eventually(lambda: (share(router), share(router, "search")) == (50, 0))
        with watching(router) as checkout, watching(router, "search") as search:
            pair.one.client.delete(pair.one.prefix + key)
            if wrong_type:
                pair.one.client.set(pair.one.prefix + key, "no hash")
            eventually(lambda: key in router.status().lost)
            found = pair.one.control.recover()
            assert set(found.lost) == {key}
            eventually(lambda: not router.status().lost)
            assert not router.status().held
            with pair.process() as newborn:
                assert (share(newborn), share(newborn, "search")) == (50, 0)
        assert (checkout.shares, search.shares) == ([50], [0])
        pair.one.control.set("checkout", 60, unstop=True)
        settled(router, 60)
