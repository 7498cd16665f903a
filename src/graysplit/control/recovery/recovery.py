"""What a recovery is asked for, and what it has found and would write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias, cast

from graysplit.control.recovery.carried import Carried
from graysplit.control.result import Result
from graysplit.core.address import split_of
from graysplit.stores.port import Expect, KeyName, Submission, Write, Written
from graysplit.stores.write_rules import HASHES

Take: TypeAlias = Literal["lower", "source"]


class Sides(NamedTuple):
    """One field as each side has it; None where a side says nothing of it, or where nothing will stand."""

    key: KeyName
    field: str
    store: str | None
    fleet: str | None
    file: str | None
    written: str | None

    @property
    def split(self) -> str:
        """Return the split that it belongs to."""
        return split_of(self.field)


class Recovery(NamedTuple):
    """What `recover` found, and what it has written, or would write."""

    source: str  # fleet, or the file's name
    target: str  # a split, or the namespace
    sides: tuple[Sides, ...]
    lost: Mapping[str, str]  # keys that are made whole, and why they are not
    fresh: bool  # whether the namespace is sown anew
    left: Mapping[str, str]  # by split: why nothing of it is written
    notes: tuple[str, ...]  # what is not known, and what is over
    ask: str | None  # what a person types the name for
    result: Result
    expect: tuple[Expect, ...] = ()
    writes: tuple[Write, ...] = ()
    read_at_ms: int = 0
    raises: bool = False
    begins: tuple[str, ...] = ()
    id: str = ""
    guarded: tuple[str, ...] = ()  # protected splits that rise: it needs a reason
    carried: Carried = Carried()  # what is taken from the file beside the sides, and what is left out

    @property
    def needed(self) -> bool:
        """Return whether there is anything to write."""
        return bool(self.writes or self.lost)

    @property
    def stops(self) -> Mapping[str, str]:
        """The stops that are cleared with it: a recovery clears none."""
        return {}

    @property
    def plans(self) -> Mapping[str, str]:
        """The plans that it asks for: what it ends was lost with the store."""
        return {}

    @property
    def told(self) -> object:
        """Return what a person has been shown, to be compared with what is about to be written."""
        sides = [side._replace(written=None) if side.key == "stops" else side for side in self.sides]
        return sides, self.lost, self.fresh, self.left, self.ask, self.carried.said, self.carried.left_out

    def submission(self, actor: str, why: str) -> Submission:
        """Return what the store is handed: one change, so that no key is ever half whole."""
        return Submission(
            self.id,
            self.result.split,
            "recover",
            actor,
            why,
            self.expect,
            self.writes,
            self.read_at_ms,
            self.raises,
            self.begins,
            cast("tuple[KeyName, ...]", tuple(name for name in HASHES if name in self.lost)),
        )

    def done(self, written: Written) -> Recovery:
        """Return it as it was written."""
        result = replace(self.result, dry_run=False, revision=written.revision, change=written.id, at_ms=written.at_ms)
        return self._replace(result=result)


class RecoverRequest(NamedTuple):
    """What is asked for."""

    splits: Collection[str]  # none: all
    take: Take
    actor: str
    namespace: str
    id: str
