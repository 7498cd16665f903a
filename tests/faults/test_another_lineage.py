"""A store that was emptied and begun anew by somebody who knew nothing: what its log does not name is not zero.

Each on a real server. The first write comes from a program that does not look at the fleet, as older ones do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import graysplit
from graysplit.clock import SYSTEM_CLOCK
from graysplit.control.operator import Operator
from graysplit.control.recovery.sources import of_file
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.lineage import Past
from graysplit.events import Events
from graysplit.follower.known_good import KnownGood
from tests.faults.pairs import FIELD, Pair, settled
from tests.faults.shares import Watch, share, watching
from tests.support import eventually

KEPT: Final = {"weights checkout/new", "weights search/new", "splits checkout", "splits search"}


@contextmanager
def bystander(pair: Pair, **settings: object) -> Iterator[tuple[graysplit.Router, Watch, Watch]]:
    """Return a process at checkout 50 and a finished search at 100, whose store knows only a bystander's `banner`."""
    one = pair.one.control
    one.create("search")
    one.set("search", 100, confirm=True)
    one.finish("search")
    one.create("gone")
    one.set("gone", 30)
    one.rollback("gone", why="it failed")
    one.pin("checkout", "user-17", "new")
    with pair.process(**settings) as router:
        eventually(lambda: (share(router), share(router, "search"), share(router, "gone")) == (50, 100, 0))
        with watching(router) as checkout, watching(router, "search") as search:
            pair.one.client.flushall()
            begin_anew(pair)
            eventually(lambda: router.status().held.keys() >= KEPT, 10)
            yield router, checkout, search


def begin_anew(pair: Pair) -> None:
    """Create a split as a program does that looks at the store alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Operator, "_check_not_emptied", lambda *_: None)
        pair.one.control.create("banner")


def reported(pair: Pair) -> set[str]:
    """Return what the receipts of live processes name as kept."""
    return {where for process in pair.one.control.fleet().live for where in process.receipt.held}


def test_one_write_of_a_bystander_moves_nobody(pair: Pair) -> None:
    """Every other split stands, finished ones too; it is held, told, and the first line of every look."""
    with bystander(pair) as (router, checkout, search):
        eventually(lambda: reported(pair) >= KEPT, 10)
        view = pair.one.control.overview()
        assert view.loss is not None
        assert (view.loss.weights[FIELD], view.loss.weights["search/new"]) == (("50", "50"), ("100", "100"))
        assert router.decide("banner", "user-1").version == "old"
        assert (share(router), share(router, "search"), share(router, "gone")) == (50, 100, 0)
        assert (set(checkout.shares), set(search.shares)) == ({50}, {100})


def test_a_weight_that_a_person_gives_counts(pair: Pair) -> None:
    """Up or down, for that split alone; the others stand."""
    with bystander(pair) as (router, _, search):
        pair.one.control.create("checkout")
        eventually(lambda: share(router) == 0, 10)
        pair.one.control.set("checkout", 30)
        eventually(lambda: share(router) == 30, 10)
        assert not any("checkout" in where for where in router.status().held)
        assert "weights search/new" in router.status().held
        assert set(search.shares) == {100}


def test_what_lowers_by_hand_is_obeyed(pair: Pair) -> None:
    """A weight of zero or a stop, written with redis-cli, is a person's word."""
    with bystander(pair) as (router, _, _):
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: share(router) == 0, 10)
        pair.one.hset("stops", "search", "by hand")
        eventually(lambda: share(router, "search") == 0, 10)


def test_a_tombstone_counts(pair: Pair) -> None:
    """A split that is created and deleted in the new log is gone."""
    with bystander(pair) as (router, _, search):
        pair.one.control.create("checkout")
        pair.one.control.delete("checkout", confirm=True)
        eventually(lambda: not any("checkout" in where for where in router.status().held), 10)
        assert share(router) == 0
        assert set(search.shares) == {100}


def test_recover_sows_what_the_processes_kept(pair: Pair) -> None:
    """All of it is written as it stood, nothing is held any more, and who is born later does the same."""
    with bystander(pair) as (router, checkout, search):
        eventually(lambda: reported(pair) >= KEPT, 10)
        pair.one.control.recover(confirm=True)
        settled(router, 50)
        settled(router, 100, "search")
        assert (set(checkout.shares), set(search.shares)) == ({50}, {100})
        assert pair.one.control.explain("checkout", "user-17").reason == "pin"
        with pair.process() as newborn:
            assert (share(newborn), share(newborn, "search"), share(newborn, "gone")) == (50, 100, 0)
        view = pair.one.control.overview()
        assert view.loss is None
        assert "gone/new" in view.stops
        assert {"banner/new", FIELD, "gone/new", "search/new"} == {row.field for row in view.rows}


def test_rollback_of_what_only_processes_know(pair: Pair) -> None:
    """It needs no record: the stop is obeyed, and confirmed."""
    with bystander(pair) as (router, _, _):
        result = pair.one.control.rollback("checkout")
        assert pair.one.control.wait_confirmed(result).receipts.complete
        assert share(router) == 0
        assert share(router, "search") == 100


def test_rollback_all_takes_what_only_processes_know(pair: Pair) -> None:
    """It is not in the store's list, and runs: each is stopped, named, and confirmed by its effect."""
    with bystander(pair) as (router, _, _):
        eventually(lambda: reported(pair) >= KEPT, 10)
        result = pair.one.control.rollback("*", why="all of it")
        assert result.moves == {FIELD: ("50", "0"), "search/new": ("100", "0")}
        assert result.expected == {FIELD: "0", "search/new": "0"}
        assert pair.one.control.wait_confirmed(result).receipts.complete
        assert (share(router), share(router, "search")) == (0, 0)


def test_the_log_that_was_known_comes_back(pair: Pair) -> None:
    """The right server again: its word counts, and nothing is held."""
    pair.two.client.flushall()
    pair.two.control.create("banner")
    with pair.process() as router, watching(router) as checkout:
        eventually(lambda: share(router) == 50)
        pair.fail_over()
        eventually(lambda: f"weights {FIELD}" in router.status().held, 10)
        pair.proxy.switch(pair.one.server.port)
        settled(router, 50)
        assert set(checkout.shares) == {50}
        pair.one.control.set("checkout", 20)
        settled(router, 20)


def test_a_file_carries_what_stands_over_a_restart(pair: Pair, tmp_path: Path) -> None:
    """The file holds what the process holds; who starts with it holds the same against the store."""
    with bystander(pair, cache_dir=str(tmp_path)) as (router, _, _):
        (file,) = tmp_path.glob("*.json")
        eventually(lambda: of_file(file).weights.get("search/new") == 100_000, 10)
        assert router.status().held
        with pair.process(cache_dir=str(tmp_path)) as newborn:
            eventually(lambda: newborn.status().held.keys() >= KEPT, 10)
            assert (share(newborn), share(newborn, "search")) == (50, 100)


def test_a_file_of_another_lineage_is_kept_aside(tmp_path: Path) -> None:
    """A process that knows nothing of it writes its own beside it."""
    path = tmp_path / "known.json"
    one = Past("1-1", ("a", "b"), "first")
    two = Past("9-1", ("x",), "second")
    assert KnownGood(path, Events(), SYSTEM_CLOCK).keep(Adopted(weights={FIELD: 50_000}, seen={"weights": {}}), one)
    assert KnownGood(path, Events(), SYSTEM_CLOCK).keep(Adopted(weights={"banner/new": 0}, seen={"weights": {}}), two)
    assert of_file(path).weights == {"banner/new": 0}
    (aside,) = (found for found in tmp_path.glob("*.json") if found != path)
    assert of_file(aside).weights == {FIELD: 50_000}
