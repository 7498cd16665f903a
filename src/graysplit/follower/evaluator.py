"""Judge what the fleet has counted, where it is this process's turn, and act on the verdict.

One process of the fleet judges a release: whoever did last goes on, and others step in when its judgement grows old.
Two who judge at once harm nobody: every write compares the judge's text as it was read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit.core.adoption import standing_of
from graysplit.core.judge import Case, Judge, charges, forgotten, look
from graysplit.core.judging import Watched
from graysplit.core.past_rate import PAST, read_past
from graysplit.core.progress import SETTLED_MS
from graysplit.core.snapshot import EVERYTHING
from graysplit.core.staging import terms_of
from graysplit.core.stopwatch import DEADLINE_S
from graysplit.core.tally import Judgement, Tally
from graysplit.core.verdict import NO_VERDICT, Verdict
from graysplit.core.weights import field_of, share, split_of
from graysplit.errors import ConflictError, GraysplitError, StoreUnreachableError
from graysplit.stores.content import FINISHED
from graysplit.stores.judges import judge_text, read_judge
from graysplit.stores.port import Expect, Feed, Submission, Trip
from graysplit.stores.wire import new_id

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.follower.guards import Guarded, Guards
    from graysplit.follower.keeper import Keeper

ACCEPTED: Final = "accepted:"  # in `meta`, before a candidate's field: "<release> <stage>" whose doubts are accepted
JUDGE_MS: Final = 1_000
PATIENCE_MS: Final = 3_000  # the age at which somebody else judges
RANK_MS: Final = 300
RANKS: Final = 11
ASK_S: Final = 3.0  # how old what is known of a judge may be
WANTED_S: Final = 30.0
DOUBTS: Final = ("suspect", "worse")


class Known(NamedTuple):
    """What this process knows of the judging of one release."""

    release: str
    text: str = ""  # the judge's, as last seen
    judge: Judge = Judge()
    heard: float = float("-inf")  # monotonic time
    own: Judge | None = None  # what it has written last itself


class Asked(NamedTuple):
    """A verdict that is waited for: when it was last wanted, and last looked for (monotonic seconds)."""

    wanted: float
    looked: float


class Evaluator:
    """Judges for one process; used by its follower's thread alone."""

    def __init__(self, nonce: str, keeper: Keeper, guards: Guards, events: Events, clock: Clock) -> None:
        """Begin with nothing known."""
        self._nonce = nonce
        self._patience_ms = PATIENCE_MS + RANK_MS * (int(nonce[:4], 16) % RANKS)
        self._keeper = keeper
        self._guards = guards
        self._events = events
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._asked: dict[str, Asked] = {}  # fields whose verdict a plan waits for
        self._changed: dict[str, tuple[int, int]] = {}  # by split: its last change, and when it was first seen (ms)
        self.now_ms = 0  # of the server
        self.trips = 0
        self._noted: dict[str, str] = {}  # by field: the stage whose doubt this process has written down

    def hear(self, field: str, release: str, text: str) -> None:
        """Take note of a judge's text, which comes back with whatever is told."""
        known, begun = self._known.get(field), self._keeper.held.begun.get(field)
        if known is not None and known.release == begun != release:
            return  # of a release that is over
        if known is None or known.release != release:
            known = Known(release)
        if text != known.text:
            known = known._replace(text=text, judge=read_judge(text))
        self._known[field] = known._replace(heard=self._clock.monotonic())

    def verdicts(self) -> dict[str, str]:
        """Give the verdicts that were heard last of the releases that stand, by field."""
        begun = self._keeper.held.begun
        known = self._known.copy()
        return {f: found.judge.verdict.word for f, found in known.items() if begun.get(f) == found.release}

    def verdict(self, split: str, version: str) -> Verdict:
        """Give the verdict on a candidate at the weight that stands; asked by whoever drives a plan."""
        field, guarded = field_of(split, version), self._guards.of(split)
        if guarded is None:
            return NO_VERDICT
        now = self._clock.monotonic()
        self._asked[field] = Asked(now, self._asked[field].looked if field in self._asked else float("-inf"))
        known = self._known.get(field)
        if known is None or known.release != self._keeper.held.begun.get(field) or not known.judge.nonce:
            return Verdict("unclear", "nobody has judged it yet")
        if not known.judge.is_fresh(self.now_ms):
            return Verdict("unclear", "nobody judges it at present")
        found, settled = known.judge.verdict, known.judge.at_ms >= self._settled_ms(split)
        if known.judge.share != self._share(split, field, guarded) or not (settled or found.word in DOUBTS):
            return Verdict("unclear", "nothing has been counted at this weight yet")  # a doubt counts at once
        warns = guarded.guard.action == "warn" and found.word in ("suspect", "worse")
        return found._replace(word="unclear") if warns else found

    def _settled_ms(self, split: str) -> int:
        """Give the time from which on a verdict speaks of a split's present weights."""
        since = self._keeper.held.since
        change = max(since.get(split, 0), since.get(EVERYTHING, 0))
        known, seen_ms = self._changed.get(split, (-1, 0))
        if known != change:
            self._changed[split] = (change, seen_ms := self.now_ms if known >= 0 else self.now_ms - SETTLED_MS)
        return seen_ms + SETTLED_MS

    def _share(self, split: str, field: str, guarded: Guarded) -> int:
        """Give a candidate's share of this moment, as its tapes name it: a verdict on another stage is none on this."""
        definition, guard = guarded
        held = self._keeper.held
        only = b"" if definition.by == "instance" else None
        terms = terms_of(standing_of(held, split, definition), held, guard, None, only)
        return next((found.stage.new for found in terms.candidates if found.field == field), 0)

    def due(self, counted: Iterable[str]) -> list[str]:
        """Name what to look at: where it is time and our turn, of what was counted here or is waited for."""
        now, begun = self._clock.monotonic(), self._keeper.held.begun
        self._asked = {field: asked for field, asked in self._asked.items() if now - asked.wanted < WANTED_S}
        waited = [f for f, asked in self._asked.items() if now - asked.looked >= ASK_S and self._is_unheard(f, now)]
        for field in waited:
            self._asked[field] = self._asked[field]._replace(looked=now)
        return [
            field
            for field in dict.fromkeys((*counted, *waited))
            if self._stands(field) and field in begun and self._is_due(field, begun[field])
        ]

    def look(self, feed: Feed, field: str) -> None:
        """Read a tally, and judge it unless somebody else does."""
        guarded, release = self._guards.of(split_of(field)), self._keeper.held.begun.get(field)
        if guarded is not None and release:
            self._attempt(feed, field, release, guarded)

    def _stands(self, field: str) -> bool:
        """Say whether anybody is on a candidate: one that was rolled back is not judged again."""
        held = self._keeper.held
        return share(held.weights.get(field, 0)) > 0 and held.stops.keys().isdisjoint(
            (field, split_of(field), EVERYTHING)
        )

    def _is_unheard(self, field: str, now: float) -> bool:
        known = self._known.get(field)
        return known is None or now - known.heard >= ASK_S

    def _is_due(self, field: str, release: str) -> bool:
        """Say whether to look: by what was heard last, nobody judges, or it is this process's turn."""
        known = self._known.get(field)
        if known is None or known.release != release or self._is_unheard(field, self._clock.monotonic()):
            return True
        age_ms = self.now_ms - known.judge.at_ms
        return not 0 <= age_ms < (JUDGE_MS if known.judge.nonce == self._nonce else self._patience_ms)

    def _attempt(self, feed: Feed, field: str, release: str, guarded: Guarded) -> None:
        started_s = self._keeper.held.releases.get(field, 0) // 1000
        tally = feed.tally(field, release, started_s)
        self.hear(field, release, tally.judge)
        known = self._known[field]
        others = known.judge.nonce not in ("", self._nonce)
        if tally.stages and not (others and 0 <= tally.now_ms - known.judge.at_ms < self._patience_ms):
            self._judge(feed, tally, known, self._case(field, guarded, known, started_s))

    def _judge(self, feed: Feed, tally: Tally, known: Known, case: Case) -> None:
        found = look(tally, known.judge, case, self._nonce)
        text, settled_s = judge_text(found.judge), tally.now_ms // 1000 - int(DEADLINE_S) - 1
        judgement = Judgement(
            tally.field, tally.release, tally.judge, text, found.levels, settled_s, found.sample, forgotten(tally)
        )
        for batch in charges(tally, case.started_s):
            feed.flush(batch)  # before their tapes are forgotten: whoever else does so too adds nothing
        if not feed.judge(judgement):
            return  # somebody was faster
        self._known[tally.field] = Known(tally.release, text, found.judge, self._clock.monotonic(), found.judge)
        self._act(feed, tally, case, found.judge, known.judge)

    def _case(self, field: str, guarded: Guarded, known: Known, started_s: int) -> Case:
        definition, guard = guarded
        watched = Watched(field.partition("/")[2], definition.baseline, guard.margin, frozenset(guard.stop_on))
        release, _, stage = self._meta(ACCEPTED + field).partition(" ")
        accepted = int(stage) if release == known.release and stage.isdecimal() and len(stage) < 10 else 0  # noqa: PLR2004 - no stage has more digits
        return Case(
            guard,
            watched,
            started_s,
            self._noted.pop(field, ""),
            accepted,
            known.own,
            read_past(self._meta(PAST + field)),
            bool(self._meta(FINISHED + split_of(field))),
        )

    def _act(self, feed: Feed, tally: Tally, case: Case, judge: Judge, before: Judge) -> None:
        field, (word, why, _) = tally.field, judge.verdict
        if word == "worse" and case.guard.action == "rollback":
            tripped = feed.trip(Trip(new_id(), field, tally.release, why))
            self.trips += tripped and before.verdict.word != "worse"
            said = f"rolled back '{field}': {why}" if tripped else f"'{field}' has begun anew and is not rolled back"
            self._events.warning(f"trip {field} {tally.release}", said)
        elif word in ("suspect", "worse"):
            warns = case.guard.action == "warn"
            act = "it goes on" if warns else "its plan waits until somebody approves"
            self._events.warning(f"suspect {field} {judge.stage}", f"'{field}' is suspect, {act}: {why}")
            if judge.noted != str(judge.stage) and self._note(feed, field, "warned" if warns else "suspect", why):
                self._noted[field] = str(judge.stage)
        elif word == "no control" and "failed" in why:
            self._events.warning(f"no control {field}", f"'{field}': {why}")

    def _note(self, feed: Feed, field: str, cause: str, why: str) -> bool:
        """Write a doubt into the history, for people and their hooks; who may not leaves it in the log."""
        place = f"release:{field}"
        expect = (Expect("meta", place, self._meta(place)),)
        submission = Submission(os.urandom(12).hex(), split_of(field), cause, "guard", why, expect, (), self.now_ms)
        try:
            feed.submit(submission)
        except StoreUnreachableError:
            raise
        except ConflictError:
            return False  # another release has begun
        except GraysplitError as fault:
            self._events.info(f"note {field}", f"a doubt stays out of the history: {fault}")
        return True

    def _meta(self, field: str) -> str:
        return self._keeper.held.seen.get("meta", {}).get(field.encode(), b"").decode(errors="replace")
