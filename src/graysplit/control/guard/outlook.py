"""What the steps of a plan need to become safe, told before they are taken, from the traffic of the last release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from graysplit.control.guard.verdicts import Tallies
from graysplit.control.reading import Reading
from graysplit.core.address import field_of
from graysplit.core.definition import Definition
from graysplit.core.durations import format_span
from graysplit.core.guard.power import Outlook, Traffic, outlook
from graysplit.core.guard.tally import Tally
from graysplit.core.plan.plan import Plan, parse_plan
from graysplit.core.split_state import Change, SplitState, apply
from graysplit.core.weights import FULL, format_weight, share
from graysplit.stores.text.judge import read_judge

_SAID_AT_MOST: Final = 5


def traffic(reading: Reading, tallies: Tallies, split: str, version: str) -> Traffic | None:
    """Return what came to a candidate's last release and its baseline; None where nothing was counted within a day."""
    field = field_of(split, version)
    release, since_ms = reading.snapshot.releases.get(field, ""), reading.held.releases.get(field, 0)
    return traffic_of(tallies(field, release, since_ms // 1000)) if release else None


def traffic_of(tally: Tally) -> Traffic | None:
    """Return the traffic of the stage that has counted most."""
    end_s = read_judge(tally.judge).at_ms // 1000 or tally.now_ms // 1000
    ends = [*(stage.since_s for stage in tally.stages[1:]), end_s]
    timed = [(stage, max(1, end - stage.since_s)) for stage, end in zip(tally.stages, ends, strict=False)]
    stage, seconds = max(timed, key=lambda one: sum(one[0].calls), default=(None, 1))
    if stage is None or not sum(stage.calls):
        return None
    units = sum(stage.exposed) << stage.exposed_bits
    old, failed = sum(one.calls.old for one in tally.stages), sum(one.failures.old for one in tally.stages)
    return Traffic(sum(stage.calls) / seconds, units / seconds, failed / old if old else 0.0)


def outlooks(plan: Plan, state: SplitState, seen: Traffic | None, ages_s: Mapping[int, float]) -> dict[int, Outlook]:
    """Return what each of these steps that waits for `safe` needs, by its number, with the release's age then."""
    others = sum(share(state.in_force(one.name)) for one in state.definition.candidates)
    others -= share(state.in_force(plan.version))
    by_weight: dict[int, Outlook] = {}
    for number, age_s in ages_s.items() if not plan.also else ():
        step = plan.steps[number]
        last = number + 1 == len(plan.steps)
        if not last and step.until == "safe" and step.weight + others <= FULL:
            w = step.weight / (FULL - others)
            by_weight[number] = outlook(w, seen, within_s=step.after_s or 0, age_s=age_s)
    return by_weight


def notes(reading: Reading, tallies: Tallies, split: str, change: Change) -> tuple[str, ...]:
    """Return what the steps of a plan need that is about to begin with a change."""
    definition = change.definition
    if not isinstance(definition, Definition) or definition.guard is None or definition.plan is None:
        return ()
    plan = parse_plan(definition.plan)
    if plan.also or all(step.until != "safe" for step in plan.steps[:-1]):
        return ()  # of several candidates each has its own outlook, and none is the plan's
    state = apply(reading.snapshot, change).splits[split]
    first = share(state.in_force(plan.version))
    ahead = {number: 0.0 for number, step in enumerate(plan.steps[:-1]) if step.weight >= first}
    by_step = outlooks(plan, state, traffic(reading, tallies, split, plan.version), ahead)
    return tuple(words(plan, by_step))[:_SAID_AT_MOST]


def words(plan: Plan, by_step: Mapping[int, Outlook]) -> Iterator[str]:
    """Return it, one line for each step."""
    for number, seen in by_step.items():
        at = f"step {number + 1} ({format_weight(plan.steps[number].weight)}%)"
        yield f"{at}: {outlook_words(plan.version, seen)}"


def outlook_words(version: str, seen: Outlook) -> str:
    """Return in one line what a step needs to become safe, and what it would find."""
    if not 0 < seen.w < 1:
        return "never safe: everybody is on one version, so there is nothing to compare with"
    if seen.units is None:
        return "never safe at the recent failure rate of old"
    needs = f"safe needs about {seen.units:,} users on {version}"
    if seen.seconds is None:
        return f"{needs}; the time for that is not known: nothing has been counted recently"
    finds = (
        "too short to find even a version that always fails"
        if seen.found is None
        else f"finds {_percent(seen.found)} failing by then"
    )
    return f"{needs}, about {format_span(max(1_000, seen.seconds * 1000))} at recent traffic; {finds}"


def _percent(found: float) -> str:
    return f"{100 * found:.2g} %"
