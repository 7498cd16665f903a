"""What `recover` takes from a file beside weights, stops and definitions, in doubt the lower; and what it leaves out.

Freezes are united, a plan comes back paused, a wave and a finished mark only with the weight that they belong to.
Whatever else the file names is told as left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from graysplit.control.freeze import FINISHED, unfreeze_command
from graysplit.control.plan.plan_request import TEMPLATE
from graysplit.control.recovery.sources import Source
from graysplit.core.address import field_of, split_of, stops_over
from graysplit.core.definition import Definition
from graysplit.core.freeze import FREEZES, THAWED, Freeze
from graysplit.core.lease import PREFIX as LEASE
from graysplit.core.plan.plan import BadPlanError, parse_plan
from graysplit.core.plan.progress import Pause, Tick
from graysplit.core.waves import PREFIX as WAVE
from graysplit.core.waves import parse_wave
from graysplit.core.weights import Weight, format_weight
from graysplit.stores.port import KeyName, Write
from graysplit.stores.text.freezes import read_freezes, write_freezes
from graysplit.stores.text.records import PLAN, TICK, progress_text, read_progress, tick_text

_RELEASE: Final = "release:"
# Written anew by every store, or of no use elsewhere.
_OWN: Final = frozenset({"revision", "schema", "lineage", "run_id", THAWED})
# What a definition holds that may differ between two of the same shape.
_DETAILS: Final = ("pins", "denied", "when_stale", "max_stale", "by", "plan", "in_flight", "guard")


class Ground(NamedTuple):
    """What the recovery has settled by then."""

    text: Callable[[KeyName, str], str | None]  # what the store says, or the history where its key is lost
    state: Callable[[str], Weight]  # a field's weight as it will stand
    wanted: Callable[[str], bool]  # whether a split is recovered
    definitions: Mapping[str, Definition]  # as they will stand
    whole: bool  # whether all splits are recovered
    begins: Callable[[str], bool]  # whether a field's release begins with the recovery, where nothing is carried
    actor: str
    id: str
    now_ms: int


class Carried(NamedTuple):
    """What is taken from the file, and what is not."""

    writes: tuple[Write, ...] = ()
    said: tuple[str, ...] = ()
    left_out: Mapping[str, str] = {}

    @property
    def releases(self) -> frozenset[str]:
        """The fields whose release goes on as the file names it."""
        return frozenset(write.field.removeprefix(_RELEASE) for write in self.writes if write.field[:8] == _RELEASE)


def carry(file: Source, ground: Ground) -> Carried:
    """Return what is taken from a file."""
    return _Carrying(file, ground).carried()


class _Carrying:
    def __init__(self, file: Source, ground: Ground) -> None:
        self._file, self._ground = file, ground
        self._writes: list[Write] = []
        self._said: list[str] = []
        self._left: dict[str, str] = {}

    def carried(self) -> Carried:
        self._freezes()
        for name, text in sorted(self._file.meta.items()):
            kind, _, of = name.partition(":")
            if not self._ground.whole and not (of and self._ground.wanted(split_of(of))):
                continue
            self._field(f"{kind}:", name, of, text)
        for split in sorted(self._ground.definitions.keys() & self._file.definitions.keys()):
            self._details(split)
        for where, why in sorted(self._file.unread.items()):
            if self._ground.whole or self._ground.wanted(split_of(where.partition(" ")[2])):
                self._left[where] = why
        if self._file.lacks:
            self._left[", ".join(self._file.lacks)] = f"{self._file.kind} has none"
        return Carried(tuple(self._writes), tuple(self._said), self._left)

    def _field(self, kind: str, name: str, of: str, text: str) -> None:
        if name in _OWN or name == FREEZES or kind == _RELEASE:
            return
        if kind == PLAN:
            self._plan(of, text)
            return
        stands = self._ground.text("meta", name)
        if stands is not None:
            if stands != text:
                self._left[name] = "the store has another one, which is kept"
        elif kind == TEMPLATE:
            self._take(Write("meta", name, text), f"template {of}")
        elif kind == WAVE:
            self._wave(name, of, text)
        elif kind == FINISHED:
            self._finished(name, of, text)
        elif kind == LEASE:
            self._left[name] = (
                "the age of the file is not known, so the lease counts as over: the weight after it is written"
            )
        else:
            self._left[name] = "this library does not know it"

    def _take(self, write: Write, said: str) -> None:
        self._writes.append(write)
        self._said.append(said)

    def _freezes(self) -> None:
        """Unite the freezes of both sides; of two with one pattern the longer stands."""
        now_ms, raw = self._ground.now_ms, self._ground.text("meta", FREEZES)
        mine = {freeze.pattern: freeze for freeze in read_freezes(raw)}
        wanted = [one for one in read_freezes(self._file.meta.get(FREEZES)) if one.stands(now_ms) and self._holds(one)]
        new = [one for one in wanted if one.pattern not in mine or _end(one) > _end(mine[one.pattern])]
        if not new:
            return
        united = {**mine, **{one.pattern: one for one in new}}
        self._writes.append(Write("meta", FREEZES, write_freezes(united.values())))
        self._said += [
            f"freeze of {one.pattern}, {one.words}; end it: {unfreeze_command(one.pattern)}" for one in sorted(new)
        ]

    def _holds(self, freeze: Freeze) -> bool:
        return self._ground.whole or any(map(freeze.holds, filter(self._ground.wanted, self._ground.definitions)))

    def _wave(self, name: str, field: str, text: str) -> None:
        wave, definition = parse_wave(text), self._ground.definitions.get(split_of(field))
        if wave is None:
            self._left[name] = "it cannot be read"
        elif definition is None or definition.by != "instance" or not self._ground.state(field):
            self._left[name] = "no instance crosses to it now"
        else:
            self._take(Write("meta", name, text), f"wave of {field}, {len(wave.at)} instances")

    def _finished(self, name: str, split: str, text: str) -> None:
        """Take a finished mark with the release that it ended: where the weights are still those of the file."""
        definition = self._ground.definitions.get(split)
        fields = [] if definition is None else [field_of(split, one.name) for one in definition.candidates]
        releases = [(f"{_RELEASE}{field}", self._file.meta.get(f"{_RELEASE}{field}")) for field in fields]
        changed = [field for field in fields if self._ground.state(field) != self._file.weights.get(field, 0)]
        others = [at for at, words in releases if self._ground.text("meta", at) not in {None, words}]
        if not any(map(self._ground.state, fields)):
            self._left[name] = "no weight is above zero, so nothing is finished"
        elif changed or others:
            self._left[name] = "another weight or a later release is in force: rollback --all lowers it with the others"
        else:
            self._take(Write("meta", name, text), f"{split} is finished: rollback --all leaves it alone")
            self._writes += [
                Write("meta", at, words)
                for at, words in releases
                if words is not None and self._ground.text("meta", at) is None
            ]

    def _plan(self, split: str, mark: str) -> None:
        """Take a plan, paused: a person has to say that it goes on."""
        stands = self._ground.text("meta", PLAN + split)
        if stands is not None:
            if stands != mark:
                self._left[PLAN + split] = "the store has a running plan, which is kept"
            return
        why = self._no_plan(split, mark)
        if why:
            self._left[PLAN + split] = f"the plan is over: {why}. Start it again with: graysplit ramp {split}"
            return
        progress = read_progress(self._file.plans.get(split))
        assert progress is not None  # noqa: S101 - as looked at
        field = field_of(split, mark.partition(" ")[2])
        release = self._ground.id if self._ground.begins(field) else self._release(field)
        pauses = progress.pauses or (Pause(self._ground.actor, "taken from a file", self._ground.now_ms),)
        paused = progress._replace(release=release, pauses=pauses, since_ms=self._ground.now_ms, confirmed_ms=0)
        self._take(
            Write("meta", PLAN + split, mark),
            f"plan of {split}, paused at {format_weight(progress.at)}%; continue with: graysplit resume {split} --all",
        )
        self._writes += [
            Write("plans", split, progress_text(paused._replace(approved="", approves=0))),
            Write("plans", TICK + split, tick_text(Tick(self._ground.now_ms))),
        ]

    def _release(self, field: str) -> str:
        return (self._ground.text("meta", _RELEASE + field) or "").partition(" ")[0]

    def _no_plan(self, split: str, mark: str) -> str:
        """Return why a plan does not come back, or an empty text."""
        progress = read_progress(self._file.plans.get(split))
        definition = self._ground.definitions.get(split)
        run, _, version = mark.partition(" ")
        if progress is None or progress.run != run:
            return "the file does not hold how far it was (it was written by an older graysplit)"
        if "+" in version:
            return "a plan that raises several candidates cannot be taken over"
        if definition is None or version not in {one.name for one in definition.candidates}:
            return "its version does not exist"
        if self._ground.state(field_of(split, version)) != progress.at or self._stopped(split, version):
            return f"it wrote {format_weight(progress.at)}%, but another weight is in force now"
        try:
            parse_plan(definition.plan or {})
        except BadPlanError as fault:
            return f"it cannot be read: {fault}"
        return ""

    def _stopped(self, split: str, version: str) -> bool:
        over = stops_over(field_of(split, version))
        return any(at in self._file.stops or self._ground.text("stops", at) is not None for at in over)

    def _details(self, split: str) -> None:
        """Name in what a definition of the file differs from the one that stands."""
        from graysplit.codec import parse_definition

        file, stands = parse_definition(split, self._file.definitions[split].encode()), self._ground.definitions[split]
        if file is None:
            return
        differ = [name for name in _DETAILS if getattr(file, name) != getattr(stands, name)]
        if differ:
            self._left[f"definition of {split}"] = (
                f"the file has other values for {', '.join(differ)}; the store's definition is kept. "
                "To use the file's: --take source"
            )


def _end(freeze: Freeze) -> float:
    return freeze.until_ms or float("inf")


def guarded(sides: Iterable[Definition | None]) -> bool:
    """Return whether any side has a split protected: in doubt it is."""
    return any(definition is not None and definition.protected for definition in sides)


def carried_lines(carried: Carried) -> Iterator[str]:
    """Return the lines on what is taken from the file, and what is left out."""
    yield from (f"taken from the file: {said}" for said in carried.said)
    yield from (f"left out: {what}: {why}" for what, why in sorted(carried.left_out.items()))
