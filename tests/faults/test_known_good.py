"""The last-known-good file: never torn, never newer than it is, on disk before a lowering is reported (timeline 9).

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.clock import SYSTEM_CLOCK, Clock
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.lineage import Past
from graysplit.events import Events
from graysplit.follower.known_good import KnownGood
from tests.clocks import ShiftedClock
from tests.faults.followers import processes
from tests.faults.proxy import Proxy
from tests.faults.shares import following, share
from tests.support import eventually

FIELD = "checkout/new"
HOUR_S = 3_600.0


def the_file(folder: Path) -> Path:
    """Return the one file that was kept."""
    (found,) = eventually(lambda: list(folder.glob("*.json")))
    return found


def kept(folder: Path, clock: Clock = SYSTEM_CLOCK) -> KnownGood:
    """Return the file as the library reads it."""
    return KnownGood(the_file(folder), Events(), clock)


@pytest.fixture
def away(tmp_path: Path, namespace: str) -> Callable[..., graysplit.Router]:
    """Start a router whose server cannot be reached: what it decides, it knows from elsewhere."""

    def start(url: str, **settings: object) -> graysplit.Router:
        router = graysplit.Router(url, namespace=namespace, cache_dir=str(tmp_path), **settings)  # type: ignore[arg-type]
        router.start()
        return router

    return start


def learned(proxy: Proxy, server: embedded.Server, control: graysplit.Control, folder: Path, weight: int) -> str:
    """Have a process see a weight and keep it; return the address, at which nobody answers any more."""
    url = proxy.url(server.url)
    control.create("checkout")
    control.set("checkout", weight, allow_needless=True)
    with following(url, control.namespace, cache_dir=str(folder)):
        pass
    proxy.refuse()
    return url


# --- which tier ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "ahead_s", "expected"),
    [(40, 0.0, 40), (40, HOUR_S + 60, 0), (40, -60.0, 0), (100, HOUR_S + 60, 100), (0, HOUR_S + 60, 0)],
)
def test_a_start_without_the_server_goes_by_the_file_while_it_is_young(
    server: embedded.Server,
    control: graysplit.Control,
    tmp_path: Path,
    away: Callable[..., graysplit.Router],
    weight: int,
    ahead_s: float,
    expected: int,
) -> None:
    """A version on trial runs by a file of less than an hour; by an older one, or one of the future, it does not.

    What is settled at 100 % stays.
    """
    with Proxy(server.port) as proxy:
        url = learned(proxy, server, control, tmp_path, weight)
        with away(url, clock=ShiftedClock(jumped_s=ahead_s)) as router:
            assert eventually(lambda: router.status().phase == "live")  # the server was asked, and has not answered
            assert share(router) == expected
            doubted = weight == 40 and not expected
            assert (router.decide("checkout", "user-1").reason == "not_ready") == doubted
            # And the server's word counts as soon as there is one
            proxy.heal()
            eventually(lambda: share(router) == weight, 10)


def test_the_live_word_beats_the_file_beats_the_bootstrap_beats_the_code(
    server: embedded.Server, control: graysplit.Control, tmp_path: Path, away: Callable[..., graysplit.Router]
) -> None:
    """Each tier is used where the ones above it are missing."""
    bootstrap = tmp_path / "bootstrap.json"
    bootstrap.write_text('{"splits": {"checkout": {"versions": ["old", "new"], "weights": {"new": 70}}}}')
    toml = tmp_path / "bootstrap.toml"
    toml.write_text('[splits.checkout]\nversions = ["old", "new"]\nweights = {new = 60}\n')
    with Proxy(server.port) as proxy:
        proxy.refuse()
        for file, expected in ((None, 0), (bootstrap, 70), (toml, 60)):
            with away(proxy.url(server.url), bootstrap=file and str(file)) as router:
                assert eventually(lambda: router.status().mode == "lost")
                assert share(router) == expected
        proxy.heal()
        url = learned(proxy, server, control, tmp_path, 40)
        with away(url, bootstrap=str(bootstrap)) as router:
            assert eventually(lambda: share(router) == 40)
            control.set("checkout", 30)
            proxy.heal()
            eventually(lambda: share(router) == 30, 10)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"schema": 1}', b'{"schema": 99, "at": 0, "sum": "", "body": "{}"}'],
)
def test_a_file_that_cannot_be_believed_is_passed_over(
    server: embedded.Server,
    control: graysplit.Control,
    tmp_path: Path,
    away: Callable[..., graysplit.Router],
    caplog: pytest.LogCaptureFixture,
    content: bytes,
) -> None:
    """Empty, cut, foreign or of another schema: the next tier, one warning; and the next good reading replaces it."""
    with Proxy(server.port) as proxy, caplog.at_level(logging.WARNING, "graysplit"):
        url = learned(proxy, server, control, tmp_path, 40)
        the_file(tmp_path).write_bytes(content)
        with away(url) as router:
            assert share(router) == 0
            assert len([line for line in caplog.messages if "is ignored" in line]) == 1
            proxy.heal()
            eventually(lambda: share(router) == 40, 10)
        assert kept(tmp_path).read() is not None


def test_a_byte_that_flipped_is_noticed(server: embedded.Server, control: graysplit.Control, tmp_path: Path) -> None:
    """The checksum covers the weights."""
    with Proxy(server.port) as proxy:
        learned(proxy, server, control, tmp_path, 40)
    file = the_file(tmp_path)
    file.write_bytes(file.read_bytes().replace(b"40", b"90"))
    assert kept(tmp_path).read() is None


def test_a_refusal_outlives_a_restart(
    control: graysplit.Control, client: redis.Redis, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The last good value of a field that Redis holds garbage in is known to the next process too."""
    control.create("checkout")
    control.set("checkout", 40)
    with following(redis_url, namespace, cache_dir=str(tmp_path)) as router:
        client.hset(f"graysplit:{{{namespace}}}:weights", FIELD, "forty")
        client.hset(f"graysplit:{{{namespace}}}:splits", "checkout", "{broken")
        eventually(lambda: len(router.status().refused) == 2)
    with following(redis_url, namespace, cache_dir=str(tmp_path)) as later:
        eventually(lambda: len(later.status().refused) == 2)
        assert share(later) == 40


def test_only_its_owner_may_read_it(server: embedded.Server, control: graysplit.Control, tmp_path: Path) -> None:
    """Mode 0600, the pinned units are nobody's business; no temporary file is left behind."""
    with Proxy(server.port) as proxy:
        learned(proxy, server, control, tmp_path / "cache", 40)
    file = the_file(tmp_path / "cache")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {found.suffix for found in file.parent.iterdir()} == {".json", ".lock"}


# --- never less than reported ----------------------------------------------------------------------------------------


def test_a_lowering_is_on_disk_before_its_receipt(
    control: graysplit.Control, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Once a rollback is confirmed the file says zero, though the last raise was written a moment ago."""
    control.create("checkout")
    with following(redis_url, namespace, cache_dir=str(tmp_path)):
        for weight in (30, 40, 50):
            control.wait_confirmed(control.set("checkout", weight, unstop=True))
            receipts = control.wait_confirmed(control.rollback("checkout")).receipts
            assert receipts.complete
            known = kept(tmp_path).read()
            assert known is not None
            assert known.held.weights.get(FIELD, 0) == 0
            assert "checkout" in known.held.stops


def test_a_receipt_says_that_nothing_was_kept(
    control: graysplit.Control, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Where the file cannot be written it is taken away, and the receipt says `not durable`."""
    control.create("checkout")
    control.set("checkout", 40)
    folder = tmp_path / "cache"
    with following(redis_url, namespace, cache_dir=str(folder)) as router:
        file = the_file(folder)
        (process,) = control.fleet().live
        assert process.receipt.durable
        blocked = file.with_suffix(f".{os.getpid()}.tmp")
        blocked.mkdir()  # the temporary file cannot be made: as good as a full disk
        control.wait_confirmed(control.rollback("checkout"))
        assert share(router) == 0
        assert not file.exists()
        (process,) = control.fleet().live
        assert not process.receipt.durable
        assert any("last-known-good" in finding.what for finding in control.doctor())


def test_an_older_place_in_the_log_never_replaces_a_newer(tmp_path: Path) -> None:
    """Two processes share a path; the one that is behind does not bring its weights back, and stops are united.

    Timeline 9.
    """
    file = KnownGood(tmp_path / "shared.json", Events(), SYSTEM_CLOCK)
    other = KnownGood(tmp_path / "shared.json", Events(), SYSTEM_CLOCK)
    seen = {"weights": {}, "stops": {}, "splits": {}}
    ahead = Adopted(weights={FIELD: 0}, seen=seen)
    behind = Adopted(weights={FIELD: 50_000}, stops={"search": "by hand"}, seen=seen)
    assert file.keep(ahead, Past("2-0", ("one", "two"), "lineage"))
    assert other.keep(behind, Past("1-0", ("one",), "lineage"))
    known = file.read()
    assert known is not None
    assert known.held.weights == {FIELD: 0}
    assert known.held.stops == {"search": "by hand"}
    assert known.past.change == "two"


def test_processes_that_share_a_path_leave_a_sound_file(
    server: embedded.Server, control: graysplit.Control, tmp_path: Path
) -> None:
    """Three processes, one path, many changes: the file is whole at every look, and ends on the last lowering."""
    control.create("checkout")
    with processes(3, server.url, control.namespace, cache_dir=str(tmp_path)) as found:
        for number in range(20):
            control.set("checkout", 20 + number, unstop=True)
            result = control.rollback("checkout")
            assert kept(tmp_path).read() is not None
        receipts = control.wait_confirmed(result).receipts
        assert receipts.complete
        found.wait_for(0)
        known = kept(tmp_path).read()
        assert known is not None
        assert known.held.weights[FIELD] == 0


# --- never torn ------------------------------------------------------------------------------------------------------


def write_for_ever(path: Path) -> None:
    """Keep one state after the other."""
    file = KnownGood(path, Events(), SYSTEM_CLOCK)
    definitions = {f"split-{number}": b"{}" * 50 for number in range(200)}
    number = 0
    while True:
        number += 1
        file._written = None  # each is written at once
        seen = {"weights": {}, "stops": {}, "splits": {}}
        file.keep(Adopted({FIELD: number % 100_000}, definitions=definitions, seen=seen), Past("1-0", ("one",), "x"))


def kill_writers(path: Path, times: int) -> int:
    """Kill a writer again and again while it writes, and count the times the file was no whole one."""
    torn = 0
    reader = KnownGood(path, Events(), SYSTEM_CLOCK)
    for number in range(times):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the child only writes a file
            child = os.fork()
        if not child:
            write_for_ever(path)
            os._exit(1)
        began = time.monotonic()
        eventually(path.exists)
        while time.monotonic() - began < 0.01 + 0.001 * (number % 17):
            torn += reader.read() is None
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        torn += reader.read() is None
    return torn


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing, 30 times: no reader ever sees half a file, nor does the lock stay."""
    assert kill_writers(tmp_path / "known.json", 30) == 0
    assert json.loads((tmp_path / "known.json").read_bytes())["schema"] == 1


@pytest.mark.soak
def test_a_thousand_killed_writers_leave_a_whole_file(tmp_path: Path) -> None:
    """The same a thousand times."""
    assert kill_writers(tmp_path / "known.json", 1_000) == 0


# --- what it is good for besides starting ----------------------------------------------------------------------------


def test_a_lease_is_over_for_who_starts_from_the_file_alone(
    server: embedded.Server, control: graysplit.Control, tmp_path: Path, away: Callable[..., graysplit.Router]
) -> None:
    """No server time is known there: in doubt, lower; once the server answers, the lease runs on."""
    control.create("checkout")
    control.set("checkout", 5)
    control.set("checkout", 60, for_=600)
    with Proxy(server.port) as proxy:
        url = proxy.url(server.url)
        with following(url, control.namespace, cache_dir=str(tmp_path)) as router:
            assert share(router) == 60
        proxy.refuse()
        with away(url) as router:
            eventually(lambda: share(router) == 5)
            proxy.heal()
            eventually(lambda: share(router) == 60, 10)


def test_an_emptied_store_is_sown_anew_from_a_file_of_a_process(
    redis_url: str, client: redis.Redis, control: graysplit.Control, tmp_path: Path
) -> None:
    """Definitions with their pins come back, and weights where they are asked for; a stop stays a stop."""
    for split in ("checkout", "search"):
        control.create(split)
        control.set(split, 60)
    control.pin("checkout", "tester")
    with following(redis_url, control.namespace, cache_dir=str(tmp_path)) as router:
        assert control.wait_confirmed(control.rollback("search")).receipts.complete
        file = the_file(tmp_path)
        client.delete(*client.keys(f"graysplit:{{{control.namespace}}}:*"))
        eventually(lambda: router.status().lost)
    control.recover(source=file, take="source", confirm=True)
    definition = control.show("checkout").definition
    assert definition is not None
    assert dict(definition.pins) == {"tester": "new"}
    with following(redis_url, control.namespace) as newborn:
        assert (share(newborn), share(newborn, "search")) == (60, 0)
