"""Splits by instance: which hosts cross with a raise, and what `rebalance` adds."""

from __future__ import annotations

import pytest

from graysplit import INSTANCE, Control, Router
from graysplit.control.control import Question
from graysplit.control.steps import Step
from graysplit.control.waves import hosts_words
from graysplit.core.compiled import CompileInput, compile_state
from graysplit.core.counters import Counts
from graysplit.core.decision import DecisionInput, decide
from graysplit.core.definition import define
from graysplit.core.fleet import Declared, Receipt
from graysplit.core.split_state import SplitState
from graysplit.core.waves import Wave
from graysplit.errors import ConflictError, RefusedError
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report, Store

ROLLING = {"renderer": Declared("old", ("old", "new"), "route", 5, by="instance")}
FIELD = "wave:renderer/new"


def live(store: Store, instance: str, worker: int = 1, *, zone: str = "", by: str = "instance") -> None:
    """Have one process of an instance report once."""
    declared = ROLLING if by == "instance" else {"renderer": ROLLING["renderer"]._replace(by="unit")}
    feed = store.follow()
    boot = f"{instance}-{worker}"
    feed.report(Report(boot, f"host-{instance}", worker, "1", declared, Receipt(), instance, zone), about=True)
    feed.close()


def dead(store: Store, instance: str) -> None:
    """Have the process of an instance say goodbye."""
    feed = store.follow()
    feed.leave(f"{instance}-1")
    feed.close()


@pytest.fixture
def store() -> MemoryStore:
    """Return a store that ten instances follow."""
    store = MemoryStore()
    for number in range(10):
        live(store, f"web-{number}")
    return store


@pytest.fixture
def control(store: MemoryStore) -> Control:
    """Return an operator."""
    return Control(store, actor="ada", confirm=True)


def wave(store: MemoryStore) -> str | None:
    """Return the wave as it stands in the store."""
    raw = store.load().meta.fields.get(FIELD.encode())
    return None if raw is None else raw.decode()


def test_a_set_records_its_wave_in_the_same_change(store: MemoryStore, control: Control) -> None:
    """One entry in the history holds weight and wave; the split is made by instance, as the code declares it."""
    result = control.set("renderer", 20, why="first")
    definition = control.show("renderer").definition
    assert definition is not None
    assert definition.by == "instance"
    recorded = wave(store)
    assert recorded is not None
    assert [part.partition(":")[0] for part in recorded.split(" ")] == ["20", "20"]
    entry = control.history("renderer")[0]
    assert (entry.after["weights renderer/new"], entry.after[f"meta {FIELD}"]) == ("20", recorded)
    names = sorted(part.partition(":")[2] for part in recorded.split(" "))
    assert result.notes == (f"renderer/new: crossed 2 of 10 instances: {', '.join(names)}",)
    assert result.expected == {"renderer/new": "20"}


def test_a_further_raise_keeps_who_is_in(store: MemoryStore, control: Control) -> None:
    """The second wave stands beside the first, at its own weight; lowering writes none, and cuts the last one off."""
    control.set("renderer", 20)
    first = wave(store) or ""
    control.set("renderer", 50)
    second = wave(store) or ""
    assert second.startswith(first)
    assert second.count(" 50:") == 3
    control.set("renderer", 20)
    assert wave(store) == second
    found = control.show("renderer").crossings[0]
    assert (len(found.crossed), found.wanted, found.short) == (2, 2, False)


def test_a_dry_run_names_who_would_cross(store: MemoryStore, control: Control) -> None:
    """It writes nothing and says the same."""
    shown = control.set("renderer", 20, dry_run=True).notes
    assert wave(store) is None
    assert control.set("renderer", 20).notes == shown


def test_eight_workers_of_a_host_are_one_instance(store: MemoryStore, control: Control) -> None:
    """Half of two hosts is one, however many processes each of them runs."""
    for number in range(2, 10):
        dead(store, f"web-{number}")
    for worker in range(2, 9):
        live(store, "web-0", worker)
    control.set("renderer", 50)
    assert len((wave(store) or "").split(" ")) == 1


def test_zones_take_turns(store: MemoryStore, control: Control) -> None:
    """Where processes tell a zone, each wave is spread over all of them."""
    for number in range(10):
        live(store, f"web-{number}", zone="ab"[number % 2])
    control.set("renderer", 20)
    numbers = [int(part.rpartition("-")[2]) for part in (wave(store) or "").split(" ")]
    assert {number % 2 for number in numbers} == {0, 1}


def test_a_raise_with_nobody_there_records_nobody_and_says_so(control: Control, store: MemoryStore) -> None:
    """The weight stands, and the note names what brings them over later."""
    for number in range(10):
        dead(store, f"web-{number}")
    control.create("renderer", by="instance")
    (note,) = control.set("renderer", 50).notes
    assert "crossed 0 of 0 instances: no live process declares it" in note
    assert note.endswith("graysplit rebalance renderer")


def test_an_unstop_records_a_wave(store: MemoryStore, control: Control) -> None:
    """Clearing a stop lets somebody in, so it is an act of raising like any other."""
    control.set("renderer", 20)
    store.raw_set("stops", "*", "by hand")
    before = wave(store)
    dead(store, (before or "").split(" ")[0].partition(":")[2])
    control.unstop("*")
    assert wave(store) != before
    assert len((wave(store) or "").split(" ")) == 2


def test_rebalance_fills_the_places_of_the_dead(store: MemoryStore, control: Control) -> None:
    """The dead go, the living stay, and what is written is the wave alone."""
    control.set("renderer", 30)
    names = [part.partition(":")[2] for part in (wave(store) or "").split(" ")]
    dead(store, names[0])
    found = control.show("renderer").crossings[0]
    assert (found.missing, len(found.crossed), found.wanted) == ((names[0],), 2, 3)
    result = control.rebalance("renderer", why="host gone")
    assert result.moves == {}
    after = control.show("renderer").crossings[0]
    assert (after.missing, len(after.crossed)) == ((), 3)
    assert set(names[1:]) < set(after.crossed)
    entry = control.history("renderer")[0]
    assert (entry.cause, entry.why, list(entry.after)) == ("rebalance", "host gone", [f"meta {FIELD}"])


def test_a_rebalance_with_nothing_to_do_is_refused(store: MemoryStore, control: Control) -> None:
    """It says how it stands; so do splits at zero, by unit, and without anybody live."""
    control.set("renderer", 20)
    with pytest.raises(RefusedError, match="nothing to rebalance"):
        control.rebalance("renderer")
    control.rollback("renderer")
    with pytest.raises(RefusedError, match="every weight is zero"):
        control.rebalance("renderer")
    control.create("checkout", by="unit")
    with pytest.raises(RefusedError, match="split by unit"):
        control.rebalance("checkout")
    control.set("renderer", 20, unstop=True)
    for number in range(10):
        dead(store, f"web-{number}")
    with pytest.raises(RefusedError, match="its wave would be empty"):
        control.rebalance("renderer")


def test_a_rebalance_is_a_raise(store: MemoryStore, control: Control) -> None:
    """Where somebody would cross, a freeze keeps it back, protection wants a reason, and 100 % the typed name."""
    control.set("renderer", 20)
    store.raw_set("weights", "renderer/new", "50")
    control.freeze("renderer", why="holiday")
    with pytest.raises(RefusedError, match="frozen"):
        control.rebalance("renderer")
    control.unfreeze("renderer")
    control.protect("renderer")
    with pytest.raises(RefusedError, match="is protected, and this raises it"):
        control.rebalance("renderer")
    asked: list[str | None] = []

    def agree(question: Question) -> None:
        asked.append(question.ask)

    asking = Control(store, actor="ada", confirm=agree)
    asking.rebalance("renderer", why="as planned")
    assert asked == ["this raises the instances that cross to renderer/new, and renderer is protected"]
    control.unprotect("renderer")
    store.raw_set("weights", "renderer/new", "100")
    asking.rebalance("renderer")
    assert asked[1:] == ["this sends everybody to renderer/new"]
    assert (wave(store) or "").endswith(" 100:*")


def test_everybody_is_more_than_all_who_are_there(store: MemoryStore, control: Control) -> None:
    """With all ten in, recording 100 % lets those in who are born later, so it is a raise and asks for the name."""
    control.set("renderer", 99)
    assert len((wave(store) or "").split(" ")) == 10
    store.raw_set("weights", "renderer/new", "100")
    control.freeze("renderer")
    with pytest.raises(RefusedError, match="frozen"):
        control.rebalance("renderer")


def test_taking_only_the_dead_away_is_no_raise(store: MemoryStore, control: Control) -> None:
    """Nobody crosses by it, so a freeze does not keep it back."""
    control.set("renderer", 20)
    for number in range(10):
        name = f"web-{number}"
        if f":{name}" not in (wave(store) or ""):
            dead(store, name)
    live(store, "web-late")
    gone = (wave(store) or "").split(" ")[0].partition(":")[2]
    dead(store, gone)
    control.freeze("renderer")
    control.rebalance("renderer")
    assert gone not in (wave(store) or "")


def test_two_who_raise_at_once_are_told(store: MemoryStore, control: Control) -> None:
    """The wave is compared as it was read, like everything that a change rests on."""
    control.set("renderer", 20)
    other = Control(store, actor="bob", confirm=lambda _: store.raw_set("meta", FIELD, "20:web-0"))
    with pytest.raises(ConflictError):
        other.set("renderer", 100)


def test_processes_that_differ_on_who_crosses_over_are_named(store: MemoryStore, control: Control) -> None:
    """In the middle of a deployment nothing is guessed; saying it settles it, and doctor names the rest."""
    live(store, "web-0", by="unit")
    with pytest.raises(RefusedError, match="differ on who crosses over in 'renderer'"):
        control.set("renderer", 20)
    control.create("renderer", by="instance")
    control.set("renderer", 20)
    wheres = {found.where: found.what for found in control.doctor()}
    assert "live processes differ" in wheres["code renderer"]


def test_a_bad_wave_is_shown_and_written_over(store: MemoryStore, control: Control) -> None:
    """Doctor names it with the next command, and the next raise records anew."""
    control.set("renderer", 20)
    store.raw_set("meta", FIELD, "nonsense")
    found = next(found for found in control.doctor() if found.where == f"meta {FIELD}")
    assert found.command == "graysplit show renderer"
    control.set("renderer", 30)
    assert (wave(store) or "").count(":") == 3


def test_switching_crosses_everybody(store: MemoryStore, control: Control) -> None:
    """Blue-green over hosts is the same act: all of them, those born later too."""
    control.switch("renderer", to="new")
    assert len(control.show("renderer").crossings[0].crossed) == 10
    assert (wave(store) or "").endswith(" 100:*")
    control.switch("renderer", to="old")
    assert control.show("renderer").crossings[0].crossed == ()


def test_a_plan_that_a_person_starts_records_its_first_wave(store: MemoryStore, control: Control) -> None:
    """The first step of a ramp is the act of the person who starts it."""
    control.ramp("renderer")
    assert len((wave(store) or "").split(" ")) == 2


def test_a_host_is_pinned_under_the_name_by_which_it_asks(store: MemoryStore, control: Control) -> None:
    """One rule for names: what is typed is cleaned as the host's own router does, and the receipt says so."""
    live(store, "web_11_x")
    control.set("renderer", 100)
    denied = control.pin("renderer", "web 11 x", deny=True)
    assert "the host 'web 11 x' is known as 'web_11_x', and is pinned under that name" in denied.notes
    split_state = control.explain("renderer", "web 11 x")
    assert (split_state.version, split_state.reason, split_state.note) == ("old", "denied", "")
    with Router(store, instance="web 11 x") as gray:
        renderer = gray.split("renderer", "old", "new", unit=INSTANCE)
        assert gray.wait_ready(5)
        assert (renderer.decide().version, renderer.decide().reason) == ("old", "denied")
    control.unpin("renderer", " web 11 x")
    assert control.explain("renderer", "web_11_x").version == "new"


def test_a_pin_of_a_host_that_nobody_knows_is_said_and_not_refused(control: Control) -> None:
    """A slip would do nothing without a word; a host may also come later."""
    control.set("renderer", 20)
    assert control.pin("renderer", "web-11", "new").notes[-1] == (
        "no live process is on a host 'web-11' (10 are known: graysplit fleet). Did you mean 'web-1'?"
    )
    assert "no live process is on a host 'web-77'" in control.explain("renderer", "web-77").note


def test_a_denial_that_an_older_library_wrote_as_typed_holds(store: MemoryStore) -> None:
    """Its record has the blank; the compiled state and the readable ladder both find the host."""
    definition = define("renderer", ("old", "new"), by="instance")._replace(denied=("web 11 x",))
    split_state = SplitState("renderer", definition, {"new": 100_000}, {}, {"new": Wave({}, everybody=True)})
    state = compile_state(split_state, CompileInput(Counts(("old", "new")), object(), instance="web_11_x"))
    assert state.pick(b"web_11_x") == (0, "denied")
    assert decide(DecisionInput(split_state, b"web_11_x", {}, None)).reason == "denied"


def test_list_and_show_count_hosts(store: MemoryStore, control: Control) -> None:
    """Beside the weight, of the hosts that live; the dead ones are told apart."""
    control.set("renderer", 30)
    (row,) = control.overview().rows
    assert row.crossing is not None
    assert hosts_words(row.crossing) == "3 of 10 hosts"
    dead(store, row.crossing.crossed[0])
    (row,) = control.show("renderer").rows
    assert row.crossing is not None
    assert hosts_words(row.crossing) == "2 of 9 hosts, 1 dead"


def test_a_simulation_foretells_which_hosts_cross(store: MemoryStore, control: Control) -> None:
    """The same ones that the steps then record."""
    steps = (Step(12.5, 8), Step(25, 8), Step(50, 8), Step(100))
    foretold = [move.hosts for move in control.simulate("renderer", steps).moves]
    assert [(found.on, found.of) for found in foretold if found is not None] == [(2, 10), (3, 10), (5, 10), (10, 10)]
    control.set("renderer", 12.5)
    assert foretold[0] is not None
    assert control.show("renderer").crossings[0].crossed == foretold[0].joining
