"""The evidence of guards in Redis: batches added, tallies read, judgements written."""

from __future__ import annotations

from graysplit.core.evidence import Span, judged_spans
from graysplit.core.stopwatch import STRATA_AT_MOST
from graysplit.core.tally import EXPOSED_AT_MOST, Batch, Flushed, Judgement, Tally
from graysplit.errors import RefusedError
from graysplit.stores.counts import CLOSES_S, DAY_MS, GOALS_AT_MOST, RELEASE_MS, TAPE_MS, window_ms
from graysplit.stores.redis.client import Command, Reply, is_list
from graysplit.stores.redis.faults import lacks_scripts, reason, refused
from graysplit.stores.redis.hashes import mapping_of
from graysplit.stores.redis.keys import Keys
from graysplit.stores.redis.line import Line
from graysplit.stores.redis.reading import check_role, server_ms
from graysplit.stores.redis.scripts import script
from graysplit.stores.tallies import (
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
from graysplit.stores.wire import exact, raw_of


class _Place:
    """The keys of one candidate's release."""

    def __init__(self, keys: Keys, field: str, release: str) -> None:
        self._prefix = raw_of(f"{keys.tally}{field}:{release}:")
        self.counts, self.exposed, self.failed, self.running, self.course = (
            self._prefix + end for end in (b"counts", b"exposed", b"failed", b"running", b"course")
        )

    def tape(self, tape: str) -> bytes:
        return self._prefix + b"tape:" + raw_of(tape)

    def books(self, span: Span) -> bytes:
        return self._prefix + f"{span.length_s}:{span.number}".encode()

    def units(self, span: Span, kind: str) -> bytes:
        return self.books(span) + f":{kind}".encode()


def flush(line: Line, keys: Keys, batch: Batch) -> Flushed:
    """Add a batch, once; raises `RefusedError` where this server or role takes none."""
    place, spans = _Place(keys, batch.field, batch.release), spans_of(batch)
    named = [place.counts, place.exposed, place.failed, place.running, place.tape(batch.tape)]
    for span in spans:
        named.append(place.books(span))
        named += (
            place.units(span, kind) for kind, told in (("e", batch.errors), ("s", batch.slow), ("k", batch.cut)) if told
        )
    arguments = (
        *batch_arguments(batch),
        *(EXPOSED_AT_MOST, STRATA_AT_MOST, GOALS_AT_MOST, CLOSES_S),
        *(DAY_MS, RELEASE_MS, TAPE_MS),
        len(spans),
        *(part for span in spans for part in (span.begin_s, span.end_s, window_ms(span.length_s))),
        *names_and_goals(batch),
    )
    answer = line.evaluate(script("flush"), tuple(named), arguments)
    if not is_list(answer):
        raise _not_taken(f"what was counted of '{batch.field}'", answer)
    return Flushed(answer[0] == b"1", exact(answer[1]), int(answer[2]))


def read_tally(  # noqa: PLR0913 - where, and what of it
    line: Line, keys: Keys, field: str, release: str, started_s: int, *, course: bool
) -> Tally:
    """Read what is counted, at one moment; its time is asked for first, for it names the windows."""
    place = _Place(keys, field, release)
    now_ms = server_ms(line, line.ask(("TIME",))[0])
    spans = list(judged_spans(started_s, now_ms // 1000))
    samples: list[Command] = [("ZRANGE", place.course, 0, -1)] if course else []
    counted, running, role, *replies = line.transaction(
        ("HGETALL", place.counts),
        ("HGETALL", place.running),
        ("ROLE",),
        *(("HGETALL", place.books(span)) for span in spans),
        *samples,
    )
    check_role(line, role)
    counts = mapping_of(counted)
    stages = read_stages(counts)
    chances = {stage.number: stage.stage.w for stage in stages}
    windows = zip(spans, replies, strict=False)
    return Tally(
        field,
        release,
        tuple(kept for span, books in windows for kept in read_kept(span, mapping_of(books), chances)),
        stages,
        read_running(mapping_of(running)),
        read_named(counts),
        exact(counts.get(b"judge", b"")),
        read_course(replies[-1]) if course and is_list(replies[-1]) else (),
        now_ms,
    )


def judge(line: Line, keys: Keys, judgement: Judgement) -> bool:
    """Write a judgement if the judge's text is still as read; raises `RefusedError` where none is taken."""
    place = _Place(keys, judgement.field, judgement.release)
    found, now = line.ask(("HMGET", place.counts, "started"), ("TIME",))  # no HGET: null would look like a push
    began = found[0] if is_list(found) else None
    settled = [] if began is None else list(judged_spans(number(began), server_ms(line, now) // 1000))
    levels = [(span, KINDS[what], levels) for what, span, levels in judgement.levels]
    spans = [*settled, *dict.fromkeys(span for span, _, _ in levels if span not in settled)]
    sample = judgement.sample
    arguments: tuple[bytes | str | int, ...] = (
        raw_of(judgement.before),
        raw_of(judgement.after),
        judgement.settled_s,
        sample_text(sample) if sample is not None else "",
        sample.at_s if sample is not None else 0,
        *(DAY_MS, RELEASE_MS),
        len(settled),
        len(judgement.forget),
        *(raw_of(tape) for tape in judgement.forget),
        len(levels),
        *(part for span, kind, found in levels for part in (spans.index(span) + 1, kind, levels_text(found))),
        len(spans),
        *(window_ms(span.length_s) for span in spans),
    )
    named = (place.counts, place.exposed, place.failed, place.running, place.course)
    answer = line.evaluate(script("judge"), (*named, *(place.books(span) for span in spans)), arguments)
    if not isinstance(answer, int):
        raise _not_taken(f"the judgement of '{judgement.field}'", answer)
    return bool(answer)


def _not_taken(what: str, answer: Reply) -> RefusedError:
    if lacks_scripts(answer):
        why = f"the guard needs scripts, and this one was refused ({reason(answer)})"
        return RefusedError(f"{what} is not kept: {why}. See what the server allows with: graysplit doctor")
    return refused(f"{what} is not kept", answer)
