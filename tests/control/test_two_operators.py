"""Two operators at once: neither edit is silently lost, and the loser is told what changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from graysplit import ConflictError, Control, RefusedError
from graysplit.core.plan import Step
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Store, Submission, Written
from graysplit.stores.wrappers import RecordingStore

PLAN: Final = (Step(20_000, approve=True), Step(50_000))

Act = Callable[[Control], object]


class Between(RecordingStore):
    """Lets the other operator act between this one's reading and writing, once."""

    def __init__(self, inner: Store, act: Callable[[], object]) -> None:
        """Wrap the store that both share."""
        super().__init__(inner)
        self._acts = [act]

    def submit(self, submission: Submission) -> Written:
        """Let the other one act first."""
        if self._acts:
            self._acts.pop()()
        return super().submit(submission)


def both(first: Act, second: Act) -> tuple[Control, Exception | None]:
    """Let the second operator act while the first one's change is on its way; give what the first one is told."""
    store = MemoryStore()
    ana, bo = Control(store, actor="ana"), Control(store, actor="bo")
    ana.create("checkout", ("old", "new"))
    ana.set("checkout", 5)
    late = Control(Between(store, lambda: second(bo)), actor="ana")
    try:
        first(late)
    except (ConflictError, RefusedError) as told:
        return bo, told
    return bo, None


RAISES: Final[dict[str, Act]] = {
    "set": lambda control: control.set("checkout", 30),
    "ramp": lambda control: control.ramp("checkout", PLAN),
    "preview": lambda control: control.preview("checkout"),
    "undo": lambda control: control.undo("checkout", force=True),
}
OTHERS: Final[dict[str, Act]] = {
    "set": lambda control: control.set("checkout", 7),
    "rollback": lambda control: control.rollback("checkout"),
    "ramp": lambda control: control.ramp("checkout", (Step(9_000), Step(50_000))),
}


@pytest.mark.parametrize("other", list(OTHERS))
@pytest.mark.parametrize("mine", list(RAISES))
def test_the_later_one_is_told_and_writes_nothing(mine: str, other: str) -> None:
    """What the other one wrote stands, in weights and in the history."""
    bo, told = both(RAISES[mine], OTHERS[other])
    assert isinstance(told, ConflictError), told
    assert "checkout" in str(told)
    assert "found" in str(told)
    last = bo.history("checkout", 1)[0]
    assert (last.actor, last.cause) == ("bo", other)
    assert bo.show("checkout").rows[0].effective == {"set": "7", "rollback": "0", "ramp": "9"}[other]


def test_a_raise_meets_a_freeze() -> None:
    """One that comes in between is a conflict too: the raise rested on there being none."""
    bo, told = both(RAISES["set"], lambda control: control.freeze("checkout", why="audit"))
    assert isinstance(told, ConflictError)
    assert bo.show("checkout").rows[0].effective == "5"


@pytest.mark.parametrize("act", ["approve", "pause", "resume"])
def test_an_approval_does_not_outlive_a_rollback(act: str) -> None:
    """The plan is over when it arrives: whoever sent it is told so, and nothing rises."""
    store = MemoryStore()
    ana, bo = Control(store, actor="ana"), Control(store, actor="bo")
    ana.create("checkout", ("old", "new"))
    ana.ramp("checkout", PLAN)
    if act == "resume":
        ana.pause("checkout")
    late = Control(Between(store, lambda: bo.rollback("checkout")), actor="ana")
    with pytest.raises(RefusedError, match="no plan runs"):
        getattr(late, act)("checkout")
    assert bo.show("checkout").rows[0].effective == "0"
    assert not store.load().plans.fields


def test_a_rollback_loses_to_nobody() -> None:
    """It compares nothing: whatever somebody wrote a moment ago is at zero."""
    store = MemoryStore()
    ana, bo = Control(store, actor="ana"), Control(store, actor="bo")
    ana.create("checkout", ("old", "new"))
    for act in RAISES.values():
        ana.set("checkout", 5)
        act(ana)
        bo.rollback("checkout")
        assert bo.show("checkout").rows[0].effective == "0"
