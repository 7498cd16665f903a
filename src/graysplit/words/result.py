"""How a change is told: what it wrote or would write, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Final

from graysplit.control.result import Receipts, Result
from graysplit.control.stop_note import stop_texts
from graysplit.control.stops import stop_lines
from graysplit.core.address import EVERYTHING, version_of
from graysplit.core.weights import format_weight
from graysplit.stores.port import Copies
from graysplit.words.kept import SAID_AT_MOST
from graysplit.words.texts import number, percent, plural
from graysplit.words.way_back import no_way_back, way_back

NAMED_AT_MOST: Final = 3  # versions that calls ended to


def copies_line(copies: Copies, target: str) -> str:
    """Return how many replicas have a rollback."""
    if not copies.have:
        again = "--all" if target == "*" else target
        return f"not replicated yet: a failover now would lose it. Repeating is safe: graysplit rollback {again}"
    return f"{copies.have} of {copies.of} replicas {'has' if copies.have == 1 else 'have'} it"


def written_lines(result: Result) -> list[str]:
    """Return what stands now."""
    revision = f"revision {result.revision}" if result.revision else "without a revision"
    lines: list[str] = []
    if result.created:
        lines.append(f"created {result.split}: {result.created[0]} (baseline), {', '.join(result.created[1:])}")
    moves = ", ".join(
        f"{field} {percent(before)} -> {percent(after)}" for field, (before, after) in result.moves.items()
    )
    if len(result.moves) > SAID_AT_MOST:
        moves = f"{len(result.moves)} weights{' to 0%' if result.cause == 'rollback' else ''}"
    if _wrote_nothing(result):
        lines.append(f"no unfinished release is above zero: no weight and no stop was written ({revision})")
    else:
        lines.append(f"written: {result.cause} {result.split}{': ' + moves if moves else ''} ({revision})")
    lines += stop_lines(stop_texts(result.stops), result.cause)
    return [*lines, *result.notes]


def dry_run_lines(result: Result) -> list[str]:
    """Return what would be written."""
    moves = ", ".join(
        f"{field} {percent(before)} -> {percent(after)}" for field, (before, after) in result.moves.items()
    )
    if result.cause == "rollback":
        return lowering_lines(result)
    lines = [f"would be written: {result.cause} {result.split}{': ' + moves if moves else ''}"]
    if result.created:
        lines.append(f"would create {result.split}: {result.created[0]} (baseline), {', '.join(result.created[1:])}")
    lines += stop_lines(stop_texts(result.stops), result.cause, dry_run=True)
    if result.moved:
        lines.append(f"moves {result.moved:g}% of all units")
    if result.needless:
        lines.append(f"{result.needless:g}% of them only because ranges of buckets meet: this needs --yes")
    return [*lines, *result.notes, "nothing was written"]


def lowering_lines(result: Result) -> list[str]:
    """Return what a rollback would stop, each split with its weights, and what it would leave alone."""
    lines = [f"would be written: rollback {result.split}, {'a stop for each' if result.split == '*' else 'a stop'}"]
    if _wrote_nothing(result):
        lines = ["no unfinished release is above zero: no weight and no stop would be written"]
    lines += [f"  {field} {percent(before)} -> {percent(after)}" for field, (before, after) in result.moves.items()]
    if not (result.moves or _wrote_nothing(result)):
        lines.append("  no weight would change")
    if result.left:
        lines.append(f"would be left alone, finished: {', '.join(result.left)}")
    lines += result.notes
    return [*lines, "nothing was written"]


def _wrote_nothing(result: Result) -> bool:
    """Return whether a rollback of everything found nothing to lower."""
    return result.cause == "rollback" and result.split == EVERYTHING and not (result.moves or result.stops)


def done_words(result: Result) -> str:
    """Return what the processes that confirm a change have done: after a rollback, to which versions calls ended."""
    if result.cause != "rollback":
        return "confirmed"
    if _wrote_nothing(result):
        return f"processes have read revision {result.revision}" if result.revision else "processes have read the store"
    split, _, version = result.split.partition("/")
    names = [version] if version else sorted(map(version_of, result.moves))
    ended = " and ".join(names) if 0 < len(names) <= NAMED_AT_MOST else f"the candidates of {split}"
    return f"processes stopped sending calls to {'what was rolled back' if split == EVERYTHING else ended}"


def receipt_lines(receipts: Receipts, done: str = "confirmed") -> list[str]:
    """Return how many processes have done it, and who is missing."""
    if receipts.gone and not receipts.processes:
        return [f"no process is left to confirm it; last heard: {', '.join(receipts.gone[:5])}. See: graysplit fleet"]
    if receipts.nobody:
        return ["no process follows this namespace, so none can confirm it"]
    counted = f"{receipts.confirmed}/{receipts.processes}"
    running = f", {plural(receipts.running, 'call')} still running" if receipts.running else ""
    lines = [f"{counted} {done} in {receipts.seconds:.2f} s{running}"]
    if receipts.lagging:
        lines.append(f"behind: {', '.join(receipts.lagging)}. See: graysplit fleet")
    if receipts.silent:
        lines.append(f"silent (dead or cut off): {', '.join(receipts.silent)}. See: graysplit fleet")
        lines.append(f"to remove a dead process: graysplit fleet --forget {receipts.silent[0]}")
    if receipts.gone:
        lines.append(f"gone (connection ended, not counted): {', '.join(receipts.gone[:5])}")
    return lines


_NOT_ASKED: Final[Mapping[str, object]] = dict.fromkeys(one.name for one in fields(Receipts))


def result_json(result: Result, receipts: Receipts | None = None) -> dict[str, object]:
    """Return a result for scripts; what nobody was asked for is null."""
    to = result.to if result.moves or result.cause != "rollback" else "0"
    return {
        "cause": result.cause,
        "split": result.split,
        "from": _weights(result.from_),
        "to": _weights(to),
        "weights": {f: {"from": number(a), "to": number(b)} for f, (a, b) in result.moves.items()},
        "revision": result.revision,
        "change": result.change,
        "at_ms": result.at_ms,
        "dry_run": result.dry_run,
        "created": list(result.created),
        "cleared": {field: note.text for field, note in result.cleared.items()},
        "stops": {field: {"from": before, "to": after} for field, (before, after) in stop_texts(result.stops).items()},
        "leases": {
            field: {"at": number(format_weight(at)), "until_ms": until_ms, "then": number(format_weight(then))}
            for field, (at, until_ms, then) in result.leases.items()
        },
        "left": list(result.left),
        "notes": list(result.notes),
        "unwatched": result.unwatched or None,
        "doubts": list(result.doubts),
        "ended_plans": dict(result.ended),
        "plan": result.plan,
        "moved": result.moved,
        "needless": result.needless,
        "unrecorded": result.unrecorded,
        "known": result.known,
        "back": way_back(result),
        "no_back": no_way_back(result),
        "replicas": None if result.copies is None else result.copies._asdict(),
        **receipts_json(receipts),
    }


def receipts_json(receipts: Receipts | None) -> dict[str, object]:
    """Return receipts for scripts, all null where nobody waited."""
    if receipts is None:
        return {**_NOT_ASKED}
    lists = {"lagging": list(receipts.lagging), "silent": list(receipts.silent), "gone": list(receipts.gone)}
    return {**asdict(receipts), **lists}


def _weights(side: str | Mapping[str, str | None] | None) -> object:
    if side is None or isinstance(side, str):
        return number(side)
    return {version: number(weight) for version, weight in side.items()}
