"""Prepare versions that are to take over: their hooks, when each is due, and how it ended.

The follower's thread only looks at the time; hooks run one at a time among the router's jobs. What is told of a
failure is its type: a message is the user's, and may name a unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graysplit.router.declarations import Declaration
from graysplit.router.warmup_hook import LATE, NEVER, READY, WarmupHook

if TYPE_CHECKING:
    from graysplit.router.jobs import Jobs


class Warmup:
    """The hooks of one router's life: made when it starts, and again in a forked child."""

    def __init__(self, declarations: dict[str, Declaration], jobs: Jobs) -> None:
        """Take where hooks are declared (also later), and who runs them."""
        self._declarations = declarations
        self._jobs = jobs
        self._told: list[str] = []
        for _, hook in self._hooks():
            hook.reset()

    def turn(self, now: float) -> bool:
        """Hand over what is due; True where it has changed since the last turn which version is ready."""
        told: list[str] = []
        for name, hook in self._hooks():
            if now >= hook.due:
                self._begin(name, hook, now)
            told.append(hook.reason)
        changed, self._told = told != self._told, told
        return changed

    def _begin(self, name: str, hook: WarmupHook, now: float) -> None:
        if hook.busy:
            # A standby that does not answer by the time it is asked again is not ready.
            hook.reason = LATE if hook.reason == READY else hook.reason
            return
        hook.busy = True
        if self._jobs.submit(f"warm {name}", hook.run):
            hook.due = NEVER if hook.every_s is None else now + hook.every_s
        else:
            hook.busy = False  # too many jobs wait: at the next turn again

    def _hooks(self) -> Iterator[tuple[str, WarmupHook]]:
        for declaration in [one for one in self._declarations.copy().values() if one.hooks]:
            for version, hook in declaration.hooks.items():
                yield f"{declaration.split}/{version}", hook
