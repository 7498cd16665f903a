"""Blue-green: nobody is switched to who is not ready, one write moves everybody, and a rollback always wins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit import Control
from graysplit.control.control import Question
from graysplit.control.plan.awaited import Awaited
from graysplit.control.switch import STEPS, OvertakenError, SwitchStep, shares_of, step_weights
from graysplit.core.definition import define
from graysplit.core.fleet import Declared
from graysplit.core.split_state import SplitState
from graysplit.core.standby import Standby, standby_of
from graysplit.core.weights import FULL, PREVIEW, Weight, share
from graysplit.errors import BadValueError, ConflictError, RefusedError, UnknownSplitError, UnknownVersionError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Submission, Written
from tests import warm
from tests.control.processes import live
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
OVER_S = 0.05


def declaring(versions: tuple[str, ...] = ("old", "new"), **warm: str) -> Mapping[str, Declared]:
    """Return what a process declares for `checkout`, and how ready its versions are."""
    return {"checkout": Declared("old", versions, "route", 0, warm)}


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that holds `checkout` at zero."""
    store = MemoryStore()
    Control(store, actor="ada", confirm=True).create("checkout")
    return store


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator's hand on it."""
    return Control(store, actor="ada", confirm=True)


def weights(store: MemoryStore, split: str = "checkout") -> dict[str, str]:
    """Return a split's weights as they stand."""
    fields = store.load().weights.fields
    found = {field.decode(): raw.decode() for field, raw in fields.items()}
    return {field.partition("/")[2]: raw for field, raw in found.items() if field.startswith(f"{split}/")}


def stops(store: MemoryStore) -> set[bytes]:
    """Return the stops that stand."""
    return {*store.load().stops.fields} - {b"_"}


# --- who is ready ----------------------------------------------------------------------------------------------------


def test_everybody_ready_is_one_write(store: MemoryStore, control: Control) -> None:
    """One entry in the history takes everybody over; a version without a hook is ready as soon as it is there."""
    live(store, 1, declared=declaring())
    live(store, 2, declared=declaring(new=""))
    told: list[object] = []
    result = control.switch("checkout", to="new", why="tested all night", told=told.append)
    assert (result.cause, result.from_, result.to, weights(store)) == ("switch", "0", "100", {"new": "100"})
    assert told == [Standby(2)]
    entries = control.history("checkout")
    assert [(entry.cause, entry.why) for entry in entries] == [("switch", "tested all night"), ("create", "")]
    assert result.expected == {"checkout/new": "100"}


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (declaring(new="warming"), "warming"),
        (declaring(new="failed: ConnectionError"), "failed: ConnectionError"),
        (declaring(("old",)), "version_absent"),
    ],
)
def test_who_is_not_ready_is_named(
    store: MemoryStore, control: Control, declared: Mapping[str, Declared], why: str
) -> None:
    """Being prepared, failed, or without the version: nothing is written, and the refusal says who and why."""
    live(store, 1, declared=declaring(new=""))
    live(store, 2, declared=declared)
    with pytest.raises(
        RefusedError, match=rf"not ready in 1 of 2 processes: web-2/102 \({why}\)\. Nothing was written"
    ):
        control.switch("checkout", to="new")
    assert weights(store) == {"new": "0"}


def test_ten_are_named_and_the_others_counted(store: MemoryStore, control: Control) -> None:
    """A fleet of hundreds is no wall of text."""
    for number in range(1, 14):
        live(store, number, declared=declaring(new="warming"))
    with pytest.raises(RefusedError, match=r"13 of 13 processes: web-1/101 \(warming\), .* and 3 more\.") as refused:
        control.switch("checkout", to="new")
    assert str(refused.value).count("(warming)") == 10


def test_a_split_that_nobody_declares_is_refused(store: MemoryStore, control: Control) -> None:
    """Nobody there is nobody ready, and who declares something else is not asked."""
    live(store, 1, declared={"search": Declared("old", ("old", "new"))})
    with pytest.raises(RefusedError, match=r"no live process declares 'checkout'"):
        control.switch("checkout", to="new")


def test_who_is_silent_is_not_asked() -> None:
    """A dead process would keep a switch from ever happening; the receipts name it."""
    store = MemoryStore()
    live(store, 1, declared=declaring(new=""))
    live(store, 2, declared=declaring(new="warming"))
    fleet = store.fleet()
    silent = fleet.processes[1]._replace(seen_ms=fleet.now_ms - 7_000)
    assert standby_of(fleet._replace(processes=(fleet.processes[0], silent)), "checkout", "new") == Standby(1)
    assert standby_of(fleet, "checkout", "new") == Standby(1, ("web-2/102 (warming)",))


def test_it_is_asked_again_after_a_person_has_thought(store: MemoryStore) -> None:
    """Who falls out while the name is typed keeps the switch from being written."""
    live(store, 1, declared=declaring(new=""))

    def think(question: Question) -> None:
        assert (question.target, question.ask) == ("checkout", "this sends everybody to checkout/new")
        live(store, 1, declared=declaring(new="failed: TimeoutError"))

    with pytest.raises(RefusedError, match=r"web-1/101 \(failed: TimeoutError\)"):
        Control(store, confirm=think).switch("checkout", to="new")
    assert weights(store) == {"new": "0"}


# --- one write -------------------------------------------------------------------------------------------------------


def test_other_candidates_go_in_the_same_change(store: MemoryStore, control: Control) -> None:
    """Everybody goes to one version, from the baseline and from the others."""
    control.create("checkout-2", ["old", "b", "c", "d"])
    control.set("checkout-2", weights={"b": 30, "c": 20})
    live(store, declared={"checkout-2": Declared("old", ("old", "b", "c", "d"))})
    result = control.switch("checkout-2", to="b")
    assert weights(store, "checkout-2") == {"b": "100", "c": "0", "d": "0"}
    assert result.expected == {"checkout-2/b": "100", "checkout-2/c": "0"}
    assert control.history("checkout-2", 1)[0].cause == "switch"


def test_it_begins_a_release_and_clears_its_stop_as_set_does(store: MemoryStore, control: Control) -> None:
    """After a rollback a switch is a deliberate start, and says whose stop it cleared."""
    live(store, declared=declaring())
    control.switch("checkout", to="new")
    before = store.load().meta.fields[b"release:checkout/new"]
    control.rollback("checkout", why="prices were wrong")
    result = control.switch("checkout", to="new", unstop=True)
    assert store.load().meta.fields[b"release:checkout/new"] != before
    assert "prices were wrong" in result.cleared["checkout"].why
    assert (weights(store), stops(store)) == ({"new": "100"}, set())


def test_back_as_planned_is_a_plain_zero(store: MemoryStore, control: Control) -> None:
    """No stop, no new release, no question; so the next switch finds nothing to clear."""
    live(store, declared=declaring(new="warming"))
    control.set("checkout", 100)
    release = store.load().meta.fields[b"release:checkout/new"]

    def never(_: Question) -> None:
        pytest.fail("going back asks nobody")

    result = Control(store, confirm=never).switch("checkout", to="old")
    assert (result.from_, result.to, weights(store), stops(store)) == ("100", "0", {"new": "0"}, set())
    assert store.load().meta.fields[b"release:checkout/new"] == release


def test_back_needs_nobody_to_be_there_but_a_ready_hook(store: MemoryStore, control: Control) -> None:
    """Lowering is free; only a baseline whose own hook says no is refused, and the way back at once is named."""
    control.set("checkout", 100)
    control.switch("checkout", to="old")
    control.set("checkout", 100)
    live(store, 1, declared=declaring(("new",)))
    live(store, 2, declared=declaring(old="failed: OSError"))
    with pytest.raises(
        RefusedError, match=r"1 of 2 processes: web-2/102 \(failed: OSError\).*graysplit rollback check"
    ):
        control.switch("checkout", to="old")
    live(store, 2, declared=declaring(old=""))
    assert control.switch("checkout", to="old").to == "0"


def test_a_split_that_code_declares_is_created_on_the_way(store: MemoryStore, control: Control) -> None:
    """As `set` does it; one that nobody knows is no split."""
    live(store, declared={"search": Declared("old", ("old", "new"))})
    assert control.switch("search", to="new").created == ("old", "new")
    assert weights(store, "search") == {"new": "100"}
    with pytest.raises(UnknownSplitError):
        control.switch("nobody", to="new")


def test_what_is_mistyped_is_refused(store: MemoryStore, control: Control) -> None:
    """A version that is none, and a time that is none."""
    live(store)
    with pytest.raises(UnknownVersionError, match="Did you mean 'new'"):
        control.switch("checkout", to="nwe")
    for over_s in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(BadValueError, match="more than 0 s and at most 400 days"):
            control.switch("checkout", to="new", over=over_s)
    control.set("checkout", 30)
    with pytest.raises(BadValueError, match="this switch also lowers, so this command makes its steps"):
        control.switch("checkout", to="old", over=601.0)


def test_a_dry_run_writes_nothing(store: MemoryStore, control: Control) -> None:
    """It says what would be written, and over how long."""
    live(store)
    result = control.switch("checkout", to="new", over=10, dry_run=True)
    assert (result.dry_run, result.to, result.moved, result.notes[1:]) == (True, "100", 100.0, ("10 steps, 10 s",))
    assert weights(store) == {"new": "0"}


# --- over a time -----------------------------------------------------------------------------------------------------


def test_back_is_spread_too(store: MemoryStore, control: Control) -> None:
    """To the baseline in ten steps, without a stop."""
    control.set("checkout", 30)
    result = control.switch("checkout", to="old", over=OVER_S)
    written = [entry.after["weights checkout/new"] for entry in control.history("checkout", STEPS)[::-1]]
    assert written == ["27", "24", "21", "18", "15", "12", "9", "6", "3", "0"]
    assert (result.from_, result.to, stops(store)) == ("30", "0", set())


def there_and_back(store: MemoryStore, other: Control) -> None:
    """Write another weight, and then the one that stood."""
    split_state = weights(store)["new"]
    other.set("checkout", 1)
    other.set("checkout", split_state)


def test_receipts_wait_for_all_that_any_step_lowered(store: MemoryStore, control: Control) -> None:
    """A share that is gone after the first step counts as much as the last."""
    control.create("ranking", ["a", "b", "c"])
    control.set("ranking", weights={"b": 50, "c": 0.001})
    live(store, declared={"ranking": Declared("a", ("a", "b", "c"))})
    result = control.switch("ranking", to="b", over=OVER_S)
    assert result.expected == {"ranking/b": "100", "ranking/c": "0"}
    assert result.moves == {"ranking/b": ("50", "100"), "ranking/c": ("0.001", "0")}


SOMEBODY: dict[str, Callable[[MemoryStore, Control], object]] = {
    "rollback": lambda _, other: other.rollback("checkout"),
    "rollback --all": lambda _, other: other.rollback("*"),
    "set": lambda _, other: other.set("checkout", 20),
    "set and back": there_and_back,
    "pin": lambda _, other: other.pin("checkout", "u-1"),
    "HSET": lambda store, _: store.raw_set("weights", "checkout/new", "0"),
    "HDEL": lambda store, _: store.raw_delete("weights", "checkout/new"),
    "a stop by hand": lambda store, _: store.raw_set("stops", "checkout", "by hand"),
    "a stop on everything": lambda store, _: store.raw_set("stops", "*", "by hand"),
}


@pytest.mark.parametrize("who", SOMEBODY)
def test_whoever_comes_between_two_steps_ends_it(store: MemoryStore, control: Control, who: str) -> None:
    """A rollback always wins, and no change of somebody else is written over."""
    live(store, declared=declaring(new=""))
    control.set("checkout", 100)
    states: list[object] = []

    def told(what: Standby | SwitchStep) -> None:
        if isinstance(what, SwitchStep) and what.number == 3:
            SOMEBODY[who](store, Control(store, actor="bob", confirm=True))
            states.append((weights(store), stops(store)))

    with pytest.raises(
        OvertakenError, match=r"was changed by someone else after step 3 of 10 .* graysplit show checkout"
    ):
        control.switch("checkout", to="old", over=OVER_S, told=told)
    assert states == [(weights(store), stops(store))]


class Overtaken(MemoryStore):
    """A store in which somebody is faster, right before the n-th write."""

    def __init__(self, number: int) -> None:
        """Count from here on."""
        super().__init__()
        self.left = number

    def submit(self, submission: Submission) -> Written:
        """Let somebody roll back first."""
        if submission.cause == "switch":
            self.left -= 1
            if self.left == 0:
                Control(self, actor="bob", confirm=True).rollback("checkout")
        return super().submit(submission)


@pytest.mark.parametrize("number", [1, 2, 10])
def test_a_rollback_between_reading_and_writing_wins(number: int) -> None:
    """What a step rests on is compared by the store itself."""
    store = Overtaken(number)
    control = Control(store, confirm=True)
    control.create("checkout")
    live(store, declared=declaring())
    control.set("checkout", 100)
    with pytest.raises(ConflictError) as overtaken:
        control.switch("checkout", to="old", over=OVER_S)
    assert isinstance(overtaken.value, OvertakenError) == (number > 1)
    assert (weights(store), stops(store)) == ({"new": "0"}, {b"checkout"})


def test_a_protected_split_needs_a_reason_of_the_person_s_own(store: MemoryStore, control: Control) -> None:
    """That it is a step of ten is none."""
    live(store, declared=declaring())
    control.protect("checkout")
    for over_s in (None, OVER_S):
        with pytest.raises(RefusedError, match="give a reason with --why"):
            control.switch("checkout", to="new", over=over_s)
    assert control.switch("checkout", to="new", over=OVER_S, why="tested").to == "10"


SHARES = st.lists(st.integers(0, FULL) | st.just(PREVIEW), min_size=1, max_size=5)


@given(SHARES, st.integers(0, 5))
def test_steps_lead_straight_from_what_is_to_what_shall_be(shares: list[Weight], index: int) -> None:
    """Never above 100 % together, never away from the end, and at the end exactly there."""
    names = [f"v{number}" for number in range(len(shares))]
    left, split_state = FULL, SplitState("checkout", define("checkout", ["old", *names]), {})
    given_: dict[str, Weight] = {}
    for name, weight in zip(names, shares, strict=True):
        given_[name] = weight if weight == PREVIEW else min(weight, left)
        left -= 0 if weight == PREVIEW else int(given_[name])
    split_state = split_state._replace(weights=given_)
    to = (["old", *names])[min(index, len(names))]
    steps = [step_weights(shares_of(split_state), to, step) for step in range(1, STEPS + 1)]
    assert steps[-1] == {name: FULL if name == to else 0 for name in names}
    assert all(sum(map(share, step.values())) <= FULL for step in steps)
    for name in names:
        line = [0 if given_[name] == PREVIEW else int(given_[name]), *(step[name] for step in steps)]
        assert line == sorted(line, reverse=name != to)
    assert all(isinstance(weight, int) for step in steps for weight in step.values())


# --- on a real server ------------------------------------------------------------------------------------------------


class Worker:
    """A real process with a standby."""

    def __init__(self, url: str, namespace: str, file: Path) -> None:
        """Start it."""
        settings = json.dumps({"url": url, "namespace": namespace, "file": str(file)})
        pipe = subprocess.PIPE
        self.process = warm.Program("tests.control.standby_process", settings, stdin=pipe, stdout=pipe, cwd=ROOT)

    def line(self) -> str:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, user: str) -> str:
        """Have it call the routed function."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{user}\n")
        self.process.stdin.flush()
        return self.line()

    def close(self) -> None:
        """End it."""
        self.process.communicate(timeout=30)


@pytest.fixture
def workers(redis_url: str, namespace: str, tmp_path: Path) -> Iterator[list[Worker]]:
    """Return two processes, the second of which is not prepared yet."""
    (tmp_path / "first").touch()
    with ExitStack() as parts:
        found = [Worker(redis_url, namespace, tmp_path / name) for name in ("first", "second")]
        for worker in found:
            parts.callback(worker.close)
        assert [worker.line() for worker in found] == ["ready", "ready"]
        yield found


def test_two_processes_of_which_one_is_not_ready(
    workers: list[Worker], redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Refused with its name; once it is prepared, one write moves both."""
    late = str(workers[1].process.pid)
    with Control(redis_url, namespace=namespace, confirm=True) as control:
        eventually(lambda: control.standby("checkout", "new").processes == 2)
        eventually(lambda: control.standby("checkout", "new").ready == 1)
        with pytest.raises(RefusedError, match=rf"1 of 2 processes: .*/{late} \(failed: ConnectionError\)\."):
            control.switch("checkout", to="new")
        (tmp_path / "second").touch()
        eventually(lambda: control.standby("checkout", "new") == Standby(2))
        done = control.wait_confirmed(control.switch("checkout", to="new"))
        assert (done.receipts.confirmed, done.receipts.complete) == (2, True)
        assert [worker.ask("u-1") for worker in workers] == ["new for u-1"] * 2
        back = control.wait_confirmed(control.switch("checkout", to="old"))
        assert back.receipts.complete
        assert [worker.ask("u-1") for worker in workers] == ["old for u-1"] * 2


def test_a_switch_over_a_time_is_a_plan_that_stands_until_all_are_ready(
    workers: list[Worker], redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Real processes take its steps; one born without its pool holds the next one back, and half done is shown."""
    (tmp_path / "second").touch()
    with Control(redis_url, namespace=namespace, confirm=True) as control, ExitStack() as parts:

        def plan() -> Awaited:
            found = control.show("checkout").plan
            assert found is not None
            return found

        eventually(lambda: control.standby("checkout", "new") == Standby(2), 20)
        begun = control.switch("checkout", to="new", over=1.8, why="tested")
        assert begun.moves == {"checkout/new": ("0", "10")}
        assert begun.plan is not None
        assert (begun.plan["steps"], begun.plan["gates"]) == (10, ["after 0.2s", "ready"])
        control.pause("checkout", why="look")
        third = Worker(redis_url, namespace, tmp_path / "third")
        parts.callback(third.close)
        assert third.line() == "ready"
        late = f"/{third.process.pid} (failed: ConnectionError)"
        eventually(lambda: late in next(gate.why for gate in plan().gates if gate.name == "ready"), 20)
        eventually(lambda: plan().state == "stands", 20)
        stood = plan().step
        assert 1 <= stood < STEPS
        control.resume("checkout")
        eventually(lambda: plan().state == "waits" and "until all are ready" in plan().why, 20)
        assert plan().step == stood
        (tmp_path / "third").touch()
        found = control.wait_until("checkout", "done", 60)
        assert (found.outcome, found.why) == ("met", "its plan is done, at 100%")
        entries = control.history("checkout", 50)
        assert [(one.cause, one.actor) for one in entries if one.cause == "step"] == [("step", "plan:switch")] * 9
        assert [one.why for one in entries if one.cause == "switch"] == ["step 1 of 10: tested"]
        control.switch("checkout", to="old")
        control.switch("checkout", to="new", over=600.0)
        control.rollback("checkout")
        assert control.wait_until("checkout", "done", 5).outcome == "undone"
        assert control.wait_weights("checkout", 0, 5).complete
