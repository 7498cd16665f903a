"""Real processes that follow a server, seen from the test: what each decides now, and what it ever decided."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests import warm
from tests.support import eventually

ROOT: Final = Path(__file__).parents[2]
STARTED_WITHIN_S: Final = 180.0
ANSWER_WITHIN_S: Final = 30.0


class Seen(NamedTuple):
    """A process saw its decisions change."""

    at: float  # the monotonic clock, which all processes share
    split: str
    share: int


class Follower:
    """One process."""

    def __init__(self, **settings: object) -> None:
        """Start it; `hear_ready` waits until it has loaded."""
        self.seen: list[Seen] = []
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()  # Any: JSON
        pipe = subprocess.PIPE
        program, words = "tests.faults.follower_process", json.dumps(settings)
        self.process = warm.Program(program, words, stdin=pipe, stdout=pipe, cwd=ROOT)
        threading.Thread(target=self._hear, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def share(self, split: str = "checkout") -> int | None:
        """Return the percentage of units that got `new` when it last changed."""
        return next((seen.share for seen in reversed(self.seen) if seen.split == split), None)

    def seen_since(self, at: float, split: str = "checkout") -> list[int]:
        """Return the shares that it changed to since a time."""
        return [seen.share for seen in list(self.seen) if seen.split == split and seen.at >= at]

    def seen_any(self, split: str) -> bool:
        """Return whether any unit ever got `new` here."""
        return any(seen.share for seen in list(self.seen) if seen.split == split)

    def ready(self) -> None:
        """Wait until it has loaded."""
        self._answers.get(timeout=STARTED_WITHIN_S)

    def ask(self, word: str) -> Any:  # Any: JSON
        """Ask it something; its decisions up to now have arrived when the answer has."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self._answers.get(timeout=ANSWER_WITHIN_S)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it by ending its standard input, and return its exit code."""
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "at" in said:
                self.seen.append(Seen(**said))
            else:
                self._answers.put(said.get("answer"))
        self.process.stdout.close()


class Followers(list[Follower]):
    """Several processes that follow the same."""

    def shares(self, split: str = "checkout") -> list[int | None]:
        """Return what each decides now."""
        return [follower.share(split) for follower in self]

    def wait_for(self, share: int, split: str = "checkout", within: float = 10.0) -> float:
        """Wait until all decide so, and return the time at which the last one began to."""
        eventually(lambda: set(self.shares(split)) == {share}, within, message=f"{split} at {share} % everywhere")
        return max(next(s.at for s in reversed(follower.seen) if s.split == split) for follower in self)


@contextmanager
def processes(count: int, url: str, namespace: str, *splits: str, **settings: object) -> Iterator[Followers]:
    """Return processes that have loaded."""
    found = Followers(
        Follower(url=url, namespace=namespace, splits=splits or ("checkout",), **settings) for _ in range(count)
    )
    try:
        for follower in found:
            follower.ready()
        yield found
    finally:
        for follower in found:
            with suppress(OSError):
                assert follower.process.stdin is not None
                follower.process.stdin.close()
        for follower in found:
            follower.stop()
