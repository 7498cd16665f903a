"""What a command says of a change that failed: nothing was written, or not known, and what makes the server well."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from graysplit.control.operator import operator_of
from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.faults import unreachable
from tests.faults.command_line import Ran, graysplit_cli
from tests.support import eventually
from tests.topologies.servers import pair, server

NOTHING = "Nothing was written"
UNKNOWN = "is not known"
VERBS = (
    ("rollback", "checkout", "--no-wait"),
    ("rollback", "checkout", "--why", "the errors doubled"),
    ("rollback", "--all", "--no-wait"),
    ("set", "checkout", "5", "--no-wait"),
    ("freeze", "--all", "--no-wait"),
)


@contextmanager
def full(folder: Path) -> Iterator[embedded.Server]:
    """Return a server whose disk takes nothing: its folder is gone, and a save has failed."""
    with server("--dir", str(folder), "--save", "3600 1") as running, Redis.from_url(running.url) as client:
        with graysplit.Control(running.url) as control:
            control.create("checkout")
            control.set("checkout", 20)
        shutil.rmtree(folder)
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 10)
        yield running


def said(ran: Ran) -> str:
    """Return what a person read, as one line."""
    return " ".join(ran.err.split())


@pytest.mark.parametrize("words", VERBS)
def test_a_refused_connection_has_written_nothing(words: tuple[str, ...]) -> None:
    """Nobody listens there."""
    ran = graysplit_cli("redis://127.0.0.1:1", "default", *words)
    assert (ran.code, NOTHING in said(ran), UNKNOWN in said(ran)) == (5, True, False), ran


def test_a_name_that_nobody_knows_has_written_nothing() -> None:
    """DNS has no such host."""
    ran = graysplit_cli("redis://no-such-host.invalid:6379", "default", "rollback", "checkout")
    assert (ran.code, NOTHING in said(ran), UNKNOWN in said(ran)) == (5, True, False), ran


@pytest.mark.parametrize("words", VERBS)
def test_a_wrong_password_has_written_nothing(words: tuple[str, ...]) -> None:
    """Neither a wrong one nor none."""
    with server("--requirepass", "secret") as running:
        for url in (running.url, running.url.replace("://", "://:wrong@")):
            ran = graysplit_cli(url, "default", *words)
            assert (ran.code, NOTHING in said(ran), UNKNOWN in said(ran)) == (5, True, False), ran
            assert "wrong" not in said(ran).replace("wrong usage", "")


def test_out_of_memory_nothing_is_written_and_a_rollback_works() -> None:
    """`set` is refused, the way back is not."""
    with server() as running, Redis.from_url(running.url) as client, graysplit.Control(running.url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        client.config_set("maxmemory", 1)
        ran = graysplit_cli(running.url, "default", "set", "checkout", "30", "--no-wait")
        assert (ran.code, NOTHING in said(ran), "takes no writes: it is out of memory" in said(ran)) == (
            5,
            True,
            True,
        ), ran
        assert graysplit_cli(running.url, "default", "rollback", "checkout", "--no-wait").code == 0
        advice = next(found for found in control.doctor() if "out of memory" in found.what)
        assert (advice.severity, "CONFIG SET maxmemory" in advice.command) == ("problem", True)


def test_a_full_disk_is_named_with_its_way_out(tmp_path: Path) -> None:
    """The line that is printed, typed into a shell, makes the server take the rollback that it refused."""
    folder = tmp_path / "data"
    folder.mkdir()
    with full(folder) as running, Redis.from_url(running.url) as client:
        for words in VERBS:
            ran = graysplit_cli(running.url, "default", *words)
            assert (ran.code, NOTHING in said(ran), UNKNOWN in said(ran)) == (5, True, False), ran
            assert "takes no writes: it cannot save to its disk" in said(ran)
        assert "run this on every machine of the application" in said(ran)
        assert '  $ echo "*" > "$GRAYSPLIT_OFF_FILE"' in ran.err.splitlines()
        found = json.loads(graysplit_cli(running.url, "default", "doctor", "--json").out)["findings"]
        (finding,) = (one for one in found if "cannot save to its disk" in one["what"])
        (line,) = (row for row in ran.err.splitlines() if "CONFIG SET" in row)
        assert finding["command"] == line.removeprefix("  $ ")
        assert finding["severity"] == "problem"
        said_json = json.loads(graysplit_cli(running.url, "default", "rollback", "checkout", "--json").out)
        assert (said_json["exit"], said_json["written"], line[4:] in said_json["error"]) == (5, False, True)
        typed(line)
        ran = graysplit_cli(running.url, "default", "rollback", "checkout", "--no-wait")
        assert (ran.code, client.hget("graysplit:{default}:weights", "checkout/new")) == (0, b"0"), ran


def typed(line: str) -> None:
    """Type a line into a shell; where there is no redis-cli, say it to the server as it would."""
    line = line.removeprefix("  $ ")
    if shutil.which("redis-cli"):
        done = subprocess.run(["/bin/sh", "-c", line], check=True, capture_output=True, text=True)
        assert done.stdout.strip() == "OK", done
        return
    program, _, url, *words = shlex.split(line)
    assert program == "redis-cli"
    with Redis.from_url(url) as client:
        client.execute_command(*words)


def test_an_append_only_file_that_cannot_be_written_has_its_own_way_out() -> None:
    """The setting for snapshots would not help there."""
    from redis.exceptions import ResponseError

    fault = unreachable("redis://one", ResponseError("MISCONF Errors writing to the AOF file: No space left on device"))
    assert (fault.refuses, fault.mend, fault.written) == (True, "CONFIG SET appendonly no", False)


def test_too_few_replicas_are_named_with_the_way_out() -> None:
    """min-replicas-to-write refuses a rollback too."""
    with server("--min-replicas-to-write", "1") as running:
        ran = graysplit_cli(running.url, "default", "rollback", "checkout", "--no-wait")
        assert (ran.code, NOTHING in said(ran)) == (5, True), ran
        (line,) = (row for row in ran.err.splitlines() if "CONFIG SET min-replicas-to-write 0" in row)
        typed(line)
        assert graysplit_cli(running.url, "default", "rollback", "checkout", "--no-wait").code != 5


def test_a_lost_answer_is_not_known() -> None:
    """The one case in which nobody can say: it was sent, and nothing came back."""
    with server() as running, graysplit.Control(running.url) as control:
        control.create("checkout")
        running.pause()
        try:
            with pytest.raises(StoreUnreachableError) as lost:
                control.rollback("checkout")
        finally:
            running.resume()
        assert lost.value.written is None
        assert operator_of(control).attempted is not None


@pytest.mark.parametrize("words", [("rollback", "checkout"), ("rollback", "--all"), ("set", "checkout", "5")])
@pytest.mark.parametrize("wait", [(), ("--no-wait",)])
def test_a_write_on_a_replica_is_named_and_is_no_success(words: tuple[str, ...], wait: tuple[str, ...]) -> None:
    """`replica-read-only no`: it stands there alone, and no process reads it."""
    with pair() as both, Redis.from_url(both.replica.url) as replica, graysplit.Control(both.primary.url) as control:
        control.create("checkout")
        control.set("checkout", 20)
        both.in_step()
        replica.config_set("replica-read-only", "no")
        ran = graysplit_cli(both.replica.url, "default", *words, *wait)
        assert (ran.code, "it is a replica" in said(ran), "Traceback" in ran.err) == (5, True, False), ran
        assert control.show("checkout").rows[0].effective == "20"
        if words[0] == "rollback":
            assert str(both.primary.port) in said(ran), "where its primary is"
            assert NOTHING not in said(ran)
