"""The text forms of what a store keeps besides plain weights: history entries, stops, receipts, processes.

Reading is tolerant: whatever the server holds, it gives defaults and never raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from graysplit.core.entry import Entry
from graysplit.core.fleet import Declared, Effect, Process, Receipt, Sweep
from graysplit.core.limits import NAME_AT_MOST, shown
from graysplit.core.plan.hosts import WaveMemory
from graysplit.core.plan.progress import Pause, Progress, Tick
from graysplit.stores.port import Expect, Report, Submission, Write
from graysplit.stores.text.splice import is_splice, spliced, widened

Texts: TypeAlias = Mapping[str, "str | None"]  # "weights checkout/new" to its text, None for absent

# Far above anything graysplit writes; parsing more would hold the interpreter in one call.
_MAX_JSON: Final = 4 << 20
# Who a stop names that a process has set by itself, and one that a guard has.
BRAKE: Final = "graysplit"
GUARD: Final = "guard"
# What the history says of a stop that was added alone, by a guard and by anybody else.
TRIP: Final = "trip"
ROLLBACK: Final = "rollback"
# The same of a plan that went back, or called a person, because hosts of its wave are lost.
HOST_LOST: Final = "host lost"


def new_id() -> str:
    """Return a random id for a change or a process."""
    import os

    return os.urandom(8).hex()


def exact(raw: bytes) -> str:
    """Return raw bytes as a text that `raw_of` turns back into the same bytes; what an editor expects must be exact."""
    return raw.decode("utf-8", errors="surrogateescape")


def raw_of(value: str) -> bytes:
    """Return the bytes to be stored for a text; lone surrogates that stand for no byte are escaped."""
    try:
        return value.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", errors="backslashreplace")


def dumps(value: object) -> str:
    """Write JSON without blanks, people's letters left as they are."""
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- changes ---------------------------------------------------------------------------------------------------------


def address(place: Expect | Write) -> str:
    """Name a field as the history does: `weights checkout/new`."""
    return f"{place.key} {place.field}"


def changed(submission: Submission) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return the fields that a submission writes, before and after; every write needs an expectation beside it.

    A plan's progress is not part of the history. A value that stands there already is named too: a process behind a
    fence (law 7) waits for a person's word.
    """
    seen = {address(expect): expect.value for expect in submission.expect if expect.key != "plans"}
    after = {address(write): write.value for write in submission.writes if write.key != "plans"}
    unseen = sorted(after.keys() - seen.keys())
    if unseen:
        raise ValueError(f"a write without an expectation cannot be compared: {', '.join(unseen)}")
    over = {f"meta {PLAN}{split}" for split in submission.ends}  # the history tells which plans end with it
    after = {**dict.fromkeys(sorted(over & seen.keys())), **after}
    named = {where: value for where, value in after.items() if value is not None or seen[where] is not None}
    lost = submission.lost
    before = {where: seen[where] for where in named} | {where: was for where, (was, _) in lost.items()}
    return before, named | {where: is_ for where, (_, is_) in lost.items()}


def stop_text(*, why: str, who: str, at_ms: int, change: str, release: str) -> str:
    """Return what a stop holds for people; its presence alone counts."""
    return dumps({"why": why, "who": who, "at": at_ms, "change": change, "release": release})


class Signed(NamedTuple):
    """Whose a stop is by its own text, where graysplit has written it."""

    change: str
    who: str
    why: str

    @property
    def cause(self) -> str:
        """Return what the history says of it."""
        return TRIP if self.who == GUARD else ROLLBACK


def read_signed(raw: bytes) -> Signed | None:
    """Read whose a stop is; None for one that a hand has set in words of its own."""
    said = _object(raw)
    change, who = _str(said.get("change")), _str(said.get("who"))
    known = bool(who) and change.isascii() and change.isalnum()
    return Signed(change, who, _str(said.get("why"))) if known else None


def compact(before: Texts, after: Texts) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return the fields of a change as the log holds them: of a long definition what changed."""
    was, is_ = dict(before), dict(after)
    for where in after:
        old, new = before.get(where), after[where]
        if where.startswith("splits ") and old is not None and new is not None:
            was[where], is_[where] = spliced(old, new)
    return was, is_


def in_splices(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return by split the newest of some entries, newest first, that changes its definition, where that is a splice."""
    newest: dict[str, Entry] = {}
    for entry in entries:
        for where in entry.after:
            if where.startswith("splits "):
                newest.setdefault(where.removeprefix("splits "), entry)
    return {split: entry for split, entry in newest.items() if is_splice(entry.after[f"splits {split}"])}


def whole(entry: Entry, wholes: Mapping[str, Sequence[str]]) -> Entry:
    """Return an entry with the whole definitions, by split, of which it holds what changed."""
    before, after = dict(entry.before), dict(entry.after)
    for split, texts in wholes.items():
        where = f"splits {split}"
        found = widened(before.get(where) or "", after.get(where) or "", texts)
        if found is not None:
            before[where], after[where] = found
    return entry._replace(before=before, after=after)


def entry_fields(entry: Entry) -> dict[str, str]:
    """Return a history entry as the fields of a stream entry."""
    before, after = compact(entry.before, entry.after)
    return {
        "id": entry.id,
        "rev": str(entry.revision),
        "split": entry.split,
        "cause": entry.cause,
        "actor": entry.actor,
        "why": entry.why,
        "from": dumps(before),
        "to": dumps(after),
    }


def read_entry(position: bytes | str, fields: Mapping[bytes, bytes]) -> Entry:
    """Read a stream entry; its position gives the server's time."""
    where = position if isinstance(position, str) else position.decode("ascii", errors="replace")
    return Entry(
        id=_text(fields.get(b"id")),
        revision=_number(fields.get(b"rev")),
        split=_text(fields.get(b"split")),
        cause=_text(fields.get(b"cause")),
        actor=_text(fields.get(b"actor")),
        why=_text(fields.get(b"why")),
        at_ms=_number(where.partition("-")[0].encode()),
        before=_texts(fields.get(b"from")),
        after=_texts(fields.get(b"to")),
    )


# --- plans -----------------------------------------------------------------------------------------------------------

TICK: Final = "tick:"  # before a split's name: its driver's tick
PLAN: Final = "plan:"  # in `meta`, before a split's name: "<run> <version>" while a plan runs


def progress_text(progress: Progress) -> str:
    """Write where a plan stands."""
    unsaid = Progress._field_defaults
    said = {name: value for name, value in progress._asdict().items() if value != unsaid.get(name)}
    said.pop("pauses", None)
    if progress.paused is not None:  # as an older library reads it, whatever their number
        said["paused"] = progress.paused._asdict()
    if len(progress.pauses) > 1:
        said["pauses"] = [pause._asdict() for pause in progress.pauses]
    if "hosts" in said:
        said["hosts"] = progress.hosts._asdict()
    return dumps(said)


def read_progress(raw: str | None) -> Progress | None:
    """Read where a plan stands; None for what is not progress: nobody drives by it."""
    said = _object(raw_of(raw or ""))
    if not _str(said.get("run")) or not isinstance(said.get("step"), int):
        return None
    return Progress(
        run=_str(said["run"]),
        release=_str(said.get("release")),
        step=_int(said["step"]),
        at=_int(said.get("at")),
        since_ms=_int(said.get("since_ms")),
        confirmed_ms=_int(said.get("confirmed_ms")),
        approved=_str(said.get("approved")),
        approves=_int(said.get("approves")),
        pauses=_pauses(said),
        resumed_ms=_int(said.get("resumed_ms")),
        nagged=said.get("nagged") is True,
        asked=said.get("asked") is True,
        by=_str(said.get("by")),
        beside=tuple(map(_str, _list(said.get("beside")))),
        out=tuple(map(_str, _list(said.get("out")))),
        hosts=_wave_memory(_as_object(said.get("hosts"))),
    )


def _wave_memory(said: Mapping[str, object]) -> WaveMemory:
    again = {host: tuple(map(_int, _list(found))) for host, found in _items(said.get("again"))}
    return WaveMemory(
        _int(said.get("wave")),
        _int(said.get("since_ms")),
        _int(said.get("hosts")),
        {host: _int(at) for host, at in _items(said.get("dead"))},
        {host: (found[0], found[1]) for host, found in again.items() if len(found) == 2},  # noqa: PLR2004 - as written
        {host: _int(at) for host, at in _items(said.get("told"))},
        _int(said.get("mark_ms")),
    )


def _pauses(said: Mapping[str, object]) -> tuple[Pause, ...]:
    """Read the pauses; what an older library has written anew is one, of all who had paused."""
    joined, each = _as_object(said.get("paused")), said.get("pauses")
    found = cast("list[object]", each) if joined and isinstance(each, list) else [joined] if joined else []
    return tuple(
        Pause(_str(one.get("who")), _str(one.get("why")), _int(one.get("at_ms")))
        for one in map(_as_object, found)
        if one
    ) or ((Pause("", "", 0),) if joined else ())


def tick_text(tick: Tick) -> str:
    """Write a driver's tick."""
    return f"{tick.at_ms} {tick.clock_ms} {int(tick.running)} {tick.driver}"


def read_tick(raw: str | None) -> Tick:
    """Read a driver's tick; what is none is one that was never made."""
    parts = (raw or "").split(" ")
    if len(parts) != 4 or not all(map(_is_count, parts[:3])):  # noqa: PLR2004 - as written
        return Tick(0)
    return Tick(int(parts[0]), int(parts[1]), parts[2] == "1", parts[3])


def _is_count(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < 20  # noqa: PLR2004 - what Redis can count to


# --- the fleet -------------------------------------------------------------------------------------------------------


def about_text(report: Report, connection: str = "") -> str:
    """Write what of a process hardly changes, and by which connection it is heard where that is known."""
    declared = {
        split: {"baseline": d.baseline, "versions": list(d.versions), "kind": d.kind, "calls": d.calls}
        | ({"warm": dict(d.warm)} if d.warm else {})
        | ({"by": d.by} if d.by != "unit" else {})
        | ({"measured": True} if d.measured else {})
        for split, d in report.declared.items()
    }
    about = {"host": report.host, "pid": report.pid, "library": report.library, "declared": declared}
    about |= {"instance": report.instance} if report.instance else {}
    about |= {"born": report.born_ms} if report.born_ms else {}
    about |= {"connection": connection} if connection else {}
    return dumps(about | ({"zone": report.zone} if report.zone else {}))


def receipt_text(receipt: Receipt) -> str:
    """Write what a process does now."""
    effects = {
        field: {"weight": effect.weight, "running": effect.running, "why": effect.why}
        for field, effect in receipt.effects.items()
    }
    said: dict[str, object] = {"baselines": dict(receipt.baselines)} if receipt.baselines else {}
    if receipt.sweeps:
        said["sweeps"] = {
            change: {
                "unlike": {field: effect._asdict() for field, effect in sweep.unlike.items()},
                "more": sweep.more,
                "running": sweep.running,
            }
            for change, sweep in receipt.sweeps.items()
        }
    return dumps(
        {
            "change": receipt.change,
            "revision": receipt.revision,
            "effects": effects,
            "mode": receipt.mode,
            "refused": list(receipt.refused),
            "held": dict(receipt.held),
            "durable": receipt.durable,
            **said,
        }
        | ({} if receipt.off is None else {"off": list(receipt.off)})
        | ({"mode_why": receipt.mode_why} if receipt.mode_why else {})
    )


def read_process(boot: bytes, seen_ms: int, about: bytes | None, receipt: bytes | None) -> Process:
    """Read a process from the two texts it wrote."""
    said = _object(about)
    declared = LazyDeclarations(_as_object(said.get("declared")))
    return Process(
        boot=_text(boot),
        host=_str(said.get("host")),
        pid=_int(said.get("pid")),
        library=_str(said.get("library")),
        declared=declared,
        seen_ms=seen_ms,
        receipt=_receipt(_object(receipt)),
        instance=_str(said.get("instance")),
        zone=_str(said.get("zone")),
        connection=_str(said.get("connection")),
        born_ms=_int(said.get("born")),
        rolls=declared.rolls,
    )


class LazyDeclarations(Mapping[str, Declared]):
    """What a process declares, by split: each is read when it is asked for, for most changes are about one."""

    __slots__ = ("_said",)

    def __init__(self, said: Mapping[str, object]) -> None:
        """Take what the process said, by split."""
        self._said = said

    @property
    def rolls(self) -> bool:
        """Whether instances cross over in any of them, and not units."""
        rows = [cast("dict[str, object]", row) for row in self._said.values() if isinstance(row, dict)]
        return any(row.get("by") == "instance" for row in rows)

    def __getitem__(self, split: str) -> Declared:
        """Return what is declared of a split; raise `KeyError` where that is nothing."""
        return _declared(self._said[split])

    def __iter__(self) -> Iterator[str]:
        """Name the splits."""
        return iter(self._said)

    def __len__(self) -> int:
        """Count them."""
        return len(self._said)


def _declared(value: object) -> Declared:
    said = _as_object(value)
    versions = tuple(_str(name) for name in _list(said.get("versions")))
    kind, calls = _str(said.get("kind")) or "split", _int(said.get("calls"))
    # What is not text is not readiness either.
    warm = {name: _str(why) if isinstance(why, str) else "unreadable" for name, why in _items(said.get("warm"))}
    by: Literal["unit", "instance"] = "instance" if said.get("by") == "instance" else "unit"
    measured = said.get("measured") is True
    return Declared(_str(said.get("baseline")), versions, kind, calls, warm, by, measured)


def _receipt(said: Mapping[str, object]) -> Receipt:
    return Receipt(
        change=_str(said.get("change")),
        revision=_int(said.get("revision")),
        effects=_effects(said.get("effects")),
        mode=_str(said.get("mode")),
        refused=tuple(_str(reason) for reason in _list(said.get("refused"))),
        held={where: _whole(word) for where, word in _items(said.get("held"))},
        durable=said.get("durable") is not False,
        baselines={split: _str(words) for split, words in _items(said.get("baselines"))},
        off=tuple(_str(name) for name in _list(said.get("off"))) if isinstance(said.get("off"), list) else None,
        mode_why=_str(said.get("mode_why")),
        sweeps={change: _sweep(_as_object(value)) for change, value in _items(said.get("sweeps"))},
    )


def _effects(value: object) -> dict[str, Effect]:
    effects: dict[str, Effect] = {}
    for field, of in _items(value):
        effect = _as_object(of)
        effects[field] = Effect(_str(effect.get("weight")), _int(effect.get("running")), _str(effect.get("why")))
    return effects


def _sweep(said: Mapping[str, object]) -> Sweep:
    # What does not tell that it has named all has not.
    whole = isinstance(said.get("unlike"), dict) and type(said.get("more")) is int
    return Sweep(_effects(said.get("unlike")), _int(said.get("more")) if whole else 1, _int(said.get("running")))


# --- reading what cannot be believed ---------------------------------------------------------------------------------


def _object(raw: bytes | None) -> Mapping[str, object]:
    """Read a JSON object; anything else is an empty one."""
    import json

    if not raw or len(raw) > _MAX_JSON:
        return {}
    try:
        return _as_object(json.loads(raw.decode("utf-8", errors="replace")))
    except (ValueError, RecursionError):
        return {}


def _as_object(value: object) -> Mapping[str, object]:
    found = cast("dict[str, object]", value) if isinstance(value, dict) else {}  # JSON's keys are always texts
    if "".join(found).isprintable() and max(map(len, found), default=0) <= NAME_AT_MOST:
        return found
    return {shown(key, NAME_AT_MOST): found[key] for key in found}


def _items(value: object) -> list[tuple[str, object]]:
    return list(_as_object(value).items())


def _list(value: object) -> Sequence[object]:
    return cast("list[object]", value) if isinstance(value, list) else ()


def _str(value: object) -> str:
    """Read what is for people: whoever wrote it, it is on one line and of bounded length."""
    return shown(value) if isinstance(value, str) else ""


def _whole(value: object) -> str:
    """Read what is compared, or written back."""
    return _printable(value) if isinstance(value, str) else ""


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _texts(raw: bytes | None) -> dict[str, str | None]:
    return {where: None if value is None else _as_text(value) for where, value in _object(raw).items()}


def _as_text(value: object) -> str:
    return _printable(value) if isinstance(value, str) else dumps(value)


def _text(raw: bytes | None) -> str:
    return shown((raw or b"").decode("utf-8", errors="backslashreplace"))


def _printable(value: str) -> str:
    """Escape lone surrogates: they stand for bytes that were no text, and cannot be printed."""
    return value.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _number(raw: bytes | None) -> int:
    try:
        return int(raw or b"0")
    except ValueError:
        return 0
