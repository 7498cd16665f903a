"""A rollback does not wait behind the guard's own work: not for the store's answers, nor for other splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest

from graysplit import Control, Router
from graysplit.follower.guard import evaluator
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Feed
from tests.support import eventually

SPLITS: Final = tuple(f"s{number}" for number in range(20))


class Withheld:
    """An answer that does not come."""

    def here(self, within_s: float) -> bool:  # noqa: ARG002 - the port's signature
        """Say that it is not here."""
        return False

    def take(self) -> Any:  # Any: it is never given
        """Fail: nobody may wait for it."""
        raise AssertionError("somebody waits for an answer that is not here")


class Watched:
    """A feed that passes everything on and remembers what the guard does, in order."""

    def __init__(self, inner: Feed, far: Far) -> None:
        """Wrap a feed."""
        self._inner = inner
        self._far = far
        self._signalled = False

    def __getattr__(self, name: str) -> Any:  # Any: whatever the feed inside has
        return getattr(self._inner, name)

    def load(self, since: str, *, whole: bool) -> Any:  # Any: as inside
        """Read."""
        self._far.seen.append("load")
        self._signalled = False
        return self._inner.load(since, whole=whole)

    def wait(self, timeout_s: float) -> bool:
        """Wait; between two splits a signal may be said to have come, and stands until it is read, as a real one."""
        if timeout_s == 0.0 and self._far.interrupts:
            self._far.seen.append("signal")
            self._signalled = True
        return self._signalled or self._inner.wait(timeout_s)

    def flush_all(self, batches: Any) -> Any:  # Any: as inside
        """Add, and never answer where that is withheld."""
        found = self._inner.flush_all(batches)
        return Withheld() if self._far.withholds == "flush" else found

    def tallies(self, wanted: Sequence[Any], now_ms: int) -> Any:  # Any: as inside
        """Read, and never answer where that is withheld."""
        self._far.seen.append("tallies")
        return Withheld() if self._far.withholds == "tallies" else self._inner.tallies(wanted, now_ms)

    def judge_all(self, judgements: Sequence[Any]) -> Any:  # Any: as inside
        """Write, and never answer where that is withheld."""
        self._far.seen.append(f"judge {len(judgements)}")
        return Withheld() if self._far.withholds == "judge" else self._inner.judge_all(judgements)


class Far:
    """A store that answers the guard when it likes, with twenty armed splits under traffic."""

    def __init__(self) -> None:
        """Begin with splits at half, and a process that follows them."""
        self.withholds = ""
        self.interrupts = False
        self.seen: list[str] = []
        self.store = MemoryStore()
        self.name = self.store.name
        self.control = Control(self.store, actor="ann", confirm=True)
        for split in SPLITS:
            self.control.create(split)
            self.control.guard(split)
            self.control.set(split, 50)
        self.router = Router(self)  # type: ignore[arg-type] # it passes on whatever a store has
        self.handles = [self.router.split(split, "old", "new") for split in SPLITS]
        assert self.router.wait_ready(10)

    def __getattr__(self, name: str) -> Any:  # Any: whatever the store inside has
        return getattr(self.store, name)

    def follow(self) -> Any:  # Any: a feed that is watched
        """Open a connection."""
        return Watched(self.store.follow(), self)

    def call(self) -> None:
        """Let a user meet each split."""
        for handle in self.handles:
            with handle.attempt(unit="u-1"):
                pass


@pytest.fixture
def far() -> Iterator[Far]:
    """Return a store with a process, which ends."""
    found = Far()
    yield found
    found.router.close()


@pytest.mark.parametrize("withheld", ["flush", "tallies", "judge"])
def test_a_rollback_is_obeyed_while_the_guard_waits_for_answers(far: Far, withheld: str) -> None:
    """Whatever the store owes to the guard: nobody waits for it, and the process goes on to be heard of."""
    far.withholds = withheld
    wanted = {"flush": None, "tallies": "tallies", "judge": "judge"}[withheld]

    def owed() -> bool:
        far.call()
        return wanted is None or any(one.startswith(wanted) for one in far.seen)

    eventually(owed, 10)
    far.control.rollback("s7")
    eventually(lambda: far.handles[7].choose(unit="u-1") == "old" and far.router.choose("s7", unit="u-2") == "old", 2)
    if wanted is not None:
        assert sum(one.startswith(wanted) for one in far.seen) == 1, "it is asked again before it has answered"


def test_judging_stops_at_a_signal(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two splits it is looked whether something has changed; then that is read before anything is judged.

    What has been judged by then is still written, and it is looked once more after that.
    """
    monkeypatch.setattr(evaluator, "LOOK_S", 0.0)

    def judged() -> bool:
        far.call()
        return any(one.startswith("judge") for one in far.seen)

    eventually(judged, 10)
    far.interrupts = True
    far.seen.clear()

    def interrupted() -> bool:
        far.call()
        return far.seen.count("signal") >= 3

    eventually(interrupted, 10)
    seen = far.seen.copy()
    after = [seen[at + 1] for at, one in enumerate(seen[:-1]) if one == "signal"]
    assert not [one for one in after if one == "tallies"], seen
    read = " ".join(seen).split("load")
    assert max(part.split().count("signal") for part in read) <= 2, seen
