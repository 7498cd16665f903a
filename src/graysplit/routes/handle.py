"""A handle: a split that is asked by code of its own, without a function for each version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, NoReturn, TypeVar, cast

from graysplit.core.compiled import CompiledSplit
from graysplit.core.decision import Decision
from graysplit.core.durations import Span
from graysplit.core.guard.marks import Mark, Record
from graysplit.core.guard.second_buffer import SecondBuffer
from graysplit.errors import RegistrationError
from graysplit.native import compiled_core
from graysplit.routes import outcome
from graysplit.routes.handle_line import HandleLine
from graysplit.routes.one_object import OneObject
from graysplit.routes.port import Chooser, Prepare, unprepared
from graysplit.routes.signature import check_called
from graysplit.routes.unit import AskedUnit, FindUnit, named_unit
from graysplit.scope import MISSING

V_co = TypeVar("V_co", bound=str, covariant=True)
H = TypeVar("H", bound=Callable[[], object])

# Decides for an attempt; gives also the unit that is meant.
_Decide = Callable[[object, "Mapping[str, object] | None"], "tuple[CompiledSplit, int, Decision, object]"]


class Split(HandleLine, OneObject, Generic[V_co]):
    """The handle of one split, made by `Router.split`: it names versions, and the caller's code runs them.

    `choose` and `decide` never raise and never wait.
    """

    __slots__ = ("__weakref__", "_ignored", "_prepare", "baseline", "name", "versions")

    def __init__(  # noqa: PLR0913, PLR0917 - what a handle has, handed over once
        self,
        name: str,
        versions: tuple[V_co, ...],
        state: CompiledSplit,
        chooser: Chooser,
        prepare: Prepare = unprepared,
        ignored: outcome.Ignored = (),
    ) -> None:
        """Read `state` until it is swapped; the first version is the code's baseline."""
        self.name: Final = name
        self.versions: Final = versions
        self.baseline: Final = versions[0]
        self._state = state
        self._chooser = chooser
        self._prepare: Final = prepare
        self._ignored: Final = ignored

    def __repr__(self) -> str:
        return f"<graysplit split '{self.name}': {', '.join(self.versions)}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: what arrived elsewhere would hear nothing of that process's router."""
        raise TypeError(
            f"{self!r} cannot be pickled: another process would get a handle that no rollback reaches. "
            f"Leave it out (__getstate__), and call split('{self.name}') or import the handle where it is used"
        )

    if TYPE_CHECKING:

        def choose(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> V_co:
            """Return the version's name for a unit: one of those that the maker was given."""
            ...

    def attempt(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> Attempt[V_co]:
        """Return a block measured for the version it yields: what raises inside is that version's failure.

        A plain `with`, also in async code: deciding never waits. May be entered many times, also within itself.
        """
        return Attempt(self._enter, unit, attributes, self._ignored)

    def warm(self, version: str, /, *, every: Span | None = None) -> Callable[[H], H]:
        """Register what prepares a version; see `Router.warm`."""
        check_called(version, "warm", '("new")')
        version = str.__str__(version)  # of a member of an enum its value
        if version not in self.versions:
            raise RegistrationError(
                f"split '{self.name}' has no version '{version}' to prepare: it was declared with "
                f"{', '.join(self.versions)}"
            )

        def take(function: H) -> H:
            self._prepare(version, function, every)
            return function

        return take

    def _enter(
        self, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision, object]:
        """Decide for an attempt, whose evidence is the unit's that is meant."""
        unit = named_unit(unit, attributes, self._chooser.instance)
        return (*self._chooser.resolve(self._state, unit, attributes), unit)

    def _swap(self, state: CompiledSplit) -> None:
        """Let questions asked from now on read another state; the router calls it, nobody else."""
        self._state = state


if compiled_core is not None:
    compiled_core.adopt(Split)


class FindingSplit(Split[V_co]):
    """A handle that finds the unit itself where a question names none: this instance, say."""

    __slots__ = ("_find",)

    def __init__(  # noqa: PLR0913, PLR0917 - a handle's own, and what finds the unit
        self,
        name: str,
        versions: tuple[V_co, ...],
        state: CompiledSplit,
        chooser: Chooser,
        prepare: Prepare,
        ignored: outcome.Ignored,
        find: FindUnit,
    ) -> None:
        """Take what finds the unit; it never raises, and gives None for no unit."""
        super().__init__(name, versions, state, chooser, prepare, ignored)
        self._find: Final = find

    def choose(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> V_co:
        """Return the version's name for a unit, the one that the handle finds unless given."""
        return super().choose(self._find(attributes) if unit is MISSING else unit, attributes)

    def decide(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> Decision:
        """Return version, reason, revision and staleness, for the unit that the handle finds unless given."""
        return super().decide(self._find(attributes) if unit is MISSING else unit, attributes)

    def _enter(
        self, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision, object]:
        return super()._enter(self._find(attributes) if unit is MISSING else unit, attributes)


class EnumSplit(FindingSplit[V_co]):
    """A handle whose versions are the members of an enum: it gives members."""

    __slots__ = ("_members",)

    def __init__(  # noqa: PLR0913, PLR0917 - a handle's own, and what finds the unit
        self,
        name: str,
        members: Mapping[str, V_co],
        state: CompiledSplit,
        chooser: Chooser,
        prepare: Prepare,
        ignored: outcome.Ignored,
        find: FindUnit | None,
    ) -> None:
        """Take the members by the versions' names; without `find` the unit is the context's unless named."""
        super().__init__(name, tuple(members.values()), state, chooser, prepare, ignored, find or _context_unit)
        self._members: Final = members

    def choose(self, unit: AskedUnit = MISSING, attributes: Mapping[str, object] | None = None) -> V_co:
        """Return the version's member for a unit, the context's unless given; counted as an exposure."""
        return self._members.get(super().choose(unit, attributes), self.baseline)

    def _enter(
        self, unit: object, attributes: Mapping[str, object] | None
    ) -> tuple[CompiledSplit, int, Decision, object]:
        state, index, decision, unit = super()._enter(unit, attributes)
        member = self._members.get(decision.version, self.baseline)
        return state, index, decision._replace(version=member), unit


def _context_unit(_attributes: Mapping[str, object] | None) -> object:
    return MISSING


class Entered(NamedTuple):
    """An attempt under way."""

    state: CompiledSplit
    number: int  # the version's index
    evidence: bool
    part: SecondBuffer | None  # and what is written there, where the split is armed
    record: Record | None
    mark: Mark = 0


class Attempt(Generic[V_co]):
    """A measured block around an ad-hoc choice; decides anew at each entry."""

    __slots__ = ("_attributes", "_decide", "_entered", "_ignored", "_unit")

    def __init__(
        self, decide: _Decide, unit: object, attributes: Mapping[str, object] | None, ignored: outcome.Ignored = ()
    ) -> None:
        """Keep whom to decide for; nothing is decided yet."""
        self._decide = decide
        self._unit = unit
        self._attributes = attributes
        self._ignored = ignored
        self._entered: list[Entered] = []

    def __repr__(self) -> str:
        """Return the split, never the unit."""
        return f"<graysplit attempt of {getattr(self._decide, '__self__', 'a split')!r}>"

    def __enter__(self) -> V_co:
        """Decide, count the exposure, and return the version's name."""
        state, index, decision, unit = self._decide(self._unit, self._attributes)
        part, record, mark = None, None, cast("Mark", 0)
        unit = outcome.resolve_unit(state, unit)
        evidence = outcome.is_evidence(state, index, decision.reason, unit)
        if evidence and state.buffer is not None:
            part, record, mark = outcome.start_record(state, index, unit, kept=decision.reason == "kept")
        elif evidence:
            outcome.entered(state, index)
        self._entered.append(Entered(state, index, evidence, part, record, mark))
        return cast("V_co", decision.version)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count how the block ended; the error passes through untouched."""
        state, index, evidence, part, record, mark = self._entered.pop()
        if not evidence:
            return
        try:
            if error is not None:
                outcome.failed(state, index, error, part, mark, self._ignored)
        finally:
            outcome.finished(state, index, part, record, mark)
