"""What each verb makes of a snapshot: a change, or the reason why there is none.

Nothing is written here. A verb refuses what would do harm and hands back a value; `effects` says what the value
would do, so that a dry run, a prompt and the write itself tell the same story.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from graysplit.core.address import EVERYTHING, field_of, split_of, stops_over
from graysplit.core.allocation import Claim, free_place, moved
from graysplit.core.bucketing import encode_unit
from graysplit.core.definition import Definition, Version, candidate, define
from graysplit.core.lease import Lease, take
from graysplit.core.limits import unit_name
from graysplit.core.replica.lazy_splits import ReadableSplits
from graysplit.core.split_state import Change, Snapshot, SplitState, apply, compared, differing_splits
from graysplit.core.weights import FULL, Weight, check_name, format_weight, rises, share, total
from graysplit.errors import BadValueError, RefusedError, UnknownSplitError, UnknownVersionError


class WhichCandidateError(BadValueError):
    """A split has several candidates and one weight names none of them."""

    def __init__(self, split: str, candidates: Sequence[str]) -> None:
        """Keep the names; the message shows the form that names each."""
        self.split = split
        self.candidates = tuple(candidates)
        form = " ".join(f"{name}=.." for name in candidates)
        super().__init__(
            f"split '{split}' has several candidates: say which, as in: graysplit set {split} {form} "
            f"(or one: graysplit set {field_of(split, candidates[0])} ..)"
        )


class Effects(NamedTuple):
    """What a change does to the weights in force, by version name, and how many buckets change hands.

    A baseline is among them only where another version becomes it: that is a raise of this one, from its share.
    """

    weights: Mapping[str, tuple[Weight, Weight]] = {}  # by field: before and after, where they differ
    moved: int = 0  # buckets whose owner differs
    difference: int = 0  # buckets that would move if nobody moved needlessly (law 3)

    @property
    def risen(self) -> tuple[str, ...]:
        """Name the fields that let somebody in who was kept out."""
        return tuple(field for field, (before, after) in self.weights.items() if rises(before, after))

    @property
    def started(self) -> tuple[str, ...]:
        """Name the fields that leave zero: each begins a new release."""
        return tuple(field for field, (before, after) in self.weights.items() if before == 0 and after != 0)

    @property
    def needless(self) -> int:
        """Count the buckets that move although no weight asks them to."""
        return max(0, self.moved - self.difference)


def effects(before: Snapshot, after: Snapshot) -> Effects:
    """Compare two snapshots by what is in force in them."""
    weights: dict[str, tuple[Weight, Weight]] = {}
    hands = difference = 0
    for split in sorted(differing_splits(before, after)):
        old, new = before.splits.get(split), after.splits.get(split)
        if old == new:
            continue
        asked = 0
        for version in compared(old, new):
            was = old.reach(version) if old else 0
            now = new.reach(version) if new else 0
            asked += abs(share(was) - share(now))
            if was != now:
                weights[field_of(split, version)] = (was, now)
        rest = (old.definition.baseline, new.definition.baseline) if old and new else None
        if rest and rest[0] != rest[1]:
            asked //= 2  # both ends of each move are among them
        difference += asked
        # Instances cross one by one: no runs of buckets meet.
        whole = any(found is not None and found.definition.by == "instance" for found in (old, new))
        hands += asked if whole else moved(old.runs() if old else (), new.runs() if new else (), rest)
    return Effects(weights, hands, difference)


class Applied(NamedTuple):
    """A change with the snapshot that it makes, and what it does: computed once, and passed on."""

    change: Change
    after: Snapshot
    effects: Effects


def applied(before: Snapshot, change: Change) -> Applied:
    """Return a change with what it makes of a snapshot."""
    after = apply(before, change)
    return Applied(change, after, effects(before, after))


def create(  # noqa: PLR0913 - what a record begins with
    snapshot: Snapshot,
    split: str,
    versions: Sequence[str],
    salt: str | None = None,
    max_stale: int | None = None,
    *,
    in_flight: Literal["finish"] | None = None,
    by: Literal["unit", "instance"] = "unit",
) -> Change:
    """Define a split, all weights at zero; the first version is the baseline.

    A seed that another split has is refused, unless the salt is given and is that split's: then the cohorts
    coincide on purpose.
    """
    check_name(split)
    if split in snapshot.splits:
        raise RefusedError(
            f"split '{split}' exists already. See it with: graysplit show {split}; "
            f"one more candidate: graysplit create {split} --add VERSION"
        )
    definition = define(split, versions, salt=salt, max_stale=max_stale, in_flight=in_flight, by=by)
    for other in _may_be_sown_with(snapshot.splits, definition.seed):
        shared = salt is not None and other.definition.salt == salt
        if other.definition.seed == definition.seed and not shared:
            raise RefusedError(
                f"split '{split}' would get the seed of '{other.split}', so their cohorts would be the same. "
                f"Use another salt: graysplit create {split} --salt {split}-2; "
                f"or, to share the cohorts: --salt {other.definition.salt}"
            )
    weights: dict[str, Weight | None] = {field_of(split, version.name): 0 for version in definition.candidates}
    return Change("create", split, weights, definition=definition)


def _may_be_sown_with(splits: Mapping[str, SplitState], seed: int) -> Iterable[SplitState]:
    return splits.may_be_sown_with(seed) if isinstance(splits, ReadableSplits) else splits.values()


def add_version(snapshot: Snapshot, split: str, version: str) -> Change:
    """Return a split one more candidate, at zero, in a place of its own: nobody moves."""
    check_name(version)
    split_state = known(snapshot, split)
    definition = split_state.definition
    if version in definition.names:
        raise RefusedError(f"split '{split}' has the version '{version}' already. See it with: graysplit show {split}")
    claims = [Claim(one.name, one.place or 0, share(split_state.asked(one.name))) for one in definition.candidates]
    place = free_place(claims, {one.place for one in definition.versions})
    if place is None:
        raise RefusedError(
            f"split '{split}' has {len(claims)} candidates, the most that a split can have. "
            f"Delete one that is at zero first: graysplit delete {split}/VERSION"
        )
    added = definition._replace(versions=(*definition.versions, Version(version, place)))
    return Change("add", split, {field_of(split, version): 0}, definition=added)


def remove_version(snapshot: Snapshot, split: str, version: str, *, planned: bool = False) -> Change:
    """Take a candidate that stands at zero out of a split: all others keep their places, so nobody moves.

    `planned`: a plan that raises it runs.
    """
    split_state = known(snapshot, split)
    definition, field = split_state.definition, field_of(split, version)
    if version == definition.baseline:
        raise RefusedError(
            f"'{version}' is the baseline of '{split}', and a split needs one. "
            f"Delete the whole split with: graysplit delete {split}"
        )
    candidate(split, definition, version)
    weight = split_state.asked(version)
    if weight != 0:
        raise RefusedError(
            f"'{field}' is not at zero but at {format_weight(weight)}. Roll back first with: graysplit rollback {field}"
        )
    if planned:
        raise RefusedError(f"a plan of '{field}' runs. End it first with: graysplit set {field} 0")
    if len(definition.candidates) == 1:
        raise RefusedError(
            f"'{version}' is the only candidate of '{split}'. Delete the whole split with: graysplit delete {split}"
        )
    pinned = sum(to == version for to in definition.pins.values())
    if pinned:
        raise RefusedError(
            f"{pinned} {'unit is' if pinned == 1 else 'units are'} pinned to '{field}'. "
            f"Remove the pins first (graysplit export lists the units): graysplit unpin {split} UNIT"
        )
    kept = tuple(one for one in definition.versions if one.name != version)
    plan = definition.plan if definition.plan is None or definition.plan.get("version") != version else None
    stops = {field: None} if field in snapshot.stops else {}
    return Change("remove", split, {field: None}, stops, definition._replace(versions=kept, plan=plan))


def known(snapshot: Snapshot, split: str) -> SplitState:
    """Return a split's state, or raise `UnknownSplitError` with the nearest name."""
    split_state = snapshot.splits.get(split)
    if split_state is None:
        raise UnknownSplitError(split, snapshot.splits)
    return split_state


def only_candidate(split: str, definition: Definition) -> str:
    """Return the candidate that a bare weight means, or raise `WhichCandidateError`."""
    names = [version.name for version in definition.candidates]
    if len(names) != 1:
        raise WhichCandidateError(split, names)
    return names[0]


class Mistyped(NamedTuple):
    """Fields that hold a whole split at zero although they name no candidate, and the weights beneath them."""

    fields: Collection[str] = ()
    beneath: Mapping[str, Weight] = {}  # by candidate


NO_MISTYPED: Final = Mistyped()


def set_weights(  # noqa: PLR0913 - keyword-only wishes of one verb
    snapshot: Snapshot,
    split: str,
    weights: Mapping[str, Weight],
    *,
    release: str,
    mistyped: Mistyped = NO_MISTYPED,
    cause: str = "set",
    yes: bool = False,
    until_ms: int | None = None,
    leases: Mapping[str, Lease] = {},
) -> Change:
    """Set candidates' weights; a weight above zero clears the stops that hold it and begins a new release.

    With `until_ms` (server time) each raise is a lease; `leases` are those that stand.

    Refused: more than 100 % together; a stop or mistyped field that holds others at zero too, which would rise
    with it; and, without `yes`, a change that moves more units than its difference.
    """
    split_state = known(snapshot, split)
    _check_candidates(split_state, weights)
    _check_sum(split_state, weights)
    starting = any(weight != 0 for weight in weights.values())
    lifted = {stop for version, weight in weights.items() if weight != 0 for stop in _stops_over(split_state, version)}
    written: dict[str, Weight | None] = {field_of(split, version): weight for version, weight in weights.items()}
    if starting:
        _check_beneath(split, weights, mistyped)
        written |= dict.fromkeys(mistyped.fields)
    change = Change(cause, split, written, dict.fromkeys(sorted(lifted)))
    done = applied(snapshot, change).effects
    _check_bystanders(written, lifted, done)
    if not yes:
        _check_cost(split, done)
    taken: Mapping[str, Lease] = {} if until_ms is None else _leases(split_state, weights, done, until_ms, leases)
    return change._replace(releases=dict.fromkeys(done.started, release), leases=taken)


def _leases(
    split_state: SplitState, weights: Mapping[str, Weight], done: Effects, until_ms: int, running: Mapping[str, Lease]
) -> Mapping[str, Lease]:
    """Make each raise a lease, and each weight that stands by a lease a longer one."""
    taken: dict[str, Lease] = {}
    for version, weight in weights.items():
        field, before = field_of(split_state.split, version), split_state.in_force(version)
        lease = running.get(field)
        if field in done.risen or (lease is not None and lease.at == before == weight):
            taken[field] = take(weight, before, until_ms, lease)
    if not taken:
        raise RefusedError(
            "--for applies to raises, and this change raises nothing. Leave --for out: a lower weight stays anyway"
        )
    return taken


def pin(snapshot: Snapshot, split: str, unit: str, version: str | None) -> Change:
    """Pin a unit to a version, or (None) deny it every candidate."""
    definition = known(snapshot, split).definition
    unit = unit_name(definition.by, unit)
    if encode_unit(unit) is None:
        raise BadValueError("invalid unit: an empty text, or one with lone surrogates, cannot be pinned")
    if version is not None and version not in definition.names:
        raise UnknownVersionError(split, version, definition.names)
    pins, denied = _others(definition, unit)
    if version is None:
        return Change("deny", split, definition=definition._replace(pins=pins, denied=(*denied, unit)))
    return Change("pin", split, definition=definition._replace(pins={**pins, unit: version}, denied=denied))


def unpin(snapshot: Snapshot, split: str, unit: str) -> Change:
    """Take away what `pin` said of a unit."""
    definition = known(snapshot, split).definition
    pins, denied = _others(definition, unit_name(definition.by, unit))
    if (pins, denied) == (definition.pins, definition.denied):
        raise RefusedError(f"split '{split}' has no pin for that unit. Count its pins with: graysplit show {split}")
    return Change("unpin", split, definition=definition._replace(pins=pins, denied=denied))


def _others(definition: Definition, unit: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the pins and denials of all units but this one, however its name was written."""
    pins = {pinned: to for pinned, to in definition.pins.items() if unit_name(definition.by, pinned) != unit}
    return pins, tuple(other for other in definition.denied if unit_name(definition.by, other) != unit)


def protect(snapshot: Snapshot, split: str, *, on: bool) -> Change:
    """Have every raise of a split ask for a reason and the typed name, or no longer."""
    definition = known(snapshot, split).definition
    if definition.protected == on:
        said = "already protected" if on else "not protected"
        raise RefusedError(f"split '{split}' is {said}. See it with: graysplit show {split}")
    return Change("protect" if on else "unprotect", split, definition=definition._replace(protected=on))


def lets_in(split_state: SplitState, change: Change) -> bool:
    """Return whether a change of the definition may let a unit reach a candidate that is open now and kept it out."""
    before, after = split_state.definition, change.definition
    if not isinstance(after, Definition):
        return False
    open_ = {version.name for version in after.candidates if split_state.in_force(version.name) != 0}
    alike = _let_alone(after)
    if before.baseline == after.baseline and _places(before, open_) == _places(after, open_):
        alike["versions"] = after.versions  # one that comes or goes at zero lets nobody in
    if before._replace(**alike) != after:
        return bool(open_)
    units = {unit for unit, _ in before.pins.items() ^ after.pins.items()} | {*before.denied} ^ {*after.denied}
    return any(_reach(after, unit, open_) - _sure(before, unit, open_) for unit in units)


def _let_alone(after: Definition) -> dict[str, Any]:  # Any: fields of a record
    """Return the fields of a definition that say nothing of who gets what, and those that are judged unit by unit."""
    return {name: getattr(after, name) for name in ("pins", "denied", "protected", "plan", "guard")}


def _places(definition: Definition, names: Collection[str]) -> dict[str, int | None]:
    return {version.name: version.place for version in definition.versions if version.name in names}


def _reach(definition: Definition, unit: str, open_: set[str]) -> set[str]:
    """Name the open candidates that a unit may get; by its bucket it may get any."""
    pinned = definition.pins.get(unit)
    if unit in definition.denied or pinned == definition.baseline:
        return set()
    return {pinned} if pinned in open_ else open_


def _sure(definition: Definition, unit: str, open_: set[str]) -> set[str]:
    """Name the open candidate that a unit gets for certain."""
    pinned = definition.pins.get(unit)
    return {pinned} if pinned in open_ and unit not in definition.denied else set()


def delete(split: str, weights: Mapping[str, Weight], stops: Iterable[str], *, finished: bool = False) -> Change:
    """Take a split's record away, with its weights and stops; above zero only where its release is finished.

    Given are the fields that stand for the split, so that one with an unreadable definition can go too.
    """
    above = sorted(field for field, weight in weights.items() if weight != 0)
    if above and not finished:
        shown = ", ".join(f"{field} at {format_weight(weights[field])}" for field in above)
        raise RefusedError(
            f"split '{split}' is not at zero ({shown}). Roll back first with: graysplit rollback {split}; "
            f"or, where the release is over: graysplit finish {split}"
        )
    return Change("delete", split, dict.fromkeys(weights), dict.fromkeys(stops), definition=None)


def unstop(snapshot: Snapshot, target: str, release: str) -> Change:
    """Clear one stop; wherever a weight above zero stands under it, that is a raise and a new release."""
    if target not in snapshot.stops:
        names = ", ".join(sorted(snapshot.stops)) or "none"
        raise RefusedError(f"no stop '{target}' (stops: {names}). See them with: graysplit list")
    change = Change("unstop", split_of(target), stops={target: None})
    done = effects(snapshot, apply(snapshot, change))
    return change._replace(releases=dict.fromkeys(done.started, release))


def _stops_over(split_state: SplitState, version: str) -> Iterable[str]:
    return [stop for stop in stops_over(field_of(split_state.split, version)) if stop in split_state.stops]


def _check_candidates(split_state: SplitState, weights: Mapping[str, Weight]) -> None:
    split, definition = split_state.split, split_state.definition
    if definition.baseline in weights:
        first = definition.candidates[0].name
        raise BadValueError(
            f"'{definition.baseline}' is the baseline of '{split}' and gets what the candidates leave. "
            f"Set a candidate instead: graysplit set {field_of(split, first)} 20"
        )
    for version in weights:
        candidate(split, definition, version)


def _check_sum(split_state: SplitState, weights: Mapping[str, Weight]) -> None:
    wanted: dict[str, Weight] = {v.name: split_state.asked(v.name) for v in split_state.definition.candidates}
    wanted |= weights
    summed = total(wanted.values())
    if summed > FULL and any(weight != 0 for weight in weights.values()):
        shown = " ".join(f"{version}={format_weight(weight)}" for version, weight in wanted.items())
        raise RefusedError(
            f"the weights of '{split_state.split}' would add up to {format_weight(summed)} % ({shown}). "
            f"Lower one in the same command: graysplit set {split_state.split} {shown}"
        )


def _check_beneath(split: str, weights: Mapping[str, Weight], mistyped: Mistyped) -> None:
    others = sorted(v for v, weight in mistyped.beneath.items() if weight != 0 and v not in weights)
    if mistyped.fields and others:
        zeros = " ".join(f"{version}=0" for version in others)
        raise RefusedError(
            f"the field {' and '.join(sorted(mistyped.fields))} in the weights holds '{split}' at zero, and "
            f"{', '.join(others)} would rise with it. Say what they shall have, as in: "
            f"graysplit set {split} {' '.join(f'{v}={format_weight(w)}' for v, w in weights.items())} {zeros}"
        )


def _check_bystanders(written: Mapping[str, object], lifted: Collection[str], done: Effects) -> None:
    others = [field for field in done.risen if field not in written]
    if others:
        stop = EVERYTHING if EVERYTHING in lifted else min(lifted, default="")
        raise RefusedError(
            f"the stop '{stop}' also holds {', '.join(others)} at zero, and they would rise with it. "
            f"Lower them first, or clear it for all of them: graysplit unstop '{stop}'"
        )


def _check_cost(split: str, done: Effects) -> None:
    if done.needless:
        raise RefusedError(
            f"this moves {format_weight(done.moved)} % of all units of '{split}' where the weights differ by "
            f"{format_weight(done.difference)} %, because ranges of buckets meet. "
            "Preview it with --dry-run, or accept it with --yes"
        )
