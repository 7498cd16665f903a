"""The hosts that have crossed in one step of a plan: which are well, which are lost, and what the next look must know.

A host is alive while one of its processes is live: heard within six seconds, its connection not seen to end. Who is
not seen is not well, whatever the reason. A host of the wave is **lost**

* when it was heard during the step, is not any more, and said no goodbye: for six seconds and three more looked at;
* when it comes back again and again: twice within ten minutes it crashed, or nobody lives there any more who lived
  when it last began anew.

A goodbye is not a crash: a host that leaves in good order and comes back has begun anew once, and the step's clock
begins anew with it. One that leaves and stays away is missing: then the wave is short.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

from graysplit.core.address import field_of
from graysplit.core.bucketing import hash32
from graysplit.core.definition import Definition
from graysplit.core.durations import format_span
from graysplit.core.fleet import FORGET_MS, LIVE_MS, Fleet, Process, is_live
from graysplit.core.waves import (
    NOBODY,
    Wave,
    crossed,
    format_wave,
    instance_of,
    instances,
    parse_wave,
    wanted,
    wave_writes,
)
from graysplit.core.weights import format_weight

DEAD_MS: Final = 3_000  # a host must be found dead for so long: after an outage of the store all have been silent
AGAIN_MS: Final = FORGET_MS  # within this a second crash or restart is one too many
REMEMBERED_AT_MOST: Final = 64  # hosts of each kind; a step with more in trouble stands all the same
NAMED_AT_MOST: Final = 3
TWICE: Final = 2
UNHEARD: Final = "not heard"

_Value = TypeVar("_Value")
Hosts: TypeAlias = Mapping[str, Sequence["Process"]]  # by name: the processes of a host, live and dead


class WaveMemory(NamedTuple):
    """What a step's looks at its hosts have found so far; kept with the plan's progress, as drivers change."""

    wave: int = 0  # of which wave: another one (a rebalance) begins anew
    since_ms: int = 0  # server time at which it began; what ended before it is settled
    hosts: int = 0  # how many were live then
    dead: Mapping[str, int] = {}  # by host that is not alive and said no goodbye: server time at which that was found
    again: Mapping[str, tuple[int, int]] = {}  # by host that began anew: how often within ten minutes, and when last
    told: Mapping[str, int] = {}  # by host: when it was last lost, of those that the history names
    mark_ms: int = 0  # of hosts that are not in `again`: what was born up to then is not new


class WaveView(NamedTuple):
    """What a driver found of the hosts at one moment."""

    split: str
    wanted: int  # hosts that the step's weight asks for, of those that were live when it began
    alive: int  # hosts that have crossed and are well
    hosts: int  # live ones
    lost: Mapping[str, str] = {}  # by host: why
    untold: tuple[str, ...] = ()  # the lost ones that the history does not name
    missing: Mapping[str, str] = {}  # by host that has crossed and is neither well nor (yet) lost: why
    anew: bool = False  # whether the step's clock begins anew with this look

    @property
    def words(self) -> str:
        """Return what keeps the step from counting; an empty text where all is well."""
        without = f". Continue without: graysplit rebalance {self.split}"
        if self.lost:
            absent = any(why.startswith(UNHEARD) for why in self.lost.values())
            return f"host lost: {_named(self.lost)}{without if absent else ''}"
        if UNHEARD in self.missing.values():
            return f"not heard: {_named(self.missing)}"
        if self.alive < self.wanted:
            missing = f" (missing: {_named(self.missing)})" if self.missing else ""
            return f"wave short: {self.alive} of {self.wanted} alive{missing}{without if missing else ''}"
        return ""


class WaveInput(NamedTuple):
    """What a look at the hosts of a step rests on."""

    split: str
    version: str
    wave: Wave
    weight: int  # the step's
    since_ms: int  # server time at which the step was taken
    shown: bool  # whether the fleet has shown its weight
    taken: Collection[str] = ()  # hosts on other candidates


def watch_wave(look: WaveInput, fleet: Fleet, memory: WaveMemory) -> tuple[WaveView, WaveMemory]:
    """Return what becomes of a step's hosts, and what the next look must remember."""
    now_ms, live = fleet.now_ms, {host.name for host in instances(fleet, look.split, look.version)}
    memory = _of_this_wave(look, memory, live, now_ms)
    hosts = _hosts(look, fleet)
    again, begun = _again(look, memory, hosts, now_ms)
    dead = {
        name: memory.dead.get(name, now_ms)
        for name, processes in hosts.items()
        if name not in live and any(_ended(memory, process, now_ms) for process in processes)
    }
    lost = {**_silent(hosts, dead, now_ms), **_looping(memory, hosts, again, now_ms)}
    why = {name: _unwell(look, name, hosts, live, now_ms) for name in _members(look, live)}
    missing = {name: reason for name, reason in why.items() if reason and name not in lost}
    well = sum(not reason and name not in lost for name, reason in why.items())
    asked = max(0, min(wanted(look.weight, memory.hosts), memory.hosts - len(live & {*look.taken})))
    told = {name: now_ms if name in lost else at for name, at in memory.told.items() if now_ms - at <= AGAIN_MS}
    view = WaveView(
        look.split,
        asked,
        well,
        len(live),
        dict(sorted(lost.items())),
        tuple(sorted(lost.keys() - told)),
        {name: UNHEARD if name in dead else reason for name, reason in sorted(missing.items())},
        anew=bool(lost or dead or begun or well < asked),
    )
    return view, _marked(memory._replace(dead=_bounded(dead), told=_bounded(told)), again)


def told_of(memory: WaveMemory, hosts: Iterable[str], now_ms: int) -> WaveMemory:
    """Return the memory once the history names these hosts as lost."""
    return memory._replace(told=_bounded({**memory.told, **dict.fromkeys(hosts, now_ms)}))


def short_words(definition: Definition, look: WaveInput, weight: int, held_text: str | None, fleet: Fleet) -> str:
    """Return the words for too few live hosts to cross with a step after the one looked at, or an empty text."""
    if definition.by != "instance":
        return ""
    split, version, taken = look.split, look.version, look.taken
    text = wave_writes(definition, split, version, weight, held_text, fleet, before=look.weight, taken=taken)
    wave, live = parse_wave(text or held_text or "") or NOBODY, instances(fleet, split, version)
    asked = min(wanted(weight, len(live)), sum(host.name not in taken for host in live))
    alive = sum(host.able and crossed(wave, host.name, weight) for host in live)
    unable = [host.name for host in live if not host.able]
    why = f" (without '{version}': {_few(unable)})" if unable else ""
    return "" if alive >= asked else f"wave short: {alive} of {asked} alive for {format_weight(weight)} %{why}"


def absent_words(fleet: Fleet, split: str, version: str) -> str:
    """Return the words for a split that no live process declares, or has a version of; an empty text where one does."""
    declaring = [process.declared[split] for process in fleet.live if split in process.declared]
    if not declaring:
        return f"no live process declares '{split}'"
    if not any(version in declared.versions for declared in declaring):
        return f"no live process that declares '{split}' has the version '{version}'"
    return ""


def _named(hosts: Mapping[str, str]) -> str:
    """Return the first few hosts, each with what is said of it, and that there are more."""
    return _few([f"{host} ({why})" for host, why in hosts.items()])


def _few(found: Sequence[str]) -> str:
    more = f" and {len(found) - NAMED_AT_MOST} more" if len(found) > NAMED_AT_MOST else ""
    return f"{', '.join(found[:NAMED_AT_MOST])}{more}"


def _of_this_wave(look: WaveInput, memory: WaveMemory, live: Collection[str], now_ms: int) -> WaveMemory:
    """Return the memory if it is of this wave, else a new one.

    Whoever crossed with this step was live when it was taken, though it may have died of it before the first look.
    """
    mark = hash32(format_wave(look.wave).encode(errors="backslashreplace"), look.weight) or 1
    if memory.wave == mark:
        return memory
    joined = {name for name, at in look.wave.at.items() if at == look.weight}
    return WaveMemory(mark, now_ms if memory.wave else look.since_ms, len({*live} | joined))


def _members(look: WaveInput, live: Collection[str]) -> set[str]:
    """Return the hosts that have crossed: those recorded, dead or alive, and the live ones where everybody has."""
    return {name for name in {*look.wave.at, *live} if crossed(look.wave, name, look.weight)}


def _hosts(look: WaveInput, fleet: Fleet) -> Hosts:
    """Return the processes of the hosts that have crossed: those that declare the split; where none does, all."""
    known = [*fleet.processes, *fleet.gone]
    hosts: dict[str, list[Process]] = {}
    for process in [process for process in known if look.split in process.declared] or known:
        if crossed(look.wave, name := instance_of(process), look.weight):
            hosts.setdefault(name, []).append(process)
    return hosts


def _unwell(look: WaveInput, name: str, hosts: Hosts, live: Collection[str], now_ms: int) -> str:
    """Return why a host that has crossed is not well, or ""; what it shows is asked once the fleet has shown it.

    What a dead process showed last is nobody's word: another one of its host lives.
    """
    if name not in live:
        return "left"
    field, weight = field_of(look.split, look.version), format_weight(look.weight)
    for process in hosts.get(name, ()) if look.shown else ():
        effect = process.receipt.effects.get(field)
        speaks = is_live(process, now_ms) and not process.parted
        if effect is not None and effect.weight != weight and speaks:
            return effect.why or f"shows {effect.weight} %"
    return ""


def _ended(memory: WaveMemory, process: Process, now_ms: int) -> bool:
    """Return whether a process was heard during the step and is not any more, without a goodbye.

    One that counted as live when the step was taken may have died of it before it said anything.
    """
    return process.seen_ms >= memory.since_ms - LIVE_MS and (process.parted or not is_live(process, now_ms))


def _silent(hosts: Hosts, dead: Mapping[str, int], now_ms: int) -> dict[str, str]:
    """Return the hosts that have been found dead for long enough, each with the reason."""
    silent_ms = {name: now_ms - max(process.seen_ms for process in hosts[name]) for name in dead}
    long = (name for name, at in dead.items() if now_ms - at >= DEAD_MS and not 0 <= silent_ms[name] <= LIVE_MS)
    return {name: f"{UNHEARD} for {format_span(silent_ms[name])}" for name in long}


def _again(look: WaveInput, memory: WaveMemory, hosts: Hosts, now_ms: int) -> tuple[dict[str, tuple[int, int]], bool]:
    """Count the hosts where nobody lives any more who lived when they last began anew, or when the step began."""
    again = dict(memory.again)
    begun = False
    for name in hosts.keys() & look.wave.at.keys():
        births = [process.born_ms for process in hosts[name] if is_live(process, now_ms)]
        times, last_ms = memory.again.get(name, (0, max(memory.since_ms, memory.mark_ms)))
        if births and min(births) > last_ms:
            again[name] = (times + 1 if now_ms - last_ms <= AGAIN_MS else 1, now_ms)
            begun = True
    return again, begun


def _looping(memory: WaveMemory, hosts: Hosts, again: Mapping[str, tuple[int, int]], now_ms: int) -> Mapping[str, str]:
    """Return the hosts that come back again and again, each with the reason."""
    within = f"times in {AGAIN_MS // 60_000} min"
    ends = {
        name: [p.seen_ms for p in found if _ended(memory, p, now_ms) and now_ms - p.seen_ms <= AGAIN_MS]
        for name, found in hosts.items()
    }
    lives = {name: times for name, (times, last_ms) in again.items() if now_ms - last_ms <= AGAIN_MS}
    crashes = {name: sum(1 for _ in _apart(sorted(found))) for name, found in ends.items()}
    return {
        **{name: f"restarted {times} {within}" for name, times in lives.items() if times >= TWICE},
        **{name: f"crashed {times} {within}" for name, times in crashes.items() if times >= TWICE},
    }


def _apart(moments: Iterable[int]) -> Iterator[int]:
    """Return the crashes of a host: processes that end within six seconds of each other are one."""
    first: int | None = None
    for at in moments:
        if first is None or at > first + LIVE_MS:
            first = at
            yield at


def _marked(memory: WaveMemory, again: Mapping[str, tuple[int, int]]) -> WaveMemory:
    """Return the memory with the hosts that began anew last; those that it has no room for are known by one mark."""
    latest = sorted(again, key=lambda name: again[name][1], reverse=True)
    over = [again[name][1] for name in latest[REMEMBERED_AT_MOST:]]
    kept = {name: again[name] for name in sorted(latest[:REMEMBERED_AT_MOST])}
    return memory._replace(again=kept, mark_ms=max([memory.mark_ms, *over]))


def _bounded(found: Mapping[str, _Value]) -> dict[str, _Value]:
    return {name: found[name] for name in sorted(found)[:REMEMBERED_AT_MOST]}
