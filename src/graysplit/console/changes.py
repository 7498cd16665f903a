"""The changes that only lower, and end a pause: one press each, and what it did is shown as it comes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from graysplit.console.console import Console, Visit
from graysplit.console.forms import Form, form_of, split_of_path
from graysplit.console.receipts import answer
from graysplit.control.control import Control
from graysplit.control.result import Result
from graysplit.core.address import EVERYTHING, field_of
from graysplit.errors import BadValueError

# How long a freeze may be asked for; what is asked otherwise is refused.
SPANS: Final = {"": None, "1h": "1h", "4h": "4h", "24h": "24h"}


async def rollback(console: Console, visit: Visit) -> Response:
    """Roll a split back, or one candidate of it, at once: nothing is read, asked or compared before it is written."""
    return await _roll_back(console, visit, split_of_path(visit))


async def rollback_all(console: Console, visit: Visit) -> Response:
    """Roll back every release that is not finished."""
    return await _roll_back(console, visit, EVERYTHING)


async def pause(console: Console, visit: Visit) -> Response:
    """Pause a split's plan; its weight does not change."""
    split, form = split_of_path(visit), await form_of(visit)
    return await _change(console, visit, split, lambda control: control.pause(split, why=form.text("why")))


async def resume(console: Console, visit: Visit) -> Response:
    """End this person's pauses of a split's plan, or all of them."""
    split, form = split_of_path(visit), await form_of(visit)
    everybody, why = form.text("everybody") == "1", form.text("why")
    return await _change(console, visit, split, lambda control: control.resume(split, everybody=everybody, why=why))


async def freeze(console: Console, visit: Visit) -> Response:
    """Block every increase of a split."""
    return await _freeze(console, visit, split_of_path(visit))


async def freeze_all(console: Console, visit: Visit) -> Response:
    """Block every increase, also of splits that come later."""
    return await _freeze(console, visit, EVERYTHING)


async def _roll_back(console: Console, visit: Visit, split: str) -> Response:
    why = version = ""
    try:
        form = await form_of(visit)
        why, version = form.text("why"), form.text("version")
    except BadValueError:
        pass  # a form that cannot be read stops no rollback
    target = field_of(split, version) if version and split != EVERYTHING else split
    result = await run_in_threadpool(lambda: console.control(console.name_of(visit)).rollback(target, why=why))
    return await answer(console, visit, result, _back(split))


async def _freeze(console: Console, visit: Visit, pattern: str) -> Response:
    form = await form_of(visit)
    span = form.text("for")
    if span not in SPANS:
        raise BadValueError(f"a freeze lasts for {', '.join(filter(None, SPANS))}, or until it is ended")
    change = partial(_frozen, pattern=pattern, form=form)
    return await _change(console, visit, pattern, change)


def _frozen(control: Control, pattern: str, form: Form) -> Result:
    return control.freeze(pattern, for_=SPANS[form.text("for")], why=form.text("why"))


async def _change(console: Console, visit: Visit, target: str, change: Callable[[Control], Result]) -> Response:
    result = await run_in_threadpool(change, console.control(console.name_of(visit)))
    return await answer(console, visit, result, _back(target))


def _back(target: str) -> str:
    return "/" if target == EVERYTHING else f"/splits/{target}"
