"""What a key of `watch` may act on, by what the screen shows, and how it acts: as the command of that name does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from graysplit.cli.session import Session
from graysplit.control.guard.verdicts import DOUBTS
from graysplit.control.plan.awaited import Awaited
from graysplit.control.views import Overview, Row
from graysplit.core.address import EVERYTHING, split_of
from graysplit.errors import ConflictError
from graysplit.words.plan import plan_words
from graysplit.words.texts import percent


class Choice(NamedTuple):
    """Something that a key may act on."""

    target: str
    words: str  # what the screen says of it
    question: str
    seen: object = None  # what must still be so when it is done
    step: str | None = None  # the weight of the step that was seen


class KeyAction(NamedTuple):
    """One acting key."""

    verb: str
    nothing: str  # what is said where it has nothing to act on
    choices: Callable[[Overview, str | None], list[Choice]]
    act: Callable[[Session, Choice], int]
    more: Callable[[Overview, str], bool]  # whether something else that was typed is a target too


def choice_of(typed: str, choices: list[Choice], is_target: Callable[[str], bool]) -> Choice | None:
    """Return the choice that was typed, by its number or its name."""
    if typed.isascii() and typed.isdigit() and 0 < int(typed) <= len(choices):
        return choices[int(typed) - 1]
    named = {choice.target: choice for choice in choices}
    if typed in named:
        return named[typed]
    return Choice(typed, "", "") if is_target(typed) else None


# --- roll back --------------------------------------------------------------------------------------------------------


def _rollbacks(view: Overview, split: str | None) -> list[Choice]:
    """Return the splits above zero, and those of which nobody can say; where there are none, all."""
    rows: dict[str, list[Row]] = {name: [] for name in sorted(_names(view))}
    for row in view.rows:
        rows[row.split].append(row)
    names = [split] if split is not None else [name for name in rows if _is_up(view, name, rows[name])] or [*rows]
    return [Choice(name, _weights(rows.get(name, ())), f"roll back {name}? y/N") for name in names]


def _names(view: Overview) -> set[str]:
    lost = view.undefined if view.loss is not None else ()
    return {*(row.split for row in view.rows), *view.unread, *lost}


def _is_up(view: Overview, name: str, rows: Iterable[Row]) -> bool:
    return name in view.unread or name in view.undefined or any(row.effective != "0" for row in rows)


def _weights(rows: Iterable[Row]) -> str:
    return ", ".join(f"{row.version} {percent(row.effective)}" for row in rows)


def _is_target(view: Overview, typed: str) -> bool:
    """Return whether something else can be rolled back: everything, a split at zero, one candidate."""
    return typed == EVERYTHING or typed in _names(view) or any(row.field == typed for row in view.rows)


def _roll_back(session: Session, choice: Choice) -> int:
    from graysplit.cli.rollbacks import roll_back

    return roll_back(session, [choice.target], "", dry_run=False)


# --- pause ------------------------------------------------------------------------------------------------------------


def _pauses(view: Overview, split: str | None) -> list[Choice]:
    plans = [plan for plan in view.plans if split in {None, plan.split}]
    return [
        Choice(plan.split, plan_words(plan), f"pause the plan of {plan.split}? y/N", _identity(plan)) for plan in plans
    ]


def _identity(plan: Awaited) -> tuple[object, ...]:
    """Return what tells one plan from another: a step that it takes meanwhile is no reason not to pause it."""
    return plan.name, plan.version, plan.by, plan.steps


def _pause(session: Session, choice: Choice) -> int:
    from graysplit.cli.result_lines import finish_note

    _check_seen(session.control.overview(), choice, _pauses)
    return finish_note(session, session.control.pause(choice.target))


# --- approve ----------------------------------------------------------------------------------------------------------


def _approvals(view: Overview, split: str | None) -> list[Choice]:
    """Return the plans whose next step waits for a yes, and the splits in doubt."""
    plans = {plan.split: plan for plan in view.plans}
    doubts: dict[str, list[str]] = {}
    for heard in view.verdicts.values():
        if heard.verdict.word in DOUBTS:
            doubts.setdefault(split_of(heard.field), []).append(f"{heard.field} is {heard.verdict.word}")
    waiting = {name for name, plan in plans.items() if any(g.name == "approve" and not g.open for g in plan.gates)}
    names = sorted(name for name in waiting | doubts.keys() if split in {None, name})
    return [_approval(name, plans.get(name), doubts.get(name, []), waits=name in waiting) for name in names]


def _approval(split: str, plan: Awaited | None, doubts: list[str], *, waits: bool) -> Choice:
    what = f"the doubts about {split}" if plan is None or not waits else _step_words(plan)
    words = "; ".join([*doubts, *([plan_words(plan)] if plan is not None else [])])
    seen = (tuple(doubts), waits, plan and (*_identity(plan), plan.step, plan.ahead))
    return Choice(split, words, f"approve {what}? y/N", seen, plan.ahead if plan is not None and waits else None)


def _step_words(plan: Awaited) -> str:
    return f"step {plan.step + 1} of {plan.steps} ({plan.ahead}%) of {plan.split}"


def _approve(session: Session, choice: Choice) -> int:
    from graysplit.cli.result_lines import finish_note

    _check_seen(session.control.overview(), choice, _approvals)
    return finish_note(session, session.control.approve(choice.target, choice.step))


def _check_seen(view: Overview, choice: Choice, choices: Callable[[Overview, str | None], list[Choice]]) -> None:
    """Raise `ConflictError` where the screen showed something else than what is so now."""
    now = next(iter(choices(view, choice.target)), None)
    if now is None or now.seen != choice.seen:
        raise ConflictError(choice.target, choice.words, now.words if now is not None else "nothing to act on")


def _no_target(_: Overview, __: str) -> bool:
    return False


ACTIONS: Final[Mapping[str, KeyAction]] = {
    "r": KeyAction("roll back", "no split to roll back", _rollbacks, _roll_back, _is_target),
    "p": KeyAction("pause the plan of", "no plan runs", _pauses, _pause, _no_target),
    "a": KeyAction("approve", "nothing waits for approval", _approvals, _approve, _no_target),
}
