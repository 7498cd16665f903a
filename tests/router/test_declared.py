"""What the fleet is told of this process's code, and what changes do here: made anew only where something changed."""

from __future__ import annotations

from graysplit import Router
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.definition import define
from graysplit.core.replica.adopted import Adopted
from graysplit.router import effects
from graysplit.router.states import PublishedStates

FIELD = "checkout/new"


def awake(weight: int = 100_000) -> tuple[Router, PublishedStates]:
    """Return a router that no thread follows for, and that holds `checkout`."""
    router = Router()
    states = router._lifecycle.states
    states.enter("not_ready", parse=parse_definition)
    publish(states, weight)
    return router, states


def publish(states: PublishedStates, weight: int) -> None:
    """Hold another weight."""
    raw = dump_definition(define("checkout", ("old", "new")))
    seen = {"splits": {b"checkout": raw.encode()}}
    held = Adopted(weights={FIELD: weight}, definitions={"checkout": raw.encode()}, seen=seen)
    states.publish(held, {"checkout"})


def test_nothing_is_made_anew_while_nothing_changes() -> None:
    """The same object, however often it is asked for; how often a split was asked is told apart."""
    router, states = awake()
    for number in range(300):
        router.split(f"split-{number}", "old", "new").choose("u")
    before = states.declared()
    assert set(before) == {f"split-{number}" for number in range(300)}
    router.choose("split-7", "u")
    assert states.declared() is before
    assert states.asked()["split-7"] == 2


def test_a_declaration_changes_what_is_told_of_its_split_alone() -> None:
    """Of all others the same objects as before."""
    router, states = awake()
    router.split("checkout", "old", "new")
    router.split("banner", "old", "new")
    before = states.declared()
    router.split("checkout", "old", "new", "newer")
    after = states.declared()
    assert after is not before
    assert after["checkout"].versions == ("old", "new", "newer")
    assert after["banner"] is before["banner"]


def test_a_version_that_becomes_ready_is_told() -> None:
    """The reason of a hook changes by itself."""
    router, states = awake()
    router.split("checkout", "old", "new")
    router.warm("checkout", "new")(lambda: None)
    waiting = states.declared()
    (hook,) = states.declarations["checkout"].hooks.values()
    assert waiting["checkout"].warm == {"new": hook.reason}
    assert states.declared() is waiting
    hook.run()
    assert states.declared()["checkout"].warm == {"new": ""}


def test_a_first_attempt_is_told_of_the_last_of_very_many() -> None:
    """With each heartbeat some of those that had none are looked at, all in turn."""
    router, states = awake()
    for number in range(2 * effects.ATTEMPTS_AT_ONCE):
        router.split(f"split-{number}", "old", "new")
    handle = router.split("checkout", "old", "new")
    assert not any(one.measured for one in states.declared().values())
    with handle.attempt("u"):
        pass
    told = [states.declared()["checkout"].measured for _ in range(3)]
    assert told[-1]
    assert not states.declared()["split-0"].measured


def test_a_goal_makes_every_split_measured() -> None:
    """Whatever was told of them before."""
    router, states = awake()
    router.split("checkout", "old", "new")
    assert not states.declared()["checkout"].measured
    states.records_goals = True
    assert states.declared()["checkout"].measured
    assert states.declared() is states.declared()


def test_running_calls_are_counted_each_time() -> None:
    """By states that were asked before, and by new ones."""
    router, states = awake()
    handle = router.split("checkout", "old", "new")
    assert states.effects([FIELD])[FIELD] == effects.Effect("100", 0)
    with handle.attempt("u"):
        assert states.effects([FIELD])[FIELD] == effects.Effect("100", 1)
        publish(states, 0)
        assert states.effects([FIELD])[FIELD] == effects.Effect("0", 1)
    assert states.effects([FIELD])[FIELD] == effects.Effect("0", 0)


def test_what_runs_on_a_change_of_many_is_counted_until_nothing_does() -> None:
    """And now and then from then on: each look costs a count of each of its fields."""
    router, states = awake()
    handle, change = router.split("checkout", "old", "new"), {"c1": {FIELD: "100"}}
    with handle.attempt("u"):
        assert states.sweeps(change)["c1"].running == 1
    assert states.sweeps(change)["c1"].running == 0
    with handle.attempt("u"):
        seen = [states.sweeps(change)["c1"].running for _ in range(effects.IDLE_EVERY)]
        assert seen[-1] == 1
        publish(states, 0)
        assert states.sweeps({"c2": {FIELD: "0"}})["c2"].running == 1
