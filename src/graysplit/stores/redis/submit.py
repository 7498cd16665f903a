"""One compare-and-set change in Redis: by script, or by watching where scripts are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from redis import exceptions

from graysplit.core.address import split_of
from graysplit.errors import RefusedError, StoreUnreachableError
from graysplit.stores import write_rules
from graysplit.stores.port import RAISE_WINDOW_MS, Due, Expect, Submission, Write, Written
from graysplit.stores.redis.client import Reply
from graysplit.stores.redis.connection import Connection
from graysplit.stores.redis.faults import NO_TIME, fault, lacks_scripts, unreachable
from graysplit.stores.redis.keys import LOG_AT_MOST, Keys
from graysplit.stores.redis.scripts import script
from graysplit.stores.redis.without_scripts import FoundEntry, seek, submit_by_watching
from graysplit.stores.text.records import changed, compact, dumps, exact, raw_of, read_entry

# The order of writes: a role that may not is refused at the first.
_LEAST_PERMITTED: Final = ("splits", "stops", "weights", "meta", "plans")

Texts: TypeAlias = Mapping[str, "str | None"]


def submit(line: Connection, keys: Keys, submission: Submission, *, again: bool) -> Written:
    """Write a change; `again`: it may have been sent before, and then its first answer is given."""
    if submission.raises and not submission.read_at_ms:
        raise RefusedError(f"'{submission.cause}' of '{submission.split}' was not written: {NO_TIME}")
    before, after = changed(submission)
    sought = seek(line, keys, submission.id) if again else FoundEntry()
    if sought.written is not None:
        return sought.written._replace(before=before, after=after)
    answer = line.write(
        script("submit"), _declared(keys, submission), _arguments(keys, submission, before, after, sought)
    )
    if isinstance(answer, exceptions.ResponseError):
        if lacks_scripts(answer):
            return submit_by_watching(line, keys, submission)
        raise unreachable(line.name, answer)
    return _understood(line, submission, answer, before, after)


def first_answer(change: str, answer: Reply) -> Written:
    """Return the answer that a script found in the log: revision, ms, from, to, portions to come."""
    _, revision, at_ms, before, after, _ = answer
    entry = read_entry(f"{at_ms}-0", {b"from": before, b"to": after})
    return Written(change, revision, at_ms, entry.before, entry.after)


def _declared(keys: Keys, submission: Submission) -> tuple[str, ...]:
    """Return the keys that the script writes, and no others: what is declared must be writable to the caller.

    A raise needs the right to write weights, also where a plan writes them later, as after an approval.
    """
    always = (keys.meta, keys.booked, keys.log)
    names = {*submission.mends, *(write.key for write in submission.writes)}
    if submission.raises:
        names.add("weights")
    if submission.ends:
        names.add("plans")
    written = {keys.hashes[name] for name in names}
    return (*always, *sorted(written.difference(always)))


def _arguments(
    keys: Keys, submission: Submission, before: Texts, after: Texts, sought: FoundEntry
) -> tuple[bytes | str | int, ...]:
    texts = (submission.id, submission.split, submission.cause, submission.actor, submission.why)
    was, is_ = compact(before, after)
    concerned = sorted({raw_of(split_of(where.partition(" ")[2])) for where in submission.lost})
    return (
        *(raw_of(text) for text in texts),
        raw_of(dumps(was)),
        raw_of(dumps(is_)),
        submission.read_at_ms,
        int(submission.raises),
        RAISE_WINDOW_MS,
        LOG_AT_MOST,
        sought.upto,
        keys.weights,
        keys.stops,
        keys.splits,
        keys.plans,
        *_due(submission.due),
        *_places(submission.expect),
        *_places(sorted(submission.writes, key=lambda write: _LEAST_PERMITTED.index(write.key))),
        len(submission.begins),
        *(raw_of(field) for field in submission.begins),
        len(submission.mends),
        *(write_rules.NUMBERED.index(name) + 1 for name in submission.mends),
        len(submission.ends),
        *(raw_of(split) for split in submission.ends),
        submission.above,
        len(concerned),
        *concerned,
    )


def _due(due: Due | None) -> tuple[bytes | int, ...]:
    return (b"", b"", b"", b"") if due is None else (due.from_ms, due.until_ms, int(due.settled), due.settle_ms)


def _places(places: Sequence[Expect] | Sequence[Write]) -> list[bytes | int]:
    flat: list[bytes | int] = [len(places)]
    for place in places:
        number = write_rules.NUMBERED.index(place.key) + 1
        flat += (number, raw_of(place.field), int(place.value is not None), raw_of(place.value or ""))
    return flat


def _understood(line: Connection, submission: Submission, answer: Reply, before: Texts, after: Texts) -> Written:
    tag = answer[0]
    if tag == b"ok":
        return Written(submission.id, answer[1], answer[2], before, after)
    if tag == b"again":
        return first_answer(submission.id, answer)._replace(before=before, after=after)
    if tag == b"conflict":
        found = exact(answer[3]) if answer[2] == b"1" else None
        expect = submission.expect[int(answer[1]) - 1]
        raise write_rules.conflict(submission.split, expect, found)
    if tag == b"late":
        raise write_rules.late(submission, answer[1])
    if tag == b"early":
        raise write_rules.early(submission, exact(answer[2]))
    if tag == b"corrupt":
        raise write_rules.corrupt(exact(answer[1]), fault(exact(answer[2])))
    raise StoreUnreachableError(line.name, "an answer of the wrong kind")
