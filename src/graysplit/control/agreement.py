"""How a change is agreed to: what is asked, who answers for it, and what was agreed to beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

from graysplit.errors import RefusedError


class Question(Protocol):
    """What a person should agree to before it is written."""

    @property
    def target(self) -> str:
        """What they type."""
        ...

    @property
    def ask(self) -> str | None:
        """What they type it for."""
        ...

    @property
    def stops(self) -> Mapping[str, str]:
        """The stops that are cleared with it and that nobody has agreed to yet, with what they say."""
        ...

    @property
    def plans(self) -> Mapping[str, str]:
        """By split, what is said of the plans that end with it, are paused or somebody else's, and not agreed to."""
        ...


# How a program says yes: with the name that a person would type, with True to whatever is asked, or with a function
# that is asked and raises to refuse.
Confirm: TypeAlias = str | Literal[True] | Callable[[Question], None]


class Agreement(NamedTuple):
    """The reason for a change, what was agreed to beforehand, and whether it is written at all."""

    why: str = ""
    confirm: Confirm | None = None  # None: what the operator was made with
    unstop: bool = False  # agrees to the stops that are cleared with it
    replace: bool = False  # agrees to the plans that end with it; writing the weight of a plan again ends it too
    dry_run: bool = False


class _Asked(NamedTuple):
    """A question as a function is asked it: `ask` names stops and plans too, so that no answer passes over them."""

    target: str
    ask: str | None
    stops: Mapping[str, str]
    plans: Mapping[str, str]


def is_open(question: Question) -> bool:
    """Return whether there is anything to agree to."""
    return bool(question.ask is not None or question.stops or question.plans)


def agree(question: Question, said: Confirm | None) -> bool:
    """Raise `RefusedError` unless what is asked for was agreed to; return True where a function was asked.

    Then time has passed meanwhile, and what was read is read again.
    """
    if callable(said):
        from graysplit.control.stops import with_plans, with_stops

        ask = with_plans(with_stops(question.ask, question.stops), question.plans)
        said(_Asked(question.target, ask, question.stops, question.plans))
        return True
    if question.stops:
        from graysplit.control.stops import stop_words

        named = ", and ".join(stop_words(field, text) for field, text in question.stops.items())
        raise RefusedError(
            f"this clears the stop {named}. Nothing was written. To clear it, pass unstop=True (--unstop on the "
            "command line); confirm= alone does not clear it"
        )
    if question.plans:
        named = ", and ".join(question.plans.values())
        raise RefusedError(
            f"this ends {named}. Nothing was written. To end it, pass replace=True (--replace on the command "
            "line); confirm= alone does not end it"
        )
    if question.ask is not None and said is not True and said != question.target:
        got = "" if said is None else f", not {said!r}"
        raise RefusedError(
            f"{question.ask}. Nothing was written. To do it, pass confirm={question.target!r}{got} "
            "(or confirm=True, which agrees to every question)"
        )
    return False
