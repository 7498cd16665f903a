"""The verb that shows what hooks were not told, and its lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from graysplit.cli.app import app
from graysplit.cli.exits import DONE, UNHEALTHY
from graysplit.cli.output import say, say_json
from graysplit.cli.session import Session
from graysplit.cli.table import table
from graysplit.control.undelivered import HookState, owed_words
from graysplit.words.texts import when


@app.command()
@click.pass_obj
def notices(session: Session) -> int:
    """Show undelivered notices; exit 7 if a rollback is among them.

    If a hook does not accept the notice of a rollback or a trip, any live process
    that has the hook tries again, for a day. Notices of other changes are given
    up after five attempts.
    """
    states = session.control.notices()
    if session.json:
        from graysplit.words.values import hook_json

        say_json({"hooks": [hook_json(state) for state in states]})
    else:
        say(
            *(
                notice_lines(states)
                or ["no hook has received a notice from this namespace: see docs/how-to/notifications.md"]
            )
        )
    return UNHEALTHY if any(state.owed for state in states) else DONE


def notice_lines(states: Iterable[HookState]) -> list[str]:
    """Lay out each hook, and what it is owed."""
    return [line for state in states for line in _lines(state)]


def _lines(state: HookState) -> Iterator[str]:
    if state.owed:
        yield f"{state.hook}: {owed_words(state)}"
        rows = [(one.cause, one.split, when(one.at_ms), str(one.tries), one.change) for one in state.owed]
        yield from (f"  {line}" for line in table(("undelivered", "split", "changed at", "attempts", "change"), rows))
    if state.unread:
        yield f"{state.hook}: its record in the store cannot be read; undelivered notices may be lost"
    if state.refused:
        yield f"{state.hook}: it has refused the next change {state.refused} times; graysplit tries again"
    if state.given_up:
        yield f"{state.hook}: {state.given_up} given up, the last: {state.last_given_up}"
    if state.missed:
        yield f"{state.hook}: up to {state.missed} never sent: no longer in the log, or older than a day"
    if not (state.owed or state.unread or state.refused or state.given_up or state.missed):
        yield f"{state.hook}: nothing refused, given up or undelivered; the next change may still be on its way"
