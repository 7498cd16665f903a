"""`watch` takes keys: each that acts asks once, and says below the picture what was done and who has confirmed it."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from redis import Redis

from graysplit import Control, embedded
from graysplit.cli.watch_keys import HINT, LISTED_AT_MOST
from tests import warm
from tests.cli.terminal import Seat, at_terminal
from tests.cli.test_process import surroundings
from tests.support import eventually

USERS = tuple(f"u-{number}" for number in range(40))
Watch = Callable[..., Any]  # Any: a context manager that gives a seat


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[Control]:
    """Return a second operator."""
    with closing(Control(redis_url, namespace=namespace, actor="bob@lab", confirm=True)) as found:
        yield found


@pytest.fixture
def watch(redis_url: str, namespace: str) -> Watch:
    """Return what runs `watch` at a terminal."""

    @contextmanager
    def run(*words: str, **terminal: Any) -> Iterator[Seat]:  # Any: what `at_terminal` takes
        with at_terminal(surroundings(redis_url, namespace), "watch", *words, **terminal) as place:
            place.see("? help")
            yield place

    return run


@contextmanager
def program(url: str, namespace: str) -> Iterator[Callable[[], set[str]]]:
    """Run a real process of a fleet; what is given says which versions of `checkout` its users get."""
    pipe = subprocess.PIPE
    with warm.Program(
        "tests.cli.incident_process", env=surroundings(url, namespace), stdin=pipe, stdout=pipe
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"

        def given() -> set[str]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"checkout {' '.join(USERS)}\n")
            process.stdin.flush()
            return {*process.stdout.readline().split()}

        try:
            yield given
        finally:
            process.kill()


@pytest.fixture
def given(redis_url: str, namespace: str) -> Iterator[Callable[[], set[str]]]:
    """Return what a real process gives to its users."""
    with program(redis_url, namespace) as asked:
        yield asked


def causes(control: Control) -> list[str]:
    """Return what has been done, newest first."""
    return [entry.cause for entry in control.history(None, 20)]


# --- roll back --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 40])
def test_r_rolls_back_after_one_question(
    columns: int, watch: Watch, control: Control, given: Callable[[], set[str]]
) -> None:
    """Any key but y does nothing; y does it, with the receipts of `graysplit rollback`, and the picture goes on."""
    control.create("checkout")
    control.set("checkout", 50)
    eventually(lambda: given() == {"old", "new"})
    with watch(columns=columns) as place:
        place.see("1/1 processes")
        for no in ("n", "\r", "q", " ", "\x1b[A", "r"):
            place.type("r")
            place.see("roll back checkout? y/N")
            place.type(no)
            if no == "\x1b[A":  # an arrow is no key, and no answer
                place.type("n")
            place.see("nothing was done")
        assert (causes(control)[0], given()) == ("set", {"old", "new"})
        place.type("r")
        place.see("roll back checkout? y/N")
        place.type("y")
        seen = place.see("the way back: graysplit undo checkout --force")
        assert "written: rollback checkout: checkout/new 50% -> 0% (revision" in seen
        assert "1/1 processes stopped sending calls to new in" in seen
        assert given() == {"old"}
        place.see("in force 0%")
        place.see(HINT)
        place.type("x")
        place.see("the way back", gone=True)
        lines = [line for line in place.terminal.lines() if line]
    assert max(map(len, lines)) <= columns
    assert control.history(None, 1)[0].actor == "ada@lab"


def test_with_several_splits_r_asks_which(watch: Watch, control: Control) -> None:
    """By number or by name, above zero first; a name that is not there, Escape and an empty line do nothing."""
    for name in ("checkout", "ranking", "search"):
        control.create(name)
        control.set(name, 20)
    control.create("idle")
    with watch() as place:
        for typed, said in (
            ("\r", "nothing was done"),
            ("1\x1b", "nothing was done"),
            ("serch\r", "no such split here: 'serch'"),
            ("9\r", "no such split here: '9'"),
        ):
            place.type("r")
            seen = place.see("roll back which?")
            assert "1 checkout: new 20% 2 ranking: new 20% 3 search: new 20%" in seen
            assert "idle: new" not in seen.partition("1 checkout: new 20%")[2]
            place.type(typed)
            place.see(said)
            place.type("x")
            place.see(said, gone=True)
        assert "rollback" not in causes(control)
        for typed, split in (("2\r", "ranking"), ("x\x7fsearch/new\r", "search/new")):
            place.type("r")
            place.see("roll back which?")
            place.type(typed)
            place.see(f"written: rollback {split}: ")
            place.see(f"stop {split}: by ada@lab")
        place.type("r")
        place.see("roll back checkout? y/N")  # the one that is left
        place.type("n")
        control.set("search", 20, unstop=True)
        place.see("search search/new 0% -> 20%")
        place.type("r")
        place.see("roll back which?")
        place.type("*\r")
        place.see("written: rollback *: ")
    assert all(row.effective == "0" for row in control.overview().rows)


def test_a_yes_before_the_question_is_no_yes(watch: Watch, control: Control) -> None:
    """What was typed with the key was no answer to what had not been asked."""
    control.create("checkout")
    control.set("checkout", 20)
    with watch() as place:
        place.type("ry")
        place.see("roll back checkout? y/N")
        place.type("n")
        place.see("nothing was done")
    assert "rollback" not in causes(control)


def test_a_split_that_cannot_be_read_is_rolled_back_too(
    watch: Watch, control: Control, redis_url: str, namespace: str
) -> None:
    """As `graysplit rollback` does, which reads no definition."""
    for name in ("checkout", "ranking"):
        control.create(name)
        control.set(name, 20)
    with Redis.from_url(redis_url) as redis:
        redis.hset(f"graysplit:{{{namespace}}}:splits", "checkout", "{broken")
    with watch() as place:
        place.see("checkout: unreadable")
        place.type("r")
        place.see("roll back which?")
        place.type("checkout\r")
        place.see("written: rollback checkout")
        place.see("stop checkout: by ada@lab")


def test_a_split_that_was_named_is_the_one(watch: Watch, control: Control) -> None:
    """`watch ranking` rolls back ranking, whatever else runs, and also at zero: a stop keeps it there."""
    for name in ("checkout", "ranking"):
        control.create(name)
        control.set(name, 20)
    with watch("ranking") as place:
        for _ in range(2):
            place.type("r")
            place.see("roll back ranking? y/N")
            place.type("y")
            place.see("written: rollback ranking")
            place.see(HINT)
    assert control.overview().stops.keys() == {"ranking"}


def test_a_long_list_leaves_the_picture_its_room(watch: Watch, control: Control) -> None:
    """Eight are listed, the others are typed by name; a small screen shows the question all the same."""
    for number in range(LISTED_AT_MOST + 4):
        control.create(f"split-{number:02}")
        control.set(f"split-{number:02}", 20)
    with watch(rows=20) as place:
        place.type("r")
        seen = place.see("roll back which?")
        assert "and 4 more splits" in seen
        assert "namespace" in place.terminal.lines()[0]
        place.type("split-11\r")
        place.see("written: rollback split-11: split-11/new 20% -> 0%")


def test_where_nothing_is_there_each_key_says_so(watch: Watch, control: Control) -> None:
    """Nothing to roll back, to pause or to approve; no other key does anything."""
    with watch() as place:
        for key, said in (("r", "no split to roll back"), ("p", "no plan runs"), ("a", "nothing waits for approval")):
            place.type(key)
            place.see(said)
        place.type("?")
        place.see("r, p and a ask once")
        place.type("\x1b[B\x1bOP\x1bb")
        place.type("Z")
        place.see("ask once", gone=True)
        control.create("checkout")
        place.see("checkout new: set 0%")
    with watch("checkout") as place:
        place.type("p")
        place.see("checkout: no plan runs")


# --- plans ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def planned(control: Control, given: Callable[[], set[str]]) -> None:
    """Have a plan of which each step waits for a person, and a process that drives it."""
    control.create("checkout")
    control.ramp("checkout", [20, 50, 100], approve=True, guard=False)
    eventually(lambda: given() == {"old", "new"})
    eventually(lambda: any("approval" in plan.why for plan in control.overview().plans), 30)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("columns", [80, 40])
def test_a_and_p_ask_once_and_act_on_what_was_seen(columns: int, watch: Watch, control: Control) -> None:
    """The next step is approved by its weight, the plan paused; no stays no."""
    with watch(columns=columns) as place:
        place.see("for approval of step 2")
        place.type("a")
        place.see("approve step 2 of 3 (50%) of checkout? y/N")
        place.type("n")
        place.see("nothing was done")
        place.type("p")
        place.see("pause the plan of checkout? y/N")
        place.type("\x1b")
        place.see("nothing was done")
        assert causes(control)[0] not in {"approve", "pause"}
        place.type("a")
        place.see("approve step 2 of 3 (50%) of checkout? y/N")
        place.type("y")
        place.see("approved: step 2 of 3 (50%)")
        place.see("in force 50%")
        place.type("p")
        place.see("pause the plan of checkout? y/N")
        place.type("y")
        place.see("written: pause checkout")
        place.see("paused by ada@lab")
    assert {"approve", "pause"} <= {*causes(control)}


@pytest.mark.usefixtures("planned")
def test_a_step_that_was_taken_meanwhile_is_not_what_was_approved(watch: Watch, control: Control) -> None:
    """The question is of step 2; when y comes, step 3 waits: nothing is written."""
    with watch() as place:
        place.type("a")
        place.see("approve step 2 of 3 (50%) of checkout? y/N")
        control.approve("checkout", 50)
        place.see("for approval of step 3")
        approvals = causes(control).count("approve")
        place.type("y")
        place.see("conflict: 'checkout' was changed by someone else")
        assert causes(control).count("approve") == approvals
        # A step to 100 % wants the name, as on the command line.
        place.type("a")
        place.see("approve step 3 of 3 (100%) of checkout? y/N")
        place.type("y")
        place.see("Type checkout to do it:")
        place.type("chekout\r")
        place.see("wrong name. Nothing was written")
        assert causes(control).count("approve") == approvals
        place.type("a")
        place.see("approve step 3 of 3 (100%) of checkout? y/N")
        place.type("y")
        place.see("Type checkout to do it:")
        place.type("checkout\r")
        place.see("approved: step 3 of 3 (100%)")


@pytest.mark.usefixtures("planned")
def test_a_plan_that_ended_meanwhile_is_not_paused(watch: Watch, control: Control) -> None:
    """Nor is the one that took its place."""
    with watch() as place:
        place.type("p")
        place.see("pause the plan of checkout? y/N")
        control.rollback("checkout")
        place.see("stop checkout")
        place.type("y")
        place.see("found nothing to act on. Nothing was written")
    assert "pause" not in causes(control)


# --- JSON, and no picture ---------------------------------------------------------------------------------------------


def test_j_prints_the_state_then_each_change_and_back(watch: Watch, control: Control) -> None:
    """Whole objects, one for each line; again j, and the picture is drawn."""
    control.create("checkout")
    with watch(columns=9_999) as place:
        place.type("j")
        place.see('"event": "state"')
        control.set("checkout", 20)
        place.see('"event": "change"')
        told = [json.loads(line) for line in place.terminal.lines() if line.startswith("{")]
        assert [one["event"] for one in told][:2] == ["state", "change"]
        assert told[0]["candidates"][0]["split"] == "checkout"
        frames = place.terminal.frames
        place.type("r")
        place.see("roll back checkout? y/N")
        place.type("y")
        place.see("no process follows this namespace")
        assert place.terminal.frames == frames
        place.type("j")
        place.see("in force 0%")
        assert eventually(lambda: place.look() and place.terminal.frames > frames)


def test_on_a_terminal_that_cannot_redraw_keys_work_on_lines(watch: Watch, control: Control) -> None:
    """Each line of a dialog is printed once."""
    control.create("checkout")
    control.set("checkout", 20)
    with watch(term="dumb") as place:
        place.type("r")
        place.see("roll back checkout? y/N")
        place.type("y")
        seen = place.see("no process follows this namespace")
    assert seen.count("written: rollback checkout") == 1
    assert place.terminal.frames == 0


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_terminal_to_read_from_there_are_no_keys(
    words: tuple[str, ...], redis_url: str, namespace: str, control: Control
) -> None:
    """The picture is as it was, and the terminal is left alone."""
    control.create("checkout")
    control.set("checkout", 20)
    environment = surroundings(redis_url, namespace)
    with at_terminal(environment, "watch", *words, stdin=subprocess.DEVNULL, columns=9_999) as place:
        if words:  # it begins with the next change
            weights = itertools.cycle((20, 30))
            eventually(lambda: control.set("checkout", next(weights)) and '"event": "change"' in place.look(), 30)
        else:
            place.see("last change")
        assert place.mode() == place.first_mode
        assert "keys:" not in place.look()
        place.type("r")
        control.set("checkout", 40)
        place.see("40" if words else "in force 40%")
        assert "y/N" not in place.look()


# --- while the store is away ------------------------------------------------------------------------------------------


def test_an_outage_while_acting_is_said_and_outlived(namespace: str) -> None:
    """A server that is gone, and one that takes connections and never answers: said soon; then the key works again."""
    with embedded.server(appendonly=True) as server, program(server.url, namespace) as given:
        control = Control(server.url, namespace=namespace)
        control.create("checkout")
        control.set("checkout", 50)
        eventually(lambda: given() == {"old", "new"})
        with at_terminal(surroundings(server.url, namespace), "watch") as place:
            place.see("in force 50%")
            for stop, start in ((server.kill, server.start), (server.pause, server.resume)):
                stop()
                place.see("no contact to the store")
                place.type("r")
                place.see("roll back checkout? y/N")
                place.type("y")
                seen = place.see("to send everything to the baseline without the store")
                assert "1/1 processes stopped" not in seen
                assert "Nothing was written" in seen or "not known whether the change was written" in seen
                place.see(HINT)
                start()
                place.see("no contact to the store", gone=True)
            place.type("r")
            place.see("roll back checkout? y/N")
            place.type("y")
            place.see("1/1 processes stopped sending calls to")
            assert given() == {"old"}
            place.type("q")
            assert place.process.wait(20) == 0
