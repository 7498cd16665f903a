"""The six policies, each as a short story: what is asked for, what the load met, and how long it took."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import graysplit
from benchmarks.policies.hosts import Visits, shops
from benchmarks.policies.stage import Done, Stage, stage
from benchmarks.processes import ROOT, surroundings
from benchmarks.setting import until
from examples.shop.traffic import Visit
from graysplit import embedded
from graysplit.control.steps import Step
from graysplit.core.bucketing import bucket_of, seed_of
from graysplit.core.entry import Entry
from graysplit.core.waves import NOBODY, parse_wave

PER_SECOND: Final = 150.0
USERS: Final = 500
PERCENT: Final = 1_000
SETTLED_S: Final = 0.5  # after a step, before its share is measured
HOSTS: Final = tuple(f"web-{number}" for number in range(1, 9))


class Played(NamedTuple):
    """How a policy went."""

    policy: str
    requests: int
    lost: int
    times: dict[str, float]  # in seconds, by what was waited for
    told: tuple[str, ...]  # shares, and who moved and why
    wrong: tuple[str, ...]  # what should not have been


def _offset() -> float:
    """Return what to add to Unix time to have this machine's monotonic time."""
    return time.monotonic() - time.time()


def _steps(control: graysplit.Control, split: str) -> list[tuple[float, float]]:
    """Return when (monotonic) each weight above zero was written, in order, and which in per cent."""
    where = f"weights {split}/new"
    found = [(entry.at_ms / 1000 + _offset(), entry.after.get(where)) for entry in control.history(split, 50)]
    return [(at, float(text)) for at, text in reversed(found) if text is not None and float(text) > 0]


def _cli(url: str, *words: str) -> tuple[float, int]:
    """Type a command, and return when it was typed and its exit code."""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "graysplit.cli", *words],
        env=surroundings({"GRAYSPLIT_URL": url}),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return began, ended.returncode


def _late(visits: Sequence[Visit], at: float, within: float, weight: float, seed: int) -> float:
    """Return after how many seconds the last user of a step still got the old version."""
    new = {visit.user for visit in visits if bucket_of(visit.user.encode(), seed) < weight * PERCENT}
    late = [v.entered_at - at for v in visits if at <= v.entered_at < within and v.user in new and v.version == "old"]
    return max(late, default=0.0)


def grayscale(*, quick: bool) -> Played:
    """Play 5, 20, 50 % by a plan over two gunicorn hosts, then a rollback by command."""
    every_s = 2.0 if quick else 5.0

    async def play(url: str) -> Played:
        with graysplit.Control(url, actor="lab", confirm=True) as control:
            control.create("pricing")
            async with shops(url, USERS, PER_SECOND) as visits:
                plan = tuple(Step(weight, every_s) for weight in (5, 20, 50))
                await asyncio.to_thread(control.ramp, "pricing", plan, guard=False)
                await asyncio.to_thread(until, lambda: len(_steps(control, "pricing")) == len(plan), "50 %", 120)
                await asyncio.sleep(every_s)
                typed, code = await asyncio.to_thread(_cli, url, "rollback", "pricing", "--why", "lab")
                await asyncio.sleep(1.0)
                return _judged(visits, _steps(control, "pricing"), typed, code)

    with embedded.server() as server:
        return asyncio.run(play(server.url))


def _judged(visits: Visits, steps: list[tuple[float, float]], typed: float, code: int) -> Played:
    seen, seed = visits.all(), seed_of("pricing")
    ends = [*(at for at, _ in steps[1:]), typed]
    shares, late = list[str](), list[float]()
    for (at, weight), end in zip(steps, ends, strict=True):
        part = [visit for visit in seen if at + SETTLED_S <= visit.entered_at < end]
        share = 100 * sum(visit.version == "new" for visit in part) / max(1, len(part))
        shares.append(f"{weight:g} % wanted, {share:.1f} % of {len(part)} requests")
        late.append(_late(seen, at, end, weight, seed))
    back = [user for user, how in _by_user(seen, until=typed).items() if "new old" in how]
    last_new = max((visit.entered_at for visit in seen if visit.version == "new"), default=typed) - typed
    wrong = (*(f"{user} went back before the rollback" for user in back[:3]), *_astray(seen, steps, ends, seed))
    return Played(
        "grayscale",
        len(seen) + len(visits.lost),
        len(visits.lost),
        {"a step on all four workers": max(late), "rollback, typed to the last request on new": last_new},
        (*shares, f"rollback: exit {code}"),
        wrong,
    )


def _astray(seen: Sequence[Visit], steps: list[tuple[float, float]], ends: list[float], seed: int) -> tuple[str, ...]:
    """Return the first requests that went another way than their user's bucket says, half a second after a step."""
    found: list[str] = []
    for (at, weight), end in zip(steps, ends, strict=True):
        for visit in seen:
            wanted = "new" if bucket_of(visit.user.encode(), seed) < weight * PERCENT else "old"
            if at + SETTLED_S <= visit.entered_at < end and visit.version != wanted:
                found.append(f"{visit.user} met {visit.version} at {weight:g} %")
    return tuple(found[:3])


def _by_user(seen: Sequence[Visit], *, until: float) -> dict[str, str]:
    """Return the versions that each user met in their order, repeats left out."""
    found: dict[str, list[str]] = {}
    for visit in seen:
        if visit.entered_at < until:
            met = found.setdefault(visit.user, [])
            if not met or met[-1] != visit.version:
                met.append(visit.version)
    return {user: " ".join(met) for user, met in found.items()}


def blue_green(*, quick: bool) -> Played:
    """Send everybody over at once, and back."""
    stays_s = 1.5 if quick else 4.0

    async def play(url: str) -> Played:
        with graysplit.Control(url, actor="lab", confirm=True) as control:
            control.create("pricing")
            async with shops(url, USERS, PER_SECOND) as visits:
                await asyncio.sleep(1.0)
                went = time.monotonic()
                await asyncio.to_thread(control.switch, "pricing", to="new", why="lab")
                await asyncio.sleep(stays_s)
                came = time.monotonic()
                await asyncio.to_thread(control.switch, "pricing", to="old", why="lab")
                await asyncio.sleep(1.0)
                seen = visits.all()
                last_old = max(v.entered_at for v in seen if v.version == "old" and v.entered_at < came) - went
                last_new = max(v.entered_at for v in seen if v.version == "new") - came
                count = Counter(v.version for v in seen if went + SETTLED_S < v.entered_at < came)
                return Played(
                    "blue-green",
                    len(seen) + len(visits.lost),
                    len(visits.lost),
                    {"over, to the last request on old": last_old, "back, to the last on new": last_new},
                    (f"between: {dict(count)}",),
                    () if set(count) == {"new"} else ("old answered after the switch",),
                )

    with embedded.server() as server:
        return asyncio.run(play(server.url))


def several(*, quick: bool) -> Played:
    """Try two candidates beside the baseline; each user keeps one side."""
    with stage() as found:
        found.control.create("users", versions=["old", "new", "other"])
        found.start("users", "queue-1", "queue-2")
        found.control.wait_confirmed(found.control.set("users/new", 30))
        found.control.wait_confirmed(found.control.set("users/other", 30))
        found.feed(PER_SECOND)
        time.sleep(4 if quick else 10)
        done = found.drain()
        met: dict[str, set[str]] = {}
        for one in done:
            met.setdefault(one.user, set()).add(one.version)
        share = {version: f"{100 * number / len(done):.1f} %" for version, number in _count(done).items()}
        two = [user for user, versions in met.items() if len(versions) > 1]
        told = (f"40/30/30 % wanted, {share} of {len(met)} users' {len(done)} jobs",)
        return Played("A/B/n", found.put, found.put - len(done), {}, told, tuple(f"{u} met two" for u in two[:3]))


def _count(done: Sequence[Done]) -> Counter[str]:
    return Counter(one.version for one in sorted(done, key=lambda one: one.version))


def rolling(*, quick: bool) -> Played:
    """Roll over eight hosts, of which one crashes, one restarts, one is renamed and one joins."""
    del quick  # it is as long as starting nine processes takes
    with stage() as found:
        found.control.create("hosts", by="instance")
        found.start("hosts", *HOSTS)
        found.feed(PER_SECOND / 2)
        found.control.ramp("hosts", tuple(Step(weight, 3.0) for weight in (12.5, 25, 50, 100)), guard=False)
        until(lambda: found.control.show("hosts").crossings, "the first wave", 60)
        (first,) = found.control.show("hosts").crossings[0].crossed
        at = time.time()
        found.end(first, kill=True)
        until(lambda: _lost(found), "the lost host is told", 60)
        told_after = _lost(found)[0] - at
        restarted, renamed = [name for name in HOSTS if name != first][:2]
        found.end(restarted)
        found.start("hosts", restarted)  # in good order: no loss
        found.end(renamed)
        found.start("hosts", "web-renamed", "web-joined", first)
        until(lambda: _all_on_new(found), "all hosts are on new", 240)
        done = found.drain()
        history = [*reversed(found.control.history("hosts", 50))]
        entries = [f"{entry.cause}: {entry.why.partition('. ')[0]}" for entry in history if entry.why]
        entries += [f"at {at / PERCENT:g} %: {', '.join(names)}" for at, names in sorted(_by_step(history).items())]
        crossed = found.control.show("hosts").crossings[0]
        entries.append(f"crossed in the end: {len(crossed.crossed)} of {crossed.instances}")
        return Played(
            "rolling",
            found.put,
            found.put - len(done),
            {"a crash, to 'host lost' in the history": told_after},
            tuple(entries),
            (),
        )


def _by_step(history: Sequence[Entry]) -> dict[int, list[str]]:
    """Return the hosts that crossed with each step, as the history recorded them."""
    found: dict[int, list[str]] = {}
    texts = [entry.after.get("meta wave:hosts/new") for entry in history]
    wave = parse_wave([text for text in texts if text][-1]) or NOBODY
    for name, at in sorted(wave.at.items()):
        found.setdefault(at, []).append(name)
    return found


def _lost(found: Stage) -> list[float]:
    return [entry.at_ms / 1000 for entry in found.control.history("hosts", 50) if entry.cause == "host lost"]


def _all_on_new(found: Stage) -> bool:
    """Return whether the plan is over and everybody has crossed."""
    shown = found.control.show("hosts")
    return shown.plan is None and shown.rows[0].effective == "100"


def batches(*, quick: bool) -> Played:
    """Return work to the new version in portions, each let in by a person."""
    del quick
    with stage() as found:
        found.control.create("users", versions=["old", "new", "other"])
        found.start("users", "queue-1", "queue-2")
        found.feed(PER_SECOND)
        found.control.ramp("users/new", (Step(20, approve=True), Step(60, approve=True)), guard=False)
        time.sleep(3)
        before = [one for one in found.done() if one.version == "new"]
        at = time.time()
        found.control.wait_confirmed(found.control.approve("users", 60))
        until(lambda: found.control.show("users").rows[0].effective == "60", "60 %", 60)
        took = time.time() - at
        time.sleep(2)
        done = found.drain()
        waiting = [one for one in done if at - 2 < one.at < at]
        share = 100 * sum(one.version == "new" for one in waiting) / max(1, len(waiting))
        after = [one for one in done if one.at > at + took + SETTLED_S]
        later = 100 * sum(one.version == "new" for one in after) / max(1, len(after))
        told = (f"20 % wanted, {share:.1f} % while it waited; 60 % wanted, {later:.1f} % after the yes",)
        wrong = () if before and share < 40 else ("it moved without a yes",)
        return Played("batches", found.put, found.put - len(done), {"a yes, to the step in force": took}, told, wrong)


def guarded(*, quick: bool) -> Played:
    """Release a version that fails every second call, under a guard that goes back by itself."""
    del quick
    with stage() as found:
        found.control.create("tasks")
        found.start("tasks", "service-1", "service-2")
        found.control.guard("tasks")
        found.feed(PER_SECOND)
        time.sleep(3)
        at = time.time()
        found.control.set("tasks", 20)
        until(lambda: found.control.show("tasks").rows[0].effective == "0", "the guard goes back", 120)
        took = time.time() - at
        time.sleep(1)
        done = found.drain()
        failed = [one for one in done if one.failed]
        last = max(one.at for one in done if one.version == "new") - at
        told = (f"{len(failed)} of {sum(one.version == 'new' for one in done)} calls of new failed until then",)
        times = {"the raise, to the guard's rollback": took, "the raise, to the last call on new": last}
        return Played("guarded", found.put, found.put - len(done), times, told, ())


SCENES: Final[dict[str, Callable[..., Played]]] = {
    "grayscale": grayscale,
    "blue-green": blue_green,
    "several": several,
    "rolling": rolling,
    "batches": batches,
    "guarded": guarded,
}
