"""The first screen as values: for each split one line, the worst thing about it first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from graysplit.console.picture import Emptied, Picture
from graysplit.control.doctor import some
from graysplit.control.guard.verdicts import Heard
from graysplit.control.plan.awaited import Awaited
from graysplit.control.views import Overview, Row
from graysplit.core.address import split_of, version_of
from graysplit.core.entry import Entry
from graysplit.core.freeze import Freeze
from graysplit.words.entries import entry_moves
from graysplit.words.fleet import off_lines
from graysplit.words.guard import verdict_words, worse_lines
from graysplit.words.loss import loss_lines
from graysplit.words.notes import freeze_lines, undelivered_lines
from graysplit.words.plan import plan_lines
from graysplit.words.texts import percent, stop_words, when

# How much a line wants to be seen; each is also a word or a mark on the page, never a colour alone.
Tone: TypeAlias = Literal["bad", "warn", "good", "calm"]

_TONES: Final[Mapping[str, Tone]] = {"worse": "bad", "suspect": "warn", "safe": "good"}
_ORDER: Final[tuple[Tone, ...]] = ("bad", "warn", "good", "calm")
_MOVES_AT_MOST: Final = 4
_DIGITS: Final = re.compile(r"[0-9.,^]+")


class Said(NamedTuple):
    """A sentence, and how much it wants to be seen."""

    tone: Tone
    words: str


class CandidateLine(NamedTuple):
    """One candidate: its weight in force, who shows it, and what its guard says."""

    name: str
    weight: str  # "20%", "preview"
    share: float  # 0 to 100, for the bar
    asked: str  # "set 50%" where that is another weight; else ""
    shown: Said  # "on 3 of 4 processes; not on: web-7/812 (version_absent)"
    verdict: Said | None
    since_ms: int  # server time since which the weight in force is this one; 0: not known


class LastChange(NamedTuple):
    """The last change of a split."""

    words: str
    actor: str
    why: str
    at_ms: int


class SplitLine(NamedTuple):
    """One split on the first screen."""

    split: str
    tone: Tone
    candidates: tuple[CandidateLine, ...]
    said: tuple[Said, ...]  # plan, freezes, unreadable
    last: LastChange | None
    is_running: bool  # whether a plan of it runs
    is_paused: bool

    @property
    def is_idle(self) -> bool:
        """Whether nothing is above zero and no plan runs, so that nothing is there to roll back."""
        return not self.is_running and all(candidate.weight == "0%" for candidate in self.candidates)

    @property
    def gist(self) -> object:
        """What of it must be seen at once; counts and clocks that go on by themselves may come a little later."""
        told = (one for each in self.candidates for one in (each.shown, each.verdict) if one is not None)
        words = [(one.tone, _DIGITS.sub("", one.words)) for one in (*told, *self.said)]
        weights = [(each.name, each.weight, _DIGITS.sub("", each.asked), each.since_ms) for each in self.candidates]
        shown = [each.shown for each in self.candidates]
        return words, weights, shown, self.last, self.is_running, self.is_paused

    @property
    def rank(self) -> tuple[int, int, str]:
        """Where it stands when a page is opened: trouble first, then what is on trial, then the rest by name."""
        on_trial = self.is_running or any(0 < candidate.share < 100 for candidate in self.candidates)  # noqa: PLR2004 - percent
        return _ORDER.index(self.tone) if self.tone in {"bad", "warn"} else 2, not on_trial, self.split


class FirstScreen(NamedTuple):
    """The first screen, but for the contact with the store, whose age grows by itself."""

    namespace: str
    server: str
    revision: int
    lines: tuple[SplitLine, ...]
    said: tuple[Said, ...]  # of the whole namespace: loss, stops, freezes, break-glass, undelivered notices
    processes: Said
    guard: tuple[Said, ...]
    is_empty: bool  # whether there is no split, and none was lost


def screen_of(picture: Picture) -> FirstScreen | None:
    """Return what a picture shows; None before the first look."""
    if picture.look is None:
        return None
    view = picture.look.overview
    server = view.store.removesuffix(f" namespace {view.namespace}")
    rows: dict[str, list[Row]] = {name: [] for name in view.unread}
    for row in view.rows:
        rows.setdefault(row.split, []).append(row)
    lines = tuple(split_line(picture, view, name, rows.get(name, ())) for name in sorted(rows.keys() | _lost(view)))
    empty = not lines and view.loss is None
    return FirstScreen(
        view.namespace, server, view.revision, lines, _said(picture, view), _processes(picture), _guard(view), empty
    )


def split_line(picture: Picture, view: Overview, split: str, rows: Iterable[Row]) -> SplitLine:
    """Return one split's line."""
    plan = next((plan for plan in view.plans if plan.split == split), None)
    candidates = tuple(_candidate(picture, view, row) for row in rows) or tuple(_kept(view, split))
    said = (*_unread(view, split), *_plan(plan), *_holding(view.freezes, split), *_finished(view, split))
    told = [*said, *(one for each in candidates for one in (each.shown, each.verdict) if one is not None)]
    worst = min(told, key=lambda one: _ORDER.index(one.tone), default=Said("calm", ""))
    last = picture.lasts.get(split)
    change = None if last is None else change_of(last, split)
    return SplitLine(split, worst.tone, candidates, said, change, plan is not None, bool(plan and plan.paused))


def change_of(entry: Entry, split: str) -> LastChange:
    """Return a change as it is told of one split."""
    moves = [*entry_moves(entry, split)]
    more = f" and {len(moves) - _MOVES_AT_MOST} more" if len(moves) > _MOVES_AT_MOST else ""
    words = f"{entry.cause} {', '.join(moves[:_MOVES_AT_MOST])}{more}".strip()
    return LastChange(words, entry.actor, entry.why, entry.at_ms)


def shown_words(row: Row, live: int) -> Said:
    """Return how many live processes show a candidate's weight, and which do not."""
    if not live:
        return Said("warn", "no process follows this namespace")
    on = live - len(row.behind)
    noun = "process" if live == 1 else "processes"
    if not row.behind:
        return Said("good", f"on {on} of {live} {noun}")
    return Said("warn", f"on {on} of {live} {noun}; not on {some(row.behind)}")


def verdict_of(heard: Heard | None) -> Said | None:
    """Return what a guard says of a candidate."""
    if heard is None:
        return None
    return Said(_TONES.get(heard.verdict.word, "calm"), verdict_words(heard))


def _candidate(picture: Picture, view: Overview, row: Row) -> CandidateLine:
    weight, asked = percent(row.effective), percent(row.asked)
    why = f"{row.why}" if row.why and not row.behind else ""
    said = "; ".join(filter(None, (f"set {asked}" if asked != weight else "", why)))
    verdict = verdict_of(view.verdicts.get(row.field))
    return CandidateLine(
        row.version,
        weight,
        share_of(row.effective),
        said,
        shown_words(row, view.live),
        verdict,
        picture.since.get(row.field, 0),
    )


def _lost(view: Overview) -> frozenset[str]:
    """Return the splits that live processes know, where the store has lost what it said."""
    return frozenset() if view.loss is None else view.loss.splits


def _kept(view: Overview, split: str) -> Iterable[CandidateLine]:
    """Return what processes run on where the store says nothing of a split any more."""
    weights: Mapping[str, tuple[str, str]] = {} if view.loss is None else view.loss.weights
    for field, (low, high) in weights.items():
        if split_of(field) == split:
            weight = percent(low) if low == high else f"{low} to {high}%"
            said = Said("bad", "kept by the processes; the store has lost it")
            yield CandidateLine(version_of(field), weight, share_of(high), "", said, None, 0)


def share_of(weight: str) -> float:
    """Return a weight as a number for its bar; what is not one has none."""
    try:
        return float(weight)
    except ValueError:
        return 0.0


def _unread(view: Overview, split: str) -> Iterable[Said]:
    if split in view.unread:
        yield Said("bad", f"its definition is unreadable, and its weights can only go down: {view.unread[split]}")


def _plan(plan: Awaited | None) -> Iterable[Said]:
    if plan is not None:
        calm = plan.driven and plan.state != "stands" and not plan.paused
        yield from (Said("calm" if calm else "warn", line) for line in plan_lines(plan))


def _holding(freezes: Iterable[Freeze], split: str) -> Iterable[Said]:
    yield from (Said("calm", line) for line in freeze_lines(freeze for freeze in freezes if freeze.holds(split)))


def _finished(view: Overview, split: str) -> Iterable[Said]:
    if split in view.finished:
        yield Said("calm", "finished: a rollback of everything leaves it alone")


def _said(picture: Picture, view: Overview) -> tuple[Said, ...]:
    """Return what is said of the whole namespace, the worst first."""
    fleet = [] if picture.look is None else off_lines(picture.look.fleet)
    stops = {field: text for field, text in view.stops.items() if split_of(field) == "*"}
    undefined = ", ".join(view.undefined)
    declared = [f"declared in code, but not in the store: {undefined}"] if view.undefined and view.loss is None else []
    return (
        *(Said("bad", line.strip()) for line in loss_lines(view.loss)),
        *(() if picture.earlier is None or view.loss is not None else (_emptied(picture.earlier, view.revision),)),
        *(Said("warn", line) for line in fleet),
        *(Said("warn", f"stop {stop_words(field, text)}") for field, text in sorted(stops.items())),
        *(Said("warn", line) for line in undelivered_lines(view.owed)),
        *(Said("calm", line) for line in freeze_lines(freeze for freeze in view.freezes if freeze.pattern == "*")),
        *(Said("calm", line) for line in declared),
    )


def _emptied(earlier: Emptied, revision: int) -> Said:
    weights = [f"{field} {percent(weight)}" for field, weight in sorted(earlier.weights.items())]
    more = f" and {len(weights) - _MOVES_AT_MOST} more" if len(weights) > _MOVES_AT_MOST else ""
    return Said(
        "bad",
        f"the store went back from revision {earlier.revision} to {revision}: it was emptied, or replaced by an older "
        f"copy. At {when(earlier.at_ms)} above zero: {', '.join(weights[:_MOVES_AT_MOST]) or 'nothing'}{more}. "
        "See: graysplit doctor",
    )


def _processes(picture: Picture) -> Said:
    if picture.look is None:
        return Said("calm", "")
    fleet = picture.look.fleet
    live = f"{len(fleet.live)} live {'process' if len(fleet.live) == 1 else 'processes'}"
    if not fleet.processes:
        return Said("warn", "no process follows this namespace")
    if fleet.silent:
        names = some([process.label for process in fleet.silent])
        return Said("warn", f"{live}; silent (dead or cut off): {names}")
    return Said("calm", live)


def _guard(view: Overview) -> tuple[Said, ...]:
    """Return that no guard watches, where that is so; what one says stands with its candidate."""
    return () if view.guards or not view.rows else tuple(Said("calm", line) for line in worse_lines(view))
