"""Timelines of plans on a real server: raw edits, lost rollbacks, older libraries, herds (timelines 16, 22, 24 and 25).

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.control.steps import Step
from graysplit.errors import RefusedError
from graysplit.stores import store_from_url
from graysplit.stores.port import Submission, Written
from graysplit.stores.redis.feed import RedisFeed
from graysplit.stores.redis.roles import rules
from graysplit.stores.redis.store import RedisStore
from graysplit.stores.text.records import progress_text, read_progress, read_tick
from tests.faults.followers import Follower, Followers
from tests.faults.shares import following, share
from tests.support import eventually, skip_or_fail

FIELD = "checkout/new"
HERD = 24


def steps(control: graysplit.Control) -> list[str]:
    """Return the weights that plans wrote into the history, oldest first."""
    found = (entry for entry in control.history("checkout", 1_000) if entry.cause in {"ramp", "step"})
    return [entry.after[f"weights {FIELD}"] or "" for entry in reversed(list(found))]


@contextmanager
def started(*followers: Follower) -> Iterator[Followers]:
    """Return processes that have loaded, and end them, also those that hang."""
    try:
        for follower in followers:
            follower.ready()
        yield Followers(followers)
    finally:
        for follower in followers:
            with suppress(OSError):
                follower.kill()
            follower.stop()


def confirmed(client: redis.Redis, plans: str) -> bool:
    """Return whether the fleet has shown the weight of the step that stands, so that its clock runs."""
    found = read_progress(text(client, plans, "checkout"))
    return found is not None and found.confirmed_ms > 0


@pytest.mark.parametrize("weight", ["0", "50", "5.0"])
def test_f16_a_raw_edit_ends_a_plan(
    weight: str,
    redis_url: str,
    namespace: str,
    control: graysplit.Control,
    client: redis.Redis,
    key: Callable[[str], str],
) -> None:
    """A weight by another hand, down, up or the same in other words: nothing climbs from there."""
    control.create("checkout")
    with following(redis_url, namespace, declares=True) as router:
        control.ramp("checkout", (Step(5, 30), Step(20)))
        eventually(lambda: share(router) == 5)
        client.hset(key("weights"), FIELD, weight)
        eventually(lambda: client.hget(key("meta"), "plan:checkout") is None, 10)
        assert not client.hkeys(key("plans"))
        assert control.history("checkout", 1)[0].cause in {"edited outside", "plan over"}
        assert client.hget(key("weights"), FIELD) == weight.encode()
        assert share(router) == float(weight)
        assert steps(control) == ["5"]


def test_f22_a_newborn_alone_does_not_drive_what_a_server_forgot(namespace: str, tmp_path: Path) -> None:
    """The server forgets a rollback, and those who knew hang: the one who could step waits until they are back."""
    users = tmp_path / "users.acl"
    app = " ".join(rules("app", namespace))
    users.write_text(f"user default on nopass ~* &* +@all\nuser app on >x {app}\n", encoding="utf-8")
    if not has_roles():
        skip_or_fail("this server knows no rights to read only")
    with (
        embedded.server(arguments=("--aclfile", str(users))) as server,
        graysplit.Control(server.url, namespace=namespace, confirm=True) as control,
        redis.Redis.from_url(server.url) as client,
    ):
        meta, plans, stops = (f"graysplit:{{{namespace}}}:{end}" for end in ("meta", "plans", "stops"))
        limited = server.url.replace("redis://", "redis://app:x@")
        control.create("checkout")
        where = {"namespace": namespace, "splits": ["checkout"], "declares": True}
        driver, *known = (Follower(url=url, **where) for url in (server.url, limited, limited))
        with started(driver, *known):
            control.ramp("checkout", (Step(20, 3), Step(50)), unstop=True)
            eventually(lambda: confirmed(client, plans), 20)
            client.save()
            control.rollback("checkout")
            assert steps(control) == ["20"], "too slow a machine: the plan has stepped before it was rolled back"
            Followers(known).wait_for(0)
            driver.kill()
            for follower in known:
                follower.process.send_signal(signal.SIGSTOP)
            server.kill()
            server.start()
            with started(Follower(url=server.url, **where)) as newborn:
                run_id = str(client.info("server")["run_id"])
                eventually(lambda: run_id in (text(client, meta, "run_id") or ""), 30, message="a step attempted")
                assert newborn.shares() == [20]
                for follower in known:
                    follower.process.send_signal(signal.SIGCONT)
                eventually(lambda: client.hexists(stops, FIELD), 9, message="the stop written back")
                newborn.wait_for(0)
                eventually(lambda: client.hget(meta, "plan:checkout") is None)
                assert steps(control) == ["20"]
                assert {seen.share for seen in newborn[0].seen} == {20, 0}


def test_f24_an_older_library_does_not_drive_a_newer_plan(
    redis_url: str,
    namespace: str,
    control: graysplit.Control,
    client: redis.Redis,
    key: Callable[[str], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says so, its edits leave the plan's words as they are, and a newer process steps among it, each step once."""
    newer = '"needs":3'
    control.create("checkout")
    with following(redis_url, namespace, declares=True) as router, caplog.at_level(logging.WARNING, "graysplit"):
        control.ramp("checkout", (Step(5, approve=True), Step(20, 0), Step(50)))
        raw = definition(client, key)
        client.hset(key("splits"), "checkout", raw.replace('"steps"', f'{newer},"steps"'))
        eventually(lambda: any("does not drive it (needs" in line for line in caplog.messages), 10)
        with pytest.raises(RefusedError, match="use a newer one"):
            control.approve("checkout")
        control.pin("checkout", "user-1", "new")
        control.undo("checkout")
        assert newer in definition(client, key)
        with started(Follower(url=redis_url, namespace=namespace, splits=["checkout"], declares=True, needs=3)):
            eventually(lambda: approve(client, key("plans")), 10)
            eventually(lambda: steps(control) == ["5", "20", "50"], 30)
            eventually(lambda: share(router) == 50)
        control.set("checkout", 30)
        assert newer in definition(client, key)


def test_f25_a_herd_takes_a_step_once_and_costs_its_server_little(
    redis_url: str,
    namespace: str,
    control: graysplit.Control,
    client: redis.Redis,
    key: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever drove goes on alone; when it dies the others come in their ranks, and few of them attempt the step."""
    attempts = counted_attempts(monkeypatch)
    control.create("checkout")
    with ExitStack() as stack:
        herd = [stack.enter_context(graysplit.Router(redis_url, namespace=namespace)) for _ in range(HERD)]
        assert all(router.wait_ready(30) for router in herd)
        for router in herd:
            router.split("checkout", "old", "new")
        control.ramp("checkout", (Step(5, 0), Step(10, 0), Step(20, approve=True), Step(50)))
        began, busy = time.monotonic(), cpu_s(client)
        eventually(lambda: steps(control) == ["5", "10", "20"], 30)
        eventually(lambda: confirmed(client, key("plans")), 30)
        assert attempts["step"] <= 4
        boot = read_tick(text(client, key("plans"), "tick:checkout")).driver
        driver = next(router for router in herd if router.status().boot == boot)
        driver.close()
        attempts.clear()
        control.approve("checkout", 50)
        eventually(lambda: steps(control) == ["5", "10", "20", "50"], 30)
        spent, passed = cpu_s(client) - busy, time.monotonic() - began
    assert 1 <= attempts["step"] <= HERD // 4
    assert spent < passed / 4, f"{spent:.2f} s of the server in {passed:.2f} s"


def test_f32_a_process_that_may_only_stop_says_that_it_does_not_drive(
    redis_url: str,
    namespace: str,
    control: graysplit.Control,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line in its log names the plan and the right that is missing, and its following is none the worse."""
    if not has_roles(redis_url):
        skip_or_fail("this server knows no rights to read only")
    client.execute_command("ACL", "SETUSER", namespace, "reset", "on", ">x", *rules("app", namespace))
    control.create("checkout")
    url = redis_url.replace("redis://", f"redis://{namespace}:x@")
    with following(url, namespace, declares=True) as router, caplog.at_level(logging.WARNING, "graysplit"):
        control.ramp("checkout", (Step(5, 0), Step(20)))
        said = "this process cannot drive the plan of 'checkout'"
        eventually(lambda: [line for line in caplog.messages if said in line and "rights are too narrow" in line], 10)
        assert share(router) == 5
        control.rollback("checkout")
        eventually(lambda: share(router) == 0)
    client.execute_command("ACL", "DELUSER", namespace)
    assert steps(control) == ["5"]


def definition(client: redis.Redis, key: Callable[[str], str]) -> str:
    """Return the split's definition as it stands."""
    return text(client, key("splits"), "checkout") or ""


def text(client: redis.Redis, name: str, field: str) -> str | None:
    """Return a field as it stands in Redis."""
    raw = client.hget(name, field)
    return raw.decode() if isinstance(raw, bytes) else None


def approve(client: redis.Redis, plans: str) -> bool:
    """Approve the next step as a newer library does, once its clock runs."""
    found = read_progress(text(client, plans, "checkout"))
    if found is None or not found.confirmed_ms:
        return False
    client.hset(plans, "checkout", progress_text(found._replace(approved="ada")))
    return True


def counted_attempts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what all feeds of this process submit, by cause, refused or not."""
    found: Counter[str] = Counter()
    submit = RedisFeed.submit

    def counting(feed: RedisFeed, submission: Submission) -> Written:
        found[submission.cause] += 1
        return submit(feed, submission)

    monkeypatch.setattr(RedisFeed, "submit", counting)
    return found


def cpu_s(client: redis.Redis) -> float:
    """Return the processor time that the server has taken."""
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def has_roles(url: str | None = None) -> bool:
    """Return whether a server (by default a new one of the same binary) can tell reading from writing."""
    if url is None:
        with embedded.server() as server:
            return has_roles(server.url)
    store = store_from_url(url)
    assert isinstance(store, RedisStore)
    version = store.version()
    store.close()
    return version is not None and version.has_roles
