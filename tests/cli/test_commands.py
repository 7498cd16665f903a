"""Every command there is: in the help, within 80 columns, and as one JSON object."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from graysplit.cli.app import SUMMARIES, VERBS, app, load, run
from graysplit.cli.exits import MEANINGS
from graysplit.control import ask
from graysplit.core.fleet import Declared, Effect
from graysplit.stores.memory import MemoryStore
from tests.control.processes import beating, live


class Ran(NamedTuple):
    """What one command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Its one JSON object, which names its schema."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self
        found: dict[str, Any] = json.loads(lines[0])
        assert found["schema_version"] == 1
        return found


Cli = Callable[..., Ran]


def unfolded(text: str) -> str:
    """Return a text as it was before it was folded to the screen's width."""
    return " ".join(text.split())


@pytest.fixture
def soon_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a moment only for the answers of processes that never give any."""
    monkeypatch.setattr(ask, "ANSWERS_WITHIN_S", 0.05)


@pytest.fixture
def name() -> str:
    """Return a name for a store of this test's own."""
    return uuid.uuid4().hex


@pytest.fixture
def store(name: str) -> MemoryStore:
    """Return the store that the commands of this test use."""
    return MemoryStore(name)


@pytest.fixture
def cli(name: str, store: MemoryStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run one command in this process, without a terminal; human output stays within 80 columns."""
    monkeypatch.setenv("GRAYSPLIT_URL", f"memory://{name}")
    monkeypatch.setenv("GRAYSPLIT_ACTOR", "ada@lab")
    monkeypatch.delenv("GRAYSPLIT_NAMESPACE", raising=False)
    assert store is not None

    def command(*words: str) -> Ran:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        talk = err if {"--json", "export", "acl"} & {*words} else out + err
        assert all(len(line) <= 80 for line in talk.splitlines()), talk
        return Ran(code, out, err)

    return command


# Every command once, in an order in which each succeeds; `watch` has a test of its own.
STORY = (
    ("create", "checkout"),
    ("create", "ranking", "--versions", "a,b,c"),
    ("set", "checkout", "20", "--why", "step 1"),
    ("set", "ranking", "b=10", "c=10"),
    ("pin", "checkout", "u-17"),
    ("unpin", "checkout", "u-17"),
    ("undo", "checkout"),
    ("preview", "ranking/b"),
    ("list",),
    ("show", "checkout"),
    ("explain", "checkout", "u-17"),
    ("history",),
    ("fleet",),
    ("doctor",),
    ("notices",),
    ("export",),
    ("recover",),
    ("acl", "app"),
    ("ramp", "checkout", "30,40", "--approve"),
    ("guard", "checkout", "--slow", "500ms"),
    ("pause", "checkout"),
    ("resume", "checkout"),
    ("approve", "checkout", "40"),
    ("simulate", "checkout"),
    ("freeze", "check*", "--for", "2h", "--why", "holiday"),
    ("unfreeze", "check*", "--yes"),
    ("unguard", "checkout", "--yes"),
    ("protect", "checkout"),
    ("unprotect", "checkout", "--yes"),
    ("finish", "ranking", "--at", "10"),
    ("switch", "ranking", "--to", "a"),
    ("winner", "ranking", "b", "--yes"),
    ("winner", "ranking", "a"),
    ("rollback", "checkout"),
    ("rollback", "ranking/b"),
    ("rollback", "--all"),
    ("unstop", "checkout"),
    ("delete", "checkout", "--yes"),
)


def test_every_command_has_its_place_in_the_story() -> None:
    """No command goes untested; `drive`, `rebalance`, `report`, `wait` and `watch` have tests of their own."""
    for verb in VERBS:
        load(verb)
    apart = {"console", "drive", "rebalance", "report", "wait", "watch"}
    assert {words[0] for words in STORY} | apart == set(VERBS) == set(app.commands)


def test_the_table_of_help_says_what_each_command_says() -> None:
    """`--help` loads no verb; what it prints of each is the first line of that one's own help, not cut."""
    for verb in VERBS:
        load(verb)
    assert {verb: app.commands[verb].get_short_help_str(200) for verb in VERBS} == SUMMARIES
    longest = max(map(len, VERBS))
    assert all(longest + 4 + len(line) <= 78 for line in SUMMARIES.values())


def test_every_command_says_something_in_80_columns(cli: Cli) -> None:
    """Each succeeds without a terminal, with data on stdout and no colour."""
    for words in STORY:
        ran = cli(*words)
        assert ran.code == 0, (words, ran)
        assert ran.out, words
        assert "\x1b" not in ran.out, words


def test_every_command_gives_json(cli: Cli) -> None:
    """Each prints exactly one object on stdout, wherever `--json` stands."""
    for words in STORY:
        assert cli("--json", *words).json, words
    for words in (("list",), ("export",), ("set", "ranking/b", "5"), ("rollback", "ranking/b")):
        assert cli(*words, "--json").json, words


def test_a_change_in_json_has_what_scripts_need(cli: Cli) -> None:
    """Split, weights, revision and receipts, with numbers as numbers."""
    cli("create", "checkout")
    found = cli("set", "checkout", "12.5", "--json").json
    assert {k: found[k] for k in ("split", "from", "to", "confirmed", "processes", "lagging", "silent")} == {
        "split": "checkout",
        "from": 0,
        "to": 12.5,
        "confirmed": 0,
        "processes": 0,
        "lagging": [],
        "silent": [],
    }
    assert found["revision"] == 2
    assert found["seconds"] >= 0
    back = cli("rollback", "checkout", "--json").json
    assert (back["from"], back["to"], back["revision"]) == (12.5, 0, 3)
    assert cli("rollback", "checkout", "--json", "--no-wait").json["confirmed"] is None


def test_explain_in_json_has_the_ladder(cli: Cli) -> None:
    """Unit, version, reason, bucket, revision and every rung asked."""
    cli("create", "checkout")
    cli("set", "checkout", "20")
    found = cli("explain", "checkout", "user-1", "--json").json
    assert set(found) >= {"split", "unit", "version", "reason", "bucket", "revision", "ladder"}
    assert found["ladder"][-1]["version"] == found["version"]


def test_the_bare_command_answers(cli: Cli) -> None:
    """Where, what is routed whither, what changed last, no guard, and the command that makes it safe."""
    assert "graysplit create" in cli().out
    cli("create", "checkout")
    cli("set", "checkout", "20", "--why", "step 1")
    out = cli().out
    assert "namespace default on memory://" in out
    assert "checkout/new   20        20" in out
    assert "set checkout checkout/new 0% -> 20% by ada@lab: step 1" in out.replace("\n  ", " ")
    assert "guard: none (graysplit guard checkout)" in out
    assert "graysplit rollback --all" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("set", "chekout", "20"), 3, "Did you mean 'checkout'?"),
        (("show", "chekout"), 3, "Did you mean 'checkout'?"),
        (("explain", "nope", "u"), 3, "graysplit list"),
        (("set", "ranking", "20"), 2, "b=.. c=.."),
        (("set", "checkout/nwe", "20"), 2, "Did you mean 'new'?"),
        (("set", "checkout", "1_0"), 2, "invalid weight"),
        (("set", "checkout"), 2, "--help"),
        (("set", "ranking", "b=10", "20"), 2, "b=10 c=10"),
        (("set", "ranking", "b=60", "c=60"), 1, "120 %"),
        (("set", "checkout", "30", "--from", "5"), 4, "Nothing was written"),
        (("set", "checkout", "30", "--if-rev", "1"), 4, "Nothing was written"),
        (("set", "checkout", "100"), 1, "--yes"),
        (("delete", "checkout"), 1, "graysplit rollback checkout"),
        (("create", "checkout"), 1, "exists already"),
        (("create", "Check out"), 2, "invalid name"),
        (("rollback",), 2, "graysplit rollback --all"),
        (("rollback", "checkout", "--all"), 2, "graysplit rollback --all"),
        (("unstop", "checkout"), 1, "graysplit list"),
        (("rolback", "checkout"), 2, "Did you mean 'rollback'?"),
        (("set", "checkout", "5", "--wait", "soon"), 2, "5s"),
        (("pin", "checkout", "u", "new", "--deny"), 2, "--deny"),
    ],
)
def test_every_refusal_has_a_code_and_a_way_out(cli: Cli, words: tuple[str, ...], code: int, says: str) -> None:
    """The sentence goes to stderr and names what to do; with `--json` it is an object on stdout too."""
    cli("create", "checkout")
    cli("create", "ranking", "--versions", "a,b,c")
    cli("set", "checkout", "20")
    ran = cli(*words)
    assert (ran.code, ran.out) == (code, ""), ran
    assert says in ran.err.replace("\n  ", " "), ran
    found = cli("--json", *words).json
    assert (found["exit"], code in MEANINGS) == (code, True)


def test_receipts_are_told_and_decide_the_code(cli: Cli, store: MemoryStore) -> None:
    """All confirmed is 0; somebody behind is 6, by name."""
    cli("create", "checkout")
    change = cli("set", "checkout", "20", "--json").json["change"]
    with beating(store, 1, effects={"checkout/new": Effect("0", 17)}, change=change):
        ran = cli("rollback", "checkout")
    assert ran.code == 0
    assert re.search(r"1/1 processes stopped sending calls to new in \S+ s, 17 calls still running", ran.out)
    behind = cli("set", "checkout", "30", "--unstop", "--wait", "0s")
    assert behind.code == 6
    assert behind.out.startswith("written: set checkout: checkout/new 0% -> 30%")
    assert "behind: web-1/101" in behind.out
    assert cli("set", "checkout", "40", "--no-wait").code == 0
    assert cli("wait", "checkout", "--timeout", "0s").code == 6
    live(store, 1, effects={"checkout/new": Effect("40")})
    assert cli("wait", "checkout").code == 0
    assert cli("wait", "checkout", "--until", "40%", "--json").json["confirmed"] == 1


def test_nobody_is_said_in_words(cli: Cli) -> None:
    """Never "0/0": where no process follows, that is the answer."""
    cli("create", "checkout")
    ran = cli("set", "checkout", "20")
    assert "no process follows this namespace" in ran.out
    assert "0/0" not in ran.out


def test_the_promise_in_force_is_told(cli: Cli, store: MemoryStore) -> None:
    """How processes follow stands in `fleet`, and `doctor` notes who follows by less than tracking."""
    live(store, 1)
    live(store, 2, mode="poll")
    said = cli("fleet").out
    assert "tracking: every change at once" in said
    assert "poll: every change within 2 s" in said
    assert cli("fleet", "--json").json["processes"][1]["promise"] == "every change within 2 s"
    ran = cli("doctor")
    assert ran.code == 0
    assert "web-2/102" in ran.out
    assert "every change within" in ran.out


def test_a_set_creates_what_live_code_declares(cli: Cli, store: MemoryStore) -> None:
    """Ops need no `create` for what the code declares."""
    live(store, 1, declared={"search": Declared("v1", ("v1", "v2"))})
    assert "search" in cli("list").out
    ran = cli("set", "search", "5", "--no-wait")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "created search: v1 (baseline), v2")


def test_show_has_the_emergency_lines(cli: Cli, store: MemoryStore) -> None:
    """What Redis says stands beside what is in force; where there is no server, no line for redis-cli is invented."""
    cli("create", "checkout")
    cli("set", "checkout", "20")
    store.raw_set("weights", "checkout/new", "1_0")
    out = cli("show", "checkout").out
    assert "  $ graysplit rollback checkout" in out.splitlines()
    assert "redis-cli" not in out
    assert "weights checkout/new = 1_0" in out
    assert "refused: weights checkout/new: invalid weight '1_0'" in out


def test_the_doctor_says_unhealthy_by_its_code(cli: Cli, store: MemoryStore) -> None:
    """0 where nothing is wrong, 7 where something is."""
    cli("create", "checkout")
    assert cli("doctor").code == 0
    store.raw_set("weights", "checkout/new", "many")
    ran = cli("doctor")
    assert ran.code == 7
    assert "weights checkout/new" in ran.out
    assert "next: graysplit show checkout" in ran.out
    assert cli("doctor", "--json").json["healthy"] is False


def test_stored_text_cannot_move_the_cursor(cli: Cli, store: MemoryStore) -> None:
    """Control characters from anywhere are printed escaped, and forge no line."""
    evil = "\x1b]52;c;aGk=\x07\nwritten: all is well\u202e"
    cli("create", "checkout")
    cli("set", "checkout", "20", "--why", evil)
    store.raw_set("weights", "checkout/new", evil)
    store.raw_set("stops", f"checkout{evil}", evil)
    store.raw_set("stops", "checkout", evil)
    for words in (("list",), ("show", "checkout"), ("history",), ("doctor",), ("export",), ("list", "--json")):
        ran = cli(*words)
        assert not {"\x1b", "\x07", "\u202e"} & set(ran.out + ran.err), words
        assert not any(line.startswith("written: all") for line in ran.out.splitlines()), words


def test_watch_prints_one_line_per_change(cli: Cli, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal each change is a line (or an object), until enough have come."""
    cli("create", "checkout")
    cli("create", "other")
    begun = MemoryStore.follow

    def follow_then_change(self: MemoryStore) -> Any:
        feed = begun(self)
        load = feed.load

        def first(since: str, *, whole: bool) -> Any:
            found = load(since, whole=whole)
            if not since:
                run(["set", "other", "1", "--no-wait"])
                run(["set", "checkout", "20", "--no-wait"])
            return found

        monkeypatch.setattr(feed, "load", first)
        return feed

    monkeypatch.setattr(MemoryStore, "follow", follow_then_change)
    ran = cli("watch", "checkout", "--count", "1")
    assert ran.code == 0
    assert "set checkout checkout/new 0% -> 20%" in ran.out.splitlines()[-1]


@pytest.mark.parametrize("role", ["app", "drive", "ops"])
def test_a_role_is_one_line_for_redis_cli(cli: Cli, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """The line alone stands on stdout, for the namespace named, whether or not there is a store."""
    for url in ("memory://x", "", "redis://127.0.0.1:1"):
        monkeypatch.setenv("GRAYSPLIT_URL", url)
        ran = cli("acl", role, "--user", "web", "--namespace", "shop")
        assert ran.code == 0, ran
        (line,) = ran.out.splitlines()
        assert line.startswith("ACL SETUSER web reset on >PASSWORD %R~graysplit:{shop}:* ")
        assert "7.0" in ran.err
    assert cli("acl", role, "--json").json["role"] == role
    assert cli("acl", role, "--user", "a b").code == 2
    assert cli("acl", "root").code == 2


def test_no_store_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a URL nothing is guessed."""
    monkeypatch.delenv("GRAYSPLIT_URL")
    ran = cli("list")
    assert (ran.code, "GRAYSPLIT_URL" in ran.err) == (2, True)


def test_a_namespace_is_a_world_of_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It comes from the option or the environment."""
    cli("create", "checkout")
    assert cli("list", "--namespace", "blue", "--json").json["candidates"] == []
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", "blue")
    cli("create", "search")
    assert "graysplit rollback search --namespace blue" in cli("show", "search").out


def test_help_lists_every_verb_and_every_exit_code(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of codes is printed from the table."""
    out = cli("--help").out
    assert all(f"  {verb} " in out for verb in VERBS)
    folded = " ".join(out.split())
    assert all(f"{code} {meaning}" in folded for code, meaning in MEANINGS.items())
    for verb in VERBS:
        ran = cli(verb, "--help")
        assert (ran.code, "--json" in ran.out) == (0, True)


@pytest.mark.usefixtures("soon_unanswered")
def test_recover_shows_both_sides_and_writes_the_lower(cli: Cli, store: MemoryStore) -> None:
    """The sides come first, then what is written and who confirms it; once settled there is nothing to do."""
    cli("create", "checkout")
    cli("set", "checkout", "50")
    live(store, revision=2, effects={"checkout/new": Effect("10")}, held={"weights checkout/new": "10"})
    assert "SOURCE_REGRESSED" in cli("fleet").out
    assert "graysplit recover" in cli("fleet").out
    ran = cli("doctor")
    assert ran.code == 7
    assert "checkout/new at 10" in ran.out
    assert "10 held: graysplit recover" in cli("list").out
    dry = cli("recover", "--dry-run")
    assert dry.out.splitlines()[:2] == [
        "candidate     store  fleet  written",
        "checkout/new     50     10  10",
    ]
    assert "nothing was written" in dry.out
    with beating(store, revision=2, effects={"checkout/new": Effect("10")}, held={"weights checkout/new": "10"}):
        ran = cli("recover", "--why", "a failover")
    assert ran.code == 0, ran
    assert "written: recover checkout: checkout/new 50% -> 10% (revision 3)" in ran.out
    assert "1/1 confirmed" in ran.out
    assert store.load().weights.fields[b"checkout/new"] == b"10"


def test_recover_in_json_tells_both_sides(cli: Cli, store: MemoryStore) -> None:
    """Beside what every change tells: the sides, what was lost, what is left; units of a definition are not told."""
    cli("create", "checkout")
    cli("pin", "checkout", "canary-unit")
    cli("set", "checkout", "50")
    store.raw_drop("splits")
    told = cli("recover", "--json", "--yes")
    found = told.json
    assert (found["cause"], found["lost"], found["fresh"]) == ("recover", {"splits": "missing"}, False)
    (side,) = found["sides"]
    assert (side["field"], side["store"], side["written"]) == ("checkout", None, "old (baseline), new")
    assert "canary-unit" not in told.out + told.err
    assert "canary-unit" in cli("export").out
    assert cli("recover", "--json").json["sides"] == []


def test_a_recovery_that_raises_needs_the_name(cli: Cli, store: MemoryStore) -> None:
    """Without a terminal it is refused, and says what would rise; an empty namespace asks for a file."""
    assert "--source FILE" in cli("recover").err
    cli("create", "checkout")
    cli("set", "checkout", "50")
    store.raw_drop("weights")
    ran = cli("recover")
    assert ran.code == 1
    assert "the key weights is lost (missing): it is repaired" in ran.out
    assert "this raises checkout/new 0 -> 50" in ran.err
    assert cli("set", "checkout", "20").code == 1
    assert cli("recover", "--yes").code == 0
    assert cli("set", "checkout", "20").code == 0


@pytest.mark.usefixtures("soon_unanswered")
def test_what_is_left_to_a_person_is_said(cli: Cli, store: MemoryStore) -> None:
    """Nothing is written of a split whose definition processes hold differently, and the command is refused."""
    cli("create", "checkout")
    live(store, held={"splits checkout": ""})
    ran = cli("recover")
    assert ran.code == 1
    assert "checkout is not changed" in ran.out


def test_a_lease_and_a_limit_are_shown(cli: Cli) -> None:
    """For how long a raise stands, and what happens where the store is not heard."""
    cli("create", "checkout", "--max-stale", "60s")
    cli("set", "checkout", "5")
    cli("set", "checkout", "20", "--for", "30m")
    assert "s more, then 5" in cli("list").out
    lease = cli("list", "--json").json["candidates"][0]["lease"]
    assert lease["then"] == 5
    shown = cli("show", "checkout")
    assert "without contact to the store for 60 s" in shown.out
    assert cli("show", "checkout", "--json").json["max_stale"] == 60


def test_the_fleet_says_how_it_follows_and_what_is_amiss(cli: Cli, store: MemoryStore) -> None:
    """Mode and promise, age, and who cannot write a last-known-good file."""
    live(store, 1, mode="poll", durable=False)
    ran = cli("fleet")
    assert "poll: every change within 2 s" in ran.out
    assert "cannot write the last-known-good file: web-1/101" in ran.out
    (process,) = cli("fleet", "--json").json["processes"]
    assert (process["durable"], process["held"], process["promise"]) == (False, {}, "every change within 2 s")


def test_a_candidate_comes_and_goes_at_zero(cli: Cli, store: MemoryStore) -> None:
    """`create --add` and `delete SPLIT/VERSION` say what they did, and how to take it back."""
    cli("create", "rank", "--versions", "a,b")
    added = cli("create", "rank", "--add", "c")
    assert (added.code, "rank/c" in added.out, "in place 1; the others stay" in unfolded(added.out)) == (0, True, True)
    assert cli("set", "rank/c", "10").code == 0
    refused = cli("delete", "rank/c")
    assert (refused.code, "graysplit rollback rank/c" in unfolded(refused.err)) == (1, True)
    cli("rollback", "rank/c")
    removed = cli("delete", "rank/c", "--json")
    assert (removed.code, removed.json["weights"]) == (0, {"rank/c": {"from": 0, "to": None}})
    assert "graysplit create rank --add c" in removed.json["notes"][0]
    assert cli("create", "rank", "--add", "d", "--salt", "x").code == 2


def test_a_baseline_turned_around_is_refused(cli: Cli, store: MemoryStore) -> None:
    """The reason, and the command that makes the record as the code has it."""
    live(store)
    refused = cli("create", "checkout", "--versions", "new,old", "--yes")
    assert refused.code == 1
    assert "the code that runs declares 'old' on web-1/101" in unfolded(refused.err)
    assert "graysplit create checkout" in unfolded(refused.err)
    assert not store.load().splits.fields.keys() - {b"_"}
