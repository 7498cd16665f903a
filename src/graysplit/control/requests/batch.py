"""Requests about several splits at once: proposed one after the other, and written as one change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from graysplit.control.operator import Operator, Request
from graysplit.control.proposal import Proposal
from graysplit.control.reading import Reading
from graysplit.core.address import EVERYTHING
from graysplit.core.changes import Effects
from graysplit.core.split_state import Change, LaidOver, SplitState, apply
from graysplit.core.weights import Weight

V = TypeVar("V")

CAUSE = "batch"


class ChangeSplits(NamedTuple):
    """Changes of several splits, all of which are written, or none."""

    requests: Sequence[Request]

    @property
    def about(self) -> tuple[str, ...]:
        """Every split that a request is about; none where one of them needs the whole store."""
        named = [request.about for request in self.requests]
        return tuple(dict.fromkeys(split for splits in named for split in splits)) if all(named) else ()

    def propose(self, operator: Operator, reading: Reading, id_: str) -> Proposal:
        """Return all of them as one proposal, each as it is after those before it."""
        operator, proposals, base = operator.with_one_fleet(), list[Proposal](), reading.snapshot
        own: dict[str, SplitState] = {}
        for request in self.requests:
            proposal = request.propose(operator, reading, id_)
            proposals.append(proposal)
            after, split = apply(reading.snapshot, proposal.change), proposal.change.split
            if isinstance(after.splits, LaidOver):  # one layer, however many changes there are
                own = {**own, split: after.splits[split]}
                after = after._replace(splits=LaidOver(base.splits, own))
            else:  # the stop on everything is cleared, which concerns all
                base, own = after, {}
            reading = reading._replace(snapshot=after._replace(releases=base.releases))
        return joined_proposals(proposals)


def joined_proposals(proposals: Sequence[Proposal]) -> Proposal:
    """Return several proposals, one of each split, as one: what each compares and writes, asks and tells."""
    changes = [one.change for one in proposals]
    writes = {(write.key, write.field): write for one in proposals for write in one.writes}
    return proposals[0]._replace(
        target=EVERYTHING,
        change=Change(
            CAUSE,
            EVERYTHING,
            weights=_union(change.weights for change in changes),
            stops=_union(change.stops for change in changes),
            releases=_union(change.releases for change in changes),
            leases=_union(change.leases for change in changes),
            marks=_union(change.marks for change in changes),
        ),
        effects=_joined_effects([one.effects for one in proposals]),
        expect=_each(one.expect for one in proposals),
        writes=tuple(writes.values()),
        raises=any(one.raises for one in proposals),
        moves=_union(one.moves for one in proposals),
        created=(),
        stop_moves=_union(one.stop_moves for one in proposals),
        stops=_union(one.stops for one in proposals),
        ask=", and ".join(_each([one.ask] for one in proposals if one.ask)) or None,
        guarded=_each(one.guarded for one in proposals),
        notes=_each((*_made(one), *one.notes) for one in proposals),
        ended=_each(one.ended for one in proposals),
        plans=_union(one.plans for one in proposals),
        spared=_each(one.spared for one in proposals),
        unwatched=" ".join(_each([one.unwatched] for one in proposals if one.unwatched)),
        pinned=None,
    )


def _joined_effects(several: Sequence[Effects]) -> Effects:
    weights: Mapping[str, tuple[Weight, Weight]] = _union(one.weights for one in several)
    return Effects(weights, sum(one.moved for one in several), sum(one.difference for one in several))


def _made(proposal: Proposal) -> Iterable[str]:
    if proposal.created:
        yield f"creates {proposal.change.split} ({', '.join(proposal.created)})"


def _union(mappings: Iterable[Mapping[str, V]]) -> dict[str, V]:
    return {key: value for mapping in mappings for key, value in mapping.items()}


def _each(several: Iterable[Collection[V]]) -> tuple[V, ...]:
    return tuple(dict.fromkeys(one for values in several for one in values))
