"""A raise shown before it is done: what it writes, who moves, what stands in its way, and what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from graysplit.console.console import Console, Page, Visit
from graysplit.console.forms import Form, form_of, split_of_path
from graysplit.console.receipts import answer
from graysplit.control.agreement import Agreement, is_open
from graysplit.control.control import Control
from graysplit.control.inputs import new_id, typed_weight
from graysplit.control.operator import Operator, Request, operator_of
from graysplit.control.proposal import Proposal
from graysplit.control.requests.freezes import UnfreezePattern
from graysplit.control.requests.plans import ApproveStep, PlanNote, write_note
from graysplit.control.requests.weights import ClearStop, SetWeights, UndoLast
from graysplit.control.result import Result
from graysplit.control.stops import with_plans, with_stops
from graysplit.core.address import covers_split, field_of, split_of
from graysplit.core.weights import share
from graysplit.errors import BadValueError, ConflictError, RefusedError
from graysplit.words.entries import entry_line
from graysplit.words.result import dry_run_lines

_ID: Final = re.compile(r"[0-9a-f]{24}")
_MARK: Final = re.compile(r"[0-9a-f]{64}")
_LAST_LINE: Final = "nothing was written"  # of a dry run; a page that asks says it in its own way


class ShownChange(NamedTuple):
    """What a page has shown, by the id under which it would be written and a mark of all that it rests on."""

    id: str
    mark: str

    def check(self, proposal: Proposal) -> None:
        """Raise `ConflictError` where something else would be written now."""
        if mark_of(proposal) != self.mark:
            raise ConflictError(proposal.change.split, "the state that the page showed", "something else")


class RaiseVerb(NamedTuple):
    """One change that may raise: its name, the fields that say what is asked for, and its request."""

    name: str
    title: str
    fields: tuple[str, ...]
    request: Callable[[str, Form], Request]


def _set(split: str, form: Form) -> Request:
    version, weight = form.text("version"), typed_weight(form.text("to"))
    return SetWeights(field_of(split, version) if version else split, weight, cause="set", yes=True)


def _undo(split: str, form: Form) -> Request:
    return UndoLast(split, form.text("force") == "1")


def _unstop(split: str, form: Form) -> Request:
    target = form.text("target") or split
    if not covers_split(target, split) and split_of(target) != split:
        raise BadValueError(f"the stop '{target}' does not hold '{split}'")
    return ClearStop(target)


def _unfreeze(split: str, form: Form) -> Request:
    return UnfreezePattern(form.text("pattern") or split)


def _approve(split: str, form: Form) -> Request:
    step = form.text("step")
    return ApproveStep(split, share(typed_weight(step)) if step else None)


RAISES: Final[Mapping[str, RaiseVerb]] = {
    verb.name: verb
    for verb in (
        RaiseVerb("set", "Set a weight", ("version", "to"), _set),
        RaiseVerb("undo", "Undo the last change", ("force",), _undo),
        RaiseVerb("unstop", "Clear a stop", ("target",), _unstop),
        RaiseVerb("unfreeze", "End a freeze", ("pattern",), _unfreeze),
        RaiseVerb("approve", "Approve the next step", ("step",), _approve),
    )
}


class WantedChange(NamedTuple):
    """One such change as a person asks for it."""

    verb: RaiseVerb
    split: str
    form: Form

    @property
    def request(self) -> Request:
        """Return what is proposed."""
        return self.verb.request(self.split, self.form)


def page_of(name: str) -> Page:
    """Return the page that shows one of these changes before it is done."""
    verb = RAISES[name]

    async def page(console: Console, visit: Visit) -> Response:
        split = split_of_path(visit)
        form = Form({key: visit.request.query_params.getlist(key) for key in visit.request.query_params})
        if name == "approve" and not form.text("step"):  # by a link from a chat: the page names the step that it shows
            ahead = await run_in_threadpool(_step_ahead, console.control(console.name_of(visit)), split)
            form = Form({"step": [ahead]})
        return await _show(console, visit, WantedChange(verb, split, form))

    return page


def change_of(name: str) -> Page:
    """Return what writes one of these changes, if it is still what was shown."""
    verb = RAISES[name]

    async def page(console: Console, visit: Visit) -> Response:
        split, form = split_of_path(visit), await form_of(visit)
        wanted = WantedChange(verb, split, form)
        operator = operator_of(console.control(console.name_of(visit)))
        try:
            result = await run_in_threadpool(_write, operator, wanted)
        except ConflictError as fault:
            written = await run_in_threadpool(_written_as, operator, split, form.text("id"))
            if written:
                return console.message(visit, HTTPStatus.OK, verb.title, [written], f"/splits/{split}")
            return await _show(console, visit, wanted, str(fault))
        return await answer(console, visit, result, f"/splits/{split}")

    return page


def mark_of(proposal: Proposal) -> str:
    """Return a mark of what a change rests on and does; not of times, and not of counts that go on meanwhile."""
    told = (
        proposal.expect,
        sorted(proposal.moves.items()),
        sorted(proposal.stops.items()),
        sorted(proposal.plans),
        proposal.guarded,
        proposal.ask is None,
    )
    return sha256(repr(told).encode(errors="surrogatepass")).hexdigest()


def needs_name(proposal: Proposal) -> bool:
    """Return whether a person types the name: as at a prompt, and where more units move than the weights ask for."""
    return is_open(proposal) or bool(proposal.effects.needless)


async def _show(console: Console, visit: Visit, wanted: WantedChange, conflict: str = "") -> Response:
    verb, split, form = wanted
    operator = operator_of(console.control(console.name_of(visit)))
    request, id_ = wanted.request, new_id()
    proposal = await run_in_threadpool(_foreseen, operator, request, id_)
    if isinstance(proposal, str):
        return console.message(visit, HTTPStatus.OK, verb.title, [proposal], f"/splits/{split}")
    last = await run_in_threadpool(operator.store.history, split, 1)
    ask = with_plans(with_stops(proposal.ask, proposal.stops), proposal.plans)
    hidden = {"id": id_, "mark": mark_of(proposal), **{field: form.text(field) for field in verb.fields}}
    values = {
        "split": split,
        "verb": verb,
        "here": f"{visit.root}/splits/{split}",
        "lines": [line for line in dry_run_lines(proposal.result()) if line != _LAST_LINE],
        "ask": ask or "",
        "name": proposal.target if needs_name(proposal) else "",
        "needs_why": bool(proposal.guarded),
        "why": form.text("why"),
        "hidden": {name: value for name, value in hidden.items() if value},
        "conflict": conflict,
        "last": entry_line(last[0]) if last else "",
    }
    return console.page(visit, "preview.html", values, HTTPStatus.CONFLICT if conflict else HTTPStatus.OK)


def _step_ahead(control: Control, split: str) -> str:
    """Return the weight of the step that waits for an approval; "" where none does."""
    plan = control.show(split).plan
    waits = plan is not None and any(gate.name == "approve" and not gate.open for gate in plan.gates)
    return (plan.ahead or "") if plan is not None and waits else ""


def _foreseen(operator: Operator, request: Request, id_: str) -> Proposal | str:
    """Return what would be written, or why there is nothing left to be noted of a plan."""
    if isinstance(request, ApproveStep):
        start = operator.judged(request.about, lambda reading: request.noted(operator, reading))
        if isinstance(start, str):
            return start
    return operator.foresee(request, id_)


def _write(operator: Operator, wanted: WantedChange) -> Result:
    form = wanted.form
    shown = ShownChange(form.text("id"), form.text("mark"))
    if not _ID.fullmatch(shown.id) or not _MARK.fullmatch(shown.mark):
        raise RefusedError("this change was not shown before. Nothing was written. Open its page, and press there")
    request, typed = wanted.request, form.text("name").strip()
    proposal = operator.foresee(request, shown.id)
    shown.check(proposal)
    if needs_name(proposal) and typed != proposal.target:
        raise RefusedError("wrong name. Nothing was written. Go back to try again")
    agreed = typed == proposal.target
    agreement = Agreement(form.text("why"), typed or None, unstop=agreed, replace=agreed and bool(proposal.plans))
    if isinstance(request, ApproveStep):
        note: PlanNote = request
        return write_note(operator, note, agreement, shown)
    return operator.change(request, agreement, shown)


def _written_as(operator: Operator, split: str, id_: str) -> str:
    """Return that a change was written under this id already: a form that is sent twice is one change."""
    entry = next((entry for entry in operator.store.history(split, 20) if entry.id == id_), None)
    return "" if entry is None else f"written already: {entry_line(entry)}"
