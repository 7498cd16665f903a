"""The main job on real parts: a server, a shop with four workers, users, a raise in steps, and the way back.

    python -m examples.shop.demo            about 40 seconds; with --quick about 15; with --keep until Ctrl-C

Everything is real: a Redis-compatible server of its own, uvicorn's worker processes, HTTP, the console, and the command
line in a process of its own, as an operator would type it. Ends with exit code 0 if all that it claims is true of this
run. With --keep it claims nothing: a plan waits for whoever opens the console, which may change something then.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from shlex import join
from typing import Final, NamedTuple

if __package__ in (None, ""):  # started as a file: let it be found as the package's
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from examples.shop import picture
from examples.shop.proof import Claim, Share, Step, Turn, claims, share_of
from examples.shop.screen import Screen
from examples.shop.stage import PartError, console, operate, shop
from examples.shop.traffic import Traffic
from graysplit import Control, GraysplitError, embedded

WORKERS: Final = 4
PERCENTS: Final = (5, 20, 50)
PATIENCE_S: Final = 60.0  # for whatever should take a moment
GLANCE_S: Final = 0.2
RECENT_S: Final = 5.0  # enough for each user to have come
RAMP: Final = ("ramp", "pricing", "5,20,50", "--every", "30s", "--approve", "--why", "a release to look at")


class Pace(NamedTuple):
    """How much of everything."""

    users: int
    per_second: float
    step_s: float
    rest_s: float  # before the first step, and after the rollback


FULL: Final = Pace(users=500, per_second=200, step_s=7.0, rest_s=3.0)
QUICK: Final = Pace(users=300, per_second=200, step_s=1.5, rest_s=1.5)


class Demo:
    """One run: what was done when, and by that what is true of the visits."""

    def __init__(self, url: str, pace: Pace, screen: Screen, traffic: Traffic) -> None:
        """Take the parts, all of them running."""
        self.steps: list[Step] = []
        self.codes: list[int] = []
        self._url = url
        self._pace = pace
        self._screen = screen
        self._traffic = traffic

    async def run(self) -> list[Claim]:
        """Raise in steps, roll back, and judge."""
        self._screen.say("\nNobody has turned anything yet: everybody gets the old prices.")
        await self._stand(0, self._pace.rest_s)
        for number, percent in enumerate(PERCENTS, 1):
            await self._type("set", "pricing", str(percent), "--why", f"step {number} of {len(PERCENTS)}")
            await self._stand(percent, self._pace.step_s)
        typed_at = time.monotonic()
        await self._type("rollback", "pricing", "--why", "the demo is over")
        written_at = await asyncio.to_thread(self._written_at)
        await self._stand(0, self._pace.rest_s)
        visits, failures = self._traffic.visits, self._traffic.failures
        self._screen.say()
        for line in picture.picture([share_of(step, visits) for step in self.steps], self._screen.signs):
            self._screen.say(line)
        return [
            *claims(visits, failures, self.steps, Turn(typed_at, written_at), workers=WORKERS),
            Claim(
                not any(self.codes),
                f"{self.codes.count(0)} of {len(self.codes)} commands were confirmed by every process (exit code 0)",
            ),
        ]

    async def keep(self) -> None:
        """Start a plan that waits for people, and show who gets what until somebody ends it."""
        await self._type(*RAMP)
        self._screen.say("\nOpen the console: pause the plan, approve its next step, or roll it back. Ctrl-C ends all.")
        while True:
            await asyncio.sleep(GLANCE_S)
            now = time.monotonic()
            self._traffic.forget(now - RECENT_S)
            share = share_of(Step(0, now - RECENT_S, now), self._traffic.visits)
            failed = len(self._traffic.failures)
            self._screen.draw(f"{self._drawn(share)}, {failed} requests failed")

    async def _type(self, *words: str) -> None:
        self._screen.say(f"\n$ graysplit {join(words)}")
        code = await operate(self._url, *words, say=lambda line: self._screen.say(f"  {line}"))
        if code not in (0, 6):  # 6: written, but not confirmed by everybody
            raise PartError(f"the command ended with exit code {code}")
        self.codes.append(code)

    async def _stand(self, percent: float, at_least_s: float) -> None:
        """Let the users come until each has come once, and no shorter than this; show it while it goes on."""
        began, before = time.monotonic(), self._traffic.answered

        def so_far() -> Share:
            return share_of(Step(percent, began, time.monotonic()), self._traffic.visits)

        def drawn(share: Share) -> str:
            return f"{self._drawn(share)}, {self._traffic.answered - before} requests"

        def enough() -> bool:
            share = so_far()
            self._screen.draw(drawn(share))
            return share.users >= self._pace.users and time.monotonic() - began >= at_least_s

        await until(enough, "every user has come once")
        self._screen.say(drawn(so_far()))
        self.steps.append(Step(percent, began, time.monotonic()))

    def _drawn(self, share: Share) -> str:
        return (
            f"  {share.actual:>4.1f} % {picture.bar(share.actual, self._screen.signs, 24)} "
            f"{share.on_new}/{share.users} users on new"
        )

    def _written_at(self) -> float:
        """Return the moment of the last write: the server's clock is this machine's, so only the zero differs."""
        with Control(self._url) as control:
            (entry,) = control.history("pricing", 1)
        return entry.at_ms / 1000 - (time.time() - time.monotonic())


async def until(condition: Callable[[], bool], what: str) -> None:
    """Ask until it is true; `PartError` when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise PartError(f"waited {PATIENCE_S:g} s in vain until {what}")
        await asyncio.sleep(GLANCE_S)


async def perform(pace: Pace, screen: Screen, *, keep: bool) -> int:
    """Start all parts, run, stop them, and return the exit code; to be kept, they run until interrupted."""
    this = asyncio.current_task()
    if this is not None:
        for ending in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C does it: nothing stays behind
            asyncio.get_running_loop().add_signal_handler(ending, this.cancel)
    async with AsyncExitStack() as parts:
        screen.say(picture.rule("graysplit: new prices for some, then for nobody"))
        server = parts.enter_context(embedded.server())
        screen.say(f"  server  {server.url} (process {server.pid})")
        screen.draw(f"  shop    opening, with {WORKERS} workers ...")
        place = await parts.enter_async_context(shop(server.url, WORKERS))
        control = parts.enter_context(Control(server.url))
        await until(lambda: len(control.fleet().live) == WORKERS, f"{WORKERS} workers follow the server")
        screen.say(f"  shop    {place.address} (process {place.pid}: uvicorn with {WORKERS} workers)")
        page = await parts.enter_async_context(console(server.url, read_write=keep))
        screen.say(f"  console {page.link}")
        screen.say(f"          opens once, in one browser{'' if keep else '; read-only'} (process {page.pid})")
        traffic = Traffic(place.address, users=pace.users, per_second=pace.per_second, workers=WORKERS)
        await parts.enter_async_context(traffic)
        screen.say(f"  users   {pace.users}, {pace.per_second:g} requests/s on {traffic.connections} connections")
        demo = Demo(server.url, pace, screen, traffic)
        if keep:
            await demo.keep()
        proved = await demo.run()
    screen.say(picture.rule("true of this run"))
    for claim in proved:
        for line in picture.folded("ok" if claim.holds else "NO", claim.text):
            screen.say(line)
    screen.say("\nAll parts are stopped. To look around in the console: make demo-console")
    return 0 if all(claim.holds for claim in proved) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Perform, and see to it that nothing stays behind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer users and shorter steps")
    parser.add_argument("--keep", action="store_true", help="keep all parts running until Ctrl-C")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(perform(QUICK if options.quick else FULL, Screen(), keep=options.keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; all parts are stopped", file=sys.stderr)
        return 0 if options.keep else 130
    except (PartError, GraysplitError) as fault:
        print(f"\ndemo: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
