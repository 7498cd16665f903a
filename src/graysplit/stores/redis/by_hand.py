"""The `redis-cli` of an address, whole and for a shell: what people type where graysplit itself cannot help."""

from __future__ import annotations

import shlex

from graysplit.stores.redis.address import RedisAddress
from graysplit.stores.redis.client import Options

# redis-py's options for TLS, and those of redis-cli.
_FILES = {"ssl_ca_certs": "--cacert", "ssl_ca_path": "--cacertdir", "ssl_certfile": "--cert", "ssl_keyfile": "--key"}


def redis_cli(address: RedisAddress, primary: tuple[str, int] | None = None) -> str:
    """Return the program with what reaches the server, without the password, which it asks for.

    `primary` is where Sentinel says that the primary is. A user is given by `--user`: `redis://user@host` would be
    read as a password.
    """
    options = address.options
    words = ["redis-cli", *(["-c"] if address.kind == "cluster" else []), *_server(address, primary)]
    if "username" in options:
        words += ["--user", str(options["username"])]
    if "password" in options:
        words.append("--askpass")
    return shlex.join([*words, *_tls(options)])


def _server(address: RedisAddress, primary: tuple[str, int] | None) -> list[str]:
    options = address.options
    database = str(options.get("db", 0))
    if "path" in options:
        return ["-s", str(options["path"]), *(["-n", database] if database != "0" else [])]
    if address.kind == "sentinel":
        host, port = primary or ("HOST-OF-THE-PRIMARY", 6379)
    elif address.hosts:
        host, port = address.hosts[0]
    else:
        host, port = options["host"], options["port"]
    tls = address.name.startswith("rediss")
    if ":" in host:  # its URI knows no IPv6
        return ["-h", host, "-p", str(port), "-n", database, *(["--tls"] if tls else [])]
    return ["-u", f"{'rediss' if tls else 'redis'}://{host}:{port}/{database}"]


def _tls(options: Options) -> list[str]:
    words: list[str] = []
    for name, option in _FILES.items():
        if name in options:
            words += [option, str(options[name])]
    if str(options.get("ssl_cert_reqs", "required")).lower() in {"none", "0"}:
        words.append("--insecure")
    return words
