"""What managed services, proxies and rights leave of Redis, and what of graysplit works there: a run, and its table.

python -m tests.stores.servers      runs them all and writes the table of docs/reference/servers.md
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import graysplit
from graysplit import embedded
from graysplit.control import Control
from graysplit.core.guard.tally import Batch
from graysplit.errors import GraysplitError, RefusedError
from graysplit.stores import store_from_url
from graysplit.stores.redis import RedisStore
from graysplit.testing.contract.tally import FIELD, RELEASE, TWENTY
from tests.stores.refusing import Profile, RefusingProxy
from tests.support import eventually

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "servers.md"
TABLE: Final = re.compile(r"(<!-- made by python -m tests.stores.servers -->\n).*?(<!-- end of it -->)", re.DOTALL)

# What the services' own documents say is refused, named at each row. The documents, read in December 2026:
# Amazon ElastiCache, "Restricted commands", and "Supported and restricted Valkey, Memcached, and Redis OSS commands";
# Memorystore for Redis, "Supported and blocked commands", and "Product constraints"; Azure Cache for Redis, "Redis
# commands not supported in Azure Cache for Redis"; Redis Enterprise, "Server management commands compatibility", and
# "Connection management commands compatibility"; Upstash, "Redis API Compatibility", and its pages on each command;
# Envoy, `supported_commands.h` of its Redis proxy; Dragonfly, "Dragonfly API Compatibility", and "Scripting with
# Lua". What none of them says of a service is marked as a guess, and is refused: the harder case.
_PERSISTENCE: Final = frozenset({"BGREWRITEAOF", "BGSAVE", "SAVE", "SHUTDOWN", "DEBUG", "MIGRATE"})
_REPLICATION: Final = frozenset({"REPLICAOF", "SLAVEOF", "PSYNC", "SYNC"})
_ACL: Final = frozenset({"ACL SETUSER", "ACL LOAD", "ACL SAVE", "ACL DELUSER"})
_MANAGED: Final = _PERSISTENCE | _REPLICATION | _ACL | {"CONFIG"}
_OWN_AFFAIRS: Final = frozenset({"ROLE", "INFO", "WAIT", "CONFIG", "CLIENT", "HELLO"})
_PROXY: Final = _OWN_AFFAIRS | {"SUBSCRIBE", "XREAD", "SELECT", "UNWATCH", "MEMORY", "COMMAND", "CLUSTER"}
_SCRIPTS: Final = frozenset({"EVAL", "EVALSHA"})
_OTHER_WORDS: Final = "ERR Command is not available: '{command}'"
PROFILES: Final[Mapping[str, Profile]] = {
    "plain": Profile(),
    "ElastiCache-like": Profile(_MANAGED),
    # A guess: that what is not named as supported there (ROLE, WAIT, CLIENT TRACKING, ID and LIST) is refused.
    "ElastiCache Serverless-like": Profile(
        _MANAGED | {"ROLE", "WAIT", "CLIENT TRACKING", "CLIENT ID", "CLIENT LIST"}, declared_only=True
    ),
    "Memorystore-like": Profile(
        _MANAGED | {"ACL", "LASTSAVE", "MONITOR"}, "ERR unknown command `{command}`, with args beginning with: "
    ),
    # The two documents differ: one blocks CLIENT, CLUSTER and COMMAND, one allows CLIENT from Redis 6 on.
    "Memorystore, CLIENT blocked": Profile(
        _MANAGED | {"ACL", "LASTSAVE", "MONITOR", "CLIENT", "CLUSTER", "COMMAND", "OBJECT"},
        "ERR unknown command `{command}`, with args beginning with: ",
    ),
    "Azure-like": Profile(_MANAGED | {"ACL"}),
    # Databases of before Redis 7.4: later ones track. A guess: WAIT.
    "Redis Enterprise-like": Profile(
        _PERSISTENCE | _REPLICATION | {"ROLE", "SELECT", "CLIENT TRACKING", "CLIENT PAUSE", "LASTSAVE", "WAIT"},
        "ERR command is not allowed",
    ),
    # CLIENT ID and LIST, HELLO, INFO and XREAD BLOCK are there. A guess: ROLE, WAIT and CONFIG.
    "Upstash-like": Profile(frozenset({"CLIENT TRACKING", "ROLE", "WAIT", "CONFIG"}), _OTHER_WORDS),
    "Envoy, old words": Profile(_PROXY, "unsupported command '{command}'", spoils=False),
    "Envoy, new words": Profile(_PROXY, "ERR unknown command '{command}', with args beginning with: ", spoils=False),
    # Tracking in part: taken as not at all.
    "Dragonfly-like": Profile(frozenset({"CLIENT TRACKING", "CLIENT ID"}), "ERR syntax error", declared_only=True),
    "no scripts": Profile(_SCRIPTS, "ERR scripting is switched off"),
    "no WATCH": Profile(frozenset({"WATCH"}), _OTHER_WORDS),
    "neither scripts nor WATCH": Profile(_SCRIPTS | {"WATCH"}, _OTHER_WORDS),
    "no MULTI": Profile(frozenset({"MULTI", "EXEC", "DISCARD", "WATCH"}), _OTHER_WORDS, spoils=False),
    "twemproxy-like": Profile(_PROXY | {"MULTI", "EXEC", "DISCARD", "WATCH", "TIME"}, closes=True),
    "no TIME": Profile(frozenset({"TIME"}), _OTHER_WORDS),
    "no TIME, INFO, scripts": Profile(_SCRIPTS | {"TIME", "INFO"}, _OTHER_WORDS),
    "no XREAD BLOCK, no push": Profile(frozenset({"HELLO", "CLIENT", "XREAD BLOCK"}), _OTHER_WORDS),
    "no HGETALL": Profile(frozenset({"HGETALL"}), _OTHER_WORDS),
    "no scripts, no XADD": Profile(_SCRIPTS | {"XADD"}, _OTHER_WORDS),
    "no scripts, no XADD before the server": Profile(_SCRIPTS | {"XADD"}, _OTHER_WORDS, spoils=False),
}
COLUMNS: Final = ("starts", "follows by", "set", "rollback", "receipts", "guard", "doctor")


class Found(NamedTuple):
    """What works with one profile, as the table says it, and the sentence that says what is missing."""

    cells: tuple[str, ...]
    said: str

    @property
    def starts(self) -> bool:
        """Return whether an application follows."""
        return self.cells[0] == "yes"

    def row(self, name: str) -> str:
        """Return the table's row."""
        return f"| {name} | {' | '.join(self.cells)} | {self.said.replace('|', '/')} |"


def run(server_url: str, port: int, name: str, namespace: str) -> Found:
    """Have an application follow through a proxy with a profile, and do everything once."""
    with Control(server_url, namespace=namespace) as control:
        control.create("checkout", ["old", "new"])
        control.set(FIELD, "20", allow_needless=True)
    with RefusingProxy(port, PROFILES[name]) as proxy:
        url = proxy.url(server_url)
        with closing(graysplit.Router(url, namespace=namespace)) as router:
            found = _run(router, url, namespace)
    store = store_from_url(server_url, namespace)
    assert store.load().weights.fields[FIELD.encode()] == b"0", "what was rolled back stands at zero"
    store.close()
    return found


def _run(router: graysplit.Router, url: str, namespace: str) -> Found:
    router.split("checkout")
    router.start()
    eventually(lambda: router.wait_ready(0.05) or router.status().reason, 20)
    starts = router.wait_ready(0.05)
    said = [router.status().reason]
    with Control(url, namespace=namespace) as control:
        written = _works(lambda: control.set(FIELD, "30", allow_needless=True), said)
        if starts and written == "yes":
            eventually(lambda: router.status().revision == 3, 10)
        counted = _works(lambda: _counted(control), said)
        guarded = _works(lambda: _guard(url, namespace), said)
        lowered = _works(lambda: control.rollback(FIELD), said)
        looked = _works(control.doctor, said)
    said.append(router.status().reason)
    mode = router.status().mode if starts else "-"
    sentence = next((each for each in said if each), "")
    cells = ("yes" if starts else "no", mode, written, lowered, counted if starts else "no", guarded, looked)
    return Found(cells, sentence)


def _works(act: Callable[[], object], said: list[str]) -> str:
    """Do something and return whether it worked; what was said where it did not is noted."""
    try:
        act()
    except GraysplitError as fault:
        said.append(getattr(fault, "reason", str(fault)))
        return "no"
    return "yes"


def _counted(control: Control) -> None:
    if not control.fleet().live:
        raise RefusedError("")


def _guard(url: str, namespace: str) -> None:
    with closing(RedisStore(url, namespace).follow()) as feed:
        feed.load("", whole=True)
        feed.flush(Batch(FIELD, RELEASE, int(time.time()) - 10, "tape", 1, TWENTY))


def table(found: Mapping[str, Found]) -> str:
    """Return the rows under their headings."""
    head = f"| what the server lacks | {' | '.join(COLUMNS)} | what is said of it |"
    rule = "|" + "---|" * (len(COLUMNS) + 2)
    return "\n".join((head, rule, *(each.row(name) for name, each in found.items()))) + "\n"


def main() -> None:
    """Run all profiles and write the page's table."""
    found: dict[str, Found] = {}
    with embedded.server() as server:
        for number, name in enumerate(PROFILES):
            found[name] = run(server.url, server.port, name, f"n{number}")
    text = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda page: page[1] + table(found) + page[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
