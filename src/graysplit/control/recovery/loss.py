"""What the store does not say any more, and what live processes run on instead: the fleet knows more than the store.

An empty answer is an outage to a process (law 8), and so it is to an operator: a store that came back empty has not
taken anybody to the baseline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, NamedTuple

from graysplit.control.ask import ask
from graysplit.control.reading import Reading
from graysplit.control.recovery.sources import lowest
from graysplit.core.address import split_of
from graysplit.core.fleet import KEPT_AT_MOST, Fleet, Process
from graysplit.core.weights import Weight, format_weight, parse_weight, rises
from graysplit.errors import BadWeightError, StoreLostError
from graysplit.stores.port import Store

GO_BACK: Final = "graysplit rollback --all"
SOW_AGAIN: Final = "graysplit recover --source fleet"


class Loss(NamedTuple):
    """What a store has lost, by the word of the processes that follow it."""

    kind: Literal["emptied", "keys", "behind"]
    processes: tuple[str, ...]  # the live ones that run on what they read last, or hold more than the store says
    keys: Mapping[str, str]  # lost keys, each with the reason
    weights: Mapping[str, tuple[str, str]]  # by field, from receipts: the lowest and the highest weight in force
    held: Mapping[str, str]  # what processes keep against the store: "stops checkout", "splits checkout", with its word
    ahead: tuple[str, ...]  # processes at a later revision than the store's
    splits: frozenset[str]  # every split that live processes know

    @property
    def recover(self) -> str:
        """The command that makes the store whole."""
        return SOW_AGAIN if self.kind == "emptied" else "graysplit recover"


def loss_of(reading: Reading, fleet: Fleet) -> Loss | None:
    """Return what the store has lost, or None.

    The fleet must have been read before the store: it cannot know more then than a whole store says.
    """
    runners = tuple(process for process in fleet.live if process.receipt.revision or process.receipt.change)
    keeping = tuple(process for process in fleet.live if process.receipt.held)
    if emptied(reading, fleet):
        return _loss("emptied", runners, {}, {})
    if reading.empty:
        return None
    if reading.held.lost:
        return _loss("keys", runners, reading.held.lost, {})
    ahead = tuple(process for process in runners if process.receipt.revision > reading.snapshot.revision)
    if not keeping and not ahead:
        return None
    held = {where: word for process in keeping for where, word in process.receipt.held.items()}
    matching = _loss("behind", [process for process in fleet.live if process in keeping or process in ahead], {}, held)
    told = {where.partition(" ")[2] for where in held}
    weights = {field: pair for field, pair in matching.weights.items() if ahead or {field, split_of(field)} & told}
    return matching._replace(weights=weights, ahead=tuple(process.label for process in ahead))


def check_not_lost(reading: Reading, fleet: Fleet, split: str) -> None:
    """Raise `StoreLostError` where the store does not say a split any more on which live processes run."""
    loss = loss_of(reading, fleet)
    if loss is None or split not in loss.splits or split in reading.snapshot.splits:
        return
    told = shares(loss, split)
    instead = f" ({', '.join(told)})" if told else ""
    raise StoreLostError(
        f"{loss_words(loss)}{instead}. Repair the store with: {loss.recover}; "
        f"to send everybody to the baseline: {GO_BACK}"
    )


def emptied(reading: Reading, fleet: Fleet) -> bool:
    """Return whether an empty namespace was in use: live processes tell of changes that it does not know."""
    return reading.empty and any(process.receipt.revision or process.receipt.change for process in fleet.live)


def loss_words(loss: Loss) -> str:
    """Return in one sentence what is lost, and what runs instead."""
    count = len(loss.processes)
    live = "1 live process" if count == 1 else f"{count} live processes"
    runs = "runs with the values it" if count == 1 else "run with the values they"
    if loss.kind == "emptied":
        return f"the store is empty, and {live} {runs} read last"
    if loss.kind == "keys":
        lost = ", ".join(f"{key} ({why})" for key, why in sorted(loss.keys.items()))
        what = f"the store has lost the key {lost}"
        return f"{what}, and {live} {runs} read last" if count else what
    if loss.held:
        return f"the store has lost changes, and {live} {'keeps' if count == 1 else 'keep'} values that it lacks"
    revision = "a later revision than the store's"
    return f"{live} {'is' if count == 1 else 'are'} at {revision}: the store has lost changes, or is another one"


def shares(loss: Loss, split: str | None = None) -> list[str]:
    """Return which weights are in force instead, of one split or of all: `checkout/new 50%`."""
    named = ((field, pair) for field, pair in loss.weights.items() if split in {None, split_of(field)})
    return [f"{field} {_percent(low)}{'' if low == high else ' to ' + _percent(high)}" for field, (low, high) in named]


def _percent(weight: str) -> str:
    return f"{weight}%" if weight[:1].isdigit() else weight


def untold(store: Store, lowered: Collection[str]) -> Mapping[str, Mapping[str, str]]:
    """Return what live processes keep above zero that was not lowered just now: by split, its fields and weights.

    A receipt names only the first of what is kept; where that is not all of it, the processes are asked.
    """
    fleet = store.fleet()
    keeping = [process for process in fleet.live if process.receipt.held]
    words = [pair for process in keeping for pair in process.receipt.held.items()]
    if any(len(process.receipt.held) >= KEPT_AT_MOST for process in keeping):
        told = ask(store, fleet).values()
        words += [(where, one.weights.get(where.removeprefix("weights "), "0")) for one in told for where in one.held]
    found: dict[str, dict[str, str]] = {}
    for where, word in words:
        key, _, field = where.partition(" ")
        if key == "weights" and field not in lowered and _weight(word) != 0:
            found.setdefault(split_of(field), {})[field] = word
    return found


def _loss(
    kind: Literal["emptied", "keys", "behind"],
    processes: Iterable[Process],
    keys: Mapping[str, str],
    held: Mapping[str, str],
) -> Loss:
    found = tuple(processes)
    weights = _weights(found)
    splits = {split_of(field) for field in weights} | {name for process in found for name in process.declared}
    splits |= {split_of(where.partition(" ")[2]) for where in held}
    return Loss(kind, tuple(process.label for process in found), keys, weights, held, (), frozenset(splits - {"*"}))


def _weights(processes: Iterable[Process]) -> Mapping[str, tuple[str, str]]:
    """Return the lowest and the highest weight in force by field, as receipts tell and as they keep it."""
    told: dict[str, list[Weight]] = {}
    for process in processes:
        receipt = process.receipt
        said = {field: effect.weight for field, effect in receipt.effects.items()}
        said |= {where.removeprefix("weights "): w for where, w in receipt.held.items() if where.startswith("weights ")}
        for field, word in said.items():
            told.setdefault(field, []).append(_weight(word))
    return {field: (format_weight(lowest(*all_) or 0), _highest(all_)) for field, all_ in sorted(told.items())}


def _highest(weights: Iterable[Weight]) -> str:
    found: Weight = 0
    for weight in weights:
        found = weight if rises(found, weight) else found
    return format_weight(found)


def _weight(word: str) -> Weight:
    try:
        return parse_weight(word)
    except BadWeightError:
        return 0
