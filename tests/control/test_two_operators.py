"""Two operators at once: neither edit is silently lost, and the loser is told what changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

import pytest

from graysplit import ConflictError, Control, RefusedError
from graysplit.cli.app import run
from graysplit.control.steps import Step
from graysplit.stores.memory import MemoryFeed, MemoryStore
from graysplit.stores.port import Submission, Written
from tests.clocks import MovedClock
from tests.control.between import Between
from tests.model.member import Member

PLAN: Final = (Step(20, approve=True), Step(50))

Act = Callable[[Control], object]


def both(first: Act, second: Act) -> tuple[Control, Exception | None]:
    """Let the second operator act while the first one's change is on its way; return what the first one is told."""
    store = MemoryStore()
    ana, bo = Control(store, actor="ana", confirm=True), Control(store, actor="bo", confirm=True)
    ana.create("checkout", ("old", "new"))
    ana.set("checkout", 5)
    late = Control(Between(store, lambda: second(bo)), actor="ana", confirm=True)
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
    "ramp": lambda control: control.ramp("checkout", (Step(9, 0), Step(50))),
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
    ana, bo = Control(store, actor="ana", confirm=True), Control(store, actor="bo", confirm=True)
    ana.create("checkout", ("old", "new"))
    ana.ramp("checkout", PLAN)
    if act == "resume":
        ana.pause("checkout")
    late = Control(Between(store, lambda: bo.rollback("checkout")), actor="ana", confirm=True)
    with pytest.raises(RefusedError, match="no plan runs"):
        late.approve("checkout", 50) if act == "approve" else getattr(late, act)("checkout")
    assert bo.show("checkout").rows[0].effective == "0"
    assert not store.load().plans.fields


def test_a_rollback_loses_to_nobody() -> None:
    """It compares nothing: whatever somebody wrote a moment ago is at zero."""
    store = MemoryStore()
    ana, bo = Control(store, actor="ana", confirm=True), Control(store, actor="bo", confirm=True)
    ana.create("checkout", ("old", "new"))
    for act in RAISES.values():
        ana.set("checkout", 5, unstop=True)
        act(ana)
        bo.rollback("checkout")
        assert bo.show("checkout").rows[0].effective == "0"


@pytest.mark.parametrize(
    ("words", "acts"),
    [
        (("set", "checkout", "30"), "set"),
        (("set", "checkout", "30"), "rollback"),
        (("ramp", "checkout", "30,50", "--every", "0"), "rollback"),
        (("undo", "checkout", "--force"), "ramp"),
    ],
    ids=["set against set", "set against rollback", "ramp against rollback", "undo against ramp"],
)
def test_the_command_line_says_who_was_faster(
    words: tuple[str, ...], acts: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, what was expected and what was found; nothing of it is written."""
    name = uuid.uuid4().hex
    bo = Control(MemoryStore(name), actor="bo", confirm=True)
    bo.create("checkout", ("old", "new"))
    bo.set("checkout", 5)
    write = MemoryStore.submit

    def second(store: MemoryStore, submission: Submission) -> Written:
        monkeypatch.setattr(MemoryStore, "submit", write)
        OTHERS[acts](bo)
        return write(store, submission)

    monkeypatch.setenv("GRAYSPLIT_URL", f"memory://{name}")
    monkeypatch.setattr(MemoryStore, "submit", second)
    assert run((*words, "--yes", "--no-wait")) == 4
    told = " ".join(capsys.readouterr().err.split())
    assert "expected" in told
    assert "found" in told
    assert (bo.history("checkout", 1)[0].actor, bo.history("checkout", 1)[0].cause) == ("bo", acts)


@pytest.fixture
def stage() -> tuple[Control, Member, Callable[[float], None]]:
    """Return an operator, a process that drives a plan of ten seconds a step, and time."""
    clock = MovedClock()
    store = MemoryStore(clock=clock)
    ana = Control(store, actor="ana", confirm=True)
    ana.create("checkout", ("old", "new"))
    member = Member(store, clock, 1, old=False)

    def live(seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            clock.now += 0.5
            member.live()

    live(1)
    ana.ramp("checkout", (Step(5, 10), Step(20, 10), Step(50)))
    return ana, member, live


@pytest.mark.parametrize(
    "act",
    [
        lambda control: control.freeze("check*", why="audit"),
        lambda control: control.pause("checkout"),
        lambda control: control.rollback("checkout"),
        lambda control: control.set("checkout", 3),
        lambda control: control.set("checkout", 5, replace=True),
    ],
    ids=["freeze", "pause", "rollback", "set", "the same weight, to end it"],
)
def test_a_step_on_its_way_loses_to_a_person(
    act: Act, stage: tuple[Control, Member, Callable[[float], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a driver's reading and its writing somebody acts: the step is not taken, then or later."""
    ana, member, live = stage
    write, met = MemoryFeed.submit, list[str]()

    def second(feed: MemoryFeed, submission: Submission) -> Written:
        if submission.cause == "step":
            met.append(submission.why)
            if len(met) == 1:
                act(ana)
        return write(feed, submission)

    monkeypatch.setattr(MemoryFeed, "submit", second)
    live(60)
    assert met == ["step 2 of 3"]
    assert [entry.cause for entry in ana.history("checkout", 100) if entry.cause == "step"] == []
    assert ana.show("checkout").rows[0].effective in {"5", "3", "0"}
    assert member.feed.fleet().live
