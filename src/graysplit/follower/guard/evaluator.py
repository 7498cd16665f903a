"""Judge what the fleet has counted, where it is this process's turn, and act on the verdict.

One process of the fleet judges a release: whoever did last goes on, and others step in when its judgement grows old.
Two who judge at once harm nobody: every write compares the judge's text as it was read.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from graysplit.core.address import EVERYTHING, field_of, parse_address, split_of, version_of
from graysplit.core.guard.evaluation import EvaluationInput, Judge, charges, forgotten, look
from graysplit.core.guard.past_rate import PAST, read_past
from graysplit.core.guard.sequential_test import DEADLINE_S
from graysplit.core.guard.stage import terms_of
from graysplit.core.guard.tally import Flushed, Judgement, Tally
from graysplit.core.guard.verdict import NO_VERDICT, Verdict
from graysplit.core.guard.verdict_rules import Watched
from graysplit.core.plan.progress import SETTLED_MS
from graysplit.core.replica.adoption import state_of
from graysplit.core.weights import share
from graysplit.errors import ConflictError, GraysplitError, StoreUnreachableError
from graysplit.follower.guard.unsent import NEAR_S
from graysplit.stores.port import Expect, Feed, Later, Submission, Trip, Wanted
from graysplit.stores.text.content import FINISHED
from graysplit.stores.text.judge import judge_text, read_judge
from graysplit.stores.text.records import new_id

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.follower.guard.guards import Guarded, Guards
    from graysplit.follower.replica import Replica

ACCEPTED: Final = "accepted:"  # in `meta`, before a candidate's field: "<release> <stage>" whose doubts are accepted
JUDGE_MS: Final = 1_000
# Where nobody has failed since the last look, a process takes so many a second at most, and each at least so often.
EACH_MS: Final = 200
CALM_AT_MOST_MS: Final = 4_000
DUE_S: Final = 0.2  # between two looks at what is to be judged
LOOK_S: Final = 0.002  # of work between two looks whether the store has signalled
AT_ONCE: Final = 16  # tallies that are read together
PATIENCE_MS: Final = 3_000  # the age at which somebody else judges
RANK_MS: Final = 300
RANKS: Final = 11
ASK_S: Final = 3.0  # how old what is known of a judge may be
WANTED_S: Final = 30.0
DOUBTS: Final = ("suspect", "worse")
NOTED: Final = "a note, nothing waits for it"


IsFree: TypeAlias = Callable[[str], bool]
Attempt: TypeAlias = Callable[[str, Callable[[], object]], bool]


class KnownVerdict(NamedTuple):
    """What this process knows of the judging of one release."""

    release: str
    text: str = ""  # the judge's, as last seen
    judge: Judge = Judge()
    heard: float = float("-inf")  # monotonic time
    own: Judge | None = None  # what it has written last itself


class AskedVerdict(NamedTuple):
    """A verdict that is waited for: when it was last wanted, and last looked for (monotonic seconds)."""

    wanted: float
    looked: float


class Read(NamedTuple):
    """A release to be judged, with its tally where that has come."""

    wanted: Wanted
    guarded: Guarded
    answer: Tally | GraysplitError | None = None


class Looked(NamedTuple):
    """A judgement, on its way to the store."""

    tally: Tally
    case: EvaluationInput
    judge: Judge
    before: Judge
    judgement: Judgement


class Writing(NamedTuple):
    """Judgements that have been sent, and before them what is charged to processes that are heard no more."""

    looked: Sequence[Looked]
    answers: Later[Sequence[bool | GraysplitError]]
    charging: Later[Sequence[Flushed | GraysplitError]] | None


def doubted_words(planned: Mapping[str, str], field: str) -> str:
    """Return what becomes of a candidate in doubt whose guard does more than warn: no plan waits where none runs."""
    split, version = parse_address(field)
    raised = planned.get(split, "").partition(" ")[2].split("+")
    return "its plan waits for approval" if version in raised else "no plan raises it, its weight stays"


class Evaluator:
    """Judges for one process; used by its follower's thread alone.

    Nobody waits for the store's answers, nor for the next split once the store signals that something has changed.
    """

    def __init__(self, nonce: str, replica: Replica, guards: Guards, events: Events, clock: Clock) -> None:
        """Begin with nothing known."""
        self._nonce = nonce
        self._patience_ms = PATIENCE_MS + RANK_MS * (int(nonce[:4], 16) % RANKS)
        self._replica = replica
        self._guards = guards
        self._events = events
        self._clock = clock
        self._known: dict[str, KnownVerdict] = {}
        self._asked: dict[str, AskedVerdict] = {}  # fields whose verdict a plan waits for
        self._changed: dict[str, tuple[int, int]] = {}  # by split: its last change, and when it was first seen (ms)
        self.now_ms = 0  # of the server
        self.trips = 0
        self._noted: dict[str, str] = {}  # by field: the stage whose doubt this process has written down
        self._hurried: set[str] = set()  # fields of which something failed here since they were looked at
        self._feed: Feed | None = None
        self._looked_at = 0.0
        self._due_at = float("-inf")  # monotonic time at which it was looked what is due
        self._hurries = False  # whether something has failed here since
        self._counted = (-1, 0)  # server's time, and how many releases were judged here then
        self._lined: list[str] = []  # fields to be read
        self._asking: tuple[list[Read], Later[Sequence[Tally | GraysplitError]]] | None = None
        self._read = deque[Read]()
        self._writing: Writing | None = None

    def hear(self, field: str, release: str, text: str) -> None:
        """Take note of a judge's text, which comes back with whatever is told."""
        known, begun = self._known.get(field), self._replica.adopted.begun.get(field)
        if known is not None and known.release == begun != release:
            return  # of a release that is over
        if known is None or known.release != release:
            known = KnownVerdict(release)
        if text != known.text:
            known = known._replace(text=text, judge=read_judge(text))
            if not known.judge.calm:
                self._hurried.discard(field)  # somebody has seen it
        self._known[field] = known._replace(heard=self._clock.monotonic())

    def verdicts(self) -> dict[str, str]:
        """Return the verdicts that were heard last of the releases that stand, by field."""
        begun = self._replica.adopted.begun
        known = self._known.copy()
        return {f: value.judge.verdict.word for f, value in known.items() if begun.get(f) == value.release}

    def verdict(self, split: str, version: str) -> Verdict:
        """Return the verdict on a candidate at the weight that stands; asked by whoever drives a plan."""
        field, guarded = field_of(split, version), self._guards.of(split)
        if guarded is None:
            return NO_VERDICT
        now = self._clock.monotonic()
        self._asked[field] = AskedVerdict(now, self._asked[field].looked if field in self._asked else float("-inf"))
        known = self._known.get(field)
        if known is None or known.release != self._replica.adopted.begun.get(field) or not known.judge.nonce:
            return Verdict("unclear", "not evaluated yet")
        if not known.judge.is_fresh(self.now_ms):
            return Verdict("unclear", "not being evaluated")
        found, settled = known.judge.verdict, known.judge.at_ms >= self._settled_ms(split)
        if known.judge.share != self._share(split, field, guarded) or not (settled or found.word in DOUBTS):
            return Verdict("unclear", "no calls counted at this weight yet")  # a doubt counts at once
        warns = guarded.guard.action == "warn" and found.word in ("suspect", "worse")
        return found._replace(word="unclear") if warns else found

    def _settled_ms(self, split: str) -> int:
        """Return the time from which on a verdict speaks of a split's present weights."""
        since = self._replica.adopted.since
        change = max(since.get(split, 0), since.get(EVERYTHING, 0))
        known, seen_ms = self._changed.get(split, (-1, 0))
        if known != change:
            self._changed[split] = (change, seen_ms := self.now_ms if known >= 0 else self.now_ms - SETTLED_MS)
        return seen_ms + SETTLED_MS

    def _share(self, split: str, field: str, guarded: Guarded) -> int:
        """Return a candidate's share now, as its buffers name it: a verdict on another stage says nothing of this."""
        definition, guard = guarded
        held = self._replica.adopted
        only = b"" if definition.by == "instance" else None
        terms = terms_of(state_of(held, split, definition), held, guard, None, only)
        return next((candidate.stage.new for candidate in terms.candidates if candidate.field == field), 0)

    def due(self, counted: Iterable[str]) -> list[str]:
        """Name what to look at: where it is time and our turn, of what was counted here or is waited for."""
        now, begun = self._clock.monotonic(), self._replica.adopted.begun
        self._asked = {field: asked for field, asked in self._asked.items() if now - asked.wanted < WANTED_S}
        waited = [f for f, asked in self._asked.items() if now - asked.looked >= ASK_S and self._is_unheard(f, now)]
        for field in waited:
            self._asked[field] = self._asked[field]._replace(looked=now)
        return [
            field
            for field in dict.fromkeys((*counted, *waited))
            if self._stands(field) and field in begun and self._is_due(field, begun[field])
        ]

    @property
    def wanted(self) -> bool:
        """Return whether anything is being judged, or a verdict was asked for lately."""
        return bool(self._asked or self._lined or self._read) or self.waits

    @property
    def busy(self) -> bool:
        """Return whether there is more to be judged than one turn could."""
        return bool(self._lined or self._read) and not self.waits

    @property
    def waits(self) -> bool:
        """Return whether answers are under way."""
        return self._asking is not None or self._writing is not None

    def hurry(self, field: str) -> None:
        """Take note that something has failed here."""
        self._hurries = self._hurries or field not in self._hurried
        self._hurried.add(field)

    def turn(self, feed: Feed, counted: Iterable[str], is_free: IsFree, attempt: Attempt) -> None:
        """Judge what it is time for and our turn, until the store's answers or a signal are waited for."""
        if feed is not self._feed:
            self._feed, self._asking, self._writing = feed, None, None
            self._read.clear()
            self._lined.clear()
        if not self.waits and not self.busy and self._is_time():
            self._lined = [field for field in self.due(counted) if is_free(field)]
        while self._goes_on(feed, attempt):
            if self._is_signalled(feed):
                return

    def _is_time(self) -> bool:
        """Return whether to look what is due: at once where something has failed here, else some times a second."""
        now = self._clock.monotonic()
        if not self._hurries and 0 <= now - self._due_at < DUE_S:
            return False
        self._due_at, self._hurries = now, False
        return True

    def _goes_on(self, feed: Feed, attempt: Attempt) -> bool:
        """Take one step; return whether another can be taken at once."""
        if self._writing is not None:
            looked, answers, charging = self._writing
            if not answers.here(NEAR_S):
                return False
            self._writing = None
            if charging is not None:
                charging.take()  # it was sent first
            for one, answer in zip(looked, answers.take(), strict=True):
                attempt(one.tally.field, partial(self._conclude, feed, one, answer))
        elif self._read:
            self._judge(feed, attempt)
        elif self._asking is not None:
            asked, found = self._asking
            if not found.here(NEAR_S):
                return False
            self._asking = None
            self._read.extend(one._replace(answer=answer) for one, answer in zip(asked, found.take(), strict=True))
        elif self._lined:
            self._ask(feed)
        else:
            return False
        return True

    def _is_signalled(self, feed: Feed) -> bool:
        """Look now and then whether the store has signalled; return whether it has: a rollback waits for no guard."""
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_S:
            return False
        self._looked_at = now
        return feed.wait(0.0)

    def _ask(self, feed: Feed) -> None:
        """Begin to read the next tallies, a few at once: whatever is read next comes behind them."""
        begun, asked = self._replica.adopted.begun, list[Read]()
        for field in self._lined[:AT_ONCE]:
            guarded, release = self._guards.of(split_of(field)), begun.get(field)
            if guarded is not None and release:
                asked.append(
                    Read(Wanted(field, release, self._replica.adopted.releases.get(field, 0) // 1000), guarded)
                )
        del self._lined[:AT_ONCE]
        if asked:
            self._asking = (asked, feed.tallies([one.wanted for one in asked], self.now_ms))

    def _judge(self, feed: Feed, attempt: Attempt) -> None:
        """Judge what has been read until a signal comes, and begin to write that."""
        judged: list[Looked] = []
        while self._read:
            one = self._read.popleft()
            attempt(one.wanted.field, partial(self._judge_one, one, judged))
            if self._is_signalled(feed):
                break
        if judged:
            # Before their buffers are forgotten; whoever else charges them adds nothing.
            charged = [batch for one in judged for batch in charges(one.tally, one.case.started_s)]
            charging = feed.flush_all(charged) if charged else None
            self._writing = Writing(judged, feed.judge_all([one.judgement for one in judged]), charging)

    def _stands(self, field: str) -> bool:
        """Return whether anybody is on a candidate: one that was rolled back is not judged again."""
        guarded = self._guards.of(split_of(field))
        return guarded is not None and share(self._replica.adopted.in_force(field, guarded.definition.baseline)) > 0

    def _is_unheard(self, field: str, now: float) -> bool:
        known = self._known.get(field)
        return known is None or now - known.heard >= ASK_S

    def _is_due(self, field: str, release: str) -> bool:
        """Return whether to look: by what was heard last, nobody judges, or it is this process's turn."""
        known = self._known.get(field)
        if known is None or known.release != release or self._is_unheard(field, self._clock.monotonic()):
            return True
        age_ms = self.now_ms - known.judge.at_ms
        own = known.judge.nonce == self._nonce
        return not 0 <= age_ms < (self._pace_ms if own else self._patience)(field, known.judge)

    def _patience(self, field: str, judge: Judge) -> int:
        """Return how old another's judgement may become (ms): one that was calm older, unless something fails here."""
        if not judge.calm:
            return self._patience_ms
        if field in self._hurried:
            return self._patience_ms - PATIENCE_MS + JUDGE_MS
        return self._patience_ms + CALM_AT_MOST_MS - JUDGE_MS

    def _pace_ms(self, field: str, judge: Judge) -> int:
        """Return how old a judgement of ours may become: where nobody fails, older the more of them there are."""
        if not judge.calm or field in self._hurried:
            return JUDGE_MS
        return min(CALM_AT_MOST_MS, max(JUDGE_MS, EACH_MS * self._ours()))

    def _ours(self) -> int:
        """Return how many releases this process judges at this moment; counted once a moment, whoever asks."""
        at_ms, ours = self._counted
        if at_ms != self.now_ms:
            judges = [one.judge for one in self._known.values() if one.judge.nonce == self._nonce]
            ours = sum(judge.is_fresh(self.now_ms) for judge in judges)
            self._counted = (self.now_ms, ours)
        return ours

    def _judge_one(self, one: Read, judged: list[Looked]) -> None:
        (field, release, started_s), tally = one.wanted, one.answer
        if isinstance(tally, GraysplitError):
            raise tally
        if tally is None or release != self._replica.adopted.begun.get(field):
            return
        self.hear(field, release, tally.judge)
        known = self._known[field]
        others = known.judge.nonce not in ("", self._nonce)
        young = 0 <= tally.now_ms - known.judge.at_ms < self._patience(field, known.judge)
        if tally.stages and not (others and young):
            self._hurried.discard(field)
            judged.append(self._looked(tally, known, self._case(field, one.guarded, known, started_s)))

    def _looked(self, tally: Tally, known: KnownVerdict, case: EvaluationInput) -> Looked:
        judged = look(tally, known.judge, case, self._nonce)
        text, settled_s = judge_text(judged.judge), tally.now_ms // 1000 - int(DEADLINE_S) - 1
        spans = tuple(dict.fromkeys(kept.window.span for kept in tally.kept))
        judgement = Judgement(
            *(tally.field, tally.release, tally.judge, text, judged.levels, settled_s, judged.sample, forgotten(tally)),
            spans,
        )
        return Looked(tally, case, judged.judge, known.judge, judgement)

    def _conclude(self, feed: Feed, looked: Looked, answer: bool | GraysplitError) -> None:  # noqa: FBT001 - the store's
        if isinstance(answer, GraysplitError):
            raise answer
        if not answer:
            return  # somebody was faster
        tally, judge = looked.tally, looked.judge
        text, now = looked.judgement.after, self._clock.monotonic()
        self._known[tally.field] = KnownVerdict(tally.release, text, judge, now, judge)
        self._act(feed, tally, looked.case, judge, looked.before)

    def _case(self, field: str, guarded: Guarded, known: KnownVerdict, started_s: int) -> EvaluationInput:
        definition, guard = guarded
        watched = Watched(version_of(field), definition.baseline, guard.margin, frozenset(guard.stop_on))
        release, _, stage = self._meta(ACCEPTED + field).partition(" ")
        accepted = int(stage) if release == known.release and stage.isdecimal() and len(stage) < 10 else 0  # noqa: PLR2004 - no stage has more digits
        return EvaluationInput(
            guard,
            watched,
            started_s,
            self._noted.pop(field, ""),
            accepted,
            known.own,
            read_past(self._meta(PAST + field)),
            bool(self._meta(FINISHED + split_of(field))),
        )

    def _act(self, feed: Feed, tally: Tally, case: EvaluationInput, judge: Judge, before: Judge) -> None:
        field, (word, why, _, note) = tally.field, judge.verdict
        if word == "worse" and case.guard.action == "rollback":
            tripped = feed.trip(Trip(new_id(), field, tally.release, why))
            self.trips += tripped and before.verdict.word != "worse"
            said = f"rolled back '{field}': {why}" if tripped else f"'{field}' was not rolled back: a new release began"
            self._events.warning(f"rolled_back {field} {tally.release}", said)
        elif word in ("suspect", "worse"):
            warns = case.guard.action == "warn"
            act = "it continues" if warns else doubted_words(self._replica.adopted.planned, field)
            self._events.warning(f"suspect {field} {judge.stage}", f"'{field}' is suspect, {act}: {why}")
            if judge.noted != str(judge.stage) and self._note(feed, field, "warned" if warns else "suspect", why):
                self._noted[field] = str(judge.stage)
        if note and word not in DOUBTS:
            said, noted = f"{NOTED}: {note}", judge.noted.partition(" ")[0] == str(judge.stage)
            self._events.info(f"note {field} {judge.stage}", f"'{field}': {said}")
            if not noted and self._note(feed, field, "warned", said):
                self._noted[field] = f"{judge.stage} note"
        if word == "no control" and "failed" in why:
            self._events.warning(f"no_control {field}", f"'{field}': {why}")

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
            self._events.info(f"note_unrecorded {field}", f"a note was not recorded in the history: {fault}")
        return True

    def _meta(self, field: str) -> str:
        return self._replica.adopted.seen.get("meta", {}).get(field.encode(), b"").decode(errors="replace")
