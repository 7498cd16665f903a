"""What a guard says of the candidates that run: its verdict, who they are, and the counts behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from graysplit.core.address import field_of, version_of
from graysplit.core.definition import Definition
from graysplit.core.guard.evaluation import Judge, in_full
from graysplit.core.guard.settings import BadGuardError, Guard, parse_guard
from graysplit.core.guard.tally import Pair, Stage, StageTally, Tally
from graysplit.core.guard.verdict import NO_VERDICT, Verdict
from graysplit.core.weights import share
from graysplit.errors import GraysplitError
from graysplit.stores.port import Surveyor, Wanted
from graysplit.stores.text.judge import read_judge

if TYPE_CHECKING:
    from graysplit.control.reading import Reading

DOUBTS: Final = frozenset({"suspect", "worse"})
READ_AT_MOST: Final = 50  # tallies for one screen

Tallies: TypeAlias = Callable[[str, str, int], Tally]  # `Store.tally`


class Armed(NamedTuple):
    """The guard that stands in a split's record."""

    split: str
    guard: Guard
    fault: str = ""  # why it is not understood here


class Heard(NamedTuple):
    """The verdict on one candidate, as far as it speaks of the release and the weight that stand."""

    field: str
    release: str
    verdict: Verdict
    said: str = "unclear"  # the word that was written last, of whatever weight, with its reason
    why: str = ""
    stage: int = 0  # the number of the stage that it speaks of
    at_ms: int = 0  # server time at which it was given; 0: never
    calls: Pair = Pair()  # of that stage
    failures: Pair = Pair()
    exposed: Pair = Pair()  # units; of more than 65,536 of them an estimate
    unjudged: bool = False  # whether calls have been counted since it was judged
    doubted: bool = False  # whether its stage waits for a person to accept its doubts, also where nobody judges now
    cuts: Pair = Pair()  # calls of the stage that were cut short
    overdue: Pair = Pair()  # calls of the stage that had not ended by the deadline


def armed(split: str, definition: Definition | None) -> Armed | None:
    """Read the guard of a split; None where there is none."""
    if definition is None or definition.guard is None:
        return None
    try:
        return Armed(split, parse_guard(definition.guard))
    except BadGuardError as fault:
        return Armed(split, Guard(), str(fault))


def verdicts(reading: Reading, tallies: Tallies, splits: Iterable[str]) -> dict[str, Heard]:
    """Read what is said of every watched candidate above zero, by its field; of a screenful at most."""
    found: dict[str, Heard] = {}
    for split, field, weight in watched(reading, splits):
        if len(found) < READ_AT_MOST:
            found[field] = heard(reading, tallies, split, field, weight)
    return found


def read_together(reading: Reading, store: Surveyor, splits: Iterable[str]) -> Tallies:
    """Read the tallies of watched candidates above zero at once, a screenful at most; return what gives each."""
    releases, began = reading.snapshot.releases, reading.held.releases
    fields = [field for _, field, _ in islice(watched(reading, splits), READ_AT_MOST)]
    wanted = [Wanted(field, releases.get(field, ""), began.get(field, 0) // 1000) for field in fields]
    found = dict(zip(wanted, store.tallies(wanted, reading.load.now_ms) if wanted else (), strict=True))

    def tally(field: str, release: str, started_s: int) -> Tally:
        one = found[Wanted(field, release, started_s)]
        if isinstance(one, GraysplitError):
            raise one
        return one

    return tally


def heard(reading: Reading, tallies: Tallies, split: str, field: str, weight: int) -> Heard:
    """Read the verdict on one candidate at the weight that stands, in thousandths of a percent."""
    release, now_ms = reading.snapshot.releases.get(field, ""), reading.load.now_ms
    armed_guard = armed(split, reading.snapshot.splits[split].definition)
    if armed_guard is None:
        return Heard(field, release, NO_VERDICT)
    if armed_guard.fault:
        return Heard(
            field, release, Verdict("unclear", f"its guard is not understood by this graysplit ({armed_guard.fault})")
        )
    tally = tallies(field, release, reading.held.releases.get(field, 0) // 1000)
    judge = read_judge(tally.judge)
    stage = next((one for one in tally.stages if one.number == judge.stage), StageTally(0, Stage(0, 0), 0))
    verdict = in_full(judge.verdict, stage, version_of(field))
    why = verdict.why
    if not judge.nonce:
        verdict = Verdict("unclear", "not evaluated yet")
    elif not judge.is_fresh(now_ms):
        verdict = Verdict("unclear", "not being evaluated")
    elif judge.share != weight:
        verdict = Verdict("unclear", "no calls counted at this weight yet")
    doubted = judge.verdict.word == "suspect" or (
        judge.verdict.word == "worse" and armed_guard.guard.action != "rollback"
    )
    return Heard(
        field,
        release,
        verdict,
        judge.verdict.word,
        why,
        judge.stage,
        judge.at_ms,
        stage.calls,
        stage.failures,
        Pair(*(units << stage.exposed_bits for units in stage.exposed)),
        _counted_since(tally, judge),
        doubted and stage.number > 0 and judge.share == weight,
        stage.cuts,
        stage.overdue,
    )


def _counted_since(tally: Tally, judge: Judge) -> bool:
    last = next(reversed(tally.stages), None)
    judged = judge.cursor.get(f"stage {last.number}") if last else None
    return last is not None and sum(last.calls) > (judged.calls if judged else 0)


def may_stop(armed_guard: Armed | None) -> bool:
    """Return whether a guard may stop a plan, so that each step counts once its verdict has settled."""
    return armed_guard is not None and not armed_guard.fault and armed_guard.guard.action != "warn"


def of_plan(armed_guard: Armed | None, said: Heard | None) -> Verdict:
    """Return the verdict as a plan takes it: a guard that only warns stops none."""
    if armed_guard is None or said is None:
        return NO_VERDICT
    warns = armed_guard.guard.action == "warn" and said.verdict.word in DOUBTS
    return said.verdict._replace(word="unclear") if warns else said.verdict


def doubts(reading: Reading, tallies: Tallies, split: str) -> tuple[Heard, ...]:
    """Return the candidates of a split whose doubts wait for a person."""
    return tuple(verdict for verdict in verdicts(reading, tallies, [split]).values() if verdict.doubted)


def watched(reading: Reading, splits: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    """Return each candidate above zero that a guard watches: its split, its field and its weight."""
    for split in splits:
        state = reading.snapshot.splits.get(split)
        if state is None or state.definition.guard is None:
            continue
        for version in state.definition.candidates:
            weight = share(state.in_force(version.name))
            if weight:
                yield split, field_of(split, version.name), weight
