"""The hosts of a step, watched: who is lost, who has begun anew, and when the step's clock counts."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.fleet import Declared, Effect, Fleet, Process, Receipt, fleet_of
from graysplit.core.plan.hosts import AGAIN_MS, REMEMBERED_AT_MOST, WaveInput, WaveMemory, WaveView, watch_wave
from graysplit.core.plan.progress import Progress
from graysplit.core.waves import Wave, instances
from graysplit.stores.text.records import progress_text, read_progress

T0: Final = 1_000_000_000
DECLARED: Final = {"renderer": Declared("old", ("old", "new"), by="instance")}
HOSTS: Final = ("web-1", "web-2", "web-3", "web-4")


def process(host: str, seen_ms: int, *, boot: str = "", born_ms: int = T0 - 60_000) -> Process:
    """Make a process of a host."""
    return Process(boot or host, host, 1, "1", DECLARED, seen_ms, instance=host, born_ms=born_ms)


def look(*on: str, weight: int = 50_000) -> WaveInput:
    """Look at the step to a weight, with which these hosts crossed."""
    return WaveInput("renderer", "new", Wave(dict.fromkeys(on, weight)), weight, T0, shown=True)


class Story:
    """A step, looked at each second, with one process for each host."""

    def __init__(self, *on: str, weight: int = 50_000) -> None:
        """Begin with all hosts live."""
        self.look, self.memory, self.now_ms = look(*on, weight=weight), WaveMemory(), T0
        self.processes = {host: process(host, T0) for host in HOSTS}
        self.last: dict[str, int] = {}  # by host that is dead: when it was heard last

    def pass_s(self, seconds: int) -> WaveView:
        """Let time pass; return what is seen at its end."""
        found = None
        for _ in range(seconds):
            self.now_ms += 1_000
            heard = {
                host: each if host in self.last else each._replace(seen_ms=self.now_ms)
                for host, each in self.processes.items()
            }
            self.processes = heard
            found, self.memory = watch_wave(self.look, fleet_of(self.now_ms, heard.values()), self.memory)
        assert found is not None
        return found


def test_all_well() -> None:
    """Nothing is said, and nothing is remembered but how many there were."""
    story = Story("web-1", "web-2")
    view = story.pass_s(30)
    assert (view.words, view.wanted, view.alive, view.hosts, view.anew) == ("", 2, 2, 4, False)
    assert story.memory._replace(wave=0) == WaveMemory(0, T0, 4)


def test_a_host_of_the_wave_that_falls_silent_is_lost_after_nine_seconds() -> None:
    """Live for six, found dead for three more; one that has not crossed is nobody's business."""
    story = Story("web-1", "web-2")
    story.pass_s(5)
    story.last |= {"web-1": story.now_ms, "web-3": story.now_ms}
    assert story.pass_s(6).words == ""
    assert story.pass_s(1).words == "not heard: web-1 (not heard)"
    assert story.pass_s(2).lost == {}
    view = story.pass_s(1)
    assert view.untold == ("web-1",)
    assert view.words == "host lost: web-1 (not heard for 10 s). Continue without: graysplit rebalance renderer"


def test_one_whose_connection_has_ended_takes_no_place_and_is_no_yes() -> None:
    """It counts as live for others for six seconds; here it is missing at once."""
    found = [process(host, T0 + 1_000) for host in HOSTS]
    fleet = fleet_of(T0 + 2_000, found, {"web-1"})
    assert [host.name for host in instances(fleet, "renderer", "new")] == ["web-2", "web-3", "web-4"]
    view, _ = watch_wave(look("web-1", "web-2"), fleet, WaveMemory())
    assert (view.alive, view.anew, view.lost) == (1, True, {})


def test_what_died_long_before_the_step_is_not_lost() -> None:
    """Only whoever was heard in the step, or counted as live when it was taken, can be lost in it."""
    found = [process(host, T0 + 8_000) for host in HOSTS[1:]]
    for seen_ms, lost in ((T0 - 7_000, False), (T0 - 5_000, True)):
        memory = WaveMemory()
        for now_ms in (T0 + 8_000, T0 + 12_000):
            heard = [each._replace(seen_ms=now_ms) for each in found]
            view, memory = watch_wave(
                look("web-1", "web-2"), fleet_of(now_ms, [*heard, process("web-1", seen_ms)]), memory
            )
        assert bool(view.lost) is lost
        assert view.words != ""


def test_short_lived_programs_on_a_host_are_no_restart() -> None:
    """A host is a new one only when nobody lives there who lived before: a script that comes and goes is not it."""
    memory = WaveMemory()
    for second in range(1, 400, 3):
        now_ms = T0 + second * 1_000
        found = [process(host, now_ms) for host in HOSTS]
        script = process("web-1", now_ms, boot=f"script-{second}", born_ms=now_ms - 500)
        view, memory = watch_wave(look("web-1", "web-2"), fleet_of(now_ms, [*found, script]), memory)
        assert view.words == ""
    assert memory.again == {}


def test_a_rolling_reload_of_eight_workers_is_one_restart() -> None:
    """However many processes a host runs, it began anew once when the last old one has gone."""
    memory, workers = WaveMemory(), [process("web-1", T0, boot=f"w{n}") for n in range(8)]
    for second in range(1, 60):
        now_ms = T0 + second * 1_000
        if second <= 8:
            workers[second - 1] = process("web-1", now_ms, boot=f"n{second}", born_ms=now_ms)
        heard = [each._replace(seen_ms=now_ms) for each in workers]
        view, memory = watch_wave(look("web-1"), fleet_of(now_ms, heard), memory)
        assert view.lost == {}
    assert memory.again == {"web-1": (1, T0 + 8_000)}


def test_one_worker_that_crashes_again_and_again_loses_its_host() -> None:
    """The others live, and the second crash is one too many; a power cut that takes all at once is one."""
    now_ms = T0 + 60_000
    others = [process("web-1", now_ms, boot=f"w{n}") for n in range(7)]
    for ends, lost in (((10, 40), True), ((10, 12), False), ((10,), False)):
        dead = [process("web-1", T0 + at * 1_000, boot=f"d{at}") for at in ends]
        view, _ = watch_wave(look("web-1"), Fleet(now_ms, (*others, *dead)), WaveMemory())
        assert bool(view.lost) is lost
    assert view.words == ""


def test_two_restarts_far_apart_are_two_deployments() -> None:
    """More than ten minutes lie between them: nobody is lost."""
    memory = WaveMemory()
    for second in range(1, 1_500, 5):
        now_ms = T0 + second * 1_000
        born_ms = max(b for b in (T0 - 1, T0 + 100_000, T0 + 100_000 + AGAIN_MS + 60_000) if b <= now_ms)
        found = [process(host, now_ms, boot=f"{host}-{born_ms}", born_ms=born_ms) for host in HOSTS]
        view, memory = watch_wave(look("web-1", "web-2"), fleet_of(now_ms, found), memory)
        assert view.lost == {}


def test_who_says_why_it_does_not_show_the_weight_is_missing_by_that_name() -> None:
    """A crossed host under break-glass does not run new, so it proves nothing."""
    now_ms = T0 + 1_000
    on_old = [process(host, now_ms) for host in HOSTS[1:]]
    off = process("web-1", now_ms)._replace(receipt=Receipt(effects={"renderer/new": Effect("0", 0, "off")}))
    view, _ = watch_wave(look("web-1", "web-2"), Fleet(now_ms, (off, *on_old)), WaveMemory())
    assert view.words.startswith("wave short: 1 of 2 alive (missing: web-1 (off))")
    assert view.missing == {"web-1": "off"}


def test_a_host_whose_killed_process_showed_an_older_weight_is_well_once_another_shows_this_one() -> None:
    """Killed in one step and started again in it: what the dead one last showed is nobody's word of the next step."""
    field = "renderer/new"
    shown = Receipt(effects={field: Effect("12.5", 0)})
    for since_dead_ms in (3_000, 20_000, 300_000):
        now_ms = T0 + 400_000
        dead = process("web-1", now_ms - since_dead_ms)._replace(receipt=shown)
        alive = process("web-1", now_ms, boot="again", born_ms=now_ms - since_dead_ms)
        alive = alive._replace(receipt=Receipt(effects={field: Effect("50", 0)}))
        others = [process(host, now_ms) for host in HOSTS[1:]]
        fleet = fleet_of(now_ms, [dead, alive, *others], {"web-1"})
        view, _ = watch_wave(look("web-1", "web-2")._replace(since_ms=now_ms - 1_000), fleet, WaveMemory())
        assert (view.alive, view.missing) == (2, {}), since_dead_ms


def test_a_deployment_of_a_whole_great_fleet_begins_the_clock_anew_once() -> None:
    """More hosts begin anew than the memory names: the next look finds nothing new."""
    names = [f"web-{number}" for number in range(200)]
    fleet = Fleet(T0 + 9_000, tuple(process(name, T0 + 9_000, born_ms=T0 + 5_000) for name in names))
    view, memory = watch_wave(look(*names, weight=100_000), fleet, WaveMemory())
    assert (view.anew, len(memory.again)) == (True, REMEMBERED_AT_MOST)
    again = Fleet(T0 + 10_000, tuple(each._replace(seen_ms=T0 + 10_000) for each in fleet.processes))
    view, memory = watch_wave(look(*names, weight=100_000), again, memory)
    assert (view.anew, view.words) == (False, "")


moves = st.lists(st.tuples(st.sampled_from(HOSTS), st.sampled_from(("crash", "leave", "start"))), max_size=12)


@given(moves, st.sets(st.sampled_from(HOSTS), min_size=1))
def test_nobody_who_is_not_there_is_well(events: list[tuple[str, str]], on: set[str]) -> None:
    """Whatever hosts do: fewer of the wave alive than wanted, or one of them dead, and the step's clock stands."""
    story = Story(*sorted(on), weight=25_000 * len(on))
    for number, (host, event) in enumerate(events):
        if event == "crash":
            story.last[host] = story.now_ms
        elif event == "leave":
            story.processes.pop(host, None)
            story.last.pop(host, None)
        else:
            story.last.pop(host, None)
            story.processes[host] = process(host, story.now_ms, boot=f"{host}-{number}", born_ms=story.now_ms)
        view = story.pass_s(3)
        fleet = fleet_of(story.now_ms, story.processes.values())
        there = {found.name for found in instances(fleet, "renderer", "new")}
        if not on <= there:
            assert view.anew
            assert view.words
        assert view.alive <= len(on & there)
        assert view.wanted == len(on)


@given(st.sets(st.text(min_size=1, max_size=5), max_size=200))
def test_the_memory_is_bounded_and_read_as_it_was_written(names: set[str]) -> None:
    """However many hosts a fleet loses: 64 of each kind are named, and the next driver reads the same."""
    wave = Wave({**dict.fromkeys(names, 50_000), "web-1": 50_000})
    asked = WaveInput("renderer", "new", wave, 50_000, T0, shown=True)
    fleet = Fleet(T0 + 9_000, tuple(process(name, T0) for name in names))
    _, memory = watch_wave(asked, fleet, WaveMemory())
    assert max(len(memory.dead), len(memory.again), len(memory.told)) <= REMEMBERED_AT_MOST
    progress = Progress("run", "release", 0, 50_000, T0, hosts=memory)
    assert read_progress(progress_text(progress)) == progress
