"""Read a Redis address once: where to connect, with what, and what of it may be printed.

The login is cut off before anything else is looked at, so that no error, log line or screen can hold a part of it. What
is left must be understood whole: an option that redis-py does not know, a database that is not a number, or an address
that could mean two things raises `ConfigurationError` here, and not a traceback at the first connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import connection as redis_connection
from redis import exceptions

from graysplit.errors import ConfigurationError
from graysplit.stores.redis.client import Options

# Any: redis-py's makers of connections are not annotated, or take what no dictionary can promise.
_parse_url: Final = cast("Any", redis_connection).parse_url

# What an address may not change: bytes in and out, and no hidden attempts, which would make an outage a long silence.
_OURS: Final = ("decode_responses", "protocol", "retry", "retry_on_timeout", "retry_on_error", "health_check_interval")
# Arguments of redis-py's classes that are not settings: they would be ignored, or fail at the first connection.
_NO_OPTIONS: Final = frozenset((
    "host", "port", "path", "encoding", "encoding_errors", "connection_class", "parser_class", "credential_provider",
    "event_dispatcher", "redis_connect_func", "command_packer", "socket_keepalive_options", "driver_info",
))  # fmt: skip
_SENTINEL: Final = ("sentinel_username", "sentinel_password")
_POOL: Final = ("max_connections",)

_DEFAULT_PORTS: Final = {"sentinel": 26379}
# What follows a raw '?' in a password is hardly ever `name=`; what follows the '?' of options always is.
_OPTIONS: Final = re.compile(r"\?(?:[^&=@]*=[^&@]*&)*[a-z_]+=[^&@]*\Z")
_PORTS: Final = re.compile(r"[^:]*|(?:(?:[^:,]+|\[[^\]]*\])(?::[0-9]*)?(?:,|\Z))+")
_REDIS_PORT: Final = 6379


class RedisAddress(NamedTuple):
    """Where a namespace lives."""

    name: str  # for people: no user, no password, no options; the database that is used
    kind: str  # "", sentinel or cluster
    options: Options  # as redis-py's connections take them
    hosts: tuple[tuple[str, int], ...] = ()  # of Sentinels or of the cluster's nodes
    service: str = ""  # the name under which Sentinels know the primary
    asking: Options = {}  # noqa: RUF012 - a NamedTuple's default, never changed; the login at the Sentinels
    protocol: int = 3


class _Parts(NamedTuple):
    """An address taken apart, the login away from the rest."""

    scheme: str
    login: str  # "user:password", as it was typed
    hosts: str  # "a:6379", "a:26379,b:26379"
    path: str  # "/0", "/main/0", "/run/redis.sock"
    query: str


def read_address(url: str) -> RedisAddress:
    """Return what an address names; nothing is connected. Raises `ConfigurationError` without repeating a login."""
    parts = _cut(url)
    kind = parts.scheme.partition("+")[2]
    # Where somebody forgot the host, "redis://app:secret", what looks like a host and a port is a login.
    shown = f"{parts.scheme}://{parts.hosts}{parts.path}" if _PORTS.fullmatch(parts.hosts) else f"{parts.scheme}://..."
    try:
        return _read(parts, kind)
    except (ValueError, exceptions.RedisError) as error:
        raise ConfigurationError(f"the store's address {shown!r} cannot be used: {error}") from None


def _cut(url: str) -> _Parts:
    """Take an address apart; a login ends at the last '@', whatever characters stand in it."""
    scheme, _, rest = url.strip().partition("://")
    login, at, rest = rest.rpartition("@")
    if at and _OPTIONS.search(login):
        raise ConfigurationError(
            f"the store's address {scheme}://... can be read in two ways: write an '@' in an option or in a password "
            "as %40, and a '?' in a password as %3F"
        )
    rest, _, query = rest.partition("#")[0].partition("?")
    hosts, slash, path = rest.partition("/")
    return _Parts(scheme, login, hosts, slash + path, query)


def _read(parts: _Parts, kind: str) -> RedisAddress:
    _check_text(parts)
    scheme = parts.scheme.partition("+")[0]
    service, path = _service(parts.path) if kind == "sentinel" else ("", parts.path)
    hosts = tuple(_host(one, _DEFAULT_PORTS.get(kind, _REDIS_PORT)) for one in parts.hosts.split(",") if one)
    if kind and not hosts:
        raise ValueError("it names no host")
    options = _options(parts.query)
    protocol = options.pop("protocol", 3)
    asking = {name.partition("_")[2]: options.pop(name) for name in _SENTINEL if name in options}
    if asking and kind != "sentinel":
        raise ValueError("sentinel_username and sentinel_password are for redis+sentinel:// only")
    options["db"] = _database("" if scheme == "unix" else path, options, kind)
    options |= _login(parts.login)
    where = _where(scheme, parts, hosts)
    _try({**options, **where})
    if kind:
        where = {name: value for name, value in where.items() if name == "connection_class"}
    kept = {name: value for name, value in options.items() if name not in _OURS}
    name = _name(parts, service, options["db"])
    return RedisAddress(name, kind, kept | where, hosts if kind else (), service, asking, protocol)


def _where(scheme: str, parts: _Parts, hosts: Sequence[tuple[str, int]]) -> Options:
    """Return where one connection goes, and of which class it is where that is not the plain one."""
    found: Options = _parse_url(f"{scheme}://")  # redis-py's own choice of a class
    if scheme == "unix":
        path = unquote(parts.path)
        if not path or parts.hosts:
            raise ValueError("it names no socket, as in unix:///run/redis.sock")
        return {**found, "path": path}
    if len(hosts) > 1 and "+" not in parts.scheme:
        raise ValueError("it names several hosts: use redis+sentinel:// or redis+cluster://")
    host, port = hosts[0] if hosts else ("localhost", _REDIS_PORT)
    return {**found, "host": host, "port": port}


def _check_text(parts: _Parts) -> None:
    """Raise where a text holds what no connection can send, or what no screen should show."""
    for what, text in (("host", parts.hosts), ("path", parts.path), ("options", parts.query)):
        if not text.isprintable() or " " in text:
            raise ValueError(f"its {what} contains a space or a control character")
    if not parts.login.isprintable():
        raise ValueError("its login contains a control character: write it in percent code, as in %0A")


def _service(path: str) -> tuple[str, str]:
    service, slash, database = path.removeprefix("/").partition("/")
    if not service:
        raise ValueError("it names no service, as in redis+sentinel://host:26379/SERVICE")
    return unquote(service), slash + database


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, given = unquote(parts.hostname or "localhost"), parts.port
        host.encode("idna")
    except UnicodeError:
        raise ValueError("its host's name has an empty part, or one that is too long") from None
    except ValueError:
        raise ValueError("its port must be a number up to 65535, and an IPv6 host is written in [brackets]") from None
    if given == 0 or text.endswith(":"):
        raise ValueError("its port must be a number from 1 to 65535")
    return host, given or port


def _options(query: str) -> Options:
    """Read the options as redis-py does, each once and each with a value."""
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    for name, value in pairs:
        if not name.isidentifier() or not name.isascii() or not value:
            raise ValueError("an option has no name or no value, as in ?socket_timeout=1&client_name=web")
        if names.count(name) > 1:
            raise ValueError(f"the option {name} is given twice")
        if name in _NO_OPTIONS:
            raise ValueError(f"unknown option {name}")
    try:
        options: Options = _parse_url(f"redis://?{query}")
    except ValueError as error:  # names the option, not its value
        raise ValueError(str(error).rstrip(".")) from None
    if "protocol" in options:  # redis-py 6.0 leaves it as text
        if str(options["protocol"]) not in {"2", "3"}:
            raise ValueError("the option protocol must be 2 or 3")
        options["protocol"] = int(options["protocol"])
    return options


def _database(path: str, options: Options, kind: str) -> int:
    """Return the number that the path or `?db=` gives; raise where they differ, or where it is not a number."""
    text = path.strip("/")
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"the database must be a number, as in /0, and not {path!r}")
    database = int(text or options.get("db", 0))
    if options.get("db", database) != database or database < 0:
        raise ValueError(f"its path says database {database}, and its option db={options['db']}")
    if kind == "cluster" and database:
        raise ValueError("a cluster has only database 0")
    return database


def _login(login: str) -> Options:
    user, _, password = login.partition(":")
    found = {"username": unquote(user), "password": unquote(password)}
    if not all(_is_text(text) for text in found.values()):
        raise ValueError("its login is not valid text")
    return {name: text for name, text in found.items() if text}


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _try(options: Options) -> None:
    """Make one connection without opening it; raise what is wrong with an option, without any value."""
    known = {name: value for name, value in options.items() if name not in _POOL}
    maker = known.pop("connection_class", redis_connection.Connection)
    try:
        maker(**known)
    except TypeError as error:
        match = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        raise ValueError(f"unknown option {match[1]}" if match else "an option has a value of the wrong kind") from None
    except Exception as error:  # noqa: BLE001 - whatever redis-py and ssl say of a value
        raise ValueError(f"redis-py refuses an option ({type(error).__name__})") from None


def _name(parts: _Parts, service: str, database: int) -> str:
    """Return the address for people, with the database that is used and not the one that another part may name."""
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    typed = parts.path.strip("/") not in {"", service}
    shown = [f"{parts.scheme}://{parts.hosts}", service, str(database) if database or typed else ""]
    return "/".join(filter(None, shown))
