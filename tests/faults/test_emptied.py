"""A store that lost what its processes run on: screens say so, first writes are refused, and the fleet can sow it anew.

Each on a real server: emptied, restarted without a disk, its keys renamed, its databases swapped.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

import graysplit
from graysplit.cli.app import run
from graysplit.errors import RefusedError, StoreCorruptError
from tests.faults.command_line import Ran
from tests.faults.pairs import FIELD, Pair, settled
from tests.faults.shares import share
from tests.support import eventually

LOOKS = (("list",), ("show", "checkout"), ("doctor",))


def graysplit_cli(url: str, namespace: str, *words: str) -> Ran:
    """Run a command in this process, without a terminal."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("GRAYSPLIT_URL", url)
        patch.setenv("GRAYSPLIT_NAMESPACE", namespace)
        code = run(words)
    return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def emptied(pair: Pair) -> Iterator[tuple[graysplit.Router, graysplit.Router]]:
    """Return two processes at checkout 50 and a finished search at 100, whose server has been emptied."""
    one = pair.one.control
    one.create("search")
    one.set("search", 100, confirm=True)
    one.pin("checkout", "user-17", "new")
    one.create("gone")
    one.set("gone", 30)
    one.rollback("gone", why="it failed")
    one.finish("search")
    with pair.process() as first, pair.process() as second:
        eventually(lambda: {(share(r), share(r, "search")) for r in (first, second)} == {(50, 100)})
        pair.one.client.flushall()
        told(pair, 2)
        yield first, second


def told(pair: Pair, count: int) -> None:
    """Wait until so many live processes tell of what they read last."""
    eventually(lambda: sum(p.receipt.revision > 0 for p in pair.one.control.fleet().live) == count, 10)


@pytest.mark.parametrize("look", LOOKS)
def test_an_emptied_store_is_the_first_line_of_every_look(pair: Pair, look: tuple[str, ...]) -> None:
    """Exit 7: nobody is at the baseline because the store is empty, and two commands are named."""
    with emptied(pair):
        ran = graysplit_cli(pair.one.server.url, pair.namespace, *look)
        words = " ".join(ran.out.split())
        assert ran.code == 7, ran
        assert words.startswith("problem: ")
        assert "the store is empty, and 2 live processes run with the values they read last" in words[:100]
        assert "checkout/new 50%" in " ".join(ran.out.split())
        assert "graysplit rollback --all" in ran.out
        assert "graysplit recover --source fleet" in ran.out
        for untrue in ("no splits yet", "everybody gets the baseline", "graysplit set checkout 5"):
            assert untrue not in ran.out


@pytest.mark.parametrize(
    "look", [("explain", "checkout", "user-17"), ("report", "checkout"), ("wait", "checkout", "--timeout", "1s")]
)
def test_a_look_at_what_the_store_lost_is_no_unknown_split(pair: Pair, look: tuple[str, ...]) -> None:
    """Exit 7 with the weight in force and the way back: who is told to `create` it would be refused then."""
    with emptied(pair):
        ran = graysplit_cli(pair.one.server.url, pair.namespace, *look)
        assert ran.code == 7, ran
        words = " ".join(ran.err.split())
        assert "the store is empty, and 2 live processes run with the values they read last (checkout/new 50%)" in words
        assert "graysplit recover --source fleet" in words
        assert "graysplit rollback --all" in words
        assert graysplit_cli(pair.one.server.url, pair.namespace, "explain", "chekout", "user-17").code == 3


def test_an_emptied_store_in_json(pair: Pair) -> None:
    """Scripts read the same: the weights in force, and no text of a stop or definition."""
    with emptied(pair):
        for look in LOOKS:
            ran = graysplit_cli(pair.one.server.url, pair.namespace, *look, "--json")
            assert ran.code == 7
            if look[0] != "doctor":
                loss = ran.json["loss"]
                assert (loss["kind"], len(loss["processes"])) == ("emptied", 2)
                assert loss["weights"]["search/new"] == {"lowest": 100, "highest": 100}
                assert loss["weights"]["gone/new"] == {"lowest": 0, "highest": 0}
            assert "user-17" not in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ("create", "other", "--versions", "old,new"),
        ("set", "checkout", "70", "--yes"),
        ("ramp", "checkout", "5,100", "--every", "1h", "--yes"),
        ("switch", "checkout", "--to", "new", "--yes"),
        ("preview", "checkout"),
        ("freeze", "--all", "--why", "weekend"),
    ],
)
def test_a_first_write_into_an_emptied_store_is_refused(pair: Pair, words: tuple[str, ...]) -> None:
    """Exit 1, and nothing is written: it would make the keys whole, and pass for all there is."""
    with emptied(pair) as (first, _):
        ran = graysplit_cli(pair.one.server.url, pair.namespace, *words)
        assert ran.code == 1, ran
        assert "graysplit recover --source fleet" in " ".join(ran.err.split())
        assert not pair.one.client.exists(pair.one.prefix + "meta", pair.one.prefix + "splits")
        assert (share(first), share(first, "search")) == (50, 100)


def test_control_refuses_a_first_write_too(pair: Pair) -> None:
    """A program is told the same as a person."""
    with emptied(pair), pytest.raises(RefusedError, match="recover --source fleet"):
        pair.one.control.set("checkout", 70)


def test_a_new_namespace_with_processes_that_know_nothing_is_not_emptied(pair: Pair) -> None:
    """Processes that have read nothing yet are no reason to refuse the first `create`."""
    namespace = pair.namespace + "-new"
    with (
        graysplit.Router(pair.one.server.url, namespace=namespace) as router,
        graysplit.Control(pair.one.server.url, namespace=namespace) as control,
    ):
        assert router.wait_ready(20)
        eventually(lambda: control.fleet().live)
        assert graysplit_cli(pair.one.server.url, namespace, "list").code == 0
        control.create("checkout")


def test_rollback_all_in_an_emptied_store_is_never_refused(pair: Pair) -> None:
    """Everybody goes to the baseline, confirmed, and the store can be sown anew all the same: nothing rises by it."""
    with emptied(pair) as (first, second):
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "rollback", "--all")
        assert ran.code == 0, ran
        assert {(share(r), share(r, "search")) for r in (first, second)} == {(0, 0)}
        pair.one.control.recover(why="sown again", confirm=True)
        eventually(lambda: not first.status().lost)
        assert {(share(r), share(r, "search")) for r in (first, second)} == {(0, 0)}


def test_an_emptied_store_is_sown_anew_from_the_fleet(pair: Pair) -> None:
    """What live processes hold is written as it stood: weights, stops, definitions with pins, finished marks."""
    with emptied(pair) as (first, second):
        before = pair.one.control.fleet().live[0].receipt.revision
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "recover", "--source", "fleet", "--yes", "--why", "w")
        assert ran.code == 0, ran
        assert "user-17" not in ran.out + ran.err
        for router in (first, second):
            settled(router, 50)
            settled(router, 100, "search")
            eventually(lambda router=router: not router.status().lost)
        assert pair.one.control.history(None, 1)[0].revision > before  # no revision means two things
        view = pair.one.control.overview()
        rows = {row.field: (row.asked, row.effective) for row in view.rows}
        assert rows == {"checkout/new": ("50", "50"), "search/new": ("100", "100"), "gone/new": ("0", "0")}
        assert view.loss is None
        assert list(view.finished) == ["search"]
        assert "it failed" in view.stops["gone"]
        assert pair.one.control.explain("checkout", "user-17").reason == "pin"
        assert graysplit_cli(pair.one.server.url, pair.namespace, "list").code == 0
        with pair.process() as newborn:
            assert (share(newborn), share(newborn, "search"), share(newborn, "gone")) == (50, 100, 0)
        pair.one.control.set("checkout", 60)
        settled(first, 60)


def test_recover_from_the_fleet_asks_for_the_name(pair: Pair) -> None:
    """It raises what the store says: without a terminal it needs --yes, and nothing is written."""
    with emptied(pair):
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "recover", "--source", "fleet", "--why", "w")
        assert ran.code == 1, ran
        assert not pair.one.client.exists(pair.one.prefix + "splits")
        dry = graysplit_cli(pair.one.server.url, pair.namespace, "recover", "--dry-run", "--json")
        assert {side["field"] for side in dry.json["sides"] if side["key"] == "weights"} >= {"checkout/new"}
        assert "user-17" not in dry.out


def test_what_was_told_expires_within_minutes(pair: Pair) -> None:
    """Definitions name units: what processes told is one copy, readable by nobody's screen, and gone soon."""
    with emptied(pair):
        pair.one.control.recover(dry_run=True)
        key = pair.one.prefix + "fleet:contents"
        found = pair.one.client.hgetall(key)
        assert sum(name.startswith(b"content:") for name in found) == 1
        assert not any(b"user-17" in text for text in found.values())
        assert 0 < pair.one.client.pttl(key) <= 300_000


def test_never_higher_than_the_lowest_told(pair: Pair) -> None:
    """One process was cut off before a raise: its weight is the one that is sown."""
    one = pair.one
    with pair.process() as behind, graysplit.Router(one.server.url, namespace=pair.namespace) as ahead:
        assert ahead.wait_ready(20)
        pair.cut_off(behind)
        one.control.set("checkout", 80)
        eventually(lambda: share(ahead) == 80)
        one.client.flushall()
        pair.proxy.heal()
        told(pair, 2)
        assert {share(behind), share(ahead)} == {50, 80}
        shown = graysplit_cli(one.server.url, pair.namespace, "list")
        assert "checkout/new 50% to 80%" in " ".join(shown.out.split())
        one.control.recover(confirm=True)
        settled(behind, 50)
        settled(ahead, 50)


def test_a_restart_without_a_disk(pair: Pair) -> None:
    """The second server of the address is empty: the same as emptied, and sown anew from the fleet."""
    with pair.process() as router:
        pair.two.client.flushall()
        pair.fail_over()
        eventually(lambda: any(p.receipt.revision for p in pair.two.control.fleet().live), 10)
        ran = graysplit_cli(pair.two.server.url, pair.namespace, "list")
        assert (ran.code, "the store is empty" in ran.out) == (7, True)
        pair.two.control.recover(confirm=True)
        settled(router, 50)
        assert pair.two.control.show("checkout").rows[0].effective == "50"


@pytest.mark.parametrize("key", ["weights", "stops", "splits", "meta"])
@pytest.mark.parametrize("how", ["deleted", "renamed"])
@pytest.mark.parametrize("look", LOOKS)
def test_a_lost_key_is_the_first_line_too(pair: Pair, key: str, how: str, look: tuple[str, ...]) -> None:
    """One key deleted or renamed: exit 7 of every look, with what runs; set and create are refused, nothing rises."""
    with pair.process() as router:
        eventually(lambda: share(router) == 50)
        whole = pair.one.prefix + key
        pair.one.client.delete(whole) if how == "deleted" else pair.one.client.rename(whole, whole + "-old")
        told(pair, 1)
        ran = graysplit_cli(pair.one.server.url, pair.namespace, *look)
        assert ran.code == 7, ran
        said = " ".join(ran.out.split())[:120]
        assert said.startswith("problem: ")
        assert f"the store has lost the key {key} (missing), and 1 live process" in said
        assert "checkout/new 50%" in " ".join(ran.out.split())
        assert "graysplit recover" in ran.out
        with pytest.raises(StoreCorruptError, match="graysplit recover"):
            pair.one.control.set("checkout", 70)
        if look == ("list",):
            pair.one.control.recover(confirm=True)
            settled(router, 50)
            assert graysplit_cli(pair.one.server.url, pair.namespace, *look).code == 0


def test_databases_that_are_swapped(pair: Pair) -> None:
    """SWAPDB brings an empty database: the processes run on, and every look says so."""
    with pair.process() as router:
        eventually(lambda: share(router) == 50)
        pair.one.client.swapdb(0, 1)
        try:
            told(pair, 1)
            ran = graysplit_cli(pair.one.server.url, pair.namespace, "list")
            assert (ran.code, "the store is empty" in ran.out) == (7, True)
            assert share(router) == 50
        finally:
            pair.one.client.swapdb(0, 1)
        eventually(lambda: graysplit_cli(pair.one.server.url, pair.namespace, "list").code == 0, 30)
        settled(router, 50)


def test_a_receipt_that_says_more_than_the_store(pair: Pair) -> None:
    """The store lost a lowering: what processes keep against it is the first line, and doctor's first finding."""
    pair.two.become(pair.one.dump())
    with pair.process() as router:
        pair.lose_a_lowering(router)
        eventually(lambda: any(p.receipt.held for p in pair.two.control.fleet().live), 10)
        for look in LOOKS:
            ran = graysplit_cli(pair.two.server.url, pair.namespace, *look)
            words = " ".join(ran.out.split())
            assert ran.code == 7, ran
            assert "problem: " in ran.out.splitlines()[0]
            assert "the store has lost changes, and 1 live process keeps values that it lacks" in words
            assert "checkout/new 10%" in words


def test_a_process_that_follows_another_store(pair: Pair, swapped: Callable[[], None]) -> None:
    """A receipt of a later revision than the store's: lost changes, or another store."""
    with pair.process() as router:
        eventually(lambda: share(router) == 50)
        swapped()
        eventually(lambda: pair.one.control.fleet().live, 10)
        assert pair.one.control.overview().loss is not None


@pytest.fixture
def swapped(pair: Pair) -> Iterator[Callable[[], None]]:
    """Return what swaps in a database whose namespace is a younger one of the same name; it is swapped back after."""
    with graysplit.Control(pair.one.server.url.removesuffix("/0") + "/1", namespace=pair.namespace) as other:
        other.create("unrelated")
    yield lambda: pair.one.client.swapdb(0, 1)
    pair.one.client.swapdb(0, 1)


def test_json_of_a_recovery_names_no_unit(pair: Pair) -> None:
    """Definitions are told by their shape alone."""
    with emptied(pair):
        found = pair.one.control.recover(dry_run=True)
        ran = graysplit_cli(pair.one.server.url, pair.namespace, "recover", "--yes", "--json", "--why", "w")
        assert FIELD in {side.field for side in found.sides}
        assert "user-17" not in json.dumps(ran.json)
        assert ran.code == 0, ran
