"""The processes that follow a store in Redis: read them, ask whose connection has ended, take one out of the count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from redis import exceptions

from graysplit.core.fleet import Fleet, Process, fleet_of, may_be_gone
from graysplit.stores.redis.client import Command, Reply, mapping_of
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.faults import refused, unreachable
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.reader import run_id_of, server_ms
from graysplit.stores.text.records import read_process

# Of so many that are silent it is asked at once whether their connections have ended.
ASKED_AT_ONCE: Final = 500
_INFO: Final[Command] = ("INFO", "server")


def begin_connection(line: Connection) -> Posted:
    """Ask who a connection is, for `connection_of` to take the answer."""
    return line.post_reading(("CLIENT", "ID"), _INFO)


def connection_of(line: Connection, begun: Posted | None = None) -> str:
    """Name a connection as the fleet knows it: the server's run id, and the id it has given it; "" if it will not tell.

    A client id counts up for as long as a server runs, and means nothing to another. `begun`: it was asked already.
    """
    client, info = line.replies(begun or begin_connection(line))
    run_id = run_id_of(info)
    return f"{run_id} {client}" if run_id and isinstance(client, int) else ""


class FleetAsked(NamedTuple):
    """The processes, asked for by whoever reads something else in the same trip."""

    told: Posted
    info: Posted | None  # which run of the server this is, by which ended connections are known


def begin_fleet(line: Connection, keys: Keys, *, ends: bool) -> FleetAsked:
    """Ask for the processes, for `read_fleet` to take the answer. `ends`: and for what tells ended connections."""
    told = line.begin_transaction(*_fleet_commands(keys))
    return FleetAsked(told, line.post_reading(_INFO) if ends else None)


def read_fleet(line: Connection, keys: Keys, asked: FleetAsked | None = None) -> Fleet:
    """Read the processes; those silent for ten minutes are told apart, those silent for a day passed over.

    `asked`: they were asked for already.
    """
    asked = asked or begin_fleet(line, keys, ends=False)
    texts = take_fleet(line, keys, asked)
    found = _processes(texts)
    return fleet_of(texts.now_ms, found, _ended(line, may_be_gone(texts.now_ms, found), asked.info))


class FleetTexts(NamedTuple):
    """What processes have told, unread: with many splits each tells of, reading it is most of the work."""

    seen: Sequence[tuple[bytes, int]]
    abouts: Mapping[bytes, bytes]
    receipts: Mapping[bytes, bytes]
    now_ms: int


def take_fleet(line: Connection, keys: Keys, asked: FleetAsked) -> FleetTexts:
    """Take the answer to what was asked for."""
    seen, about, receipts, now = line.transaction(*_fleet_commands(keys), begun=asked.told)
    if isinstance(seen, exceptions.ResponseError):
        raise unreachable(line.name, seen, needed="ZRANGE")
    return FleetTexts(_scores(seen), mapping_of(about), mapping_of(receipts), server_ms(line, now))


def fleet_in(texts: FleetTexts) -> Fleet | None:
    """Return the processes; None where the server must be asked whether connections have ended."""
    found = _processes(texts)
    return None if may_be_gone(texts.now_ms, found) else fleet_of(texts.now_ms, found)


def _processes(texts: FleetTexts) -> list[Process]:
    return [read_process(boot, at, texts.abouts.get(boot), texts.receipts.get(boot)) for boot, at in texts.seen]


def _fleet_commands(keys: Keys) -> tuple[Command, ...]:
    return (
        ("ZRANGE", keys.seen, 0, -1, "WITHSCORES"),
        ("HGETALL", keys.about),
        ("HGETALL", keys.receipts),
        ("TIME",),
    )


def forget(line: Connection, keys: Keys, boot: str) -> None:
    """Take a process out of the count; raises `RefusedError` where this role may not."""
    answers = line.ask(("ZREM", keys.seen, boot), ("HDEL", keys.about, boot), ("HDEL", keys.receipts, boot))
    for answer in answers:
        if isinstance(answer, exceptions.ResponseError):
            raise refused("the process was not removed from the fleet", answer)


def _ended(line: Connection, processes: Iterable[Process], info: Posted | None) -> frozenset[str]:
    """Return the boots of those whose connection the server has seen end; nobody where it does not tell.

    A stopped process keeps its connection. One that was heard by another run of the server, or by another server, had
    one of which nothing is known here.
    """
    clients = {process.connection: process.boot for process in processes}
    if not clients:
        return frozenset()
    run_id = run_id_of(line.replies(info or line.post_reading(_INFO))[0])
    asked = {said.partition(" ")[2]: boot for said, boot in clients.items() if said.partition(" ")[0] == run_id}
    known = [client for client in asked if client.isascii() and client.isdigit()]
    ended: set[str] = set()
    for first in range(0, len(known), ASKED_AT_ONCE):
        some = known[first : first + ASKED_AT_ONCE]
        (reply,) = line.ask(("CLIENT", "LIST", "ID", *some))
        if not isinstance(reply, bytes):
            return frozenset()
        ended |= {asked[client] for client in set(some) - _clients(reply)}
    return frozenset(ended)


def _clients(reply: bytes) -> set[str]:
    """Read the ids of the answer to `CLIENT LIST`."""
    lines = reply.decode("ascii", errors="replace").splitlines()
    return {line.partition(" ")[0].removeprefix("id=") for line in lines}


def _scores(reply: Reply) -> list[tuple[bytes, int]]:
    """Take members and scores, flat or in pairs."""
    if reply and isinstance(reply[0], list):
        return [(member, int(float(score))) for member, score in reply]
    return [(member, int(float(score))) for member, score in zip(reply[::2], reply[1::2], strict=False)]
