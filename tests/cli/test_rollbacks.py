"""A rollback's last word is what it reached: a target that nobody knows ends with exit 3, and says so last."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from graysplit import embedded
from graysplit.cli.app import VERBS, run
from graysplit.cli.exits import MEANINGS
from graysplit.control import Control
from graysplit.core.fleet import Declared, Effect, Fleet
from graysplit.core.replica.record import Load
from graysplit.errors import BadValueError, StoreUnreachableError, UnknownVersionError
from graysplit.router.router import Router
from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, Ran, cli, name, store
from tests.cli.test_freeze import folded
from tests.control.processes import beating, live
from tests.support import eventually

__all__ = ["cli", "name", "store"]  # fixtures


@pytest.fixture
def running(cli: Cli) -> None:
    """Have `checkout` at half, and `ranking` with two candidates."""
    cli("create", "checkout")
    cli("create", "ranking", "--versions", "a,b,c")
    cli("set", "checkout", "50")
    cli("set", "ranking", "b=10", "c=20")


def last(ran: Ran) -> str:
    """Return the last line, as if it had not been folded."""
    return folded(ran.out).splitlines()[-1]


# --- who is not known ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("target", "says", "command"),
    [
        ("chekout", "no split 'chekout'", "graysplit rollback checkout"),
        ("all", "no split 'all'", "graysplit rollback --all"),
        ("checkout/nwe", "no candidate 'nwe' of split 'checkout'", "graysplit rollback checkout/new"),
        ("chekout/new", "no split 'chekout'", "graysplit rollback checkout/new"),
        ("checkout/old", "'old' is the baseline of split 'checkout'", "graysplit rollback checkout"),
        ("checkout/versions", "no candidate 'versions' of split 'checkout'", None),
        ("elsewhere", "no split 'elsewhere'", None),
    ],
)
def test_a_target_that_nobody_knows_ends_with_3_and_says_so_last(
    cli: Cli, store: MemoryStore, target: str, says: str, command: str | None
) -> None:
    """The stop is written all the same; no receipts line claims anything; a second time ends as the first."""
    with beating(store, 1, effects={"checkout/new": Effect("50")}):
        for _ in range(2):
            ran = cli("rollback", target)
            assert ran.code == 3, ran
            assert target.encode() in store.load().stops.fields
            assert "stopped sending calls" not in ran.out
            assert last(ran).startswith(f"NOT ROLLED BACK: {says} in namespace default on memory://"), ran
            assert f"graysplit unstop {target}" in folded(ran.out)
            assert (f"  $ {command}\n" in ran.out) is (command is not None), ran
        told = cli("rollback", target, "--json").json
        assert (told["known"], told["exit"], told["confirmed"]) == (False, 3, None)
        assert told["error"] == last(ran)
        assert cli("rollback", target, "--no-wait").code == 3
        assert cli("unstop", target, "--no-wait").code == 0


@pytest.mark.usefixtures("running")
def test_a_known_target_without_live_processes_is_0_and_says_so(cli: Cli) -> None:
    """Given again and again; for the split, a candidate, everything."""
    for words in (("checkout",), ("checkout",), ("checkout/new",), ("ranking/b",), ("ranking/b",), ("--all",)):
        ran = cli("rollback", *words)
        assert (ran.code, "no process follows this namespace" in ran.out) == (0, True), ran
        assert cli("rollback", *words, "--json").json["known"] is True


def test_live_code_or_a_receipt_makes_a_target_known(cli: Cli, store: MemoryStore) -> None:
    """Where the store knows nothing at all, and the process has fallen silent since."""
    declared = {"search": Declared("old", ("old", "new"))}
    live(store, 1, declared=declared, effects={"checkout/new": Effect("50")})
    for target, known in (
        ("search", True),
        ("search/new", True),
        ("search/old", False),
        ("checkout", True),
        ("checkout/new", True),
        ("chekout", False),
        ("*", True),
    ):
        assert cli("rollback", target, "--json", "--wait", "0s").json["known"] is known, target


def test_what_is_deleted_is_not_known(cli: Cli) -> None:
    """A tombstone is no definition."""
    cli("create", "checkout")
    cli("delete", "checkout", "--yes")
    assert cli("rollback", "checkout").code == 3


def test_a_raw_weight_without_a_definition_is_known(cli: Cli, store: MemoryStore) -> None:
    """Whatever stands above zero is worth a rollback; the zero that the first one wrote is no proof of a name."""
    for key in ("weights", "stops", "splits", "meta"):
        store.raw_set(key, "_", "1")
    store.raw_set("weights", "checkout/new", "20")
    assert cli("rollback", "checkout/nwe").code == 3
    assert cli("rollback", "checkout/nwe").code == 3
    assert cli("rollback", "checkout").code == 0


class Unreadable(MemoryStore):
    """Writes, and then cannot be read."""

    def load(self) -> Load:
        """Fail."""
        raise StoreUnreachableError(self.name, "no answer in time")

    def fleet(self) -> Fleet:
        """Fail."""
        raise StoreUnreachableError(self.name, "no answer in time")


def test_where_nothing_can_be_read_after_the_write_nothing_is_claimed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither 0 nor 3: it is not known, and how to find out."""
    monkeypatch.setattr(MemoryStore, "load", Unreadable.load)
    monkeypatch.setattr(MemoryStore, "fleet", Unreadable.fleet)
    ran = cli("rollback", "checkout")
    assert ran.code == 6, ran
    assert last(ran).startswith("NOT CONFIRMED: cannot check whether 'checkout' exists (no answer in time)")
    assert "graysplit list" in folded(ran.out)
    assert cli("rollback", "checkout", "--json").json["known"] is None


@pytest.mark.usefixtures("running")
def test_a_definition_that_cannot_be_read_may_name_the_version(cli: Cli, store: MemoryStore) -> None:
    """The split is known; of a candidate that was at zero before nobody can say."""
    store.raw_set("splits", "checkout", "{broken")
    assert cli("rollback", "checkout").code == 0
    ran = cli("rollback", "checkout/nwe")
    assert (ran.code, "graysplit doctor" in folded(ran.out)) == (6, True), ran


# --- several, and a dry run ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("running")
def test_several_targets_are_rolled_back_at_once(cli: Cli, store: MemoryStore) -> None:
    """Each with its own lines; who is unknown comes last and decides the code; one JSON document for all."""
    ran = cli("rollback", "chekout", "checkout", "ranking/b", "checkout", "--why", "outage")
    assert ran.code == 3, ran
    assert store.load().stops.fields.keys() >= {b"chekout", b"checkout", b"ranking/b"}
    assert [entry.split for entry in store.history(None, 3)] == ["ranking", "checkout", "chekout"]
    assert "checkout: no process follows" in ran.out
    assert last(ran).startswith("NOT ROLLED BACK: no split 'chekout'")
    told = cli("rollback", "checkout", "chekout", "--json").json
    assert [(one["split"], one["known"], one["exit"]) for one in told["rollbacks"]] == [
        ("checkout", True, 0),
        ("chekout", False, 3),
    ]
    assert told["exit"] == 3
    assert cli("rollback", "checkout", "ranking").code == 0


@pytest.mark.usefixtures("running")
def test_a_name_that_cannot_be_one_is_told_before_anything_is_written(cli: Cli, store: MemoryStore) -> None:
    """Wrong usage writes nothing at all."""
    before = store.load()
    assert cli("rollback", "checkout", "Check out").code == 2
    assert store.load().stops == before.stops


@pytest.mark.usefixtures("running")
def test_a_store_that_is_lost_between_two_targets_names_the_ones_left(
    cli: Cli, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written is told, and what was not."""
    roll_back = MemoryStore.roll_back

    def once(self: MemoryStore, rollback: object) -> object:
        monkeypatch.setattr(MemoryStore, "roll_back", lost)
        return roll_back(self, rollback)  # type: ignore[arg-type] # handed on as it came

    def lost(self: MemoryStore, _: object) -> object:
        raise StoreUnreachableError(self.name, "no answer in time")

    monkeypatch.setattr(MemoryStore, "roll_back", once)
    ran = cli("rollback", "checkout", "ranking", "--json")
    assert (ran.code, ran.json["exit"]) == (5, 5)
    assert [one["split"] for one in ran.json["rollbacks"]] == ["checkout"]
    assert "not rolled back: ranking" in ran.err


@pytest.mark.usefixtures("running")
def test_a_dry_run_lists_what_would_be_stopped_and_what_left(cli: Cli, store: MemoryStore) -> None:
    """With their weights; nothing is written, and a mistyped name ends with 3 here too."""
    cli("finish", "ranking", "--at", "30")
    before = store.load()
    ran = cli("rollback", "--all", "--dry-run")
    assert ran.code == 0
    assert "  checkout/new 50% -> 0%\n" in ran.out
    assert "would be left alone, finished: ranking" in folded(ran.out)
    assert "ranking/b would stay at 10; to roll it back too: graysplit rollback ranking" in folded(ran.out)
    assert last(ran) == "nothing was written"
    told = cli("rollback", "--all", "--dry-run", "--json").json
    assert (told["weights"], told["left"]) == ({"checkout/new": {"from": 50, "to": 0}}, ["ranking"])
    unknown = cli("rollback", "chekout", "--dry-run")
    assert (unknown.code, "a stop was added" in unknown.out) == (3, False), unknown
    assert store.load()._replace(now_ms=0) == before._replace(now_ms=0)


@pytest.mark.usefixtures("running")
def test_where_nothing_is_lowered_no_calls_are_said_to_have_ended(cli: Cli, store: MemoryStore) -> None:
    """A rollback of everything that finds nothing above zero says what it found, and who has read it."""
    zero = {field: Effect("0") for field in ("checkout/new", "ranking/b", "ranking/c")}
    cli("rollback", "--all")
    dry = cli("rollback", "--all", "--dry-run")
    assert dry.out.startswith("no unfinished release is above zero: no weight and no stop would be written\n"), dry
    with beating(store, 1, effects=zero, revision=99):
        ran = cli("rollback", "--all")
    said = folded(ran.out)
    assert (ran.code, "stopped sending calls" in said) == (0, False), ran
    assert said.startswith("no unfinished release is above zero: no weight and no stop was written"), ran
    assert re.search(r"1/1 processes have read revision \d+ in ", said), ran
    with beating(store, 1, effects=zero, revision=99):
        several = cli("rollback", "ranking")
    assert "1/1 processes stopped sending calls to b and c in " in folded(several.out), several


# --- what an unset shell variable makes of a command -----------------------------------------------------------------


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    "words",
    [
        ("rollback", ""),
        ("rollback", "checkout", ""),
        ("freeze", ""),
        ("unfreeze", ""),
        ("set", "checkout/", "20"),
        ("set", "", "20"),
        ("set", "checkout", ""),
        ("set", "checkout", "20", "--from", ""),
        ("preview", "checkout/"),
        ("ramp", "checkout/"),
        ("ramp", "checkout", "--template", ""),
        ("ramp", "checkout", "--save", ""),
        ("simulate", "checkout/", "5,20"),
        ("report", "checkout/"),
        ("wait", "checkout/"),
        ("rollback", "checkout/"),
        ("unstop", ""),
        ("pin", "checkout", "u-1", ""),
        ("pin", "checkout", ""),
        ("history", ""),
        ("watch", ""),
        ("recover", ""),
        ("recover", "--source", ""),
        ("create", "search", "--versions", ""),
        ("create", "search", "--salt", ""),
        ("switch", "checkout", "--to", ""),
        ("guard", "checkout", "--stop-on", ""),
        ("rollback", "checkout", "--url", ""),
        ("rollback", "checkout", "--namespace", ""),
        ("--namespace", "", "rollback", "checkout"),
    ],
)
def test_an_empty_text_is_wrong_usage(cli: Cli, store: MemoryStore, words: tuple[str, ...]) -> None:
    """It never means everything, the only candidate, or the default server; nothing is written."""
    before = store.load()._replace(now_ms=0)
    ran = cli(*words)
    assert (ran.code, ran.out) == (2, ""), ran
    assert store.load()._replace(now_ms=0) == before
    assert cli("--json", *words).json["exit"] == 2


def test_control_takes_no_empty_text_either(store: MemoryStore) -> None:
    """From a script the same holds: each raises, and writes nothing."""
    control = Control(store)
    control.create("checkout")
    before = store.load()._replace(now_ms=0)
    for wrong in (
        lambda: control.rollback(""),
        lambda: control.freeze(""),
        lambda: control.set("checkout/", 20),
        lambda: control.preview("checkout/"),
        lambda: control.ramp("checkout/"),
        lambda: control.pin("checkout", "u", ""),
        lambda: control.create("search", []),
        lambda: control.create("search", [""]),
    ):
        with pytest.raises((BadValueError, UnknownVersionError)):
            wrong()
    assert store.load()._replace(now_ms=0) == before


# --- one JSON document ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, "nonsense"])
def test_wrong_usage_is_told_in_json_too(cli: Cli, verb: str) -> None:
    """Wherever `--json` stands: before the verb, behind the word that is wrong, or before it."""
    for words in (("--json", verb, "--nope"), (verb, "--nope", "--json"), (verb, "--json", "--nope")):
        ran = cli(*words)
        assert (ran.code, ran.json["exit"]) == (2, 2), ran
    assert cli("--nope", "--json").json["exit"] == 2


def test_a_defect_and_an_interrupt_are_told_in_json_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours does not end with 1, which says that nothing was written."""
    for fault, code in ((RuntimeError("ours"), 70), (KeyboardInterrupt(), 130)):

        def break_off(_: Control, fault: BaseException = fault) -> object:
            raise fault

        monkeypatch.setattr(Control, "overview", break_off)
        ran = cli("list", "--json")
        assert (ran.code, ran.json["exit"], code in MEANINGS) == (code, code, True)
        assert "nothing was written" in ran.json["error"]


# --- on a real server ------------------------------------------------------------------------------------------------


@pytest.fixture
def on_server(
    server: embedded.Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ran]:
    """Run one command on the shared server."""
    monkeypatch.setenv("GRAYSPLIT_URL", server.url)
    monkeypatch.delenv("GRAYSPLIT_NAMESPACE", raising=False)

    def command(*words: str) -> Ran:
        capsys.readouterr()
        code = run(words)
        return Ran(code, *capsys.readouterr())

    return command


def test_in_a_wrong_namespace_or_database_it_names_those_that_live_processes_follow(
    on_server: Callable[..., Ran], server: embedded.Server, namespace: str
) -> None:
    """The right name there, and everything, end with 3; the processes still send half of the users to new."""
    wrong = f"wrong-{uuid.uuid4().hex[:8]}"
    with closing(Router(server.url, namespace=namespace)) as router:
        split = router.split("checkout")
        router.start()
        on_server("--namespace", namespace, "create", "checkout")
        on_server("--namespace", namespace, "set", "checkout", "50")
        eventually(lambda: "new" in {split.choose(f"u-{n}") for n in range(50)})
        for target in ("checkout", "--all"):
            for url, other in ((server.url, wrong), (server.url.replace("/0", "/7"), namespace)):
                ran = on_server("rollback", target, "--url", url, "--namespace", other)
                place = f"namespace {other} on {url.removeprefix('redis://')}"
                what = "split" if target == "--all" else "split 'checkout'"
                assert (ran.code, last(ran)) == (3, f"NOT ROLLED BACK: no {what} in {place}")
                assert f"namespace {namespace}, database 0: 1 process" in folded(ran.out)
                told = on_server("rollback", target, "--url", url, "--namespace", other, "--json").json
                assert {"namespace": namespace, "database": 0, "live": 1} in told["followed"]
        assert "new" in {split.choose(f"u-{n}") for n in range(50)}
        ran = on_server("rollback", "checkout", "--namespace", namespace)
        assert (ran.code, "1/1 processes stopped sending calls to new" in ran.out) == (0, True)
        assert {split.choose(f"u-{n}") for n in range(50)} == {"old"}


def test_a_user_who_may_not_look_through_the_server_is_told_so_much_as_is_known(
    on_server: Callable[..., Ran], server: embedded.Server, namespace: str
) -> None:
    """The ops role has no right to SCAN: it is the same exit and the same last line."""
    ran = json.loads(on_server("--namespace", namespace, "acl", "ops", "--user", namespace, "--json").out)
    import redis

    with closing(redis.Redis.from_url(server.url)) as client:
        client.execute_command("ACL", "SETUSER", namespace, "reset", "on", ">pw", *ran["rules"])
        with suppress(redis.ResponseError):
            url = server.url.replace("redis://", f"redis://{namespace}:pw@")
            found = on_server("rollback", "checkout", "--url", url, "--namespace", namespace)
            client.execute_command("ACL", "DELUSER", namespace)
    assert (found.code, "graysplit list" in folded(found.out)) == (3, True), found
    assert "pw@" not in found.out + found.err
    assert last(found).startswith("NOT ROLLED BACK: no split 'checkout'")
