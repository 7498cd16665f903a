"""`guard` and the guard of a `ramp`: what arming says, what is wrong usage, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from graysplit import Router
from graysplit.cli.app import run
from graysplit.cli.output import COPY
from graysplit.control import Control
from graysplit.stores import store_from_url
from graysplit.stores.memory import MemoryStore
from tests.cli.test_commands import Cli, name, store
from tests.cli.test_commands import cli as inside
from tests.cli.test_freeze import Terminal, folded
from tests.cli.test_process import Cli as Commands
from tests.cli.test_process import cli, running
from tests.control.judged import FIELD, WHY, judged, tripped
from tests.control.processes import CHECKOUT, MEASURED, live
from tests.support import eventually

__all__ = ["cli", "inside", "name", "store"]  # fixtures


@pytest.fixture
def armed(inside: Cli, store: MemoryStore) -> Cli:
    """Return the command line, a guarded split at 20 %, and a process that measures it."""
    live(store, declared=MEASURED)
    inside("create", "checkout", "--no-wait")
    inside("guard", "checkout", "--no-wait")
    inside("set", "checkout", "20", "--no-wait")
    return inside


def test_arming_says_what_it_does(inside: Cli, store: MemoryStore) -> None:
    """The written line, what happens when new is worse; and that nobody follows yet."""
    inside("create", "checkout")
    ran = inside("guard", "checkout", "--slow", "500ms", "--ignore", "ClientError", "--ignore", "Timeout")
    assert (ran.code, "written: guard checkout (revision 2)" in ran.out) == (0, True)
    assert "rolls back when worse, slow above 0.5s, ignores ClientError and Timeout" in ran.out
    assert "no process follows yet" in ran.out
    again = inside("guard", "checkout", "--json").json
    assert (again["change"], again["notes"]) == ("", ["checkout: armed already"])
    assert inside("guard", "checkout").out == "checkout: armed already\n"
    live(store, declared=MEASURED)
    dry = inside("guard", "checkout", "--action", "pause", "--every-call", "--dry-run")
    assert "pauses the plan when worse, slow above 0.5s, times every call, ignores" in folded(dry.out)
    assert "nothing was written" in dry.out


@pytest.mark.parametrize(
    "words",
    [
        ("--action", "stop"),
        ("--sensitivity", "lax"),
        ("--slow", "fast"),
        ("--slow", "0s"),
        ("--deadline", "0s"),
        ("--deadline", "11m"),
        ("--deadline", "never"),
        ("--off", "--deadline", "1m"),
        ("--off", "--slow", "1s"),
        ("--off", "--every-call"),
        ("--off", "--stop-on", "DataLoss"),
    ],
)
def test_what_makes_no_guard_is_wrong_usage(armed: Cli, words: tuple[str, ...]) -> None:
    """Exit 2, and the guard stands as it did."""
    before = armed("show", "checkout", "--json").json["guard"]
    assert armed("guard", "checkout", *words, "--no-wait").code == 2
    assert armed("show", "checkout", "--json").json["guard"] == before


def test_nothing_to_watch_is_refused(inside: Cli, store: MemoryStore) -> None:
    """In these words, with the next command; `ramp` goes on without, and says so."""
    inside("create", "checkout")
    live(store, declared=CHECKOUT)
    ran = inside("guard", "checkout")
    assert (ran.code, ran.out) == (1, "")
    assert "no routed call, no attempt: nothing to watch" in folded(ran.err)
    assert "graysplit fleet" in folded(ran.err)
    ramped = inside("ramp", "checkout", "5,20", "--every", "10m", "--no-wait")
    assert (ramped.code, "no guard: no routed call, no attempt, nothing to watch" in ramped.out) == (0, True)
    assert "no guard. Arm one with: graysplit guard checkout" in inside("show", "checkout").out


def test_a_ramp_arms_unless_told_otherwise(inside: Cli, store: MemoryStore) -> None:
    """Said in its answer, seen in `show`."""
    live(store, declared=MEASURED)
    inside("create", "checkout", "--no-wait")
    without = inside("ramp", "checkout", "5,20", "--every", "10m", "--no-guard", "--no-wait")
    assert (without.code, "guard" in without.out) == (0, False)
    assert inside("show", "checkout", "--json").json["guard"] is None
    ran = inside("ramp", "checkout", "5,20", "--every", "10m", "--no-wait")
    assert "guard armed: rolls back when worse" in ran.out
    assert "guard armed since 20" in inside("show", "checkout").out


@pytest.mark.parametrize(("typed", "code"), [("checkout\n", 0), ("check\n", 1)])
def test_off_asks_for_the_name(armed: Cli, monkeypatch: pytest.MonkeyPatch, typed: str, code: int) -> None:
    """Without a terminal it is refused at once, and `--yes` counts as typed."""
    refused = armed("unguard", "checkout")
    assert (refused.code, "this removes the guard of 'checkout'" in folded(refused.err)) == (1, True)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert run(("unguard", "checkout", "--no-wait")) == code


def test_off_on_a_protected_split_wants_a_reason(armed: Cli) -> None:
    """`--yes` is none."""
    armed("protect", "checkout", "--no-wait")
    ran = armed("unguard", "checkout", "--yes")
    assert (ran.code, "--why" in ran.err) == (1, True)
    assert armed("unguard", "checkout", "--yes", "--why", "ticket 4711", "--no-wait").code == 0
    off = armed("unguard", "checkout", "--yes", "--why", "again")
    assert (off.code, "Arm one with: graysplit guard checkout" in folded(off.err)) == (1, True)


def test_a_verdict_is_shown_with_its_counts(armed: Cli, store: MemoryStore) -> None:
    """In a split's page, and in one line of the overview."""
    judged(store, "unclear", "about 1,200 more users are needed on new")
    out = armed("show", "checkout").out
    assert "by ada@lab: rolls back when worse" in folded(out)
    assert "checkout/new is unclear: about 1,200 more users are needed on new" in out
    assert "  new: 352 calls, 18 failed, 100 users\n" in out
    assert "  old: 1,408 calls, 12 failed, 400 users\n" in out
    for words in ((), ("list",)):
        said = folded(armed(*words).out)
        assert "guard: checkout/new is unclear: about 1,200 more users" in said


def test_doubts_are_shown_with_both_ways_out(armed: Cli, store: MemoryStore) -> None:
    """To go on, and to go back; once accepted, the history says who."""
    judged(store, "suspect")
    said = " ".join(armed("show", "checkout").out.split())
    assert "to continue anyway: graysplit approve checkout; to roll back: graysplit rollback checkout" in said
    ran = armed("approve", "checkout", "--why", "known bug", "--no-wait")
    assert (ran.code, "accepted for this stage, checkout/new is suspect" in folded(ran.out)) == (0, True)
    assert "approve checkout by ada@lab: known bug" in armed("history", "checkout").out


def test_a_note_is_shown_beside_the_verdict_and_nothing_waits_for_it(armed: Cli, store: MemoryStore) -> None:
    """On a split's page, in the report, in the tree, and for scripts; the plan's next step is taken as ever."""
    judged(store, "unclear", "some", note="9 failures, one per user and 10 s, on new, 2 on old")
    note = "note: 9 failures, one per user and 10 s, on new, 2 on old. This changes nothing"
    for words in (("show", "checkout"), ("report", "checkout")):
        ran = armed(*words)
        said = " ".join(ran.out.split())
        assert (note in said, "to continue anyway" in said) == (True, False)
        assert "Check the failing calls on new; to go back: graysplit rollback checkout" in said
        assert max(map(len, ran.out.splitlines())) <= 80
    shown = armed("show", "checkout", "--json").json["verdict"]["checkout/new"]
    reported = armed("report", "checkout", "--json").json["releases"][0]["verdict"]
    assert [(one["word"], one["note"][:10]) for one in (shown, reported)] == [("unclear", "9 failures")] * 2
    judged(store, "safe", "shown", note="9 failures")
    assert "checkout/new is safe: shown" in armed("wait", "checkout", "--until", "safe", "--timeout", "0").out


def test_the_overview_answers_for_each_that_runs(armed: Cli, store: MemoryStore) -> None:
    """Who is not watched is named with how to; where nobody is on new there is nothing to say."""
    armed("create", "search", "--no-wait")
    armed("set", "search", "5", "--no-wait")
    assert "guard: none for search/new (graysplit guard search)" in armed("list").out
    armed("rollback", "--all", "--no-wait")
    assert "guard: armed for checkout; no candidate is above zero" in armed("list").out
    armed("unguard", "checkout", "--yes", "--no-wait")
    assert "guard: none (graysplit guard SPLIT)" in armed("list").out


def test_scripts_get_guard_and_verdict(armed: Cli, store: MemoryStore) -> None:
    """As objects: by split and by candidate in the list."""
    judged(store, "unclear", "some")
    shown, listed = armed("show", "checkout", "--json").json, armed("list", "--json").json
    assert shown["guard"]["action"] == "rollback"
    assert shown["guard"]["by"] == "ada@lab"
    verdict = shown["verdict"][FIELD]
    assert (verdict["word"], verdict["why"], verdict["stage"]) == ("unclear", "some", 1)
    assert verdict["calls"] == {"old": 1_408, "new": 352}
    assert (listed["guard"], listed["verdict"]) == ({"checkout": shown["guard"]}, shown["verdict"])


def test_a_guard_that_is_not_understood_is_said(armed: Cli, store: MemoryStore) -> None:
    """A newer library has armed it: nobody here watches by it."""
    raw = store.load().splits.fields[b"checkout"].decode()
    store.raw_set("splits", "checkout", raw.replace('"action"', '"sense"'))
    assert "this graysplit does not understand the guard; use a newer one" in folded(armed("show", "checkout").out)
    assert "sense" in armed("show", "checkout", "--json").json["guard"]["fault"]


def test_a_trip_is_told_as_it_was_found(armed: Cli, store: MemoryStore) -> None:
    """In the history, in `show` and behind the stop: the counts and the evidence; waiting for it ends with 7."""
    judged(store, "worse")
    tripped(store)
    assert f"trip checkout checkout/new 20% -> 0%, stop checkout/new set by guard: {WHY}" in folded(
        armed("history", "checkout").out
    )
    shown = folded(armed("show", "checkout").out)
    assert "stop checkout/new: by guard, 20" in shown
    assert WHY in shown
    waited = armed("wait", "checkout", "--until", "20", "--timeout", "0s", "--json")
    assert (waited.code, waited.json["outcome"]) == (7, "undone")


def test_a_simulation_says_what_safe_needs(armed: Cli) -> None:
    """A line for each step that waits for it, and an object for scripts."""
    words = ("simulate", "checkout", "30,50", "--until", "safe")
    assert "step 1 (30%): safe needs about 1,142 users on new" in folded(armed(*words).out)
    steps = armed(*words, "--json").json["steps"]
    assert (steps[0]["outlook"]["units"], steps[1]["outlook"]) == (1_142, None)


# --- as a process, on a real server ----------------------------------------------------------------------------------


def test_the_guard_of_a_routed_call(cli: Commands, redis_url: str, namespace: str) -> None:
    """A program that routes calls is something to watch; one that only asks is not."""
    router = Router(redis_url, namespace=namespace)
    try:
        banner = router.split("banner", "old", "new")

        @router.route("checkout", unit="user")
        def checkout(user: str) -> str:
            return user

        checkout.version("new")(lambda user: user)
        assert router.wait_ready(10)
        checkout("u-1")
        banner.choose("u-1")
        eventually(lambda: len(json.loads(cli("fleet", "--json").stdout)["processes"][0]["declared"]) == 2)
        assert cli("set", "checkout", "20").returncode == 0
        assert cli("set", "banner", "20").returncode == 0
        eventually(lambda: cli("guard", "checkout").returncode == 0, 20.0)
        refused = cli("guard", "banner")
        assert refused.returncode == 1
        assert "no routed call, no attempt: nothing to watch" in folded(refused.stderr)
        shown = json.loads(cli("show", "checkout", "--json").stdout)
        assert shown["guard"]["by"] == "ada@lab"
        lines = cli("show", "checkout").stdout.splitlines()
        assert all(len(line) <= 80 or line.startswith(COPY) for line in lines)
    finally:
        router.close()


@pytest.mark.parametrize("words", [("wait", "checkout", "--until", "done"), ("watch", "checkout", "--count", "1")])
def test_looking_on_ends_with_7_where_the_guard_rolled_back(
    redis_url: str, namespace: str, words: tuple[str, ...]
) -> None:
    """The code by which a pipeline knows."""
    store = store_from_url(redis_url, namespace=namespace)
    with closing(store), Control(store, actor="ada", confirm=True) as control:
        control.create("checkout", ["old", "new"])
        live(store, declared=MEASURED)
        control.ramp("checkout", plan={"steps": [{"weight": "20", "approve": True}, {"weight": "50"}]})
        judged(store, "worse")
        with running(redis_url, namespace, *words) as ran:
            eventually(lambda: len(_clients(redis_url)) > 0)
            if words[0] == "watch":
                assert ran.stdout is not None
                ran.stdout.readline()  # where the plan stands: it has looked
            tripped(store)
            out, err = ran.communicate(timeout=60)
        assert ran.returncode == 7, (out, err)
        assert "18 users failed on new" in folded(out)


def _clients(url: str) -> list[str]:
    import redis

    with closing(redis.Redis.from_url(url)) as client:
        return [str(found["id"]) for found in client.client_list()]
