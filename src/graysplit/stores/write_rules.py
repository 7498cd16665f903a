"""What a store judges before it writes, as pure functions; the Lua scripts say the same in Redis.

Used where no script runs: in memory, and where a server refuses scripts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from graysplit.core.address import EVERYTHING, split_of, stops_over, version_of
from graysplit.core.entry import Entry
from graysplit.core.freeze import FREEZES
from graysplit.core.replica.record import SENTINEL, Key, is_new
from graysplit.core.weights import format_weight
from graysplit.errors import ConflictError, NotYetError, RefusedError, StoreCorruptError
from graysplit.stores.port import RAISE_WINDOW_MS, Due, Expect, Submission
from graysplit.stores.text.records import BRAKE, GUARD, PLAN, Signed, exact, raw_of, read_progress, read_signed

HASHES: Final = ("weights", "stops", "splits", "meta")
NUMBERED: Final = (*HASHES, "plans")  # as scripts count them; the last is followed by nobody, and never lost
OUTSIDE: Final = "edited outside"
WRONG_TYPE: Final = "of the wrong type"  # what is not a hash can be taken away; what may not be read stays as it is

# Beyond it neither Lua nor JSON counts exactly, and Redis soon not at all.
REVISION_DIGITS: Final = 15

_ZEROS: Final = frozenset((b"", b"null", b'""', b'"0"'))
_ZERO = re.compile(rb"0{1,3}(?:\.0{1,3})?")
_WEIGHT = re.compile(rb"preview|[0-9]{1,3}(?:\.[0-9]{1,3})?")


class Lowering(NamedTuple):
    """What a rollback writes: the stops, and the weights to zero."""

    stops: tuple[str, ...]
    fields: tuple[str, ...]
    kept: Mapping[str, str] = {}  # the weights above zero of finished releases, which are left alone

    @property
    def left(self) -> tuple[str, ...]:
        """Name the splits whose release is finished."""
        return splits_of(self.kept)


class Edit(NamedTuple):
    """A raw edit of one split that has no history entry yet, or a stop that could only be added, by whom it names."""

    split: str
    before: dict[str, str | None]
    after: dict[str, str | None]
    signed: Signed | None = None  # by whom, where the stop's text says so

    @property
    def cause(self) -> str:
        """Return what the history says of it."""
        return OUTSIDE if self.signed is None else self.signed.cause

    @property
    def why(self) -> str:
        """Return the reason, where one is known."""
        return "" if self.signed is None else self.signed.why

    @property
    def zeros(self) -> tuple[str, ...]:
        """Name the weights that are to be written to zero beside a stop that was added alone."""
        return () if self.signed is None else tuple(w for w in self.after if w.startswith("weights "))

    def actor(self, booked_by: str) -> str:
        """Return who did it."""
        return booked_by if self.signed is None else self.signed.who


# --- an ordinary write -----------------------------------------------------------------------------------------------


def check_submission(submission: Submission, keys: Mapping[str, Key], now_ms: int) -> bool:
    """Raise unless the submission may be written; True where the namespace is new and its keys are to be made."""
    fresh = is_new(*(keys[name] for name in HASHES))
    if not fresh:
        for name in HASHES:
            reason = keys[name].lost
            mended = name in submission.mends and keys[name].fault in {None, WRONG_TYPE}
            if reason is not None and not mended:
                raise corrupt(name, reason)
        revision = keys["meta"].fields.get(b"revision", b"0")
        if not revision.isdigit():
            raise corrupt("meta", "holding an invalid revision")
        if len(revision) > REVISION_DIGITS:
            raise corrupt("meta", "holding a revision that is too large")
    for expect in submission.expect:
        found = keys[expect.key].fields.get(raw_of(expect.field))
        if found != (None if expect.value is None else raw_of(expect.value)):
            raise conflict(submission.split, expect, None if found is None else exact(found))
    if submission.raises and abs(now_ms - submission.read_at_ms) > RAISE_WINDOW_MS:
        raise late(submission, now_ms)
    return fresh


def started(run_id: str | None, known: str | None, now_ms: int) -> str | None:
    """Return what `meta` should say of the server's start where it says another thing: its run id, and since when."""
    if run_id is None or (known or "").partition(" ")[0] == run_id:
        return None
    return f"{run_id} {now_ms if known else 0}"


def check_due(submission: Submission, due: Due, run_id: str | None, known: str | None, now_ms: int) -> None:
    """Raise `NotYetError` unless a plan may step now; `known` is what `meta` says of the server's start."""
    since = (known or "").rpartition(" ")[2]
    is_time = since.isascii() and since.isdigit() and len(since) < 20  # noqa: PLR2004 - what Redis can count to
    up_ms = now_ms - (int(since) if is_time else 0)
    if up_ms < due.settle_ms if run_id is not None else not due.settled:
        raise early(submission, "the server has just started")
    if not due.from_ms <= now_ms <= due.until_ms:
        raise early(submission, "it is not due by the server's clock")


def early(submission: Submission, reason: str) -> NotYetError:
    """Return why a step is not taken yet."""
    return NotYetError(f"'{submission.split}': {submission.why} was not accepted: {reason}")


def corrupt(key: str, reason: str) -> StoreCorruptError:
    """Name the key that keeps the store from being written."""
    return StoreCorruptError(f"the key '{key}' is {reason}, so nothing was written. See: graysplit doctor")


def conflict(split: str, expect: Expect, found: str | None) -> ConflictError:
    """Return what was expected and what was found; of a change of many splits the one that it is about."""
    if split == EVERYTHING:
        split = split_of(expect.field.partition(":")[2] or expect.field) if expect.field != FREEZES else split
    if expect.key == "splits" and expect.value is not None and found is not None:
        return ConflictError(split, *_differing(expect.value, found))
    return ConflictError(split, _described(expect, expect.value), _described(expect, found))


def late(submission: Submission, now_ms: int) -> RefusedError:
    """Return the error of a raise that rests on too old a reading."""
    age_s = (now_ms - submission.read_at_ms) / 1000
    again = "graysplit list" if submission.split == EVERYTHING else f"graysplit show {submission.split}"
    return RefusedError(
        f"'{submission.split}': this raise rests on a reading {age_s:.0f} s old, and {RAISE_WINDOW_MS // 1000} s are "
        f"allowed, so that it cannot overtake a rollback. Nothing was written. "
        f"Look again, then repeat it: {again}"
    )


def _described(expect: Expect, value: str | None) -> str:
    if expect.key == "plans" or expect.field.startswith(PLAN):
        return _plan_words(expect, value)
    if value is None:
        return f"nothing in {expect.key} {expect.field}"
    if expect.key == "splits":
        return f"the record of '{expect.field}'"
    shown = value if len(value) <= 80 else value[:80] + "..."  # noqa: PLR2004 - a line's width, for people
    return f"{shown!r} in {expect.key} {expect.field}"


def _plan_words(expect: Expect, value: str | None) -> str:
    """Return where a plan stands by its progress, or which one it is by its mark."""
    split = expect.field.removeprefix(PLAN)
    if value is None:
        return f"no plan of '{split}'"
    progress = read_progress(value) if expect.key == "plans" else None
    if progress is None:
        return f"the plan {value.partition(' ')[0][:12]} of '{split}'"
    said = [f"step {progress.step + 1} at {format_weight(progress.at)} %"]
    said += ["confirmed"] if progress.confirmed_ms else []
    said += [f"approved by {progress.approved}"] if progress.approved else []
    said += [f"paused by {progress.paused.who}"] if progress.paused else []
    return f"the plan of '{split}' at {', '.join(said)}"


def _differing(before: str, after: str) -> tuple[str, str]:
    """Return in which parts two records of a split differ, of a plan its steps; units that are pinned are not named."""
    was, is_ = _record(before), _record(after)
    names = [name for name in sorted({*was, *is_}) if was.get(name) != is_.get(name)]
    return tuple(", ".join(_part(name, record) for name in names) or "its record" for record in (was, is_))  # type: ignore[return-value] # one of each


def _part(name: str, record: Mapping[str, object]) -> str:
    value = record.get(name)
    if value is None:
        return f"no {name}"
    if name != "plan" or not isinstance(value, dict):
        return f"its {name}"
    steps = cast("dict[str, object]", value).get("steps")
    found = cast("list[object]", steps) if isinstance(steps, list) else []
    weights = (str(cast("dict[str, object]", step).get("weight")) for step in found if isinstance(step, dict))
    return f"the plan {','.join(weights)[:80]}"


def _record(text: str) -> dict[str, object]:
    try:
        decoded: object = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, object]", decoded) if isinstance(decoded, dict) else {}


# --- a rollback ------------------------------------------------------------------------------------------------------


def lowering(target: str, weights: Key, finished: Collection[str]) -> Lowering:
    """Return what a rollback of a candidate, a split or everything writes; in doubt it lowers more."""
    if target != EVERYTHING:
        names = (exact(raw) for raw in weights.fields if raw != SENTINEL)
        own = (target,) if "/" in target else tuple(sorted(f for f in names if f.startswith(f"{target}/")))
        return Lowering((target,), own)
    if weights.lost is not None:
        return Lowering((EVERYTHING,), ())
    shares = running(weights)
    stopped = shares.keys() - set(finished)
    fields = sorted(field for field in map(exact, weights.fields) if "/" in field)
    kept = (field for field in fields if split_of(field) in shares.keys() - stopped)
    return Lowering(
        tuple(sorted(stopped)),
        tuple(field for field in fields if split_of(field) in stopped),
        {f: exact(weights.fields[raw_of(f)]) for f in kept if not is_zero(weights.fields[raw_of(f)])},
    )


def running(weights: Key) -> dict[str, float]:
    """Return the largest share in percent of every split that has a candidate above zero, for all that can be told."""
    shares: dict[str, float] = {}
    for raw, stands in weights.fields.items():
        if b"/" in raw and not is_zero(stands):
            share = 0.0 if stands == b"preview" else float(stands) if _certainly_more(stands) else 100.0
            split = split_of(exact(raw))
            shares[split] = max(shares.get(split, 0.0), share)
    return shares


def portions(weights: Key, stopped: Collection[bytes], most: int) -> list[list[str]]:
    """Cut what runs into portions of about so many stops and weights, each with all the fields of its splits.

    What is not stopped yet comes first, and of that the largest shares.
    """
    shares, of = running(weights), _by_split(weights)
    found: list[list[str]] = []
    size = most
    for split in sorted(shares, key=lambda split: (raw_of(split) in stopped, -shares[split])):
        if size >= most:
            found.append([])
            size = 0
        found[-1] += of[split]
        size += 1 + len(of[split])
    return found


def splits_of(fields: Iterable[str]) -> tuple[str, ...]:
    """Name the splits that fields belong to."""
    return tuple(sorted(set(map(split_of, fields))))


def finished_of(meta: Key, weights: Key, stops: Key, booked: Mapping[bytes, bytes]) -> Mapping[str, int]:
    """Return the splits whose release is finished, each with the server time at which it was.

    A mark is void once a later release of one of its candidates has begun: by the history, or past graysplit with the
    history's entry still to come.
    """
    prefix = b"finished:"
    marks = {raw[len(prefix) :]: _time(raw_mark) for raw, raw_mark in meta.fields.items() if raw.startswith(prefix)}
    if not marks:
        return {}
    started = {raw_of(field) for field in begun(weights, stops, booked)} if SENTINEL in booked else set[bytes]()
    void = set[bytes]()
    for field in weights.fields:
        split = field.partition(b"/")[0]
        if split in marks and split != field:
            later = meta.fields.get(b"release:" + field, b"").rpartition(b" ")
            if field in started or (later[1] and _time(later[2]) > marks[split]):
                void.add(split)
    return {exact(split): ms for split, ms in marks.items() if split not in void}


def _time(raw: bytes) -> int:
    """Return the milliseconds at the end of a mark; 0 where it has none."""
    said = raw.rpartition(b" ")[2]
    return int(said) if said.isdigit() and len(said) < 20 else 0  # noqa: PLR2004 - what Redis can count to


def ended_releases(meta: Key, lowering: Lowering) -> Mapping[str, str]:
    """Return by stop the ids of the releases that it ends, parted by blanks."""
    own: dict[str, list[str]] = {stop: [] for stop in lowering.stops}
    for field in lowering.fields:
        own[field if field in own else split_of(field)].append(field)
    return {stop: releases_of(meta, stop, fields) for stop, fields in own.items()}


def releases_of(meta: Key, stop: str, fields: Iterable[str]) -> str:
    """Return the ids of the releases that a stop ends, parted by blanks."""
    own = (f for f in fields if f == stop or split_of(f) == stop)
    values = (meta.fields.get(raw_of(f"release:{field}"), b"") for field in own)
    return " ".join(exact(value.partition(b" ")[0]) for value in values if value)


def first_reason(stood: str | None, text: str) -> str:
    """Return the text of a stop that is set once more: what stands there says who came first, and stays."""
    return stood or text


def revision_of(meta: Key) -> int:
    """Return the revision that stands; raises nothing: what is not a number is 0."""
    raw = meta.fields.get(b"revision", b"0")
    return int(raw) if raw.isdigit() and len(raw) < 20 else 0  # noqa: PLR2004 - what Redis can count to


def number_in(raw: bytes | None) -> int:
    """Return a revision that was told beside the store's own; 0 for one that only a hand can have written."""
    return int(raw) if raw is not None and raw.isdigit() and len(raw) < REVISION_DIGITS else 0


def next_revision(meta: Key, highest: int, last: int, above: int = 0) -> int:
    """Return the next revision: above the store's own, the log's last, and those that processes have followed."""
    told = (number for number in (highest, last) if number < 10 ** (REVISION_DIGITS - 1))
    return max(revision_of(meta), above, *told) + 1


def concerns(entry: Entry, split: str) -> bool:
    """Return whether a history entry is about a split; an act on everything is about those whose fields it changed."""
    return entry.split == split or any(_split_at(where) == split for where in (*entry.before, *entry.after))


def _split_at(where: str) -> str | None:
    """Return the split that a field belongs to; None for one of `meta`, whose fields are named by what they hold."""
    key, _, field = where.partition(" ")
    return None if key == "meta" else split_of(field)


def is_zero(raw: bytes | None) -> bool:
    """Return whether a stored weight is certainly zero; garbage is not, for the last good weight may stand."""
    return raw is None or raw in _ZEROS or _ZERO.fullmatch(raw) is not None


def drives(mark: bytes | None, field: str) -> bool:
    """Return whether a change of a field concerns the candidate that a plan's mark names."""
    version = exact(mark or b"").partition(" ")[2]
    named = version_of(field)
    return not version or not named or named == version


def ended_by(meta: Key, field: str) -> tuple[str, ...]:
    """Name the splits whose plan is over with a change of a field: checkout/new, checkout or *."""
    prefix, one = raw_of(PLAN), raw_of(PLAN + split_of(field))
    marks = {one: meta.fields[one]} if one in meta.fields else {}
    if split_of(field) == EVERYTHING:
        marks = {name: mark for name, mark in meta.fields.items() if name.startswith(prefix)}
    return tuple(exact(name.removeprefix(prefix)) for name, mark in marks.items() if drives(mark, field))


def plans_over(meta: Key, splits: Iterable[str]) -> dict[str, str]:
    """Return what a history entry says stood before of plans that are over with it: their marks in `meta`."""
    marks = ((split, meta.fields.get(raw_of(PLAN + split))) for split in sorted(set(splits)))
    return {f"meta {PLAN}{split}": exact(mark) for split, mark in marks if mark is not None}


def _certainly_more(raw: bytes | None) -> bool:
    if raw is None or is_zero(raw) or _WEIGHT.fullmatch(raw) is None:
        return False
    return raw == b"preview" or float(raw) <= 100  # noqa: PLR2004 - percent


def may_brake(field: str, stops: Key, meta: Key, release_ms: int) -> bool | None:
    """Return whether a process may stop a field: None where it is stopped, False where its release is younger."""
    if _stopped(raw_of(field), stops.fields):
        return None
    began = meta.fields.get(raw_of(f"release:{field}"), b"").rpartition(b" ")[2]
    return not (began.isdigit() and len(began) < 20 and int(began) > release_ms)  # noqa: PLR2004 - what Redis counts to


def may_trip(field: str, release: str, stops: Key, meta: Key) -> bool | None:
    """Return whether a guard may stop a candidate: None where it is stopped, False where its release is another.

    Where `meta` is lost nobody can tell, and in doubt it is stopped.
    """
    if meta.lost is None and exact(meta.fields.get(raw_of(f"release:{field}"), b"").partition(b" ")[0]) != release:
        return False
    return None if _stopped(raw_of(field), stops.fields) else True


# --- raw edits -------------------------------------------------------------------------------------------------------


def unbooked(weights: Key, stops: Key, booked: Mapping[bytes, bytes]) -> list[Edit]:
    """Find the raw edits, one per split, in the order of their names; a lost key says nothing.

    The stop of somebody who could do no more is an edit of its own, and comes first with the zeros that belong to it.
    """
    alone = _added(weights, stops, booked)
    told = {where for edit in alone for where in edit.after}
    edits: dict[str, Edit] = {}
    for name, key in (("weights", weights), ("stops", stops)):
        if key.lost is not None:
            continue
        prefix = f"{name} ".encode()
        known = {raw[len(prefix) :]: value for raw, value in booked.items() if raw.startswith(prefix)}
        present = {field: value for field, value in key.fields.items() if field != SENTINEL}
        for field in sorted({field for field, _ in known.items() ^ present.items()}):
            if f"{name} {exact(field)}" in told:
                continue
            edit = edits.setdefault(split_of(exact(field)), Edit(split_of(exact(field)), {}, {}))
            edit.before[f"{name} {exact(field)}"] = _maybe(known.get(field))
            edit.after[f"{name} {exact(field)}"] = _maybe(present.get(field))
    return [*alone, *(edits[split] for split in sorted(edits))]


def _added(weights: Key, stops: Key, booked: Mapping[bytes, bytes]) -> list[Edit]:
    """Find the stops that were added alone and that no history knows, each with the zeros that belong to it."""
    found: list[Edit] = []
    told: set[str] = set()
    own = None if weights.lost is not None else _by_split(weights)
    known = stops.lost is None and SENTINEL in booked  # with the books lost, what stands is taken as known
    for field, raw in sorted(stops.fields.items() if known else ()):
        signed = None if field == SENTINEL or b"stops " + field in booked else read_signed(raw)
        if signed is None or (signed.who == GUARD and b"/" not in field):
            continue
        stop = f"stops {exact(field)}"
        edit = Edit(split_of(exact(field)), {stop: None}, {stop: exact(raw)}, signed)
        for where in _zeroed(exact(field), signed, own):
            if where not in told:
                edit.before[where] = _maybe(booked.get(raw_of(where)))
                edit.after[where] = "0"
        told |= edit.after.keys()
        found.append(edit)
    return found


def _by_split(weights: Key) -> dict[str, list[str]]:
    own: dict[str, list[str]] = {}
    for field in sorted(map(exact, weights.fields)):
        if "/" in field:
            own.setdefault(split_of(field), []).append(field)
    return own


def _zeroed(stop: str, signed: Signed, own: Mapping[str, Sequence[str]] | None) -> Iterator[str]:
    """Name the weights that belong to a stop; who writes a zero back leaves them to a person (law 7)."""
    if own is None or signed.who == BRAKE:
        return
    yield from (f"weights {field}" for field in ((stop,) if "/" in stop else own.get(stop, ())))


def begun(weights: Key, stops: Key, booked: Mapping[bytes, bytes]) -> list[str]:
    """Find the candidates that raw edits started: their weight in force was zero, and is not any more."""
    if weights.lost is not None or stops.lost is not None:
        return []
    before_stops = {raw.removeprefix(b"stops ") for raw in booked if raw.startswith(b"stops ")}
    started: list[str] = []
    for field, raw in weights.fields.items():
        was = booked.get(b"weights " + field)
        before = _certainly_more(was) and not _stopped(field, before_stops)
        if b"/" in field and _certainly_more(raw) and not _stopped(field, stops.fields) and not before:
            started.append(exact(field))
    return sorted(started)


def _stopped(field: bytes, stops: Collection[bytes]) -> bool:
    return any(raw_of(stop) in stops for stop in stops_over(exact(field)))


def _maybe(raw: bytes | None) -> str | None:
    return None if raw is None else exact(raw)
