"""The events of a page: each of its parts when it has changed, made once for all who see the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from graysplit.console.console import Console, Visit
from graysplit.console.picture import Picture
from graysplit.console.render import PageParts

BEAT_S: Final = 3  # a page that hears nothing for longer says so
AT_MOST_S: Final = 300.0  # then the page asks again, and with it who somebody is and what they may

PartsOf = Callable[[Picture], PageParts]


def events(console: Console, visit: Visit, parts_of: PartsOf) -> Response:
    """Return the stream of a page's parts: first those that the page does not have yet."""
    seen = _seen(console, visit)
    return EventSourceResponse(
        _events(console, parts_of, seen),
        ping=BEAT_S,
        ping_message_factory=lambda: ServerSentEvent(event="beat", data=""),
        headers={"cache-control": "no-store"},
    )


def mark_of(console: Console, number: int) -> str:
    """Return the mark of a picture by which a page says what it has."""
    return f"{console.boot}-{number}"


def _seen(console: Console, visit: Visit) -> int:
    """Return the number of the picture that a page has; of another process's pictures none."""
    mark = visit.request.headers.get("last-event-id") or visit.request.query_params.get("since", "")
    boot, _, number = mark.partition("-")
    return int(number) if boot == console.boot and number.isascii() and number.isdecimal() else -1


def _chunk(parts: PageParts, seen: int, mark: str) -> bytes:
    """Return the events of the parts that are newer than what was seen; all pages that have seen as much share it."""
    chunk = parts.chunks.get(seen)
    if chunk is None:
        newer = ((name, part) for name, part in parts.items() if part.number > seen)
        chunk = b"".join(ServerSentEvent(part.html, event=name, id=mark).encode() for name, part in newer)
        parts.chunks[seen] = chunk
    return chunk


async def _events(console: Console, parts_of: PartsOf, seen: int) -> AsyncIterator[ServerSentEvent | bytes]:
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(changed.set)

    leave = console.follower.listen(wake)
    ends_at = time.monotonic() + AT_MOST_S
    try:
        yield ServerSentEvent(event="beat", data="", retry=1000)
        while time.monotonic() < ends_at:
            changed.clear()
            picture = await console.picture()
            if picture.number > seen:
                chunk = _chunk(parts_of(picture), seen, mark_of(console, picture.number))
                if chunk:
                    yield chunk
                seen = picture.number
            try:
                await asyncio.wait_for(changed.wait(), ends_at - time.monotonic())
            except TimeoutError:
                return
    finally:
        leave()
