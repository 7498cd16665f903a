"""The receipts of a change that was just written: a page asks until all have come, whichever process it asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from graysplit.console.console import Console, Visit
from graysplit.console.forms import Form, form_of
from graysplit.control.control import Control
from graysplit.control.result import Receipts, Result
from graysplit.core.address import EVERYTHING
from graysplit.errors import BadValueError, StoreUnreachableError
from graysplit.words.kept import declared_by, left_lines
from graysplit.words.result import done_words, receipt_lines, written_lines
from graysplit.words.way_back import no_way_back, way_back

FIRST_WAIT_S: Final = 0.4  # with the answer itself: mostly all receipts are there by then
WAIT_S: Final = 1.0
TRIES: Final = 60
_ID: Final = re.compile(r"[0-9a-f]{1,64}")


class Ticket(NamedTuple):
    """What a page must say to ask for a change's receipts."""

    cause: str
    target: str
    change: str
    revision: int
    at_ms: int
    expected: tuple[tuple[str, str], ...]  # by field the weight that receipts will show
    parts: tuple[str, ...]
    tries: int = 0

    @property
    def fields(self) -> Iterator[tuple[str, str]]:
        """Return it as the hidden fields of a form."""
        yield from (("cause", self.cause), ("target", self.target), ("change", self.change))
        yield from (("revision", str(self.revision)), ("at", str(self.at_ms)), ("tries", str(self.tries + 1)))
        yield from (("expect", f"{field}={weight}") for field, weight in self.expected)
        yield from (("part", part) for part in self.parts)

    @property
    def result(self) -> Result:
        """Return what of the result its receipts are counted by."""
        return Result(
            cause=self.cause,
            split=self.target,
            moves={field: (None, weight) for field, weight in self.expected},
            revision=self.revision,
            change=self.change,
            at_ms=self.at_ms,
            expected=dict(self.expected),
            parts=self.parts,
        )


def ticket_of(result: Result) -> Ticket:
    """Return what a page asks with after a change."""
    return Ticket(
        result.cause,
        result.split,
        result.change,
        result.revision,
        result.at_ms,
        tuple(result.expected.items()),
        result.parts,
    )


def ticket_in(form: Form) -> Ticket:
    """Read what a page asks with; raise `BadValueError` for what no answer has handed out."""
    change, numbers = form.text("change"), [form.text(name) for name in ("revision", "at", "tries")]
    if not _ID.fullmatch(change) or not all(number.isascii() and number.isdecimal() for number in numbers):
        raise BadValueError("these are not the fields of a change's receipts")
    expected = tuple((field, weight) for field, _, weight in (text.rpartition("=") for text in form.all("expect")))
    revision, at_ms, tries = (int(number[:18]) for number in numbers)
    parts = tuple(part for part in form.all("part") if _ID.fullmatch(part))
    return Ticket(form.text("cause"), form.text("target"), change, revision, at_ms, expected, parts, tries)


async def answer(console: Console, visit: Visit, result: Result, back: str) -> Response:
    """Return what was written, with the receipts that have come so far; the others follow."""
    console.follower.look_soon()
    lines = [*_unknown_lines(result), *written_lines(result)] if result.change else [*result.notes]
    lines += await run_in_threadpool(_left, console.control(console.name_of(visit)), result) if result.left else []
    if result.unrecorded:
        lines.append(f"the change is in force, but the history has no entry for it: {result.unrecorded}")
    wayback = way_back(result) or no_way_back(result)
    more: dict[str, object] = {"ticket": None, "receipts": [], "tone": "calm"}
    if result.change:
        more = await _receipts(console, visit, ticket_of(result), FIRST_WAIT_S)
    values = {
        "title": f"{result.cause} {'everything' if result.split == EVERYTHING else result.split}",
        "lines": lines,
        "back": f"{visit.root}{back}",
        "way_back": wayback or "",
        "failed": result.known is not True,
        **more,
    }
    return console.page(visit, "part_answer.html" if visit.in_place else "answer.html", values)


async def receipts(console: Console, visit: Visit) -> Response:
    """Return the receipts of a change, as a part of the page that asks or as a page."""
    ticket = ticket_in(await form_of(visit))
    more = await _receipts(console, visit, ticket, WAIT_S)
    about: dict[str, object] = {"title": "Receipts", "lines": [], "back": f"{visit.root}/"}
    values = {**about, "way_back": "", "failed": False, **more}
    return console.page(visit, "part_receipts.html" if visit.in_place else "answer.html", values)


async def _receipts(console: Console, visit: Visit, ticket: Ticket, within_s: float) -> dict[str, object]:
    control = console.control(console.name_of(visit))
    try:
        confirmed = await run_in_threadpool(control.wait_confirmed, ticket.result, within_s)
    except StoreUnreachableError as lost:
        lines = [f"written, but the receipts cannot be read: {lost.reason}"]
        return {"ticket": ticket if ticket.tries < TRIES else None, "receipts": lines, "tone": "warn"}
    told = confirmed.receipts
    waits = bool(told.lagging) and ticket.tries < TRIES
    tone = "good" if told.complete else "calm" if told.nobody else "warn"
    lines = _waiting_lines(told, ticket.result) if waits else receipt_lines(told, done_words(ticket.result))
    return {"ticket": ticket if waits else None, "receipts": lines, "tone": tone}


def _left(control: Control, result: Result) -> list[str]:
    try:
        return left_lines(result, declared_by(control.fleet(), result))
    except StoreUnreachableError:
        return left_lines(result, None)


def _waiting_lines(told: Receipts, result: Result) -> list[str]:
    """Return how far it is, without the time that goes by: who has it read aloud hears only what is new."""
    lines = [f"{told.confirmed}/{told.processes} {done_words(result)}; waiting for {', '.join(told.lagging[:5])}"]
    return lines + ([f"silent (dead or cut off): {', '.join(told.silent[:5])}"] if told.silent else [])


def _unknown_lines(result: Result) -> list[str]:
    """Return that a rollback was aimed at what nobody knows, or at what could not be looked up."""
    if result.known is False:
        remove = f"a stop was added under that name; remove it with: graysplit unstop {result.split}"
        return [f"NOT ROLLED BACK: no split '{result.split}' in this namespace", remove]
    if result.known is None:
        return [f"NOT CONFIRMED: cannot check whether '{result.split}' exists"]
    return []
