"""Rolling by instance: which hosts have crossed to a candidate, recorded when somebody raises, and never by churn.

Kept in `meta` as `wave:<split>/<version>` = `20:web-1 20:web-4 50:web-7`: each instance with the weight at which it
crossed. It is in while the weight in force is not below that, so that lowering sends back the last waves first. Who
comes, goes or crashes moves nobody: a dead instance keeps its place until `rebalance`. `100:*`, recorded with a raise
to 100 %, stands for everybody, those born later too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import zip_longest
from typing import Final, NamedTuple

from graysplit.core.bucketing import hash32
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet, Process
from graysplit.core.limits import EVERYBODY, clean_name
from graysplit.core.weights import FULL, Weight, format_weight, parse_weight, share
from graysplit.errors import BadWeightError

PREFIX: Final = "wave:"
MAX_WAVE: Final = 1 << 20  # characters
_ALL: Final = "100:*"


class Wave(NamedTuple):
    """The instances that have crossed to one candidate."""

    at: Mapping[str, int] = {}  # by instance: the share at which it crossed
    everybody: bool = False  # recorded at 100 %: there all are in, those born later too


NOBODY: Final = Wave()


class Instance(NamedTuple):
    """One host of the fleet, however many processes it runs."""

    name: str
    zone: str = ""
    able: bool = True  # whether all its processes that declare the split have the version


def crossed(wave: Wave, instance: str, weight: Weight) -> bool:
    """Return whether an instance gets the candidate at a weight in force."""
    return (wave.everybody and weight == FULL) or wave.at.get(instance, FULL + 1) <= share(weight)


def members(wave: Wave, weight: Weight) -> tuple[str, ...]:
    """Name the recorded instances that are in at a weight, dead ones too."""
    return tuple(name for name in wave.at if crossed(wave, name, weight))


def wanted(weight: Weight, instances: int) -> int:
    """Return how many of the instances a weight asks for: all that it covers in part, so at least one above zero."""
    return -(-share(weight) * instances // FULL)


def ranked(instances: Iterable[Instance], seed: int) -> tuple[str, ...]:
    """Return the order in which instances cross: by the split's hash of their names, the zones taking turns.

    The same instances give the same order, so that starting again reaches the same ones first.
    """
    zones: dict[str, list[str]] = {}
    for instance in sorted(instances, key=lambda found: _rank(found.name, seed)):
        zones.setdefault(instance.zone, []).append(instance.name)
    turns = zip_longest(*(zones[zone] for zone in sorted(zones, key=lambda zone: _rank(zone, seed))))
    return tuple(name for turn in turns for name in turn if name is not None)


def raised(  # noqa: PLR0913 - all that a raise rests on
    wave: Wave,
    weight: Weight,
    live: Collection[Instance],
    seed: int,
    *,
    before: Weight,
    taken: Collection[str] = (),
) -> Wave:
    """Record a raise: who is in at the weight in force `before` stays, dead or alive, and the first by rank join them.

    The living ones together are as many as the weight asks for of the live instances: a dead one keeps its mark, so
    that it comes back as what it was, and takes nobody's place. A start from zero begins a new wave. Those `taken` by
    other candidates, and those without the version, do not join.
    """
    stay = {name: at for name, at in wave.at.items() if crossed(wave, name, before)}
    missing = max(0, wanted(weight, len(live)) - sum(instance.name in stay for instance in live))
    able = (instance for instance in live if instance.able and instance.name not in taken)
    joining = [name for name in ranked(able, seed) if name not in stay][:missing]
    return Wave({**stay, **dict.fromkeys(joining, share(weight))}, everybody=weight == FULL)


def rebalanced(
    wave: Wave, weight: Weight, live: Collection[Instance], seed: int, *, taken: Collection[str] = ()
) -> Wave:
    """Record anew at the weight in force: the dead lose their places, and the first by rank fill them."""
    names = {instance.name for instance in live}
    alive = Wave({name: at for name, at in wave.at.items() if name in names}, wave.everybody)
    return raised(alive, weight, live, seed, before=weight, taken=taken)


def instances(fleet: Fleet, split: str, version: str) -> tuple[Instance, ...]:
    """Return the live instances of a split by name: those with a process that declares it; where none does, all.

    A process whose connection the server has seen end is not live here, though it was heard a moment ago.
    """
    live = [process for process in fleet.live if not process.parted]
    found: dict[str, Instance] = {}
    for process in [process for process in live if split in process.declared] or live:
        name, declared = instance_of(process), process.declared.get(split)
        known = found.get(name, Instance(name))
        able = known.able and (declared is None or version in declared.versions)
        found[name] = Instance(name, max(known.zone, process.zone), able)
    return tuple(found[name] for name in sorted(found))


def instance_of(process: Process) -> str:
    """Return the name under which a process's host counts; older libraries tell the host alone."""
    return clean_name(process.instance or process.host)


def unknown_host(fleet: Fleet, name: str) -> str:
    """Return the words for a host that no live process counts as, or an empty text."""
    from difflib import get_close_matches

    hosts = sorted({instance_of(process) for process in fleet.live})
    if name in hosts:
        return ""
    near = get_close_matches(name, hosts, 1)
    meant = f" Did you mean '{near[0]}'?" if near else ""
    return f"no live process is on a host '{name}' ({len(hosts)} are known: graysplit fleet).{meant}"


def wave_writes(  # noqa: PLR0913, PLR0917 - what a raise has at hand, handed over once
    definition: Definition,
    split: str,
    version: str,
    weight: Weight,
    held_wave_text: str | None,
    fleet: Fleet,
    *,
    before: Weight,
    taken: Collection[str] = (),
) -> str | None:
    """Return what the act of raising writes to `meta` at `wave:<split>/<version>`; None where that stays as it is.

    `before` is the weight in force that is raised. The write must expect `held_wave_text` there.
    """
    if definition.by != "instance":
        return None
    wave = parse_wave(held_wave_text or "") or NOBODY
    live = instances(fleet, split, version)
    text = format_wave(raised(wave, weight, live, definition.seed, before=before, taken=taken))
    return None if text == held_wave_text else text


def format_wave(wave: Wave) -> str:
    """Write a wave as it stands in the store."""
    pairs = sorted((share_, name) for name, share_ in wave.at.items())
    said = [f"{format_weight(share_)}:{name}" for share_, name in pairs]
    return " ".join([*said, _ALL] if wave.everybody else said)


def parse_wave(text: str) -> Wave | None:
    """Read a wave; None for what is none."""
    at: dict[str, int] = {}
    for part in text.split(" ") if 0 < len(text) <= MAX_WAVE else ():
        weight, _, name = part.partition(":")
        crossed_at = _share(weight)
        if not name or not crossed_at:
            return None
        at[name] = crossed_at
    everybody = at.pop(EVERYBODY, 0) == FULL
    return Wave(at, everybody) if len(text) <= MAX_WAVE else None


def _share(text: str) -> int:
    """Read the weight of one instance; 0, at which nobody crosses, for what is none."""
    try:
        return share(parse_weight(text))
    except BadWeightError:
        return 0


def _rank(name: str, seed: int) -> tuple[int, str]:
    return hash32(name.encode(errors="backslashreplace"), seed), name
