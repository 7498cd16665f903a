"""Processes that share hooks: each change is told, once unless somebody dies, and nobody waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from graysplit import Control, Router, Webhook
from graysplit.control.operator import operator_of
from graysplit.core.notices import cursor
from graysplit.core.notices.cursor import ATTEMPTS, OLDEST_MS, Cursor
from graysplit.notices import notifier
from graysplit.stores.memory import MemoryStore
from graysplit.stores.text.cursors import read_cursor, write_cursor
from tests import warm
from tests.notices.recorder import Recorder
from tests.support import eventually

ROOT = Path(__file__).parents[2]


def record_of(control: Control, hook: Webhook) -> Cursor | None:
    """Return how far a hook has been told, once that is the whole log and nobody tells any more."""
    read = operator_of(control).store.read_cursors()
    found = read_cursor(read.texts.get(hook.name))
    return found if found is not None and found.position == read.position and not found.until_ms else None


@contextmanager
def process(url: str, namespace: str, hook: str, *, turn_ms: int = 15_000, pause_ms: int = 0) -> Iterator[warm.Program]:
    """Run a process that tells; `pause_ms` shortens its pauses, and how long it waits for a hook that hangs."""
    given = {"url": url, "namespace": namespace, "hook": hook, "turn_ms": turn_ms, "pause_ms": pause_ms}
    settings = json.dumps(given)
    pipe = subprocess.PIPE
    with warm.Program("tests.notices.teller_process", settings, stdin=pipe, stdout=pipe, cwd=ROOT) as child:
        try:
            yield child
        finally:
            child.kill()


def ready(child: warm.Program) -> None:
    """Wait until a process follows."""
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"


@contextmanager
def router(store: str | MemoryStore, namespace: str, hook: Webhook) -> Iterator[Router]:
    """Run a router that tells, from when its hook has begun."""
    with (
        Router(store, namespace=namespace, notify=hook) as gray,
        Control(store, namespace=namespace, confirm=True) as control,
    ):
        gray.wait_ready(10)
        eventually(lambda: record_of(control, hook), 10)
        yield gray


def told_from(begun: Cursor, store: MemoryStore, hook: Webhook) -> Cursor:
    """Let a router tell a hook from there to the end of the log; return how far it came."""
    assert store.save_cursor(hook.name, None, write_cursor(begun))
    with Control(store, confirm=True) as control:
        with router(store, "default", hook):
            pass  # it is told by now
        record = record_of(control, hook)
    assert record is not None
    return record


def test_a_teller_that_dies_is_followed_by_another(redis_url: str, namespace: str, recorder: Recorder) -> None:
    """Killed between handing over and writing it down: the change comes again, with the same id, and then the next."""
    hook, over = Webhook(recorder.url, on=["all"]), threading.Event()
    recorder.answer = lambda _: 204 if over.wait(20) else 500
    with ExitStack() as stack:
        control = stack.enter_context(Control(redis_url, namespace=namespace, confirm=True))
        started = [process(redis_url, namespace, recorder.url, turn_ms=1_000) for _ in range(2)]
        for child in [stack.enter_context(one) for one in started]:
            ready(child)
        eventually(lambda: record_of(control, hook), 10)
        control.create("checkout")
        eventually(lambda: recorder.bodies, 10)
        record = read_cursor(operator_of(control).store.read_cursors().texts[hook.name])
        assert record is not None
        pids = {found.boot: found.pid for found in control.fleet().processes}
        os.kill(pids[record.teller], signal.SIGKILL)
        over.set()
        control.set("checkout", 5)
        eventually(lambda: record_of(control, hook), 15)
        first, second = (entry.id for entry in reversed(control.history()))
    assert recorder.changes == [first, first, second]


def test_what_is_refused_five_times_is_given_up_and_the_next_is_told(
    redis_url: str, namespace: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted where `doctor` and the status find it, with its id, and keeps nothing else back."""
    monkeypatch.setattr(cursor, "PAUSES_MS", (20, 30, 40, 50))
    hook = Webhook(recorder.url, on=["create", "set"])
    recorder.answer = lambda body: 500 if body["cause"] == "create" else 204
    with Control(redis_url, namespace=namespace, confirm=True) as control, router(redis_url, namespace, hook) as gray:
        control.create("checkout")
        control.set("checkout", 5)
        record = eventually(lambda: record_of(control, hook), 15)
        assert [body["cause"] for body in recorder.bodies] == ["create"] * ATTEMPTS + ["set"]
        assert (record.dead, record.last_dead, record.attempts) == (1, recorder.changes[0], 0)
        eventually(lambda: gray.status().untold == {hook.name: 1})
        (note,) = [found for found in control.doctor() if found.where == f"notices {hook.name}"]
    assert note.severity == "note"
    assert f"1 change given up after all attempts failed; the last: {recorder.changes[0]}" in note.what


def test_a_process_ends_at_once_whatever_its_hook_does(redis_url: str, namespace: str, recorder: Recorder) -> None:
    """A webhook that hangs is not waited for at exit."""
    over = threading.Event()
    recorder.answer = lambda _: 204 if over.wait(20) else 500
    with (
        Control(redis_url, namespace=namespace, confirm=True) as control,
        process(redis_url, namespace, recorder.url) as child,
    ):
        ready(child)
        eventually(lambda: record_of(control, Webhook(recorder.url)), 10)
        control.create("checkout")
        eventually(lambda: recorder.bodies, 10)
        begun = time.monotonic()
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == 0
        assert time.monotonic() - begun < 3  # a second, and room; the webhook would have five
    over.set()


def test_only_what_was_asked_for_is_told(recorder: Recorder) -> None:
    """Other causes are passed over, without a word and without being counted."""
    store, hook = MemoryStore(), Webhook(recorder.url)
    with Control(store, confirm=True) as control, router(store, "shop", hook) as gray:
        control.create("checkout")
        control.set("checkout", 5)
        control.rollback("checkout")
        eventually(lambda: record_of(control, hook))
        assert [body["cause"] for body in recorder.bodies] == ["rollback"]
        assert recorder.bodies[0]["namespace"] == "shop"
        assert gray.status().untold == {hook.name: 0}


def test_what_the_log_has_lost_is_counted_and_the_rest_told(recorder: Recorder) -> None:
    """Entries that went are missing, at most so many as the revisions say."""
    store, hook = MemoryStore(), Webhook(recorder.url, on=["all"])
    with Control(store, confirm=True) as control:
        control.create("checkout")
        begun = store.read_cursors()
        for weight in (1, 2, 3, 4):
            control.set("checkout", weight)
        for _ in range(3):
            store._space.log.popleft()
        assert told_from(Cursor(begun.position, begun.revision), store, hook).missed == 2
    assert [body["after"]["weights"]["checkout/new"] for body in recorder.bodies] == ["3", "4"]


def test_what_is_a_day_old_is_told_to_nobody(recorder: Recorder) -> None:
    """A hook that comes back after weeks begins with today."""
    store, hook = MemoryStore(), Webhook(recorder.url, on=["all"])
    with Control(store, confirm=True) as control:
        control.create("checkout")
        store._space.log[0] = (f"{store.read_cursors().now_ms - OLDEST_MS - 60_000}-0", store._space.log[0][1])
        assert told_from(Cursor("0-0", 0), store, hook).missed == 1
    assert recorder.bodies == []


def test_a_log_that_went_back_is_told_from_its_end(recorder: Recorder) -> None:
    """After a store lost data the hook hears of what comes now."""
    store, hook = MemoryStore(), Webhook(recorder.url, on=["all"])
    with Control(store, confirm=True) as control:
        control.create("checkout")
        ahead = f"{store.read_cursors().now_ms + 10**6}-0"
        assert store.save_cursor(hook.name, None, write_cursor(Cursor(ahead, 90, dead=3)))
        with router(store, "default", hook):
            control.set("checkout", 5)
            record = eventually(lambda: record_of(control, hook) if recorder.bodies else None)
    assert [body["cause"] for body in recorder.bodies] == ["set"]
    assert record.dead == 3


def test_the_environment_names_addresses(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """Where the code names nobody; an address that cannot work is said, and harms no decision."""
    store = MemoryStore()
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", f"{recorder.url}/a  {recorder.url}/b")
    with Router(store) as gray:
        eventually(lambda: len(store.read_cursors().texts) == 2)
        assert len(gray.status().untold) == 2
    monkeypatch.setenv("GRAYSPLIT_NOTIFY_URL", "no address")
    with Router(store) as gray:
        assert gray.wait_ready(5)
        assert gray.status().untold == {}


def test_turns_are_given_in_the_time_that_one_event_may_take() -> None:
    """A turn outlasts a delivery, so that nobody else tells what is just being told."""
    assert cursor.TURN_MS > 2 * 1000 * notifier.WITHIN_S
