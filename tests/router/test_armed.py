"""An armed split: which states write down, on which buffer, and what choices and goals add."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graysplit import INSTANCE, Router, context
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.bucketing import bucket_of, hash32, seed_of
from graysplit.core.definition import Definition, define
from graysplit.core.guard.buffer import EvidenceBuffer
from graysplit.core.guard.tally import MICRO, Exposed, Goal, Stage
from graysplit.core.guard.totals import Totals
from graysplit.core.replica.adopted import Adopted
from graysplit.core.waves import Wave
from graysplit.log_writer import WRITER
from graysplit.router.states import PublishedStates
from graysplit.testing import forced

NOW = 1_700_000_000
SEED = seed_of("checkout")
NEW = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), SEED) < 20_000)
OLD = next(f"u-{n}" for n in range(100) if bucket_of(f"u-{n}".encode(), SEED) >= 50_000)
RELEASES = {"checkout/new": NOW * 1000 - 4_500}


def a_definition(guard: dict[str, object] | None, *names: str, **fields: Any) -> Definition:
    """Return the split `checkout`."""
    return define("checkout", names or ("old", "new"))._replace(guard=guard, **fields)


def held(definition: Definition, weight: Any = 20_000, **fields: Any) -> Adopted:
    """Return what a process holds of the split in a release that has begun."""
    text = dump_definition(definition).encode()
    base = Adopted(
        {"checkout/new": weight},
        definitions={"checkout": text},
        begun={"checkout/new": "r1"},
        releases=RELEASES,
        since={"checkout": 7},
        revision=9,
        seen={"weights": {b"checkout/new": b"20"}},
    )
    return base._replace(**fields)


ARMED = a_definition({"at": 1})


def awake() -> tuple[Router, PublishedStates]:
    """Return a router that no thread follows for: it holds what it is told."""
    router = Router()
    states = router._lifecycle.states
    states.enter("not_ready", parse=parse_definition)
    return router, states


def publish(states: PublishedStates, found: Adopted) -> None:
    """Hold something else."""
    states.publish(found, {"checkout"})


def live(states: PublishedStates) -> list[EvidenceBuffer]:
    """Return the buffers that states write on."""
    return [buffer for buffer in states.buffers() if buffer._left is None]


def a_route(router: Router) -> Callable[[str], str]:
    """Route a function on both sides."""

    @router.route("checkout", unit="unit")
    def old(unit: str) -> str:
        return "old"

    @old.version("new")
    def new(unit: str) -> str:
        return "new"

    return old


def test_a_buffer_knows_its_stage_and_release() -> None:
    """Shares in force, the change that began them, the release and its first second."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    assert buffer.names == ("old", "new")
    (candidate,) = buffer.terms.candidates
    assert candidate == (1, "checkout/new", "r1", NOW - 5, Stage(20_000, 80_000, 7))
    assert len(buffer.id) == 16


@pytest.mark.parametrize(
    "found",
    [
        held(a_definition(None)),
        held(a_definition({"unheard": 1})),
        held(ARMED, 0),
        held(ARMED, "preview"),
        held(ARMED, begun={}),
        held(ARMED, stops={"checkout/new": "by hand"}),
    ],
    ids=["no guard", "not understood", "at zero", "preview", "no release", "stopped"],
)
def test_unarmed_splits_have_no_buffer(found: Adopted) -> None:
    """No guard that is understood, no share, no release: nothing is written down."""
    router, states = awake()
    call = a_route(router)
    publish(states, found)
    call(NEW)
    assert states.buffers() == []
    assert states.present("checkout").buffer is None


def test_a_buffer_that_is_over_goes_and_its_calls_stay_counted() -> None:
    """With the last state that wrote on it, without the collector of garbage."""
    router, states = awake()
    call = a_route(router)
    found = list[Totals]()
    gc.disable()
    try:
        for stage, weight in enumerate((20_000, 30_000, 40_000)):
            publish(states, held(ARMED, weight))
            call(NEW)
            found += [buffer.totals for buffer in live(states) if buffer.totals not in found]
            for second in range(stage * 10, stage * 10 + 10):
                for buffer in states.buffers():  # as the follower asks: each second
                    buffer.turn(NOW + second)
                    buffer.collect(NOW + second)
        del buffer
        assert [totals.settled for totals in found] == [True, True, False]
    finally:
        gc.enable()
    assert states.asked()["checkout"] == 3


def test_a_guard_that_is_not_understood_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the word."""
    assert WRITER.flush(5)  # what was said before this test
    caplog.clear()
    router, states = awake()
    a_route(router)
    for weight in (20_000, 30_000):
        publish(states, held(a_definition({"unheard": 1}), weight))
    (record,) = [record for record in caplog.records if "guard" in record.getMessage()]
    assert "cannot read the guard of 'checkout'" in record.getMessage()


def test_the_buffer_stays_while_the_stage_is_the_same() -> None:
    """Published anew, staler, pinned or reordered: the same buffer; and a release, weight or guard makes another."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    states.refresh()
    publish(states, held(ARMED, revision=11))
    publish(states, held(ARMED._replace(pins={"vip": "new"})))
    assert live(states) == [buffer]
    known = {buffer}
    for found in (
        held(ARMED, 30_000),
        held(ARMED, since={"checkout": 8}),
        held(ARMED, since={"*": 9}),
        held(ARMED, begun={"checkout/new": "r2"}),
        held(a_definition({"at": 2})),
        held(a_definition({"at": 1, "slow": "1s"})),
    ):
        publish(states, found)
        (other,) = live(states)
        assert other not in known
        known.add(other)


def test_a_new_release_at_the_same_weight_is_taken_up() -> None:
    """Also where no weight changes with it."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED, begun={}))
    assert live(states) == []
    states.publish(held(ARMED), set())
    assert len(live(states)) == 1


def test_a_buffer_that_is_left_goes_on_until_it_is_over_and_the_same_stage_finds_it_again() -> None:
    """Its evidence is collected; counts of calls outlive it."""
    router, states = awake()
    call = a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    buffer.turn(NOW)
    call(NEW)
    publish(states, held(ARMED, 0))
    assert states.buffers() == [buffer]
    assert live(states) == []
    publish(states, held(ARMED))
    assert live(states) == [buffer]
    publish(states, held(ARMED, 0))
    states.buffers()
    told = 0
    for second in range(NOW + 1, NOW + 8):
        buffer.turn(second)
        told += sum(begun.calls for batch in buffer.collect(second) for begun in batch.calls)
    assert told == 1
    assert states.buffers() == []
    measure = next(found for found in router.measures() if found.version == "new")
    assert measure.evaluations["bucket"] == 1
    assert measure.running == 0
    publish(states, held(ARMED))
    assert live(states) != [buffer]


def test_decisions_by_name_and_by_handle_are_the_same_armed() -> None:
    """The same version for the same reason, counted once; each unit is an exposure."""
    router, states = awake()
    handle = router.split("checkout", "old", "new")
    units = [f"u-{number}" for number in range(50)]
    publish(states, held(a_definition(None)))
    before = [(handle.choose(unit), router.choose("checkout", unit), handle.decide(unit).reason) for unit in units]
    publish(states, held(ARMED))
    after = [(handle.choose(unit), router.choose("checkout", unit), handle.decide(unit).reason) for unit in units]
    assert after == before
    (buffer,) = live(states)
    buffer.turn(NOW)
    (batch,) = buffer.collect(NOW)
    drawn = {unit: versions[0] == "new" for unit, versions in zip(units, after, strict=True)}
    assert set(batch.exposed) == {Exposed(hash32(unit.encode(), SEED), on_new) for unit, on_new in drawn.items()}
    assert batch.calls == ()
    assert sum(sum(found.evaluations.values()) for found in router.measures()) == 300


def test_pins_of_an_armed_split_are_obeyed_and_no_exposure() -> None:
    """Whatever way is asked."""
    router, states = awake()
    handle = router.split("checkout", "old", "new")
    publish(states, held(ARMED._replace(pins={OLD: "new"})))
    assert handle.choose(OLD) == router.choose("checkout", OLD) == "new"
    assert handle.decide(OLD).reason == "pin"
    (buffer,) = live(states)
    buffer.turn(NOW)
    assert buffer.collect(NOW) == []


def test_a_kept_choice_of_an_armed_handle_is_obeyed() -> None:
    """In one request one answer, for the context's unit and for one that is named."""
    router, states = awake()
    handle = router.split("checkout", "old", "new")
    publish(states, held(ARMED))
    with context(unit=NEW):
        assert [handle.choose(), handle.decide().reason, handle.choose(OLD)] == ["new", "kept", "old"]
        publish(states, held(ARMED, 1_000))
        assert handle.choose() == "new"


def test_attempts_of_a_handle_are_measured_calls() -> None:
    """Running while they are open, for receipts too."""
    router, states = awake()
    handle = router.split("checkout", "old", "new")
    publish(states, held(ARMED))
    assert not states.declared()["checkout"].measured
    with handle.attempt(NEW):
        assert states.effects(["checkout/new"])["checkout/new"].running == 1
    assert states.effects(["checkout/new"])["checkout/new"].running == 0
    assert states.declared()["checkout"].measured


def test_what_is_measured_is_declared() -> None:
    """A route always; a handle once a goal was recorded."""
    router, states = awake()
    a_route(router)
    router.split("banner")
    assert {name: found.measured for name, found in states.declared().items()} == {"checkout": True, "banner": False}
    router.record("purchase", unit="u-1")
    assert states.declared()["banner"].measured


def test_receipts_are_exact_across_arming() -> None:
    """Calls that began unarmed, or on an older buffer, run until they end; each is counted once."""
    router, states = awake()

    @router.route("checkout", unit="unit")
    def items(unit: str) -> Iterator[str]:
        yield unit

    @items.version("new")
    def new(unit: str) -> Iterator[str]:
        yield unit

    plain = a_definition(None)
    begun: list[Iterator[str]] = []

    def running() -> int:
        states.buffers()
        return states.effects(["checkout/new"])["checkout/new"].running

    for found in (held(plain, 90_000), held(ARMED, 100_000), held(ARMED, 90_000), held(plain, 100_000)):
        publish(states, found)
        begun.append(items(NEW))
        next(begun[-1])
        assert running() == len(begun)
    for left, call in enumerate(begun[::-1], 1):
        call.close()
        assert running() == len(begun) - left
    assert states.asked()["checkout"] == len(begun)


def test_goals_are_noted_for_the_version_that_the_hash_draws() -> None:
    """With their value as a share of the most it can be; for a named unit and for the context's."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    buffer.turn(NOW)
    router.record("purchase", unit=NEW)
    router.record("spent", unit=OLD, value=30, at_most=120)
    router.record("spent", unit=OLD, value=500, at_most=120)
    with context(unit=NEW):
        router.record("seen", value=-1)
    (batch,) = buffer.collect(NOW)
    new, old = hash32(NEW.encode(), SEED), hash32(OLD.encode(), SEED)
    assert batch.goals == (
        Goal("purchase", new, MICRO),
        Goal("spent", old, MICRO // 4),
        Goal("spent", old, MICRO),
        Goal("seen", new, 0),
    )


def test_goals_of_pinned_and_forced_units_are_not_noted() -> None:
    """Nor of what is no unit."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED._replace(pins={"vip": "new"})))
    (buffer,) = live(states)
    buffer.turn(NOW)
    for unit in ("vip", None, 1.5, ""):
        router.record("purchase", unit=unit)
    with forced(checkout="new"):
        router.record("purchase", unit=OLD)
    router.record("purchase")
    assert buffer.collect(NOW) == []


@pytest.mark.parametrize(
    ("goal", "value", "at_most"),
    [
        ("Bad name", None, 1.0),
        ("spent", float("nan"), 1.0),
        ("spent", 1.0, 0.0),
        (object(), 1.0, 1.0),
        ("spent", "1", 1.0),
    ],
)
def test_a_goal_that_cannot_be_counted_is_said(
    goal: Any, value: Any, at_most: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And raises nothing."""
    router, states = awake()
    a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    buffer.turn(NOW)
    router.record(goal, unit=NEW, value=value, at_most=at_most)
    assert "goal" in caplog.text
    assert buffer.collect(NOW) == []


def test_an_unregistered_candidate_is_not_watched_from_here() -> None:
    """A process without the version has no part in it, and a share of its own no other has."""
    router, states = awake()
    a_route(router)
    definition = a_definition({"at": 1}, "old", "new", "b")
    found = held(definition, begun={"checkout/new": "r1", "checkout/b": "r2"})
    publish(states, found._replace(weights={"checkout/new": 20_000, "checkout/b": 10_000}))
    (buffer,) = live(states)
    assert [(candidate.field, candidate.stage) for candidate in buffer.terms.candidates] == [
        ("checkout/new", Stage(20_000, 70_000, 7))
    ]


def test_where_instances_cross_the_share_is_what_the_wave_can_be_at_most() -> None:
    """Two of at most four hosts at a quarter have crossed; every failure is the host's."""
    router, states = awake()
    states.instance = "web-1"

    @router.route("checkout", unit=INSTANCE)
    def old() -> None:
        raise RuntimeError

    old.version("new")(lambda: None)
    definition = a_definition({"at": 1}, by="instance")
    wave = Wave({"web-8": 25_000, "web-9": 25_000})
    publish(states, held(definition, 25_000, waves={"checkout/new": wave}))
    (buffer,) = live(states)
    assert buffer.terms.candidates[0].stage == Stage(50_000, 50_000, 7)
    assert buffer.terms.only == b"web-1"


def test_what_a_request_has_kept_is_evidence_only_in_its_own_stage() -> None:
    """Not of a pin, and not of a weight that stands no more, however often the request asks."""
    router, states = awake()
    states.publish(held(a_definition({"at": 1}, pins={OLD: "new"})), ("checkout",))

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        return "new"

    def calls() -> dict[int, int]:
        found: dict[int, int] = {}
        for buffer in states.buffers():
            buffer.turn(NOW)
            for batch in buffer.collect(NOW):
                found[batch.stage.new] = found.get(batch.stage.new, 0) + sum(one.calls for one in batch.calls)
        return found

    with context():
        assert [checkout(OLD) for _ in range(3)] == ["new"] * 3
        assert [checkout(NEW) for _ in range(3)] == ["new"] * 3
        assert calls() == {20_000: 3}
        states.publish(held(a_definition({"at": 1}), weight=10, since={"checkout": 8}), ("checkout",))
        assert checkout(NEW) == "new"
        assert calls() == {}
    assert checkout(NEW) == "old"
    assert calls() == {10: 1}


def test_a_forked_child_has_no_buffers_of_its_parents() -> None:
    """Nor their counts, and no lock of theirs, be it held."""
    router, states = awake()
    call = a_route(router)
    publish(states, held(ARMED))
    (buffer,) = live(states)
    call(NEW)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with buffer._lock:
            holding.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(5)
    pid = os.fork()
    if pid == 0:
        states.after_fork()
        clean = states.buffers() == [] and all(not found.evaluations.get("bucket") for found in router.measures())
        os._exit(0 if clean and states.present("checkout").buffer is None else 1)
    status = os.waitpid(pid, 0)[1]
    done.set()
    holder.join(5)
    assert os.waitstatus_to_exitcode(status) == 0
    assert live(states) == [buffer]
