"""Never backwards (law 7): stores that lose or fork their history (timelines 1 to 7).

Timelines by number: docs/design/lineage.md, with the tests of each.
"""

from __future__ import annotations

import logging

import pytest
import redis

import graysplit
from graysplit import embedded
from tests.faults.followers import processes
from tests.faults.pairs import FIELD, Pair, healed, kept, regressed, settled
from tests.faults.shares import following, share, units, watching
from tests.support import eventually


def test_f01_equal_revisions_of_two_histories_are_not_one(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A rollback is lost in a failover and the number used again: nobody goes back up, and the newborn follow.

    Timeline 1.
    """
    pair.two.become(pair.one.dump())
    with pair.process() as router, caplog.at_level(logging.INFO, "graysplit"):
        # Given revision N on both sides, and only one of them says zero
        pair.one.control.rollback("checkout")
        eventually(lambda: share(router) == 0)
        pair.two.control.create("search")
        assert pair.one.control.overview().revision == pair.two.control.overview().revision
        # When
        pair.fail_over()
        # Then
        healed(pair.two)
        assert share(router) == 0
        assert any("SOURCE_REGRESSED" in line for line in caplog.messages)
        with pair.process() as newborn:
            assert share(newborn) == 0
        assert router.decide("search", "user-1").reason != "unknown_split"  # what is new there is believed
        # And the word of a person counts, down to the newborn
        pair.two.control.set("checkout", 30, unstop=True)
        settled(router, 30)


def test_f01_a_receipt_names_a_change_not_a_number(pair: Pair) -> None:
    """Timeline 1: what a process holds of the lost history confirms nothing of the new one."""
    pair.two.become(pair.one.dump())
    with pair.process():
        pair.one.control.rollback("checkout")
        result = pair.two.control.set("checkout", 60, unstop=True)
        assert pair.two.control.wait_confirmed(result, 0.1).receipts.confirmed == 0
        pair.fail_over()
        eventually(lambda: len(pair.two.control.fleet().live) == 1)
        receipts = pair.two.control.wait_confirmed(result, 10).receipts
        assert receipts.complete, "an entry newer than the ancestor explains the raise"


def test_f02_another_lineage_raises_nobody() -> None:
    """Timeline 2: REPLICAOF to a stranger, and back: its entries and releases are younger, and explain nothing here."""
    with (
        embedded.server() as one,
        embedded.server(arguments=("--repl-diskless-sync-delay", "0")) as two,
        graysplit.Control(one.url, confirm=True) as ours,
        graysplit.Control(two.url, confirm=True) as theirs,
        redis.Redis.from_url(one.url) as client,
    ):
        theirs.create("other")
        for split in ("checkout", "search"):
            ours.create(split)
            ours.set(split, 10)
        with (
            following(one.url, "default") as router,
            watching(router) as checkout,
            watching(router, "search") as search,
        ):
            checkout.when(10)
            for split, weight in (("checkout", 50), ("search", 5), ("banner", 70)):
                theirs.create(split)
                theirs.set(split, weight)
            client.replicaof("127.0.0.1", two.port)
            eventually(lambda: client.hget("graysplit:{default}:weights", "banner/new") == b"70", 20)
            client.replicaof("NO", "ONE")
            search.when(5, 20)  # what lowers is adopted from any source
            regressed(router)
            assert "weights banner/new" in router.status().held
            assert share(router, "banner") == 0
            kept(ours, {"weights banner/new": "0", f"weights {FIELD}": "10"})
            ours.set("checkout", 50)  # a person says so here
            checkout.when(50)
            ours.set("banner", 70)
            settled(router, 70, "banner")
        assert (checkout.shares, search.shares) == ([10, 50], [10, 5])


def test_f03_a_raw_rollback_is_not_lost_with_its_server(pair: Pair) -> None:
    """It is booked within a quarter of a second; losing it then loses the entry too, and that is noticed.

    Timeline 3.
    """
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: share(router) == 0)
        pair.one.booked()
        booked = pair.one.control.history("checkout", 1)[0].id
        eventually(lambda: router._lifecycle._follower.replica.past.change == booked)  # type: ignore[union-attr]
        pair.fail_over()
        healed(pair.two)
        assert share(router) == 0


def test_f04_a_rollback_outlives_the_store_that_lost_it() -> None:
    """Kill -9 with an old dump only: held at zero, written back as a stop, obeyed by a process born later.

    Timeline 4.
    """
    with (
        embedded.server() as server,
        graysplit.Control(server.url, confirm=True) as control,
        redis.Redis.from_url(server.url) as client,
    ):
        control.create("checkout")
        control.set("checkout", 50)
        client.save()
        with processes(1, server.url, "default") as old:
            old.wait_for(50)
            control.rollback("checkout")
            old.wait_for(0)
            server.kill()
            server.start()
            assert client.hget("graysplit:{default}:weights", FIELD) == b"50"  # the dump's word
            eventually(lambda: client.hexists("graysplit:{default}:stops", FIELD), 10)
            stop = client.hget("graysplit:{default}:stops", FIELD)
            assert b"lost" in stop
            with processes(1, server.url, "default") as newborn:
                assert set(newborn[0].seen_since(0)) <= {0}
                old[0].ask("ping")
                assert old[0].seen_since(0) == [50, 0]
                # and also when the one that knew is gone
                old[0].kill()
                with processes(1, server.url, "default") as youngest:
                    youngest.wait_for(0)
                    control.set("checkout", 10, unstop=True)
                    youngest.wait_for(10)
                    newborn.wait_for(10)


def test_f05_a_store_sown_anew_is_obeyed(pair: Pair) -> None:
    """Timeline 5: another lineage with lower numbers: its rollbacks count at once, its entries explain its raises."""
    for weight in (51, 52, 53):
        pair.one.control.set("checkout", weight)
    with pair.process() as router:
        pair.two.control.create("checkout")
        pair.two.control.set("checkout", 20)
        pair.fail_over()
        settled(router, 20)
        pair.two.control.rollback("checkout")
        settled(router, 0)
        pair.two.control.set("checkout", 80, unstop=True)
        settled(router, 80)


def test_f05_what_was_sown_anew_raises_by_its_own_entries(pair: Pair) -> None:
    """The store was emptied and sown anew while nobody could read it: what a person wrote there counts, up too.

    Timeline 5.
    """
    with pair.process() as router:
        pair.cut_off(router)
        pair.one.become({})
        pair.one.control.create("checkout")
        pair.one.control.set("checkout", 80)
        pair.proxy.heal()
        settled(router, 80)


def test_f05_an_old_backup_raises_nobody_and_is_obeyed_downwards(pair: Pair) -> None:
    """Timeline 5: a backup of the same lineage from before: its raise is held, its lowering adopted."""
    with pair.given_a_backup() as router:
        eventually(lambda: (share(router), share(router, "search")) == (10, 5))
        pair.two.control.rollback("search")
        eventually(lambda: share(router, "search") == 0)
        pair.two.control.rollback("checkout")
        settled(router, 0)


def test_f06_a_raw_edit_of_a_held_zero_meets_the_stop(pair: Pair) -> None:
    """Held at zero, the store's word edited from 50 to 5 by hand: nobody rises, for the zero is a stop by now.

    Timeline 6.
    """
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.lose_a_rollback(first, second)
        pair.two.hset("weights", FIELD, "5")
        eventually(lambda: any(e.after.get(f"weights {FIELD}") == "5" for e in pair.two.control.history("checkout", 3)))
        with pair.process() as newborn:
            assert share(first) == share(second) == share(newborn) == 0


@pytest.mark.parametrize("weight", [5, 30, 70])
def test_f06_a_raw_edit_of_a_held_weight_ends_the_doubt(pair: Pair, weight: int) -> None:
    """Held at 10 against the store's 50; whatever a person types by hand gets an entry, and all obey it alike.

    Timeline 6.
    """
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.lose_a_lowering(first, second)
        assert share(first) == share(second) == 10
        pair.two.hset("weights", FIELD, str(weight))
        settled(first, weight)
        settled(second, weight)
        with pair.process() as newborn:
            assert share(newborn) == weight


def test_f06_a_command_ends_the_doubt_for_what_it_names(pair: Pair) -> None:
    """A change of another split leaves this one held; `set`, even to what the store says already, settles it.

    Timeline 6.
    """
    pair.one.control.create("search")
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.lose_a_lowering(router)
        pair.two.control.set("search", 25)
        eventually(lambda: share(router, "search") == 25)
        assert share(router) == 10
        assert router.status().held.keys() == {f"weights {FIELD}"}
        pair.two.control.set("checkout", 50)
        settled(router, 50)


def test_f07_a_changed_baseline_that_was_lost_stays(pair: Pair) -> None:
    """Baseline and versions differ between the histories: the held definition stays whole, the old path asleep.

    Timeline 7.
    """
    pair.two.become(pair.one.dump())
    pair.one.swap()
    with pair.process() as router:
        pair.mark(router)
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"new"}
        pair.fail_over()
        regressed(router, "splits checkout")
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"new"}
        # A zero means something else there: nothing is stopped
        assert pair.two.client.hkeys(pair.two.prefix + "stops") == [b"_"]


def test_f07_a_version_under_another_name_stays_out(pair: Pair) -> None:
    """The candidate was renamed and rolled back; the lost history knows the old name at 50 %: nobody gets it.

    Timeline 7.
    """
    pair.two.become(pair.one.dump())
    raw = pair.one.definition()
    with pair.process() as router:
        pair.one.client.hset(pair.one.prefix + "splits", "checkout", raw.replace(b'"new"', b'"v3"'))
        pair.one.client.hdel(pair.one.prefix + "weights", FIELD)
        pair.one.control.set("checkout/v3", 20)
        eventually(lambda: {router.choose("checkout", unit) for unit in units("checkout")} == {"old", "v3"})
        pair.one.control.rollback("checkout")
        eventually(lambda: {router.choose("checkout", unit) for unit in units("checkout")} == {"old"})
        pair.fail_over()
        regressed(router, "splits checkout")
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"old"}


def test_f07_preview_holds_only_where_both_sides_have_it(pair: Pair) -> None:
    """Timeline 7: zero here, preview there: the pinned unit does not get in."""
    pair.one.control.pin("checkout", "tester")
    pair.one.control.preview("checkout")
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        assert router.choose("checkout", "tester") == "new"
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: router.choose("checkout", "tester") == "old")
        pair.one.booked()
        pair.mark(router)
        pair.fail_over()
        healed(pair.two)
        assert router.choose("checkout", "tester") == "old"


def test_f07_what_was_taken_away_stays_away(pair: Pair) -> None:
    """Timeline 7: a weight that is absent here and that the lost history knows: absent is 0, and becomes a stop."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.client.hdel(pair.one.prefix + "weights", FIELD)
        eventually(lambda: share(router) == 0)
        pair.one.booked()
        pair.mark(router)
        pair.fail_over()
        healed(pair.two)
        assert share(router) == 0


def test_f07_what_is_created_after_the_fork_is_believed(pair: Pair) -> None:
    """Timeline 7: a new split on the new primary, created and raised there, is explained by its own entries."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(router) == 0)
        pair.two.control.create("search")
        pair.two.control.set("search", 40, unstop=True)
        pair.fail_over()
        healed(pair.two)
        eventually(lambda: share(router, "search") == 40)
        pair.two.control.create("banner")
        pair.two.control.set("banner", 15, unstop=True)
        eventually(lambda: share(router, "banner") == 15)
        assert share(router) == 0


@pytest.mark.parametrize("stop", ["checkout", FIELD, "*"])
def test_a_raw_stop_is_not_lost_with_its_server(pair: Pair, stop: str) -> None:
    """A stop beside a weight that was left as it is outlives the server that lost it; `set` ends it.

    Timelines 4 and 22.
    """
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.hset("stops", stop, "by hand")
        eventually(lambda: share(router) == 0)
        pair.one.booked(None)
        pair.mark(router)
        pair.fail_over()
        healed(pair.two)
        assert share(router) == 0
        with pair.process() as newborn:
            assert share(newborn) == 0
        pair.two.control.set("checkout", 30, unstop=True)
        settled(router, 30)


def test_a_younger_release_is_not_braked_by_one_who_was_away(pair: Pair) -> None:
    """A process comes back to a log that has been cut since: it holds its zero, and stops nobody else's new release."""
    with pair.process() as router, following(pair.one.server.url, pair.namespace) as other:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(router) == share(other) == 0)
        pair.cut_off(router)
        pair.one.control.set("checkout", 30, unstop=True)
        eventually(lambda: share(other) == 30)
        pair.one.client.xtrim(pair.one.prefix + "log", maxlen=0, approximate=False)
        pair.one.control.create("marker")
        pair.proxy.heal()
        regressed(router)
        assert share(router) == 0
        router_boot = router.status().boot
        eventually(lambda: any(p.boot == router_boot and p.receipt.held for p in pair.one.control.fleet().live))
        assert not pair.one.client.hexists(pair.one.prefix + "stops", FIELD)
        assert share(other) == 30
        pair.one.control.set("checkout", 35, unstop=True)
        settled(router, 35)


def test_a_lost_log_alone_changes_nothing_and_holds_nothing(pair: Pair) -> None:
    """DEL of the log: history is gone, decisions stay, and the next change is believed like any other."""
    with pair.process() as router:
        pair.one.client.delete(pair.one.prefix + "log")
        pair.one.hset("weights", FIELD, "40")
        eventually(lambda: share(router) == 40)
        eventually(lambda: len(pair.one.control.history("checkout")) == 1)
        pair.one.client.delete(pair.one.prefix + "log")
        pair.one.client.client_kill_filter(_type="normal", skipme=True)
        result = pair.one.control.set("checkout", 60)
        settled(router, 60)
        receipts = pair.one.control.wait_confirmed(result).receipts
        assert receipts.complete
