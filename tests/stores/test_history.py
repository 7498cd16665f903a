"""The history of one split is found wherever it stands, quickly in a long log, and never another one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import pytest
from redis import Redis

from graysplit.control import Control
from graysplit.stores import Rollback, Store, store_from_url
from graysplit.stores.redis import RedisStore, history
from graysplit.stores.redis import store as redis_store
from graysplit.stores.text.records import new_id
from graysplit.stores.write_rules import concerns
from graysplit.testing.contract import one, seed, submission_of

SPLITS: Final = ("checkout", "search", "ranking", "check")


class Bench(NamedTuple):
    """A namespace on a real server: as graysplit has it, with scripts and without, and past it."""

    url: str
    namespace: str
    client: Redis
    store: RedisStore

    def key(self, end: str) -> str:
        """Return a key's full name."""
        return f"graysplit:{{{self.namespace}}}:{end}"

    def put(self, split: str, weight: str, store: Store | None = None) -> None:
        """Write a weight."""
        writer = store or self.store
        raw = self.client.hget(self.key("weights"), f"{split}/new")
        before = raw.decode() if isinstance(raw, bytes) else None
        writer.submit(submission_of(writer, split, *one("weights", f"{split}/new", before, weight)))

    def without_scripts(self) -> Store:
        """Return the namespace for a user who may run none."""
        self.client.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-@scripting")
        return store_from_url(self.url.replace("redis://", "redis://plain:pw@"), self.namespace)

    def append(self, count: int, split: str = "checkout", cause: str = "set", text: str = "{}") -> None:
        """Append entries as another version of graysplit would, which keeps no index."""
        entry = (
            "id",
            "x",
            "rev",
            "1",
            "split",
            split,
            "cause",
            cause,
            "actor",
            "a",
            "why",
            "",
            "from",
            text,
            "to",
            text,
        )
        for start in range(0, count, 1_000):
            pipe = self.client.pipeline(transaction=False)
            for _ in range(min(1_000, count - start)):
                pipe.execute_command("XADD", self.key("log"), "*", *entry)
            pipe.execute()

    def check(self) -> None:
        """Check that every split's history is what the log says, of any length."""
        everything = self.store.history(None, 1_000_000)
        for split in SPLITS:
            own = tuple(entry for entry in everything if concerns(entry, split))
            for count in (1, 3, 49, 50, 51, 1_000):
                assert self.store.history(split, count) == own[:count], (split, count)


@pytest.fixture
def bench(redis_url: str, namespace: str) -> Iterator[Bench]:
    """Return a namespace in which two splits stand."""
    store = store_from_url(redis_url, namespace)
    assert isinstance(store, RedisStore)
    with Redis.from_url(redis_url) as client:
        seed(store)
        yield Bench(redis_url, namespace, client, store)
    store.close()


@pytest.mark.parametrize("seed_", range(3))
def test_a_splits_history_is_what_the_log_says_whoever_wrote_it(bench: Bench, seed_: int) -> None:
    """Scripts, roles without them, older versions, raw edits, rollbacks of everything, trims: none makes it untrue."""
    chance = random.Random(seed_)
    plain, feed = bench.without_scripts(), bench.store.follow()
    client, key = bench.client, bench.key

    def edit() -> None:
        client.hset(key("weights"), f"{chance.choice(SPLITS)}/b", chance.randrange(50))
        feed.record_raw_edits("outside")

    acts: tuple[tuple[int, Callable[[], object]], ...] = (
        (60, lambda: bench.put(chance.choice(SPLITS), str(chance.randrange(50)))),
        (6, lambda: bench.put(chance.choice(SPLITS), str(chance.randrange(50)), plain)),
        (4, lambda: bench.append(chance.randrange(1, 30), chance.choice(SPLITS))),
        (10, edit),
        (4, lambda: bench.store.roll_back(Rollback(new_id(), "*", "me", ""))),
        (4, lambda: bench.store.roll_back(Rollback(new_id(), chance.choice(SPLITS), "me", ""))),
        (2, lambda: client.xtrim(key("log"), maxlen=chance.randrange(20, 200), approximate=False)),
        (1, lambda: client.hdel(key("latest"), "_")),
    )
    for number in range(240):
        chance.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()
        if number % 40 == 0:
            bench.check()
    bench.check()
    feed.close()
    plain.close()


def test_an_index_of_another_log_is_not_believed(bench: Bench) -> None:
    """Where the log was taken away or put back, what stands in it is looked through."""
    bench.put("checkout", "5")
    kept = bench.client.dump(bench.key("log"))
    bench.put("checkout", "20")
    bench.client.delete(bench.key("log"))
    assert bench.store.history("checkout") == ()
    bench.client.restore(bench.key("log"), 0, kept)
    assert [entry.after["weights checkout/new"] for entry in bench.store.history("checkout", 1)] == ["5"]
    bench.put("checkout", "30")
    bench.check()


@pytest.mark.parametrize("broken", ["5-5 nothing", "x", "", "1-1 99999999999999-0", "0-0 0-0"])
def test_an_index_that_says_nonsense_is_not_believed(bench: Bench, broken: str) -> None:
    """Whatever somebody wrote into it, the history is the log's."""
    bench.put("checkout", "5")
    bench.client.hset(bench.key("latest"), mapping={"_": broken, "checkout": f"{broken} 7-7"})
    bench.check()
    bench.client.delete(bench.key("latest"))
    bench.client.set(bench.key("latest"), "of the wrong type")
    bench.check()
    bench.put("checkout", "20")
    bench.check()


def test_what_is_found_last_is_found_by_the_index_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last changes of a split cost as much as they are, whatever has come since."""
    for weight in range(60):
        bench.put("search", str(weight))
    for weight in range(120):
        bench.put("checkout", str(weight % 50))
    monkeypatch.setattr(history, "script", lambda _: pytest.fail("the log was looked through"))
    assert len(bench.store.history("search", 1)) == 1
    assert len(bench.store.history("search", 50)) == 50
    assert bench.store.history("ranking", 1) == ()


def test_a_long_log_is_looked_through_for_as_long_as_the_server_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verb's time is a limit on each page: what takes many of them is no outage."""
    bench.append(8_000, "other")
    plain = bench.without_scripts()
    monkeypatch.setattr(redis_store, "VERB_WITHIN_S", 0.2)
    monkeypatch.setattr(history, "PAGES", (4, 4))
    began = time.monotonic()
    assert [entry.cause for entry in plain.history("checkout", 1)] == ["create"]
    assert time.monotonic() - began > 0.2
    plain.close()


LONG: Final = (5_000, pytest.param(100_000, marks=pytest.mark.soak))


@pytest.mark.parametrize("entries", LONG)
@pytest.mark.parametrize("older", [False, True], ids=["indexed", "by an older version"])
def test_a_split_is_found_in_a_long_log(bench: Bench, entries: int, older: bool) -> None:
    """The last change of a quiet split is shown and undone, its history listed, its revision compared: each at once."""
    control = Control(bench.store, actor="ada", confirm=True)
    control.create("ranking", ["old", "new"])
    bench.append(entries, "other", text='{"weights other/new":"20"}')
    if not older:
        bench.put("checkout", "1")
        bench.client.hset(bench.key("latest"), "_", " ".join(_ends(bench)))
        bench.client.hset(bench.key("latest"), "ranking", f"{_ends(bench)[0]} {_position(bench, 'ranking')}")
    took = {
        name: _seconds(act)
        for name, act in {
            "show": lambda: control.show("ranking"),
            "history": lambda: control.history("ranking"),
            "report": lambda: control.report("ranking"),
            "set --if-rev": lambda: control.set("ranking/new", 5, if_rev=10**9),
            "undo": lambda: control.undo("ranking"),
        }.items()
    }
    print({name: round(seconds, 3) for name, seconds in took.items()})  # noqa: T201 - figures for people
    assert max(took.values()) < 20, took  # 1 s on a quiet machine; ten times as long beside twenty busy processes


def _ends(bench: Bench) -> tuple[str, str]:
    first, last = bench.client.xrange(bench.key("log"), count=1), bench.client.xrevrange(bench.key("log"), count=1)
    return first[0][0].decode(), last[0][0].decode()


def _position(bench: Bench, split: str) -> str:
    rows = bench.client.xrange(bench.key("log"), count=10)
    return next(at.decode() for at, fields in rows if fields[b"split"] == split.encode())


def _seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began
