"""The router as application code meets it: decisions, contexts, life."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import graysplit
from graysplit import Control, Router
from graysplit.core.bucketing import bucket_of, seed_of
from graysplit.stores.memory import MemoryStore
from graysplit.testing import forced
from tests.support import NewThreads, bare_environment, eventually

MakeRouter = Callable[..., Router]

NEW = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), seed_of("checkout")) < 20_000)
OLD = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), seed_of("checkout")) >= 50_000)


def test_decides_by_bucket(router: Router) -> None:
    """A unit below the weight gets the candidate, one above it the baseline."""
    assert router.choose("checkout", NEW) == "new"
    assert router.choose("checkout", unit=OLD) == "old"
    assert router.decide("checkout", NEW)[:3] == ("checkout", "new", "bucket")


def test_unit_kinds_are_one_unit(router: Router) -> None:
    """Text, int and UUID of the same text are one unit, and so are the bytes."""
    for number in range(200):
        expected = router.choose("checkout", str(number))
        assert router.choose("checkout", number) == expected
        assert router.choose("checkout", str(number).encode()) == expected
    name = uuid.UUID(int=7)
    assert router.choose("checkout", name) == router.choose("checkout", str(name))


@pytest.mark.parametrize("unit", [None, True, False, 1.5, "", b"", "\ud800", object(), [], float("nan")])
@pytest.mark.parametrize("weight", [0, 20, 100])
def test_what_is_no_unit_gets_the_baseline(store: MemoryStore, router: Router, unit: object, weight: int) -> None:
    """What is no unit gets the baseline with the reason `no_unit`, also at 100 %."""
    Control(store, confirm=True).set("checkout", weight)
    eventually(lambda: router.decide("checkout", OLD).version == ("new" if weight == 100 else "old"))
    decision = router.decide("checkout", unit)
    assert (decision.version, decision.reason) == ("old", "no_unit")
    assert router.choose("checkout", unit) == "old"


@pytest.mark.parametrize("unit", ["\0", "x" * 1_000_000, "ü" * 1000, -5, 10**40, b"\xff\xfe", uuid.UUID(int=1)])
def test_strange_units_are_units(store: MemoryStore, router: Router, unit: object) -> None:
    """NUL, a megabyte, negative and large ints and any bytes are units like others."""
    Control(store, confirm=True).set("checkout", 100)
    eventually(lambda: router.choose("checkout", OLD) == "new")
    assert router.choose("checkout", unit) == "new"


@pytest.mark.parametrize("name", ["nobody", "", None, 7, ["x"], {}])
def test_unknown_split_answers_old(router: Router, name: object) -> None:
    """A split that nobody declared answers `old`, never an exception."""
    assert router.choose(name, "u") == "old"  # type: ignore[arg-type] # on purpose
    assert router.decide(name, "u").reason == "unknown_split"  # type: ignore[arg-type] # on purpose


def test_rollback_reaches_calls(store: MemoryStore, router: Router) -> None:
    """After a rollback nobody reaches the version, and the reason says so."""
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: router.decide("checkout", NEW).reason == "stopped")
    assert all(router.choose("checkout", f"u-{n}") == "old" for n in range(1000))


def test_choice_kept_before_a_rollback_is_not_found_after_it(store: MemoryStore, router: Router) -> None:
    """A choice kept in a request before a rollback is not found after it."""
    with graysplit.context(unit=NEW):
        assert router.choose("checkout") == "new"
        assert router.decide("checkout").reason == "kept"
        Control(store, confirm=True).rollback("checkout")
        eventually(lambda: router.choose("checkout") == "old")
        assert router.choose("checkout", NEW) == "old"


def test_choice_is_kept_through_a_change_of_weight(store: MemoryStore, router: Router) -> None:
    """Within one request a unit keeps its version while the weight moves, but not to zero."""
    with graysplit.context(unit=NEW):
        assert router.choose("checkout") == "new"
        Control(store, confirm=True).set("checkout", "0.001")
        eventually(lambda: router.choose("checkout", f"{NEW}") == "new" and router.status().revision == 3)
        assert router.choose("checkout") == "new"
    assert router.choose("checkout", NEW) == "old"


def test_two_units_in_one_request_each_get_their_own(router: Router) -> None:
    """Two units in one request each get their own version, in either order and again."""
    with graysplit.context(unit=NEW):
        for _ in range(2):
            assert router.choose("checkout") == "new"
            assert router.choose("checkout", OLD) == "old"
            assert router.choose("checkout", NEW) == "new"
        assert router.choose("checkout", unit=True) == "old"


def test_context_nests_and_ends(router: Router) -> None:
    """An inner context lays its unit over the outer one's; without any there is no unit."""
    with graysplit.context(unit=OLD):
        with graysplit.context(unit=NEW):
            assert router.choose("checkout") == "new"
        assert router.choose("checkout") == "old"
    assert router.decide("checkout").reason == "no_unit"


def test_context_never_prints_its_unit(router: Router) -> None:
    """The scope's repr holds no unit."""
    from graysplit.scope import scope_get

    with graysplit.context(unit="secret-unit"):
        router.choose("checkout")
        assert "secret-unit" not in repr(scope_get())


def test_kept_choices_are_bounded(router: Router) -> None:
    """A batch job under one context keeps a bounded number of choices."""
    from graysplit.scope import KEPT_AT_MOST, scope_get

    with graysplit.context():
        for number in range(3 * KEPT_AT_MOST):
            router.choose("checkout", f"u-{number}")
        scope = scope_get()
        assert scope is not None
        assert len(scope) <= KEPT_AT_MOST + 2


def test_forced_stands_above_everything(store: MemoryStore, router: Router) -> None:
    """A forced version wins over a stop, in its own context only."""
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: router.decide("checkout", NEW).reason == "stopped")
    with forced(checkout="new"):
        assert router.decide("checkout", OLD)[1:3] == ("new", "forced")
        assert router.choose("checkout") == "new"
        assert router.explain("checkout", OLD).reason == "forced"
    assert router.choose("checkout", NEW) == "old"


def test_pins_and_denies(store: MemoryStore, router: Router) -> None:
    """A pinned unit always gets its version, a denied one the baseline; a stop beats both."""
    control = Control(store, confirm=True)
    control.pin("checkout", OLD, "new")
    control.pin("checkout", NEW, deny=True)
    eventually(lambda: router.decide("checkout", OLD).reason == "pin")
    assert router.choose("checkout", OLD) == "new"
    eventually(lambda: router.decide("checkout", NEW)[1:3] == ("old", "denied"))
    control.rollback("checkout")
    eventually(lambda: router.decide("checkout", OLD).reason == "stopped")


def test_not_configured_without_a_store(make_router: MakeRouter, caplog: pytest.LogCaptureFixture) -> None:
    """Without a URL every answer is the baseline, with one log line."""
    router = make_router()
    with caplog.at_level(logging.INFO, "graysplit"):
        answers = {router.decide("checkout", f"u-{n}").reason for n in range(100)}
    assert answers == {"not_configured"}
    assert [record.message for record in caplog.records if "GRAYSPLIT_URL" in record.message] == [
        "no store: set GRAYSPLIT_URL. Every answer is the baseline"
    ]
    assert not router.wait_ready(0.01)


def test_environment_names_the_store(monkeypatch: pytest.MonkeyPatch, make_router: MakeRouter) -> None:
    """The environment is read at the start, not before."""
    from graysplit.stores import store_from_url

    router = make_router()
    shared = store_from_url("memory://named-by-environment", namespace="shop")
    Control(shared, confirm=True).create("checkout")
    Control(shared, confirm=True).set("checkout", 100)
    monkeypatch.setenv("GRAYSPLIT_URL", "memory://named-by-environment")
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", "shop")
    assert router.wait_ready(5)
    assert router.choose("checkout", "anyone") == "new"


def test_configure_after_the_start_is_refused(router: Router) -> None:
    """A router that has started is not configured any more."""
    with pytest.raises(graysplit.ConfigurationError, match="started already"):
        router.configure("memory://")


def test_a_bad_address_is_an_error_at_start_and_a_baseline_in_a_decision(
    make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start()` says that an address of the environment cannot work; a decision answers with the baseline."""
    monkeypatch.setenv("GRAYSPLIT_URL", "ftp://somewhere")
    with pytest.raises(graysplit.ConfigurationError, match="ftp"):
        make_router().start()
    assert make_router().decide("checkout", "u")[1:3] == ("old", "not_configured")


def test_break_glass_by_environment(
    store: MemoryStore, make_router: MakeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GRAYSPLIT_OFF sends the named splits to the baseline, whatever the store says."""
    Control(store, confirm=True).create("search")
    Control(store, confirm=True).set("search", 100)
    monkeypatch.setenv("GRAYSPLIT_OFF", "checkout,other")
    router = make_router(store)
    assert router.wait_ready(5)
    assert router.decide("checkout", NEW)[1:3] == ("old", "off")
    assert router.choose("search", NEW) == "new"
    assert router.status().off == ("checkout", "other")


def test_break_glass_by_file(store: MemoryStore, make_router: MakeRouter, tmp_path: Path) -> None:
    """The file named by GRAYSPLIT_OFF_FILE is obeyed when it appears, and when it goes."""
    path = tmp_path / "off"
    router = make_router(store, off_file=str(path))
    assert router.wait_ready(5)
    assert router.choose("checkout", NEW) == "new"
    path.write_text("*\n", encoding="utf-8")
    eventually(lambda: router.decide("checkout", NEW).reason == "off")
    path.unlink()
    eventually(lambda: router.choose("checkout", NEW) == "new")


def test_break_glass_by_file_without_a_store(make_router: MakeRouter, tmp_path: Path) -> None:
    """Break-glass works with no store at all."""
    path = tmp_path / "off"
    router = make_router(off_file=str(path))
    assert router.decide("checkout", "u").reason == "not_configured"
    path.write_text("checkout", encoding="utf-8")
    eventually(lambda: router.decide("checkout", "u").reason == "off")


def test_closing_is_idempotent_and_answers_baselines(make_router: MakeRouter, store: MemoryStore) -> None:
    """After `close()` every answer is a baseline, and its thread is gone."""
    threads, router = NewThreads(), make_router(store)
    assert router.wait_ready(5)
    assert threads.named("graysplit")
    router.close()
    router.close()
    assert router.decide("checkout", NEW)[1:3] == ("old", "closed")
    # It says that it has ended as the last that it does, and is counted for a moment yet.
    assert eventually(lambda: not threads.named("graysplit"))


def test_one_thread_per_started_router(make_router: MakeRouter, store: MemoryStore) -> None:
    """A router has no thread before it starts, and one after."""
    router = make_router(store)
    threads = NewThreads()
    router.start()
    router.start()
    assert len(threads.named("graysplit")) == 1


def test_explain_agrees_with_decide(store: MemoryStore, router: Router) -> None:
    """The ladder ends with the rung that `decide` names, and prints no unit."""
    Control(store, confirm=True).pin("checkout", OLD, "new")
    eventually(lambda: router.decide("checkout", OLD).reason == "pin")
    for unit in (NEW, OLD, None, *(f"u-{n}" for n in range(50))):
        decision, why = router.decide("checkout", unit), router.explain("checkout", unit)
        assert (why.version, why.reason) == (decision.version, decision.reason)
        assert why.ladder[-1].reason == why.reason
        assert str(unit) not in str(why)
    assert router.explain("checkout", NEW).bucket == bucket_of(NEW.encode(), seed_of("checkout"))


def test_a_bad_value_keeps_the_last_good_one(
    store: MemoryStore, router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """A raw weight that is none is refused for that split alone; status and log name it."""
    Control(store, confirm=True).create("search")
    store.raw_set("weights", "checkout/new", b"1_0")
    store.raw_set("weights", "search/new", b"100")
    eventually(lambda: router.choose("search", NEW) == "new")
    assert router.choose("checkout", NEW) == "new"
    refused = router.status().refused
    assert list(refused) == ["weights checkout/new"]
    assert "invalid weight '1_0'" in refused["weights checkout/new"]
    assert any("weights checkout/new" in record.message for record in caplog.records)
    store.raw_set("weights", "checkout/new", b"0")
    eventually(lambda: router.choose("checkout", NEW) == "old")
    assert not router.status().refused


def test_a_lost_key_is_an_outage(store: MemoryStore, router: Router) -> None:
    """A key that is gone keeps its last content, and status says so."""
    store.raw_drop("weights")
    eventually(lambda: router.status().lost)
    assert router.choose("checkout", NEW) == "new"
    assert "weights" in router.status().lost


def test_include_serves_a_library_from_the_applications_store(store: MemoryStore, make_router: MakeRouter) -> None:
    """A library's own router decides from the application's store once it is included."""
    library = make_router()
    application = make_router(store)
    application.include(library)
    application.include(library)
    assert application.wait_ready(5)
    assert library.choose("checkout", NEW) == "new"
    assert library.status().boot == application.status().boot


def test_a_forked_child_follows(router: Router, store: MemoryStore) -> None:
    """A child decides on the inherited snapshot at once, and wakes a follower of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        answers = [router.choose("checkout", NEW), str(router.wait_ready(5)), router.choose("checkout", NEW)]
        os.write(writing, " ".join(answers).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100).decode() == "new True new"
    assert router.choose("checkout", NEW) == "new"


def test_importing_does_nothing() -> None:
    """Importing graysplit starts no thread, loads none of the heavy modules and few of its own: 41 at present."""
    code = (
        "import sys, threading, graysplit\ngraysplit.Router, graysplit.context\n"
        "heavy = {'pydantic', 'redis', 'opentelemetry', 'asyncio', 'dataclasses', 'inspect', 'logging', 'json'}\n"
        "own = sum(name.partition('.')[0] == 'graysplit' for name in sys.modules)\n"
        "print(sorted(heavy & set(sys.modules)), threading.active_count(), own <= 45)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare_environment()
    )
    assert done.stdout.split() == ["[]", "1", "True"]


def test_break_glass_shows_in_the_receipts(store: MemoryStore, make_router: MakeRouter, tmp_path: Path) -> None:
    """Whoever looks at the fleet sees at once that a process is switched off, and why its weight is zero."""
    path = tmp_path / "off"
    router = make_router(store, off_file=str(path))
    assert router.wait_ready(5)
    path.write_text("checkout", encoding="utf-8")

    def effect() -> tuple[str, str]:
        [process] = store.fleet().live
        found = process.receipt.effects.get("checkout/new")
        return (found.weight, found.why) if found is not None else ("", "")

    eventually(lambda: effect() == ("0", "off"))
    path.unlink()
    eventually(lambda: effect() == ("20", ""))
