"""The evidence of guards in Redis: batches added, tallies read, judgements written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from redis import exceptions

from graysplit.core.guard.sequential_test import STRATA_AT_MOST
from graysplit.core.guard.tally import EXPOSED_AT_MOST, Batch, Flushed, Judgement, Tally
from graysplit.core.guard.windows import Span, judged_spans
from graysplit.errors import GraysplitError, RefusedError
from graysplit.stores.at_once import each
from graysplit.stores.port import Wanted
from graysplit.stores.redis.client import Command, Reply, is_list, mapping_of
from graysplit.stores.redis.connection import Connection, Posted
from graysplit.stores.redis.faults import lacks_scripts, reason, refused
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.reader import check_role, server_ms
from graysplit.stores.redis.scripts import Script, script
from graysplit.stores.release_counts import BUFFER_MS, CLOSES_S, DAY_MS, GOALS_AT_MOST, RELEASE_MS, window_ms
from graysplit.stores.text.records import exact, raw_of
from graysplit.stores.text.tally import (
    KINDS,
    batch_arguments,
    levels_text,
    names_and_goals,
    number,
    read_course,
    read_kept,
    read_named,
    read_running,
    read_stages,
    sample_text,
    spans_of,
)

T = TypeVar("T")
Named: TypeAlias = tuple[str | bytes, ...]  # the keys of a script
Words: TypeAlias = tuple[str | bytes | int, ...]

UNSURE_S: Final = 2  # by how much the server's time may be another than it is thought to be


class _Place:
    """The keys of one candidate's release."""

    def __init__(self, keys: Keys, field: str, release: str) -> None:
        self._prefix = raw_of(f"{keys.tally}{field}:{release}:")
        self.counts, self.exposed, self.failed, self.running, self.course = (
            self._prefix + end for end in (b"counts", b"exposed", b"failed", b"running", b"course")
        )

    def buffer(self, buffer: str) -> bytes:
        return self._prefix + b"tape:" + raw_of(buffer)

    def books(self, span: Span) -> bytes:
        return self._prefix + f"{span.length_s}:{span.number}".encode()

    def units(self, span: Span, kind: str) -> bytes:
        return self.books(span) + f":{kind}".encode()


class PendingAnswers(Generic[T]):
    """What a post's answers mean, once they are here: a `port.Later`."""

    def __init__(self, line: Connection, posted: Posted, read: Callable[[Sequence[Reply]], T]) -> None:
        """Take what was posted, and what makes something of its answers."""
        self._line = line
        self._posted = posted
        self._read = read

    def here(self, within_s: float) -> bool:
        """Return whether all have come, after so long a wait at most."""
        return self._line.here(self._posted, within_s)

    def take(self) -> T:
        """Return what they mean."""
        return self._read(self._line.replies(self._posted))


def flush(line: Connection, keys: Keys, batch: Batch) -> Flushed:
    """Add a batch, once; raises `RefusedError` where this server or role takes none."""
    return _flushed(batch, line.evaluate(script("flush"), *_flush_words(keys, batch)))


def flush_all(line: Connection, keys: Keys, batches: Sequence[Batch]) -> PendingAnswers[list[Flushed | GraysplitError]]:
    """Begin to add batches, in this order."""
    flushing = script("flush")

    def read(replies: Sequence[Reply]) -> list[Flushed | GraysplitError]:
        told = zip(batches, replies, strict=True)
        return each(lambda one: flush(line, keys, one[0]) if _is_unknown(one[1]) else _flushed(*one), told)

    asked = [_by_hash(flushing, *_flush_words(keys, batch)) for batch in batches]
    return PendingAnswers(line, line.post(*asked), read)


def read_tally(  # noqa: PLR0913 - where, and what of it
    line: Connection, keys: Keys, field: str, release: str, started_s: int, *, course: bool
) -> Tally:
    """Read what is counted, at one moment; its time is asked for first, for it names the windows."""
    place = _Place(keys, field, release)
    now_ms = server_ms(line, line.ask(("TIME",))[0])
    spans = list(judged_spans(started_s, now_ms // 1000))
    samples: list[Command] = [("ZRANGE", place.course, 0, -1)] if course else []
    *replies, role = line.transaction(*_tally_commands(place, spans), *samples, ("ROLE",))
    check_role(line, role)
    tally_read = _tally(Wanted(field, release, started_s), spans, replies, now_ms)
    return tally_read._replace(course=read_course(replies[-1]) if course and is_list(replies[-1]) else ())


def tallies(
    line: Connection, keys: Keys, wanted: Sequence[Wanted], now_ms: int
) -> PendingAnswers[list[Tally | GraysplitError]]:
    """Begin to read tallies, all at one moment, with the windows about the time that it is thought to be.

    Where the server refuses any of it, or its time is another, each is read by itself.
    """
    spans = [_spans_about(one.started_s, now_ms // 1000) for one in wanted]
    asked = [
        _tally_commands(_Place(keys, one.field, one.release), windows)
        for one, windows in zip(wanted, spans, strict=True)
    ]
    commands = [command for part in asked for command in part]

    def alone(one: Wanted) -> Tally:
        return read_tally(line, keys, *one, course=False)

    def read(replies: Sequence[Reply]) -> list[Tally | GraysplitError]:
        then_ms, answers = server_ms(line, replies[0]), _at_one_moment(replies[2:])
        check_role(line, replies[1])
        if answers is None:
            return each(alone, wanted)
        at, found = 0, list[Tally | GraysplitError]()
        for one, windows, part in zip(wanted, spans, asked, strict=True):
            known = set(windows).issuperset(judged_spans(one.started_s, then_ms // 1000))
            own, at = answers[at : at + len(part)], at + len(part)
            found += [_tally(one, windows, own, then_ms)] if known else each(alone, (one,))
        return found

    # Apart, and the time first: it names the windows, and where `ROLE` is refused the others are not.
    return PendingAnswers(line, line.post(("TIME",), ("ROLE",), ("MULTI",), *commands, ("EXEC",)), read)


def judge(line: Connection, keys: Keys, judgement: Judgement) -> bool:
    """Write a judgement if the judge's text is still as read; raises `RefusedError` where none is taken."""
    if judgement.spans is None:
        place = _Place(keys, judgement.field, judgement.release)
        found, now = line.ask(("HMGET", place.counts, "started"), ("TIME",))  # no HGET: null would look like a push
        began = found[0] if is_list(found) else None
        spans = () if began is None else tuple(judged_spans(number(began), server_ms(line, now) // 1000))
        judgement = judgement._replace(spans=spans)
    return _judged(judgement, line.evaluate(script("judge"), *_judge_words(keys, judgement)))


def judge_all(
    line: Connection, keys: Keys, judgements: Sequence[Judgement]
) -> PendingAnswers[list[bool | GraysplitError]]:
    """Begin to write judgements, each of the windows that it names."""
    judging = script("judge")

    def read(replies: Sequence[Reply]) -> list[bool | GraysplitError]:
        told = zip(judgements, replies, strict=True)
        return each(lambda one: judge(line, keys, one[0]) if _is_unknown(one[1]) else _judged(*one), told)

    asked = [_by_hash(judging, *_judge_words(keys, one)) for one in judgements]
    return PendingAnswers(line, line.post(*asked), read)


def _flush_words(keys: Keys, batch: Batch) -> tuple[Named, Words]:
    """Return the script's keys and arguments."""
    place, spans = _Place(keys, batch.field, batch.release), spans_of(batch)
    named = [place.counts, place.exposed, place.failed, place.running, place.buffer(batch.buffer)]
    for span in spans:
        named.append(place.books(span))
        named += (
            place.units(span, kind) for kind, told in (("e", batch.errors), ("s", batch.slow), ("k", batch.cut)) if told
        )
    arguments = (
        *batch_arguments(batch),
        *(EXPOSED_AT_MOST, STRATA_AT_MOST, GOALS_AT_MOST, CLOSES_S),
        *(DAY_MS, RELEASE_MS, BUFFER_MS),
        len(spans),
        *(part for span in spans for part in (span.begin_s, span.end_s, window_ms(span.length_s))),
        *names_and_goals(batch),
    )
    return tuple(named), arguments


def _flushed(batch: Batch, answer: Reply) -> Flushed:
    if not is_list(answer):
        raise _not_taken(f"the evidence of '{batch.field}'", answer)
    return Flushed(answer[0] == b"1", exact(answer[1]), int(answer[2]))


def _spans_about(started_s: int, now_s: int) -> list[Span]:
    """Return the windows that may be judged a moment before or after a time."""
    seconds = range(now_s - UNSURE_S, now_s + UNSURE_S + 1)
    return list(dict.fromkeys(span for second in seconds for span in judged_spans(started_s, max(started_s, second))))


def _tally_commands(place: _Place, spans: Iterable[Span]) -> list[Command]:
    books: list[Command] = [("HGETALL", place.books(span)) for span in spans]
    return [("HGETALL", place.counts), ("HGETALL", place.running), *books]


def _at_one_moment(replies: Sequence[Reply]) -> Sequence[Reply] | None:
    """Return the answers of a transaction; None where the server refused any of it."""
    done = replies[-1]
    refused_ = any(isinstance(reply, exceptions.ResponseError) for reply in replies)
    if refused_ or not is_list(done) or len(done) != len(replies) - 2:
        return None
    return None if any(isinstance(reply, exceptions.ResponseError) for reply in done) else done


def _tally(wanted: Wanted, spans: Sequence[Span], replies: Sequence[Reply], now_ms: int) -> Tally:
    """Make a tally of its counts, its calls under way and its books; only windows that are judged now are told."""
    counted, running, *books = replies
    counts = mapping_of(counted)
    stages = read_stages(counts)
    chances = {stage.number: stage.stage.w for stage in stages}
    judged = frozenset(judged_spans(wanted.started_s, now_ms // 1000))
    windows = [(span, raw) for span, raw in zip(spans, books, strict=False) if span in judged]
    return Tally(
        wanted.field,
        wanted.release,
        tuple(kept for span, raw in windows for kept in read_kept(span, mapping_of(raw), chances)),
        stages,
        read_running(mapping_of(running)),
        read_named(counts),
        exact(counts.get(b"judge", b"")),
        (),
        now_ms,
    )


def _judge_words(keys: Keys, judgement: Judgement) -> tuple[Named, Words]:
    """Return the script's keys and arguments."""
    place, settled = _Place(keys, judgement.field, judgement.release), judgement.spans or ()
    levels = [(span, KINDS[what], levels) for what, span, levels in judgement.levels]
    spans = [*settled, *dict.fromkeys(span for span, _, _ in levels if span not in settled)]
    sample = judgement.sample
    arguments: Words = (
        raw_of(judgement.before),
        raw_of(judgement.after),
        judgement.settled_s,
        sample_text(sample) if sample is not None else "",
        sample.at_s if sample is not None else 0,
        *(DAY_MS, RELEASE_MS),
        len(settled),
        len(judgement.forget),
        *(raw_of(buffer) for buffer in judgement.forget),
        len(levels),
        *(part for span, kind, level in levels for part in (spans.index(span) + 1, kind, levels_text(level))),
        len(spans),
        *(window_ms(span.length_s) for span in spans),
    )
    named = (place.counts, place.exposed, place.failed, place.running, place.course)
    return (*named, *(place.books(span) for span in spans)), arguments


def _judged(judgement: Judgement, answer: Reply) -> bool:
    if not isinstance(answer, int):
        raise _not_taken(f"the evaluation of '{judgement.field}'", answer)
    return bool(answer)


def _by_hash(known: Script, named: Named, arguments: Words) -> Command:
    return ("EVALSHA", known.sha, len(named), *named, *arguments)


def _is_unknown(answer: Reply) -> bool:
    """Return whether the server does not know a script: it is sent whole then."""
    return isinstance(answer, exceptions.NoScriptError)


def _not_taken(what: str, answer: Reply) -> RefusedError:
    if lacks_scripts(answer):
        why = f"the guard needs scripts, and this one was refused ({reason(answer)})"
        return RefusedError(f"{what} was not stored: {why}. See what the server allows with: graysplit doctor")
    return refused(f"{what} was not stored", answer)
