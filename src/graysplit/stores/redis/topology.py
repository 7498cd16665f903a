"""From a URL to a pool of connections to the server that owns a namespace: plain, TLS, socket, Sentinel or Cluster."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, NamedTuple, cast

from redis import connection as redis_connection
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from graysplit.errors import StoreUnreachableError
from graysplit.stores.redis.address import read_address
from graysplit.stores.redis.by_hand import redis_cli
from graysplit.stores.redis.client import Options, Pool
from graysplit.stores.redis.faults import unreachable
from graysplit.stores.redis.handshake import note, noting
from graysplit.stores.redis.sentinels import ANSWER_S, Sentinels

# Any: redis-py's makers of connections are not annotated, or take what no dictionary can promise.
_connection_pool: Final = cast("Any", redis_connection).ConnectionPool

RESP2: Final = 2
RESP3: Final = 3


class Timeouts(NamedTuple):
    """How long a connection may take, and then its greeting, and each answer on it."""

    connect_s: float
    answer_s: float


# How long each Sentinel may take.
ASKING: Final = Timeouts(connect_s=ANSWER_S, answer_s=ANSWER_S)


class Topology:
    """Where a namespace lives. Resolved anew for each pool: the primary may have moved."""

    def __init__(self, url: str) -> None:
        """Read the address; raises `ConfigurationError` without repeating a login."""
        self._address = read_address(url)
        self.kind = self._address.kind  # "", sentinel or cluster
        self.name = self._address.name
        self.protocol = self._address.protocol  # the best to try

    def pool(self, key: str, timeouts: Timeouts, *, protocol: int) -> Pool:
        """Return a pool of connections to the owner of a key; raises `StoreUnreachableError`."""
        options = self._address.options | _own(timeouts, protocol)
        try:
            if self.kind == "sentinel":
                return self._by_sentinel(options)
            if self.kind == "cluster":
                return self._by_cluster(options, key)
            return cast("Pool", _connection_pool(**_quiet(options)))
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            raise unreachable(self.name, error) from None

    def primary(self) -> tuple[str, int] | None:
        """Ask Sentinel for the primary's address; None where there is no Sentinel, or none that names one."""
        if self.kind != "sentinel":
            return None
        try:
            with closing(self.sentinels()) as sentinels:
                return sentinels.primary()
        except StoreUnreachableError:
            return None

    def sentinels(self) -> Sentinels:
        """Return what asks the Sentinels of this address; nothing is connected yet."""
        address = self._address
        own = _own(ASKING, RESP2) | address.asking | {"db": 0}
        pools = [
            partial(_connection_pool, **_quiet(own | {"host": host, "port": port})) for host, port in address.hosts
        ]
        return Sentinels(self.name, address.service, pools)

    def redis_cli(self) -> str:
        """Return the `redis-cli` that reaches the owner of a namespace, for a shell."""
        return redis_cli(self._address, self.primary())

    def _by_sentinel(self, options: Options) -> Pool:
        with closing(self.sentinels()) as sentinels:
            host, port = sentinels.primary()
        return cast("Pool", _connection_pool(**_quiet(options | {"host": host, "port": port})))

    def _by_cluster(self, options: Options, key: str) -> Pool:
        from redis import cluster

        makers = cast("Any", cluster)
        options.pop("db", None)
        nodes = [makers.ClusterNode(host, port) for host, port in self._address.hosts]
        asking = {name: value for name, value in options.items() if name != "redis_connect_func"}  # it has its own
        found = makers.RedisCluster(startup_nodes=nodes, **_by_name(asking | self._shared(options)))
        try:
            node = found.get_node_from_key(key)
        finally:
            found.close()
        if node is None:
            raise exceptions.ConnectionError("no node owns the namespace's slot")
        return cast("Pool", _connection_pool(**_quiet(options | {"host": node.host, "port": node.port})))

    def _shared(self, options: Options) -> Options:
        """Share the time among all that are asked for the way: they may all hang."""
        share_s = max(0.25, options["socket_timeout"] / len(self._address.hosts))
        return {"socket_connect_timeout": share_s, "socket_timeout": share_s}


def _by_name(options: Options) -> Options:
    """Ask for TLS as clients do; a pool is asked by its kind of connection."""
    tls = {"ssl": True} if "connection_class" in options else {}
    return {key: value for key, value in options.items() if key != "connection_class"} | tls


def _own(timeouts: Timeouts, protocol: int) -> Options:
    return {
        "decode_responses": False,
        "protocol": protocol,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": timeouts.connect_s,
        "socket_timeout": timeouts.answer_s,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "redis_connect_func": note,
    }


def _quiet(options: Options) -> Options:
    """Switch off what redis-py says by itself: its name, and that it wants notices of planned maintenance.

    Those change timeouts by themselves; and some proxies end a connection at a command that they do not know.
    """
    options = options | _nameless() | {"connection_class": noting(options.get("connection_class"))}
    if options.get("path"):  # a unix socket: no keepalive, no connect timeout
        options = {k: v for k, v in options.items() if k not in ("socket_keepalive", "socket_connect_timeout")}
    if options["protocol"] != RESP3:
        return options
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError:
        return options
    return {**options, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def _nameless() -> Options:
    if find_spec("redis.driver_info") is None:  # before redis-py 7
        return {"lib_name": None, "lib_version": None}
    return {"driver_info": None}
