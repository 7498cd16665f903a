"""Rollbacks and trips that a hook has not taken: told for hours and across processes, each once, and bounded."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from graysplit import Control, Router, Webhook
from graysplit.cli.app import run
from graysplit.control.operator import operator_of
from graysplit.core.notices.debt import HookDebt
from graysplit.events import Events
from graysplit.notices import hooks, notifier
from graysplit.notices.notifier import NoticeStore, Notifier
from graysplit.stores.memory import MemoryStore
from graysplit.stores.text.cursors import debt_field, read_cursor, read_debt
from tests.clocks import MovedClock
from tests.notices.recorder import Recorder, recording
from tests.notices.test_notices import process, ready, record_of
from tests.support import eventually

HOUR_S = 3600.0


class Fleet:
    """Processes that tell one hook from one store, in a time that is moved: what is due is run at once."""

    def __init__(self, recorder: Recorder, *, on: list[str] | None = None, causes: int = 2) -> None:
        """Begin with some processes."""
        self.clock = MovedClock(time.time())
        self.store = MemoryStore(clock=self.clock)
        self.hook = Webhook(recorder.url, on=on)
        self.control = Control(self.store, confirm=True)
        self.notifiers = [self.start(f"boot-{number}") for number in range(causes)]
        self.run()

    def start(self, boot: str) -> Notifier:
        """Start a process."""
        return Notifier(self.hook, NoticeStore(boot, self.store, "default", Events(), self.clock))

    def run(self, within_s: float = 30.0) -> None:
        """Let a time go by; each process runs whenever it says so."""
        until = self.clock.now + within_s
        while self.clock.now < until:
            for one in self.notifiers:
                if one.begin(self.clock.now, self.store.read_cursors().position):
                    one.run()
            due = min(min(one._wanted_at, one._again_at) for one in self.notifiers)
            self.clock.now = min(until, max(due, self.clock.now + 0.01))

    @property
    def owed(self) -> list[str]:
        """The changes that stand in the store as owed."""
        debt = read_debt(self.store.read_cursors().texts.get(debt_field(self.hook.name)))
        assert debt is not None
        return [owed.change for owed in debt.owed]


def test_a_rollback_is_told_after_six_hours_and_once(recorder: Recorder) -> None:
    """By a process that was started meanwhile; those that owed it are gone. The order goes on without it."""
    fleet = Fleet(recorder, on=["rollback", "trip", "set"])
    recorder.answer = lambda body: 503 if body["cause"] == "rollback" else 204
    fleet.control.create("checkout")
    fleet.control.set("checkout", 20)
    fleet.control.rollback("checkout", why="500s")
    fleet.control.create("search")
    fleet.control.set("search", 5)
    fleet.run(5)
    change = fleet.control.history("checkout", 1)[0].id
    assert [body["cause"] for body in recorder.bodies if body["cause"] == "set"] == ["set", "set"]
    assert fleet.owed == [change]

    for hour in range(7):
        fleet.notifiers = [fleet.start(f"hour-{hour}-{number}") for number in range(2)]
        fleet.run(HOUR_S)
    tried = recorder.changes.count(change)
    assert 6 * HOUR_S / 375 < tried < 7 * HOUR_S / 225 + 10, "no storm, and no silence"
    (state,) = fleet.control.notices()
    assert (state.age_ms // 1000 // 3600, state.fault) == (7, "it answered 503")
    assert fleet.notifiers[0].owed() == HookDebt(1, pytest.approx(7 * HOUR_S, abs=60), "it answered 503")

    recorder.answer = lambda _: 204
    fleet.notifiers = [fleet.start("last")]
    fleet.run(HOUR_S)
    assert recorder.changes.count(change) == tried + 1
    assert recorder.bodies[-1]["why"] == "500s"
    assert fleet.owed == []
    assert fleet.notifiers[0].owed() is None
    (state,) = fleet.control.notices()
    assert (state.owed, state.given_up, state.fault) == ((), 0, "")
    assert fleet.control.overview().owed == ()


def test_other_kinds_are_given_up_as_before_and_keep_no_rollback_back(recorder: Recorder) -> None:
    """A `set` that is refused waits and is given up; the rollback behind it is told meanwhile, once."""
    fleet = Fleet(recorder, on=["set", "rollback"])
    recorder.answer = lambda body: 500 if body["cause"] == "set" else 204
    fleet.control.create("checkout")
    fleet.control.set("checkout", 20)
    fleet.run(0.5)
    fleet.control.rollback("checkout")
    fleet.run(3)
    assert [body["cause"] for body in recorder.bodies].count("rollback") == 1
    assert [body["cause"] for body in recorder.bodies].count("set") < 5
    fleet.run(600)
    assert [body["cause"] for body in recorder.bodies].count("set") == 5
    assert [body["cause"] for body in recorder.bodies].count("rollback") == 1
    (state,) = fleet.control.notices()
    assert (state.given_up, state.owed, state.refused) == (1, (), 0)
    debt = read_debt(fleet.store.read_cursors().texts[debt_field(fleet.hook.name)])
    assert debt is not None
    assert debt.early == (), "what is told in order by now is forgotten"


def test_what_the_log_has_lost_is_told_all_the_same(recorder: Recorder) -> None:
    """The change, its split and its cause."""
    fleet = Fleet(recorder)
    recorder.answer = lambda _: 503
    fleet.control.create("checkout")
    fleet.control.set("checkout", 20)
    fleet.control.rollback("checkout")
    fleet.run(5)
    (change,) = fleet.owed
    fleet.store._space.log.clear()
    recorder.answer = lambda _: 204
    fleet.run(HOUR_S)
    assert (recorder.bodies[-1]["change"], recorder.bodies[-1]["split"]) == (change, "checkout")
    assert "no longer in the log" in recorder.bodies[-1]["why"]
    assert fleet.owed == []


def test_two_hundred_rollbacks_are_bounded_and_told_when_it_is_back(recorder: Recorder) -> None:
    """The oldest of too many are given up and counted; the rest is told, each once more."""
    fleet = Fleet(recorder)
    recorder.answer = lambda _: 503
    fleet.control.create("checkout")
    for _ in range(120):
        fleet.control.rollback("checkout")
    fleet.run(600)
    assert len(fleet.owed) == 100
    assert fleet.control.notices()[0].given_up == 20
    assert len(recorder.bodies) < 120 + 600 / 3, "each once at first, then one for each pause"
    recorder.bodies.clear()
    recorder.answer = lambda _: 204
    fleet.run(HOUR_S)
    assert fleet.owed == []
    assert len(recorder.bodies) == len({*recorder.changes}) == 100


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have others look soon, and give up a webhook that hangs soon."""
    monkeypatch.setattr(notifier, "SPREAD_S", (0.05, 0.2))
    monkeypatch.setattr(hooks, "WITHIN_S", 0.4)


@pytest.mark.usefixtures("quick")
def test_a_webhook_that_hangs_delays_no_other_hook_and_no_warm_up(recorder: Recorder) -> None:
    """Each has a thread of its own; decisions and the exit wait for none."""
    store, over = MemoryStore(), threading.Event()
    with recording() as well, Control(store, confirm=True) as control:
        recorder.answer = lambda _: 204 if over.wait(20) else 500
        bad, good = Webhook(recorder.url), Webhook(well.url)
        hooks.WITHIN_S = 20.0
        gray = Router(store, notify=[bad, good])
        gray.wait_ready(10)
        eventually(lambda: len(operator_of(control).store.read_cursors().texts) == 2, 10)
        control.create("checkout")
        control.set("checkout", 20)
        control.rollback("checkout")
        eventually(lambda: recorder.bodies, 10)
        eventually(lambda: well.bodies, 10)
        control.create("search")
        control.rollback("search")
        eventually(lambda: len(well.bodies) == 2, 10)
        ran = threading.Event()
        assert gray._lifecycle.jobs.submit("warm", ran.set)
        assert ran.wait(10)
        assert len(recorder.bodies) == 1
        begun = time.monotonic()
        gray.close()
        assert time.monotonic() - begun < 3
        over.set()


@pytest.mark.usefixtures("quick")
def test_a_webhook_that_is_down_hears_of_the_rollback_when_it_is_back(
    redis_url: str, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """First nobody listens, then it hangs; the process that owes it is killed, and another tells it, once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    hook, words = Webhook(url, on=["all"]), ("--url", redis_url, "--namespace", namespace)

    def cli(*verb: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run([*verb, *words])
        return code, capsys.readouterr().out

    with ExitStack() as stack:
        control = stack.enter_context(Control(redis_url, namespace=namespace, confirm=True))
        started = [process(redis_url, namespace, url, turn_ms=1_000, pause_ms=200) for _ in range(2)]
        children = [stack.enter_context(one) for one in started]
        for child in children:
            ready(child)
        eventually(lambda: record_of(control, hook), 10)
        control.create("checkout")  # refused too, and what waits for it does not keep the rollback
        control.rollback("checkout", why="500s")
        (state,) = eventually(lambda: [one for one in control.notices() if one.fault], 10)
        assert [(one.cause, one.split) for one in state.owed] == [("rollback", "checkout")]
        code, out = cli("notices")
        assert code == 7
        assert "1 rollback or trip is not delivered" in out
        assert "Connection refused" in " ".join(out.split())
        assert state.owed[0].change in out
        assert "graysplit notices" in " ".join(cli("list")[1].split())
        assert json.loads(cli("list", "--json")[1])["undelivered"][0]["error"] == "Connection refused"
        code, out = cli("doctor", "--json")
        found = [one for one in json.loads(out)["findings"] if one["where"] == f"notices {hook.name}"]
        assert (code, found[0]["severity"], found[0]["command"]) == (7, "problem", "graysplit notices")

        over = threading.Event()
        with recording(port) as back:
            back.answer = lambda _: 204 if over.is_set() else _hang(over)
            eventually(lambda: state.owed[0].change in back.changes, 20)  # it hangs
            cursor = read_cursor(operator_of(control).store.read_cursors().texts[hook.name])
            assert cursor is not None
            os.kill({found.boot: found.pid for found in control.fleet().processes}[cursor.teller], signal.SIGKILL)
            over.set()
            eventually(lambda: not control.notices()[0].owed, 20)
            eventually(lambda: record_of(control, hook), 20)
            told = back.changes.count(state.owed[0].change)
            control.rollback("search")
            eventually(lambda: back.bodies[-1]["split"] == "search" and record_of(control, hook), 20)
            assert back.changes.count(state.owed[0].change) == told
    assert cli("notices")[0] == 0


def _hang(over: threading.Event) -> int:
    over.wait(20)
    return 500
