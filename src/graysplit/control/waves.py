"""Rolling by instance: who has crossed, who joins with a raise, and how the places of the dead are filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from graysplit.control.reading import Reading
from graysplit.core.address import field_of, parse_address, split_of
from graysplit.core.changes import Applied, known
from graysplit.core.definition import Definition
from graysplit.core.fleet import Fleet
from graysplit.core.split_state import Change, Snapshot, SplitState
from graysplit.core.waves import (
    NOBODY,
    PREFIX,
    Wave,
    crossed,
    format_wave,
    instances,
    members,
    parse_wave,
    rebalanced,
    wanted,
    wave_writes,
)
from graysplit.core.weights import FULL, Weight, format_weight, share
from graysplit.errors import RefusedError

NAMED_AT_MOST: Final = 20
NOTED_AT_MOST: Final = 4  # in one line beside a change


class Crossing(NamedTuple):
    """How far the instances of a split have crossed to one of its candidates."""

    split: str
    version: str
    weight: Weight  # in force
    recorded: bool  # whether a wave stands in the store at all
    crossed: tuple[str, ...]  # the live instances that are in
    missing: tuple[str, ...]  # recorded, in, and not live: dead, or cut off
    instances: int  # live ones
    wanted: int  # of them, those that the weight asks for

    @property
    def field(self) -> str:
        """Return the candidate's address."""
        return field_of(self.split, self.version)

    @property
    def short(self) -> bool:
        """Return whether fewer have crossed than the weight asks for."""
        return len(self.crossed) < self.wanted


def crossings(snapshot: Snapshot, fleet: Fleet, split: str) -> tuple[Crossing, ...]:
    """Return how far each candidate of a split has come, where instances cross over and a weight or wave stands."""
    state = snapshot.splits.get(split)
    if state is None or state.definition.by != "instance":
        return ()
    names = (version.name for version in state.definition.candidates)
    return tuple(
        _crossing(state, name, state.waves.get(name), fleet)
        for name in names
        if share(state.in_force(name)) or name in state.waves
    )


def hosts_of(definition: Definition, fleet: Fleet, split: str, version: str) -> int:
    """Return how many hosts could cross to a version; 0 where units are split."""
    return len(instances(fleet, split, version)) if definition.by == "instance" else 0


def all_crossings(snapshot: Snapshot, fleet: Fleet) -> tuple[Crossing, ...]:
    """Return the same of every split."""
    return tuple(crossing for split in sorted(snapshot.splits) for crossing in crossings(snapshot, fleet, split))


def _crossing(state: SplitState, version: str, wave: Wave | None, fleet: Fleet) -> Crossing:
    weight, live = state.in_force(version), instances(fleet, state.split, version)
    names = {instance.name for instance in live}
    found = wave or NOBODY
    return Crossing(
        state.split,
        version,
        weight,
        wave is not None,
        tuple(instance.name for instance in live if crossed(found, instance.name, weight)),
        tuple(sorted(set(members(found, weight)) - names)),
        len(live),
        wanted(weight, len(live)),
    )


def hosts_words(crossing: Crossing) -> str:
    """Return it in few words: `3 of 8 hosts`, with those that are dead."""
    dead = f", {len(crossing.missing)} dead" if crossing.missing else ""
    return f"{len(crossing.crossed)} of {crossing.instances} hosts{dead}"


def crossing_words(crossing: Crossing, at_most: int = NAMED_AT_MOST) -> str:
    """Return who has crossed: `crossed 4 of 10 instances: web-1, ...; missing (dead): web-9`."""
    said = f"crossed {len(crossing.crossed)} of {crossing.instances} instances{_named(': ', crossing.crossed, at_most)}"
    return f"{said}{_named('; missing (dead): ', crossing.missing, at_most)}"


def short_words(crossing: Crossing) -> str:
    """Return why fewer have crossed than the weight asks for; nothing where they are as many."""
    if not crossing.short:
        return ""
    asked = f"{format_weight(crossing.weight)} % needs {crossing.wanted}"
    if not crossing.recorded:
        return f"{asked}, but no wave is recorded: it was lost, or the weight was raised outside graysplit"
    return f"{asked}: the weight was changed outside graysplit or lowered since, or instances stopped or started"


def _named(before: str, names: tuple[str, ...], at_most: int) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return f"{before}{', '.join(names[:at_most])}{more}" if names else ""


# --- changes ---------------------------------------------------------------------------------------------------------


def recorded(
    reading: Reading, done: Applied, fleet: Callable[[], Fleet]
) -> tuple[dict[str, str | None], tuple[str, ...]]:
    """Return the waves that a change records, and what to say of them; the fleet is read only for such."""
    before, after, risen = reading.snapshot, done.after, done.effects.risen
    rolling = [name for name in sorted(set(map(split_of, risen))) if after.splits[name].definition.by == "instance"]
    if not rolling:
        return {}, ()
    found, marks, notes = fleet(), dict[str, str | None](), list[str]()
    for split in rolling:
        state = _raised(reading, before.splits.get(split), after.splits[split], found, marks)
        notes += (_note(crossing) for crossing in _of(state, found) if crossing.field in risen)
    return marks, tuple(notes)


def _raised(
    reading: Reading, before: SplitState | None, after: SplitState, fleet: Fleet, marks: dict[str, str | None]
) -> SplitState:
    """Add the waves of a split's candidates that rise to `marks`; return how it stands with them."""
    for version in (candidate.name for candidate in after.definition.candidates):
        weight = after.in_force(version)
        was: Weight = before.in_force(version) if before is not None else 0
        if share(weight) <= share(was):
            continue
        at = PREFIX + field_of(after.split, version)
        taken = after.taken(version)
        text = wave_writes(
            after.definition, after.split, version, weight, reading.text("meta", at), fleet, before=was, taken=taken
        )
        if text is not None:
            marks[at] = text
            after = _with_wave(after, version, parse_wave(text) or NOBODY)
    return after


def _with_wave(state: SplitState, version: str, wave: Wave) -> SplitState:
    return state._replace(waves={**state.waves, version: wave})


def _of(state: SplitState, fleet: Fleet) -> tuple[Crossing, ...]:
    return crossings(Snapshot({state.split: state}), fleet, state.split)


def _note(crossing: Crossing) -> str:
    more = f" where {short_words(crossing)}" if crossing.short else ""
    if not crossing.instances:
        more = f": no live process declares it. When one does: {rebalance_command(crossing.split)}"
    return f"{crossing.field}: {crossing_words(crossing, NOTED_AT_MOST)}{more}"


def rebalance_command(split: str) -> str:
    """Return the command that fills the places."""
    return f"graysplit rebalance {split}"


def rebalance(reading: Reading, split: str, fleet: Fleet) -> tuple[Change, tuple[str, ...]]:
    """Return the change that takes the dead from a split's waves and fills them up to what the weights ask for."""
    state = known(reading.snapshot, split)
    if state.definition.by != "instance":
        raise RefusedError(
            f"'{split}' is split by unit and has no waves. See it with: graysplit show {split}; "
            f"create one that rolls over hosts with: graysplit create NAME --by instance"
        )
    marks: dict[str, str | None] = {}
    open_ = [v.name for v in state.definition.candidates if share(state.in_force(v.name))]
    for version in open_:
        state = _refilled(reading, state, version, fleet, marks)
    found = [crossing for crossing in _of(state, fleet) if crossing.version in open_]
    if not marks:
        said = "; ".join(map(_note, found)) or "every weight is zero"
        raise RefusedError(f"nothing to rebalance: {said}. See it with: graysplit show {split}")
    return Change("rebalance", split, marks=marks), tuple(map(_note, found))


def _refilled(
    reading: Reading, state: SplitState, version: str, fleet: Fleet, marks: dict[str, str | None]
) -> SplitState:
    live, wave = instances(fleet, state.split, version), state.waves.get(version, NOBODY)
    if not live:
        raise RefusedError(
            f"no live process declares '{state.split}', so its wave would be empty. "
            "See the processes with: graysplit fleet"
        )
    weight = state.in_force(version)
    new = rebalanced(wave, weight, live, state.definition.seed, taken=state.taken(version))
    at = PREFIX + field_of(state.split, version)
    if new == wave and reading.raw("meta", at) is not None:
        return state
    marks[at] = format_wave(new)
    return _with_wave(state, version, new)


def crossing_over(reading: Reading, after: Snapshot, marks: Mapping[str, str | None]) -> tuple[str, ...]:
    """Name the candidates to which the waves that a change writes bring somebody who was not there."""
    return tuple(_letting_in(reading, after, marks))


def _letting_in(reading: Reading, after: Snapshot, marks: Mapping[str, str | None]) -> Iterator[str]:
    for at, text in marks.items():
        split, version = parse_address(at.removeprefix(PREFIX))
        state = after.splits.get(split) if at.startswith(PREFIX) and text is not None else None
        if state is None:
            continue
        was, now = (parse_wave(wave or "") or NOBODY for wave in (reading.text("meta", at), text))
        weight, before = state.in_force(version), reading.snapshot.splits.get(split)
        weight_before: Weight = before.in_force(version) if before is not None else 0
        everybody = now.everybody and not was.everybody and weight == FULL
        if everybody or not set(members(now, weight)) <= set(members(was, weight_before)):
            yield field_of(split, version)
