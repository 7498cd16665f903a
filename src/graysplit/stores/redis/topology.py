"""From a URL to a pool of connections to the server that owns a namespace: plain, TLS, socket, Sentinel or Cluster."""

from __future__ import annotations

from functools import partial
from threading import Event, Timer
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qs, unquote, urlsplit

from redis import connection as redis_connection
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from graysplit.errors import ConfigurationError
from graysplit.stores.redis.client import Greeted, Options, Pool
from graysplit.stores.redis.faults import unreachable

# Any: redis-py's makers of connections are not annotated, or take what no dictionary can promise.
_parse_url: Final = cast("Any", redis_connection).parse_url
_connection_pool: Final = cast("Any", redis_connection).ConnectionPool

# What a URL may not change: bytes in and out, and no hidden attempts that would turn an outage into a long silence.
_OURS: Final = ("decode_responses", "protocol", "retry", "retry_on_timeout", "retry_on_error", "health_check_interval")


RESP2: Final = 2
RESP3: Final = 3


class Timeouts(NamedTuple):
    """How long a connection may take, and then its greeting, and each answer on it."""

    connect_s: float
    answer_s: float


# How long all Sentinels together may take to say whether the primary is still the same.
ASKING: Final = Timeouts(connect_s=0.5, answer_s=0.5)


class Topology:
    """Where a namespace lives. Resolved anew for each pool: the primary may have moved."""

    def __init__(self, url: str) -> None:
        """Take the address apart; raises `ConfigurationError` without repeating it, for it may hold a password."""
        self._url = url
        self.kind = url.partition("://")[0].partition("+")[2]  # "", sentinel or cluster
        self.name = _printable(url)
        self.protocol = RESP2 if parse_qs(url.partition("?")[2]).get("protocol") == ["2"] else RESP3  # the best to try
        try:
            self._options, self._hosts, self._service = self._taken_apart()
        except ValueError as error:
            raise ConfigurationError(f"the store's address {self.name} cannot be read: {_safe(error)}") from None

    def pool(self, key: str, timeouts: Timeouts, *, protocol: int) -> Pool:
        """Give a pool of connections to the owner of a key; raises `StoreUnreachableError`."""
        options = self._options | _own(timeouts, protocol)
        try:
            if self.kind == "sentinel":
                return self._by_sentinel(options)
            if self.kind == "cluster":
                return self._by_cluster(options, key)
            return cast("Pool", _connection_pool(**_quiet(options)))
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            raise unreachable(self.name, error) from None

    def primary(self) -> tuple[str, int] | None:
        """Ask Sentinel for the primary's address; None where there is no Sentinel, or none that answers."""
        if self.kind != "sentinel":
            return None
        try:
            return cast(
                "tuple[str, int]", self._sentinel(self._options | _own(ASKING, RESP2)).discover_master(self._service)
            )
        except (exceptions.RedisError, OSError):
            return None

    def _taken_apart(self) -> tuple[Options, list[tuple[str, int]], str]:
        if not self.kind:
            options: Options = _parse_url(self._url)
            return {key: value for key, value in options.items() if key not in _OURS}, [], ""
        scheme, _, rest = self._url.partition("://")
        authority, _, path = rest.partition("?")[0].partition("/")
        login, _, listed = authority.rpartition("@")
        hosts = [_host(one, 26379 if self.kind == "sentinel" else 6379) for one in listed.split(",") if one]
        if not hosts:
            raise ValueError("it names no host")
        service, _, db = path.partition("/")
        # One host stands in for all, so that redis-py reads the options as it does for a single server.
        query = rest.partition("?")[2]
        base = f"{scheme.partition('+')[0]}://{login + '@' if login else ''}{hosts[0][0]}:{hosts[0][1]}/{db}?{query}"
        options = _parse_url(base)
        for taken in ("host", "port", *_OURS):
            options.pop(taken, None)
        return options, hosts, service

    def _by_sentinel(self, options: Options) -> Pool:
        if not self._service:
            raise ConfigurationError(f"{self.name} names no service: redis+sentinel://host:26379/<service>")
        found = self._sentinel(options)
        own = {key: value for key, value in options.items() if not key.startswith("sentinel_")}
        return cast("Pool", found.master_for(self._service, **_by_name(own)).connection_pool)

    def _sentinel(self, options: Options) -> Any:  # noqa: ANN401 - redis-py's Sentinel is not annotated
        from redis import sentinel

        query = parse_qs(urlsplit(self._url).query)
        asking: Options = {**self._shared(options), "retry": options["retry"]}
        for own, theirs in (("sentinel_username", "username"), ("sentinel_password", "password")):
            if own in query:
                asking[theirs] = query[own][0]
        return cast("Any", sentinel).Sentinel(self._hosts, sentinel_kwargs=asking)

    def _by_cluster(self, options: Options, key: str) -> Pool:
        from redis import cluster

        makers = cast("Any", cluster)
        options.pop("db", None)
        nodes = [makers.ClusterNode(host, port) for host, port in self._hosts]
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
        share_s = max(0.25, options["socket_timeout"] / len(self._hosts))
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
        "redis_connect_func": partial(_greet, within_s=timeouts.answer_s),
    }


def _greet(connection: Greeted, within_s: float) -> None:
    """Say hello and log in, with one end to it all: a server that drips would make each single byte a success."""
    late = Event()

    def end() -> None:
        late.set()
        connection.disconnect()

    ending = Timer(within_s, end)
    ending.daemon = True
    ending.start()
    try:
        connection.on_connect()
    except Exception:
        if late.is_set():  # whatever a connection says whose socket was taken from under it
            raise exceptions.TimeoutError("no answer in time") from None
        raise
    finally:
        ending.cancel()


def _quiet(options: Options) -> Options:
    """Switch off the notices of planned maintenance where redis-py has them: they change timeouts by themselves."""
    if options.get("path"):  # a unix socket: no keepalive, no connect timeout
        options = {k: v for k, v in options.items() if k not in ("socket_keepalive", "socket_connect_timeout")}
    if options["protocol"] != RESP3:
        return options
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError:
        return options
    return {**options, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return unquote(parts.hostname or "localhost"), parts.port or port


def _printable(url: str) -> str:
    """Give an address without user, password and options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def _safe(error: ValueError) -> str:
    """Give what is wrong, unless it repeats a piece of the address."""
    text = str(error)
    return "is its port a number?" if "ort" in text else text.partition("'")[0].strip() or "it is malformed"
