"""Servers in company: replicas, Sentinels, Clusters, and TLS; each ended by its own process id."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from redis import Redis, exceptions

from graysplit import embedded
from tests.support import eventually

HOST: Final = "127.0.0.1"
SERVICE: Final = "main"
STARTED_WITHIN_S: Final = 20.0
USER: Final = "replicating"  # its password is its name


@contextmanager
def server(*arguments: str, binary: str = "") -> Iterator[embedded.Server]:
    """Return a running server with arguments of its own."""
    running = embedded.Server(binary or embedded.find_binary(), unix=False, appendonly=False, arguments=arguments)
    with running:
        running.start()
        yield running


def client(of: embedded.Server) -> Redis:
    """Return a plain client."""
    return Redis.from_url(of.url)


class Pair(NamedTuple):
    """A primary, and a replica that logs in with a user of its own."""

    primary: embedded.Server
    replica: embedded.Server

    def cut(self) -> None:
        """Break replication, and keep it broken, while both go on serving."""
        with client(self.primary) as one:
            one.execute_command("ACL", "SETUSER", USER, "off")
            one.execute_command("CLIENT", "KILL", "TYPE", "replica")
        eventually(lambda: replication(self.replica)["master_link_status"] == "down", 10)

    def in_step(self) -> None:
        """Wait until the replica has all of it."""

        def same() -> bool:
            one, other = replication(self.primary), replication(self.replica)
            return one["master_repl_offset"] == other["master_repl_offset"] and other["master_link_status"] == "up"

        eventually(same, STARTED_WITHIN_S, message="the replica is in step")


def replication(of: embedded.Server) -> dict[str, object]:
    """Ask how replication stands."""
    with client(of) as one:
        found: dict[str, object] = one.info("replication")
        return found


@contextmanager
def pair() -> Iterator[Pair]:
    """Return a primary and its replica, in step."""
    with server("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1") as primary:
        with client(primary) as one:
            one.execute_command("ACL", "SETUSER", USER, "on", f">{USER}", "+psync", "+replconf", "+ping")
        login = ("--masteruser", USER, "--masterauth", USER)
        with server("--replicaof", HOST, str(primary.port), *login) as replica:
            found = Pair(primary, replica)
            found.in_step()
            yield found


@contextmanager
def sentinels(primary: embedded.Server, count: int, *, down_after_ms: int = 1_000) -> Iterator[str]:
    """Return the address of a service that so many Sentinels watch, once they know its replica and one another."""
    folder = Path(tempfile.mkdtemp(prefix="graysplit-sentinel-"))
    running: list[subprocess.Popen[bytes]] = []
    ports = [embedded._free_port() for _ in range(count)]
    try:
        for port in ports:
            process = _sentinel(folder, port, primary, quorum=count // 2 + 1, down_after_ms=down_after_ms)
            running.append(process)
        for port in ports:
            eventually(lambda port=port: _knows(port, others=count - 1), STARTED_WITHIN_S, message="Sentinels know all")
        yield f"redis+sentinel://{','.join(f'{HOST}:{port}' for port in ports)}/{SERVICE}"
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _sentinel(
    folder: Path, port: int, primary: embedded.Server, *, quorum: int, down_after_ms: int
) -> subprocess.Popen[bytes]:
    configuration = folder / f"{port}.conf"
    configuration.write_text(
        f"port {port}\n"
        f"bind {HOST}\n"
        f"dir {folder}\n"
        f"logfile {folder / f'{port}.log'}\n"
        f"sentinel monitor {SERVICE} {HOST} {primary.port} {quorum}\n"
        f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
        f"sentinel failover-timeout {SERVICE} 5000\n"
    )
    return subprocess.Popen([embedded.find_binary(), str(configuration), "--sentinel"], stdin=subprocess.DEVNULL)


def _knows(port: int, *, others: int) -> bool:
    with Redis(host=HOST, port=port) as one, suppress(exceptions.RedisError):
        found: dict[str, object] = one.sentinel_master(SERVICE)
        return found["num-slaves"] == 1 and found["num-other-sentinels"] == others
    return False


@contextmanager
def cluster(count: int = 3) -> Iterator[list[embedded.Server]]:
    """Return the primaries of a Cluster that covers all slots."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"))
            for _ in range(count)
        ]
        share = 16_384 // count
        for number, node in enumerate(nodes):
            with client(node) as one:
                last = 16_383 if number == count - 1 else (number + 1) * share - 1
                one.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
                one.execute_command("CLUSTER", "MEET", HOST, nodes[0].port)
        for node in nodes:
            eventually(lambda node=node: _covers(node, count), STARTED_WITHIN_S, message="the Cluster is up")
        yield nodes


def _covers(node: embedded.Server, count: int) -> bool:
    with client(node) as one:
        said = one.execute_command("CLUSTER", "INFO")
        found = (
            said if isinstance(said, dict) else dict(row.split(":", 1) for row in said.decode().split() if ":" in row)
        )
        return found["cluster_state"] == "ok" and found["cluster_known_nodes"] == str(count)


def since(begun: float) -> float:
    """Return the time that has passed, for a report."""
    return round(time.monotonic() - begun, 2)
