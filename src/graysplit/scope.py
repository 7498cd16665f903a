"""The ambient unit and attributes, and the decisions kept for one request: the scope that `context` opens.

Follows `contextvars`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from graysplit.core.bucketing import encode_unit
from graysplit.native import compiled_core

if TYPE_CHECKING:
    from uuid import UUID

    from graysplit.core.decision import Reason

Unit: TypeAlias = "str | int | bytes | UUID"  # who or what is being split; `1` and `"1"` are one


class _Missing:
    """Stands for "the context's unit" where a call names none."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        """Copy and pickle as what it is: there is one."""
        return "MISSING"


MISSING: Final[Any] = _Missing()  # Any: the default of parameters that take a `Unit`

NO_ATTRIBUTES: Final[Mapping[str, object]] = MappingProxyType({})
# A batch job under one context may meet any number of units: beyond these, choices are made afresh.
KEPT_AT_MOST: Final = 1_000


class Taken(dict[str, str]):
    """The versions that one request has taken, by split, in their order; all contexts of the request share it.

    `others`: whether it also asked for another unit than its own. Never prints a unit.
    """

    __slots__ = ("_unit", "others")

    def __init__(self, unit: object) -> None:
        """Begin with nothing, for the request's unit."""
        super().__init__()
        self._unit = unit
        self.others = False

    def meet(self, unit: object) -> None:
        """Have the request's unit, known only by now."""
        self.others = self.others or bool(self)
        self._unit = unit

    def is_of(self, unit: object) -> bool:
        """Return whether a unit is the very one that it was made for."""
        return unit is self._unit

    def note(self, split: str, version: str, unit: object) -> None:
        """Note what a split answered for a unit; of two units the request's own counts."""
        if unit is not self._unit and encode_unit(unit) != encode_unit(self._unit):
            self.others = True
            self.setdefault(split, version)
        elif len(self) < KEPT_AT_MOST:
            self[split] = version


class Scope(dict[object, tuple[object, int]]):
    """One open context: its own entries are the choices kept in it. An empty one is false: compare with None.

    What a context has answered stands for its life, a lowering to zero excepted. Under a state's key stands the first
    unit decided for that split, with its version's index: the hot path reads that one entry. Every other unit stands
    under `(key, encoded unit)`. A lowering to zero replaces the key, so that old choices are simply not found. Under
    `(split, encoded unit)` stands why the baseline answered before there was a choice (`not_ready`). Never prints a
    unit.

    Two of them are equal only if they are one: what carries contexts between threads (asgiref) compares before it
    sets, and two that hold the same choices are of two units.
    """

    __slots__ = (
        "_ended",
        "attributes",
        "forced",
        "has_others",
        "is_plain",
        "met",
        "own",
        "straight",
        "taken",
        "told",
        "unit",
    )

    def __init__(
        self, unit: object = MISSING, attributes: Mapping[str, object] | None = None, forced: Mapping[str, str] = {}
    ) -> None:
        """Open with nothing kept."""
        # Nothing for `dict` to begin with: it is not asked, for each request opens one of these.
        self.unit = unit
        self.attributes = attributes or NO_ATTRIBUTES
        self.forced: Mapping[str, str] = forced
        self.met: dict[str, tuple[str, ...]] = {}  # forced splits that were asked, and their versions
        self.taken: Taken | None = None  # of a request that is to know; see `graysplit.integrations`
        self.told: dict[tuple[str, str], None] | None = None  # splits and versions that listeners were told of
        self.is_plain = not forced  # whether a split's first question here needs nothing but its hash
        self.has_others = False  # whether anything is kept under a unit's bytes
        self.own: bytes | None = None  # its unit, once a question was about it
        # What a compiled core draws by: its unit, and what notes that; None where there is more to look at.
        self.straight: tuple[object, Taken | None] | None = None if forced or compiled_core is None else (unit, None)
        self._ended = False

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment] # a dict has none

    def __repr__(self) -> str:
        """Return how much is kept, never for whom."""
        return f"<graysplit scope: {len(self)} kept>"

    def note_in(self, taken: Taken) -> None:
        """Have a request know what it takes."""
        self.taken = taken
        self.straighten()

    def straighten(self) -> None:
        """Let a compiled core draw again, if nothing but the unit's hash is to be looked at."""
        is_straight = compiled_core is not None and self.is_plain and not self.has_others
        is_straight = is_straight and (self.taken is None or self.taken.is_of(self.unit))
        self.straight = (self.unit, self.taken) if is_straight else None

    def inherit(self, outer: Scope | None) -> Scope:
        """Take over what an outer context kept by unit, so that one request keeps one answer; gives itself."""
        if outer is not None:
            self.is_plain = self.is_plain and outer.is_plain
            self.met = outer.met
            self.taken = outer.taken
            self.told = outer.told
            self.update(outer._by_unit())  # noqa: SLF001 # another one of this class
            self.has_others = bool(self)
            self.straighten()
        return self

    def _by_unit(self) -> dict[object, tuple[object, int]]:
        """Return all that is kept, each under its unit: the hot path's entries mean this context's unit."""
        # A copy, made in one step: another thread of the same request may keep a choice meanwhile.
        kept = dict[object, tuple[object, int]]()
        for key, (unit, index) in self.copy().items():
            if key.__class__ is tuple:
                kept[key] = (unit, index)
            elif (encoded := self.encoded(unit)) is not None:
                kept[key, encoded] = (None, index)
        return kept

    def encoded(self, unit: object) -> bytes | None:
        """Return the bytes of a unit that was asked for, of the context's own where none was named."""
        if unit is not MISSING:
            return encode_unit(unit)
        if self.own is None:
            self.own = encode_unit(self.unit)
        return self.own

    def meet(self, unit: object, attributes: Mapping[str, object] | None) -> None:
        """Have the unit and attributes of a request whose user is known only by now; earlier choices stay theirs."""
        if self:
            self.has_others = True
            self.update(self._by_unit())
            for key in [key for key in self.copy() if key.__class__ is not tuple]:
                self.pop(key, None)  # the hot path's entries are of the unit before
        self.unit, self.own, self.straight = unit, None, None
        if attributes:
            self.attributes = {**self.attributes, **attributes}
        if self.taken is not None:
            self.taken.meet(unit)

    def end(self, outer: Scope | None) -> None:
        """Be from now on as the context around this one, where this one cannot be taken out; keep nothing more."""
        self.keep_nothing()
        self.clear()
        self.own = None
        self.unit = outer.unit if outer is not None else MISSING
        self.attributes = outer.attributes if outer is not None else {}
        self.forced = outer.forced if outer is not None else {}

    @property
    def keeps_nothing(self) -> bool:
        """Return whether choices are made afresh: it has ended, or only forces versions and is no request."""
        return self._ended

    def keep_nothing(self) -> Scope:
        """Keep no choice; gives itself."""
        self._ended, self.is_plain, self.straight = True, False, None
        return self

    def kept(self, key: object, unit: bytes) -> int | None:
        """Return the index kept for a split's key and an encoded unit, or None."""
        first = self.get(key)
        if first is not None and self.encoded(first[0]) == unit:
            return first[1]
        kept = self.get((key, unit))
        return kept[1] if kept else None

    def keep_baseline(self, split: str, unit: bytes, reason: Reason) -> None:
        """Keep that the baseline has answered for a unit, and why, where no state's key is known yet (`not_ready`)."""
        self.is_plain, self.straight = False, None  # from now on a first question has more to look at than a key
        if len(self) < KEPT_AT_MOST and not self._ended:
            self.setdefault((split, unit), (reason, 0))

    def baseline_for(self, split: str, unit: bytes) -> Reason | None:
        """Return why the baseline has answered for a unit before any choice was made, or None."""
        kept = self.get((split, unit))
        return cast("Reason", kept[0]) if kept is not None else None

    def keep(self, key: object, unit: object, encoded: bytes, index: int) -> int:
        """Keep a choice and return what is kept: another thread of the request may have been first.

        The first unit of a key is kept where the hot path looks, as `MISSING` or as text (1 == True, but True is no
        unit); any other one under its bytes.
        """
        if self._ended:
            return index
        kept = self.kept(key, encoded)
        if kept is not None or len(self) >= KEPT_AT_MOST:
            return index if kept is None else kept
        text = unit if unit is MISSING or unit.__class__ is str else _text(encoded)
        if text is not None:
            first = self.setdefault(key, (text, index))
            if self.encoded(first[0]) == encoded:
                return first[1]
        self.has_others, self.straight = True, None
        return self.setdefault((key, encoded), (None, index))[1]


def _text(encoded: bytes) -> str | None:
    """Return the text that is the same unit as these bytes; None where there is none."""
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return None


NOT_KEPT: Final[tuple[object, int | None]] = (object(), None)  # what stands where no entry does: of no unit

_scope: Final[ContextVar[Scope | None]] = ContextVar("graysplit", default=None)
scope_get: Final = _scope.get
scope_set: Final = _scope.set
scope_reset: Final = _scope.reset
if compiled_core is not None:
    compiled_core.connect(MISSING, _scope, perf_counter)
