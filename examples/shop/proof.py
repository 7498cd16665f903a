"""What the demo claims, computed from the visits alone. No I/O: a reader can check the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from examples.shop.traffic import Visit

SIGMAS: Final = 3.0  # a fair draw stays within three standard deviations 997 times out of 1000
GONE_WITHIN_S: Final = 1.0  # plenty for a busy machine; a few milliseconds is usual


class Step(NamedTuple):
    """A time in which the weight was constant, as the operator saw it confirmed."""

    percent: float
    began: float
    ended: float


class Turn(NamedTuple):
    """The way back: when it was typed, and when the store had it."""

    typed_at: float
    written_at: float


class Share(NamedTuple):
    """What became of a step: how many distinct users came, and how many of them met the new path."""

    percent: float
    users: int
    on_new: int
    torn: int  # users who met both paths although the weight stood still

    @property
    def actual(self) -> float:
        """The share of users on the new path, in percent."""
        return 100 * self.on_new / self.users if self.users else 0.0

    @property
    def allowed(self) -> float:
        """How far the share may be from what was asked, in percent: the sampling error of that many users."""
        asked = self.percent / 100
        return 100 * SIGMAS * math.sqrt(asked * (1 - asked) / self.users) if self.users else 0.0


class Claim(NamedTuple):
    """One sentence, and whether it is true of this run."""

    holds: bool
    text: str


def share_of(step: Step, visits: Iterable[Visit]) -> Share:
    """Count the distinct users of a step."""
    met: dict[str, set[str]] = {}
    for visit in visits:
        if step.began <= visit.entered_at < step.ended:
            met.setdefault(visit.user, set()).add(visit.version)
    on_new = sum("new" in versions for versions in met.values())
    return Share(step.percent, len(met), on_new, sum(len(versions) > 1 for versions in met.values()))


def moved_back(visits: Iterable[Visit], until: float) -> set[str]:
    """Return the users who met the old path after the new one, before a moment."""
    reached: set[str] = set()
    back: set[str] = set()
    for visit in sorted(visits, key=lambda visit: visit.entered_at):
        if visit.entered_at >= until:
            break
        if visit.version == "new":
            reached.add(visit.user)
        elif visit.user in reached:
            back.add(visit.user)
    return back


def last_entry(visits: Iterable[Visit], version: str) -> float | None:
    """Return the last moment at which anybody entered a path."""
    return max((visit.entered_at for visit in visits if visit.version == version), default=None)


def claims(
    visits: Sequence[Visit], failures: Sequence[str], steps: Sequence[Step], turn: Turn, *, workers: int
) -> list[Claim]:
    """Judge one run: steps while raising, a rollback, and what came after it."""
    shares = [share_of(step, visits) for step in steps]
    back = moved_back(visits, until=turn.written_at)
    reached = {visit.user for visit in visits if visit.version == "new"}
    seen = {visit.worker for visit in visits}
    said = f": {failures[0]}" if failures else ""
    return [
        *map(_fair, shares),
        Claim(
            bool(reached) and not back,
            f"nobody moved back while raising: {len(back)} of the {len(reached)} users who reached the new path",
        ),
        Claim(
            len(seen) > 1 and not any(share.torn for share in shares),
            f"{len(seen)} of {workers} workers priced, and gave each user the same path within a step",
        ),
        Claim(bool(visits) and not failures, f"{len(failures)} of {len(visits) + len(failures)} requests failed{said}"),
        _gone(visits, turn),
    ]


def _fair(share: Share) -> Claim:
    off = abs(share.actual - share.percent)
    return Claim(
        share.users > 0 and off <= share.allowed,
        f"asked {share.percent:g} %, got {share.actual:.1f} %: {share.on_new} of {share.users} users "
        f"(sampling error: +-{share.allowed:.1f})",
    )


def _gone(visits: Sequence[Visit], turn: Turn) -> Claim:
    last = last_entry(visits, "new")
    after = [visit for visit in visits if visit.entered_at >= turn.written_at]
    if last is None or not after:
        return Claim(holds=False, text="nobody came after the rollback, or nobody ever met the new path")
    late = sum(visit.version == "new" for visit in after)
    when = f"{1000 * abs(last - turn.written_at):.0f} ms {'after' if late else 'before'}"
    return Claim(
        last - turn.written_at <= GONE_WITHIN_S,
        f"the last request entered the new path {when} the rollback's write, {1000 * (last - turn.typed_at):.0f} ms "
        f"after Enter; of {len(after)} after the write {late} did",
    )
