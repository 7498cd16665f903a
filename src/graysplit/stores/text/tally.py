"""The text forms of a tally: a batch as the script that adds it wants it, and what a store holds, read back.

Reading is tolerant: whatever the server holds, what is not a count is none, and nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from graysplit.core.guard.sequential_test import STOPWATCHES_S
from graysplit.core.guard.tally import (
    Batch,
    Begun,
    Converted,
    Failed,
    Kept,
    Pair,
    Raised,
    RunningCalls,
    Sample,
    Stage,
    StageTally,
)
from graysplit.core.guard.verdict import What
from graysplit.core.guard.windows import Book, Span, StratumName, Window, WindowSide, span_of
from graysplit.stores.text.records import dumps, exact, raw_of

Fields: TypeAlias = Mapping[bytes, bytes]  # a hash as it stands

KINDS: Final[dict[What, str]] = {"errors": "e", "slow": "s", "cut": "k", "doubt": "d"}
_DIGITS: Final = 19  # what Redis can count to
_MAX_RUNNING: Final = 1 << 20
_BEGUN: Final = re.compile(rb"(\d{1,12}),([01]),(\d{1,12});")
_FAILED: Final = re.compile(rb"(\d{1,12}),([0-9a-f]{1,16}),([01]),(\d{1,12});")
_BOOKED: Final = re.compile(rb"([eskda])(\d{1,9})(?::([01]):(\d{1,12}|[+rc]))?")
_STAGE: Final = re.compile(rb"(\d{1,9}) (\d{1,9}) (\d{1,18}) \d{1,18} (\d{1,12})")
_DURATION: Final = re.compile(rb"([01]):(\d{1,4})")
_OF_STAGE: Final = re.compile(rb"(\d{1,9}):([a-z])(.*)", re.DOTALL)


# --- what is told ----------------------------------------------------------------------------------------------------


def spans_of(batch: Batch) -> list[Span]:
    """Return the windows that a batch tells of; what begun before the release is not evidence."""
    told: tuple[Begun | Failed, ...] = (
        *(*batch.calls, *batch.timed, *batch.abandoned),
        *(*batch.errors, *batch.slow, *batch.cut),
    )
    seconds = {one.second for one in told if one.second >= batch.started_s}
    return sorted({span_of(length_s, second, batch.started_s) for length_s in STOPWATCHES_S for second in seconds})


def batch_arguments(batch: Batch) -> list[bytes | int | str]:
    """Return a batch up to its running calls, as `flush.lua` takes them."""
    durations = (
        f"{side},{bucket},{calls};" for side, told in enumerate(batch.durations) for bucket, calls in told.items()
    )
    return [
        raw_of(batch.buffer),
        batch.number,
        batch.started_s,
        batch.stage.new,
        batch.stage.old,
        batch.stage.revision,
        _sums_text(batch),
        failed_text(batch.cut),
        begun_text(batch.calls),
        begun_text(batch.timed),
        failed_text(batch.errors),
        failed_text(batch.slow),
        "".join(f"{one.unit & 0xFFFFFFFF:08x}{one.on_new:d}" for one in batch.exposed),
        "".join(durations),
        running_text(batch),
        begun_text(batch.abandoned),
    ]


def names_and_goals(batch: Batch) -> list[bytes | int | str]:
    """Return a batch's named exceptions and its goals, each list after its length."""
    goals: dict[str, list[str]] = {}
    for name, unit, micro in batch.goals:
        goals.setdefault(name, []).append(f"{unit & 0xFFFFFFFF:08x},{max(0, micro)};")
    named = (part for name, (old, new) in batch.named.items() for part in (raw_of(name), old, new))
    told = (part for name, units in goals.items() for part in (raw_of(name), "".join(units)))
    return [len(batch.named), *named, len(goals), *told]


def _sums_text(batch: Batch) -> str:
    """Write what is only summed up for a stage, by the letter under which it stands there, and side."""
    sums = {"f": batch.failures, "k": batch.cuts, "o": batch.overdue, "w": batch.unfinished}
    told = "".join(f"{letter}{side},{calls};" for letter, both in sums.items() for side, calls in enumerate(both))
    lost = (batch.dropped, batch.unblamed)
    return told + "".join(f"l{place},{pieces};" for place, pieces in enumerate(lost) if pieces)


def begun_text(told: Iterable[Begun]) -> str:
    """Write calls by second and side."""
    return "".join(f"{second},{on_new:d},{calls};" for second, on_new, calls in told)


def failed_text(told: Iterable[Failed]) -> str:
    """Write failed calls; a unit as 16 hexadecimal digits, for Lua's numbers do not hold 64 bits."""
    return "".join(f"{second},{unit:016x},{on_new:d},{calls};" for second, unit, on_new, calls in told)


def running_text(batch: Batch) -> str:
    """Write what is under way; "" where nothing is."""
    if not batch.running and not batch.hanging:
        return ""
    return f"{begun_text(batch.running)}|{failed_text(batch.hanging)}"


def levels_text(levels: Iterable[tuple[int, int]]) -> str:
    """Write from which second how many bits must be zero."""
    return " ".join(f"{from_s}:{bits}" for from_s, bits in levels)


def sample_text(sample: Sample) -> str:
    """Write how things stood at one moment."""
    return dumps(sample._asdict())


# --- what is read back -----------------------------------------------------------------------------------------------


class _Lines(NamedTuple):
    """What of a hash is of one stage: kind, the rest of the field's name, and the number."""

    kind: str
    rest: bytes
    raw: bytes


def read_stages(counts: Fields) -> tuple[StageTally, ...]:
    """Read the stages, in order of their numbers; one whose shares cannot be read is left out."""
    lines: dict[int, list[_Lines]] = {}
    for field, raw in counts.items():
        match = _OF_STAGE.fullmatch(field)
        if match is not None:
            lines.setdefault(int(match[1]), []).append(_Lines(match[2].decode(), match[3], raw))
    stages: dict[int, StageTally] = {}
    for field, raw in counts.items():
        said = _STAGE.fullmatch(raw)
        if said is not None and field.startswith(b"stage:") and field[6:].isdigit() and len(field) < _DIGITS:
            number = int(field[6:])
            stage = Stage(*(int(part) for part in said.groups()[:3]))
            stages[number] = _stage(number, stage, int(said[4]), lines.get(number, ()))
    return tuple(stages[number] for number in sorted(stages))


def read_named(counts: Fields) -> dict[str, Raised]:
    """Read how often named exceptions were raised."""
    found: dict[str, Raised] = {}
    for field, raw in counts.items():
        if field.startswith((b"named:0:", b"named:1:")):
            name, before = exact(field[8:]), found.get(exact(field[8:]), Raised(0, 0))
            on_new = field[6:7] == b"1"
            found[name] = before._replace(on_new=number(raw)) if on_new else before._replace(on_old=number(raw))
    return found


def read_running(running: Fields) -> tuple[RunningCalls, ...]:
    """Read what buffers told last of their calls under way."""
    return tuple(found for buffer, raw in running.items() if (found := _running(buffer, raw)) is not None)


def read_kept(span: Span, books: Fields, chances: Mapping[int, float]) -> Iterator[Kept]:
    """Read a window's books of all kinds; a stage of unknown chance has none that could be compared."""
    opened: dict[str, set[int]] = {"e": set(), "s": set()}
    counts: dict[tuple[str, int, bool], dict[bytes, int]] = {}
    for field, raw in books.items():
        match = _BOOKED.fullmatch(field)
        if match is None:
            continue
        kind, stage = match[1].decode(), int(match[2])
        if match[3] is None:
            opened.setdefault(kind, set()).add(stage)
        else:
            counts.setdefault((kind, stage, match[3] == b"1"), {})[match[4]] = number(raw)

    def side(kind: str, stage: int, *, on_new: bool) -> WindowSide:
        own, calls = counts.get((kind, stage, on_new), {}), counts.get(("e", stage, on_new), {})
        recent = {int(at): units for at, units in own.items() if at.isdigit() and units > 0}
        calls = own if kind == "s" else calls
        return WindowSide(calls.get(b"c", 0), own.get(b"r", 0), own.get(b"+", 0), recent)

    def abandoned(stage: int) -> dict[int, int]:
        own = {at: calls for at, calls in counts.get(("a", stage, False), {}).items() if at.isdigit() or at == b"+"}
        return {span.begin_s if at == b"+" else int(at): calls for at, calls in own.items() if calls > 0}

    for what, kind in KINDS.items():
        stages = [stage for stage in sorted(opened["s" if kind == "s" else "e"]) if stage in chances]
        made = (
            Book(
                StratumName(stage),
                chances[stage],
                side(kind, stage, on_new=True),
                side(kind, stage, on_new=False),
                abandoned(stage),
            )
            for stage in stages
        )
        yield Kept(what, Window(span, tuple(made)), _levels(books.get(f"levels:{kind}".encode(), b"")))


def read_course(samples: Iterable[object]) -> tuple[Sample, ...]:
    """Read a course; what is not a sample is left out."""
    return tuple(found for raw in samples if isinstance(raw, bytes) and (found := _sample(raw)) is not None)


def number(raw: bytes | None) -> int:
    """Read a count; what is none is zero."""
    return int(raw) if raw is not None and raw.isdigit() and len(raw) <= _DIGITS else 0


def _stage(number_: int, stage: Stage, since_s: int, lines: Sequence[_Lines]) -> StageTally:
    plain = {(kind, rest): number(raw) for kind, rest, raw in lines}
    bits, unit_bits = plain.get(("x", b"b"), 0), plain.get(("u", b"b"), 0)
    durations: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for (kind, rest), calls in plain.items():
        if kind == "d" and (match := _DURATION.fullmatch(rest)) is not None:
            durations[int(match[1])][int(match[2])] = calls
    goals = {
        exact(raw): Converted(_by_zeros(plain, "g", rest, bits), _by_zeros(plain, "v", rest, bits))
        for kind, rest, raw in lines
        if kind == "g" and len(rest) == 1
    }
    return StageTally(
        number_,
        stage,
        since_s,
        Pair(plain.get(("c", b"0"), 0), plain.get(("c", b"1"), 0)),
        Pair(plain.get(("f", b"0"), 0), plain.get(("f", b"1"), 0)),
        _by_zeros(plain, "u", b"", unit_bits),
        unit_bits,
        _by_zeros(plain, "x", b"", bits),
        bits,
        Pair(plain.get(("r", b"0"), 0), plain.get(("r", b"1"), 0)),
        durations,
        goals,
        Pair(plain.get(("k", b"0"), 0), plain.get(("k", b"1"), 0)),
        Pair(plain.get(("o", b"0"), 0), plain.get(("o", b"1"), 0)),
        Pair(plain.get(("w", b"0"), 0), plain.get(("w", b"1"), 0)),
        plain.get(("l", b"0"), 0),
        plain.get(("l", b"1"), 0),
    )


def _by_zeros(plain: Mapping[tuple[str, bytes], int], kind: str, before: bytes, bits: int) -> Pair:
    """Sum up each side over the subset whose hash ends in so many zero bits."""
    sums = (
        sum(plain.get((kind, before + f"{side}:{zeros}".encode()), 0) for zeros in range(bits, 33)) for side in (0, 1)
    )
    return Pair(*sums)


def _running(buffer: bytes, raw: bytes) -> RunningCalls | None:
    parts = raw.split(b" ", 3)
    if len(parts) != 4 or len(raw) > _MAX_RUNNING or not all(map(_is_count, parts[:3])):  # noqa: PLR2004 - as written
        return None
    calls, _, hanging = parts[3].partition(b"|")
    return RunningCalls(
        exact(buffer),
        int(parts[0]),
        int(parts[1]),
        int(parts[2]),
        tuple(Begun(int(at), side == b"1", int(count)) for at, side, count in _BEGUN.findall(calls)),
        tuple(
            Failed(int(at), int(unit, 16), side == b"1", int(count))
            for at, unit, side, count in _FAILED.findall(hanging)
        ),
    )


def _is_count(part: bytes) -> bool:
    return part.isdigit() and len(part) <= _DIGITS


def _levels(raw: bytes) -> tuple[tuple[int, int], ...]:
    pairs = (part.split(b":") for part in raw.split())
    return tuple((int(pair[0]), int(pair[1])) for pair in pairs if len(pair) == 2 and all(map(_is_count, pair)))  # noqa: PLR2004 - as written


def _sample(raw: bytes) -> Sample | None:
    import json

    try:
        said = cast("Mapping[str, object]", json.loads(raw))
        pairs = {
            name: Pair(*(int(part) for part in cast("Sequence[int]", said[name])))
            for name in ("calls", "failures", "p95_ns")
        }
        return Sample(
            int(cast("int", said["at_s"])),
            int(cast("int", said["stage"])),
            str(said["verdict"]),
            int(cast("int", said["weight"])),
            float(cast("float", said["ln_evidence"])),
            float(cast("float", said["ln_limit"])),
            pairs["calls"],
            pairs["failures"],
            pairs["p95_ns"],
        )
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError, RecursionError):
        return None
