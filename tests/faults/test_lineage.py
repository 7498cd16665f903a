"""Never backwards (law 7): stores that lose or fork their history, and the raw edit at 3 a.m.; by timeline number.

Elsewhere: F2 in `test_outages.py` (a primary that becomes a replica is left), F8's refused heartbeat there too, F9 in
`test_known_good.py`, F10 in `test_forks.py`, F11 in `test_bad_values.py`, F13, F14 and F17 in `test_rollback.py`.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.errors import RefusedError
from tests.faults.followers import processes
from tests.faults.proxy import Proxy
from tests.faults.shares import following, share, units, watching
from tests.support import eventually

FIELD = "checkout/new"
BOOKED_S = 0.4  # a raw edit is booked within a quarter of a second


class Side(NamedTuple):
    """One of two servers: an operator and a raw client of the test's namespace on it."""

    server: embedded.Server
    control: graysplit.Control
    client: redis.Redis
    prefix: str

    def hset(self, end: str, field: str, value: str) -> None:
        """Edit by hand."""
        self.client.hset(self.prefix + end, field, value)

    def dump(self) -> dict[bytes, bytes]:
        """Give the namespace as a replica would have it now."""
        return {key: self.client.dump(key) for key in self.client.keys(self.prefix.replace("{", "\\{") + "*")}

    def become(self, dump: dict[bytes, bytes]) -> None:
        """Hold what a replica had when its link broke."""
        for key in self.client.keys(self.prefix.replace("{", "\\{") + "*"):
            self.client.delete(key)
        for key, content in dump.items():
            self.client.restore(key, 0, content)


class Pair(NamedTuple):
    """Two servers, and the address of whichever is the primary."""

    one: Side
    two: Side
    proxy: Proxy
    url: str
    namespace: str

    def fail_over(self) -> None:
        """Make the second server the primary."""
        self.proxy.switch(self.two.server.port)

    @contextmanager
    def process(self, **settings: object) -> Iterator[graysplit.Router]:
        """Give a process that follows whichever is the primary."""
        with following(self.url, self.namespace, **settings) as router:
            yield router


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[embedded.Server, embedded.Server]]:
    """Give two servers."""
    with embedded.server() as one, embedded.server() as two:
        yield one, two


@pytest.fixture
def pair(servers: tuple[embedded.Server, embedded.Server], namespace: str) -> Iterator[Pair]:
    """Give two servers with a split at 50 % on the first."""
    sides = [
        Side(
            server,
            graysplit.Control(server.url, namespace=namespace, actor=f"operator-{number}"),
            redis.Redis.from_url(server.url),
            f"graysplit:{{{namespace}}}:",
        )
        for number, server in enumerate(servers, 1)
    ]
    sides[0].control.create("checkout")
    sides[0].control.set("checkout", 50)
    with Proxy(servers[0].port) as proxy:
        yield Pair(sides[0], sides[1], proxy, proxy.url(servers[0].url), namespace)
    for side in sides:
        side.control.close()
        side.client.close()


def settled(router: graysplit.Router, expected: int, split: str = "checkout") -> None:
    """Wait until a share is in force and nothing is held any more."""
    eventually(lambda: share(router, split) == expected and not router.status().held, 10)


def regressed(router: graysplit.Router, where: str = f"weights {FIELD}") -> None:
    """Wait until a process says that it does not believe the store, and has looked for edits to book since."""
    eventually(lambda: where in router.status().held, 10, message=f"{where} is held")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > BOOKED_S)
    assert where in router.status().held


def kept(side: Side, held: dict[str, str]) -> None:
    """Wait until the processes' receipts name these values, and no others, as kept against the store."""
    eventually(lambda: [*filter(None, (p.receipt.held for p in side.control.fleet().live))] == [held] * bool(held), 10)


def healed(side: Side, stop: str = FIELD) -> None:
    """Wait until a zero that was lost stands as a stop."""
    eventually(lambda: side.client.hexists(side.prefix + "stops", stop), 10, message=f"a stop on {stop}")
    text = side.client.hget(side.prefix + "stops", stop)
    assert text is not None
    assert b"known to stand at zero" in text


# --- fence, lineage, failover ----------------------------------------------------------------------------------------


def test_f01_equal_revisions_of_two_histories_are_not_one(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """F1: a rollback is lost in a failover and the number used again: nobody goes back up, and the newborn follow."""
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
        pair.two.control.set("checkout", 30)
        settled(router, 30)


def test_f01_a_receipt_names_a_change_not_a_number(pair: Pair) -> None:
    """F1: what a process holds of the lost history confirms nothing of the new one."""
    pair.two.become(pair.one.dump())
    with pair.process():
        pair.one.control.rollback("checkout")
        result = pair.two.control.set("checkout", 60)
        assert pair.two.control.wait_confirmed(result, 0.1).receipts.confirmed == 0
        pair.fail_over()
        eventually(lambda: len(pair.two.control.fleet().live) == 1)
        receipts = pair.two.control.wait_confirmed(result, 10).receipts
        assert receipts.complete, "an entry newer than the ancestor explains the raise"


def test_f03_a_raw_rollback_is_not_lost_with_its_server(pair: Pair) -> None:
    """F3: it is booked within a quarter of a second; losing it then loses the entry too, and that is noticed."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: share(router) == 0)
        eventually(lambda: pair.one.control.history("checkout", 1)[0].cause == "edited outside", 2)
        booked = pair.one.control.history("checkout", 1)[0].id
        eventually(lambda: router._engine._follower.keeper.past.change == booked)  # type: ignore[union-attr]
        pair.fail_over()
        healed(pair.two)
        assert share(router) == 0


def test_f04_a_rollback_outlives_the_store_that_lost_it() -> None:
    """F4: kill -9 with an old dump only: held at zero, written back as a stop, obeyed by a process born later."""
    with (
        embedded.server() as server,
        graysplit.Control(server.url) as control,
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
                    control.set("checkout", 10)
                    youngest.wait_for(10)
                    newborn.wait_for(10)


def test_f05_a_store_sown_anew_is_obeyed(pair: Pair) -> None:
    """F5: another lineage with lower numbers: its rollbacks count at once, its entries explain its raises."""
    for weight in (51, 52, 53):
        pair.one.control.set("checkout", weight)
    with pair.process() as router:
        pair.two.control.create("checkout")
        pair.two.control.set("checkout", 20)
        pair.fail_over()
        settled(router, 20)
        pair.two.control.rollback("checkout")
        settled(router, 0)
        pair.two.control.set("checkout", 80)
        settled(router, 80)


def test_f05_an_old_backup_raises_nobody_and_is_obeyed_downwards(pair: Pair) -> None:
    """F5: a backup of the same lineage from before: its raise is held, its lowering adopted."""
    pair.one.control.create("search")
    pair.one.control.set("search", 5)
    pair.two.become(pair.one.dump())  # checkout 50, search 5
    with pair.process() as router:
        pair.one.control.set("checkout", 10)
        pair.one.control.set("search", 40)
        eventually(lambda: (share(router), share(router, "search")) == (10, 40))
        pair.fail_over()
        regressed(router)
        eventually(lambda: (share(router), share(router, "search")) == (10, 5))
        pair.two.control.rollback("search")
        eventually(lambda: share(router, "search") == 0)
        pair.two.control.rollback("checkout")
        settled(router, 0)


def test_f05_recover_settles_an_old_backup(pair: Pair) -> None:
    """F5: the lower of backup and fleet is written, nothing is held any more, and who is born later does the same."""
    pair.one.control.create("search")
    pair.one.control.set("search", 5)
    pair.two.become(pair.one.dump())  # checkout 50, search 5
    with pair.process() as router:
        pair.one.control.set("checkout", 10)
        pair.one.control.set("search", 40)
        eventually(lambda: (share(router), share(router, "search")) == (10, 40))
        pair.fail_over()
        regressed(router)
        kept(pair.two, {f"weights {FIELD}": "10"})
        with pair.process() as newborn:
            assert share(newborn) == 50
            found = pair.two.control.recover()
            assert [(s.field, s.store, s.fleet, s.written) for s in found.sides] == [(FIELD, "50", "10", "10")]
            assert pair.two.control.wait_confirmed(found.result).receipts.complete
            settled(router, 10)
            settled(newborn, 10)
            assert share(router, "search") == share(newborn, "search") == 5
        kept(pair.two, {})
        assert not pair.two.control.recover().needed
        pair.two.control.set("checkout", 70)
        settled(router, 70)


def test_f05_an_emptied_store_is_sown_anew_from_an_export(pair: Pair) -> None:
    """F5: another lineage, weights at zero: the fleet obeys it down and, once a person raises, up."""
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


def test_f06_recover_writes_the_zero_under_the_stop_that_was_written_back(pair: Pair) -> None:
    """F6: the store's 50 under a process's stop becomes a 0, so that clearing the stop raises nobody."""
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(first) == share(second) == 0)
        pair.fail_over()
        healed(pair.two)
        eventually(lambda: not first.status().held and not second.status().held)
        assert pair.two.control.recover().sides[0][2:] == ("50", "0", None, "0")
        assert pair.two.control.unstop(FIELD).moves == {}
        settled(first, 0)
        settled(second, 0)


def test_f07_recover_puts_back_the_definition_that_runs(pair: Pair) -> None:
    """F7: the baseline had been changed, and that was lost: the definition that processes hold is written, whole."""
    pair.two.become(pair.one.dump())
    swapped = pair.one.client.hget(pair.one.prefix + "splits", "checkout")
    assert swapped is not None
    other = swapped.replace(b'"old"', b'"x"').replace(b'"new"', b'"old"').replace(b'"x"', b'"new"')
    pair.one.client.hset(pair.one.prefix + "splits", "checkout", other)
    pair.one.hset("weights", "checkout/old", "0")
    pair.one.client.hdel(pair.one.prefix + "weights", FIELD)
    with pair.process() as router:
        pair.one.control.create("marker")
        eventually(lambda: router.decide("marker", "user-1").reason != "unknown_split")
        pair.fail_over()
        regressed(router, "splits checkout")
        eventually(lambda: any("splits checkout" in p.receipt.held for p in pair.two.control.fleet().live))
        pair.two.control.recover()
        eventually(lambda: not router.status().held)
        assert pair.two.client.hget(pair.two.prefix + "splits", "checkout") == other
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
        pair.one.control.set("checkout", 60)
        settled(router, 60)


def test_f06_a_raw_edit_of_a_held_zero_meets_the_stop(pair: Pair) -> None:
    """F6: held at zero, the store's word edited from 50 to 5 by hand: nobody rises, for the zero is a stop by now."""
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(first) == share(second) == 0)
        pair.fail_over()
        healed(pair.two)
        pair.two.hset("weights", FIELD, "5")
        eventually(lambda: any(e.after.get(f"weights {FIELD}") == "5" for e in pair.two.control.history("checkout", 3)))
        with pair.process() as newborn:
            assert share(first) == share(second) == share(newborn) == 0


@pytest.mark.parametrize("weight", [5, 30, 70])
def test_f06_a_raw_edit_of_a_held_weight_ends_the_doubt(pair: Pair, weight: int) -> None:
    """F6: held at 10 against the store's 50; whatever a person types by hand gets an entry, and all obey it alike."""
    pair.two.become(pair.one.dump())
    with pair.process() as first, pair.process() as second:
        pair.one.control.set("checkout", 10)
        eventually(lambda: share(first) == share(second) == 10)
        pair.fail_over()
        regressed(first)
        regressed(second)
        assert share(first) == share(second) == 10
        pair.two.hset("weights", FIELD, str(weight))
        settled(first, weight)
        settled(second, weight)
        with pair.process() as newborn:
            assert share(newborn) == weight


def test_f06_a_command_ends_the_doubt_for_what_it_names(pair: Pair) -> None:
    """F6: a change of another split leaves this one held; `set`, even to what the store says already, settles it."""
    pair.one.control.create("search")
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.control.set("checkout", 10)
        eventually(lambda: share(router) == 10)
        pair.fail_over()
        regressed(router)
        pair.two.control.set("search", 25)
        eventually(lambda: share(router, "search") == 25)
        assert share(router) == 10
        assert router.status().held.keys() == {f"weights {FIELD}"}
        pair.two.control.set("checkout", 50)
        settled(router, 50)


def test_f07_a_changed_baseline_that_was_lost_stays(pair: Pair) -> None:
    """F7: baseline and versions differ between the histories: the held definition stays whole, the old path asleep."""
    pair.two.become(pair.one.dump())
    swapped = pair.one.client.hget(pair.one.prefix + "splits", "checkout")
    assert swapped is not None
    other = swapped.replace(b'"old"', b'"x"').replace(b'"new"', b'"old"').replace(b'"x"', b'"new"')
    pair.one.client.hset(pair.one.prefix + "splits", "checkout", other)
    pair.one.hset("weights", "checkout/old", "0")
    pair.one.client.hdel(pair.one.prefix + "weights", FIELD)
    with pair.process() as router:
        pair.one.control.create("marker")  # the change that the other side has not
        eventually(lambda: router.decide("marker", "user-1").reason != "unknown_split")
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"new"}
        pair.fail_over()
        regressed(router, "splits checkout")
        assert {router.choose("checkout", unit) for unit in units("checkout")} == {"new"}
        # A zero means something else there: nothing is stopped
        assert pair.two.client.hkeys(pair.two.prefix + "stops") == [b"_"]


def test_f07_a_version_under_another_name_stays_out(pair: Pair) -> None:
    """F7: the candidate was renamed and rolled back; the lost history knows the old name at 50 %: nobody gets it."""
    pair.two.become(pair.one.dump())
    raw = pair.one.client.hget(pair.one.prefix + "splits", "checkout")
    assert raw is not None
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
    """F7: zero here, preview there: the pinned unit does not get in."""
    pair.one.control.pin("checkout", "tester")
    pair.one.control.preview("checkout")
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        assert router.choose("checkout", "tester") == "new"
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: router.choose("checkout", "tester") == "old")
        eventually(lambda: pair.one.control.history("checkout", 1)[0].cause == "edited outside", 2)
        pair.one.control.create("marker")
        eventually(lambda: router.decide("marker", "user-1").reason != "unknown_split")
        pair.fail_over()
        healed(pair.two)
        assert router.choose("checkout", "tester") == "old"


def test_f07_what_is_created_after_the_fork_is_believed(pair: Pair) -> None:
    """F7: a new split on the new primary, created and raised there, is explained by its own entries."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(router) == 0)
        pair.two.control.create("search")
        pair.two.control.set("search", 40)
        pair.fail_over()
        healed(pair.two)
        eventually(lambda: share(router, "search") == 40)
        pair.two.control.create("banner")
        pair.two.control.set("banner", 15)
        eventually(lambda: share(router, "banner") == 15)
        assert share(router) == 0


@pytest.mark.parametrize("stop", ["checkout", FIELD, "*"])
def test_a_raw_stop_is_not_lost_with_its_server(pair: Pair, stop: str) -> None:
    """F4, F22: a stop beside a weight that was left as it is outlives the server that lost it; `set` ends it."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.hset("stops", stop, "by hand")
        eventually(lambda: share(router) == 0)
        eventually(lambda: pair.one.control.history(None, 1)[0].cause == "edited outside", 2)
        pair.one.control.create("marker")
        eventually(lambda: router.decide("marker", "user-1").reason != "unknown_split")
        pair.fail_over()
        healed(pair.two)
        assert share(router) == 0
        with pair.process() as newborn:
            assert share(newborn) == 0
        pair.two.control.set("checkout", 30)
        settled(router, 30)


def test_a_younger_release_is_not_braked_by_one_who_was_away(pair: Pair) -> None:
    """A process comes back to a log that has been cut since: it holds its zero, and stops nobody else's new release."""
    with pair.process() as router, following(pair.one.server.url, pair.namespace) as other:
        pair.one.control.rollback("checkout")
        eventually(lambda: share(router) == share(other) == 0)
        pair.proxy.refuse()
        eventually(lambda: router.status().mode == "lost")
        pair.one.control.set("checkout", 30)
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
        pair.one.control.set("checkout", 35)
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


# --- the raw edit at 3 a.m. ------------------------------------------------------------------------------------------


def test_f12_a_raw_zero_ends_a_preview(pair: Pair) -> None:
    """F12: preview is a value of the weight's own field, so that any zero ends it, pins and all."""
    pair.one.control.pin("checkout", "tester")
    pair.one.control.preview("checkout")
    with pair.process() as router:
        assert router.choose("checkout", "tester") == "new"
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: router.choose("checkout", "tester") == "old")


@pytest.mark.parametrize(("field", "value"), [("checkout", "0"), ("checkout/old", "100")])
def test_f15_a_clear_wish_is_obeyed_though_mistyped(pair: Pair, field: str, value: str) -> None:
    """F15: `checkout 0` and the baseline at 100 only lower, and are obeyed."""
    with pair.process() as router:
        pair.one.hset("weights", field, value)
        eventually(lambda: share(router) == 0)


@pytest.mark.parametrize("field", ["checkout:new", "Checkout/new", "checkout/neu", "chekout"])
def test_f15_an_unknown_field_is_named_at_once(pair: Pair, field: str, caplog: pytest.LogCaptureFixture) -> None:
    """F15: Redis answers 1 and nothing happens: the processes' logs and `doctor` name the field."""
    with pair.process() as router, caplog.at_level(logging.WARNING, "graysplit"):
        pair.one.hset("weights", field, "0")
        eventually(lambda: any(f"'{field}'" in line for line in caplog.messages))
        assert share(router) == 50
        assert any(finding.where == f"weights {field}" for finding in pair.one.control.doctor())


def test_f16_undo_does_not_raise_what_a_hand_brought_down(pair: Pair) -> None:
    """F16: a booked raw zero is a rollback for `undo`: it rises with `force` only, as a new release."""
    with pair.process() as router:
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: share(router) == 0)
        eventually(lambda: pair.one.control.history("checkout", 1)[0].cause == "edited outside", 2)
        with pytest.raises(RefusedError, match="force"):
            pair.one.control.undo("checkout")
        assert share(router) == 0
        pair.one.control.undo("checkout", force=True)
        eventually(lambda: share(router) == 50)


# --- receipts --------------------------------------------------------------------------------------------------------


def test_f19_a_receipt_tells_the_effect_not_the_number(pair: Pair) -> None:
    """F19: a process that adopted the change and does something else does not confirm it, and says why."""
    with pair.process(), pair.process(off="checkout") as off:
        result = pair.one.control.set("checkout", 60)
        receipts = pair.one.control.wait_confirmed(result, 2).receipts
        assert (receipts.confirmed, receipts.processes) == (1, 2)
        assert "off" in receipts.lagging[0]
        assert off.decide("checkout", "user-1").reason == "off"
        receipts = pair.one.control.wait_confirmed(pair.one.control.rollback("checkout")).receipts
        assert receipts.complete


def test_f19_a_held_value_does_not_confirm(pair: Pair) -> None:
    """F19, F20: behind the fence a process shows what it does, not what the store says."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.one.control.set("checkout", 10)
        eventually(lambda: share(router) == 10)
        pair.fail_over()
        regressed(router)
        receipts = pair.two.control.wait_weights("checkout", within_s=0.5)
        assert (receipts.confirmed, receipts.complete) == (0, False)
        (process,) = pair.two.control.fleet().live
        assert process.receipt.held == {f"weights {FIELD}": "10"}
        assert any("has lost changes" in finding.what for finding in pair.two.control.doctor())


def test_f20_who_registers_during_the_wait_is_counted(pair: Pair) -> None:
    """F20: a process registers before it loads, so that none loads the old value uncounted."""
    result = pair.one.control.rollback("checkout")
    assert pair.one.control.wait_confirmed(result, 0.5).receipts.nobody
    with pair.process(), pair.process():
        receipts = pair.one.control.wait_confirmed(result).receipts
        assert (receipts.confirmed, receipts.processes) == (2, 2)


def test_f21_receipts_push_nobody(pair: Pair) -> None:
    """F21: heartbeats and receipts lie under no prefix that is followed: they make no process read."""
    with pair.process(), pair.process():
        client = pair.one.client

        def calls(command: str) -> int:
            found: int = client.info("commandstats")[f"cmdstat_{command}"]["calls"]
            return found

        eventually(lambda: len(pair.one.control.fleet().live) == 2)
        reads, beats = calls("hgetall"), calls("zadd")
        eventually(lambda: calls("zadd") >= beats + 4, 10)
        assert calls("hgetall") - reads <= 6, "more than a booking and one full reading"
