"""What a person reads where a request is not served: why, whether anything was written, and the way on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from graysplit.console.console import Console, Visit, root_of
from graysplit.console.people import Role
from graysplit.errors import (
    BadNameError,
    BadValueError,
    ConflictError,
    GraysplitError,
    RefusedError,
    StoreUnreachableError,
    UnknownSplitError,
    UnknownVersionError,
)
from graysplit.words.commands import paragraphs
from graysplit.words.outage import outage_lines, written_words

# The first class that fits counts; what is not here is a conflict with what the store holds.
_CODES: Final[tuple[tuple[type[GraysplitError], HTTPStatus, str], ...]] = (
    (UnknownSplitError, HTTPStatus.NOT_FOUND, "No such split"),
    (UnknownVersionError, HTTPStatus.NOT_FOUND, "No such version"),
    (BadNameError, HTTPStatus.NOT_FOUND, "No such split"),
    (BadValueError, HTTPStatus.BAD_REQUEST, "Invalid value"),
    (ConflictError, HTTPStatus.CONFLICT, "Conflict: changed by someone else"),
    (RefusedError, HTTPStatus.CONFLICT, "Refused"),
    (StoreUnreachableError, HTTPStatus.SERVICE_UNAVAILABLE, "No contact to the store"),
)


def refusal(console: Console, visit: Visit, fault: GraysplitError) -> Response:
    """Return what an error of graysplit's own says."""
    status, title = next(
        ((status, title) for kind, status, title in _CODES if isinstance(fault, kind)), (HTTPStatus.CONFLICT, "Refused")
    )
    lines = [str(fault)]
    if isinstance(fault, StoreUnreachableError):
        title = "Refused by the store" if fault.answered or fault.patient or fault.refuses else title
        is_change = visit.request.method == "POST"
        first, *rest = outage_lines(fault, written_words(fault, fault.written) if is_change else "")
        lines = [first.removeprefix("graysplit: "), *paragraphs(rest)]
    return console.message(visit, status, title, lines)


def foreign(console: Console, request: Request, reason: str) -> Response:
    """Return why the request of another site, or for another host, is refused."""
    visit = Visit(request, None, root_of(request))
    lines = [f"Nothing was done: {reason}.", "Open the console itself, and press the button there."]
    return console.message(visit, HTTPStatus.FORBIDDEN, "Refused", lines)


def not_logged_in(console: Console, visit: Visit) -> Response:
    """Return that the host's login knows nobody."""
    lines = ["Nothing was done: nobody is logged in. Log in, and open this page again."]
    return console.message(visit, HTTPStatus.UNAUTHORIZED, "Not logged in", lines)


def role_missing(console: Console, visit: Visit, role: Role) -> Response:
    """Return which role a route asks for."""
    own = visit.person.role if visit.person else "none"
    lines = [f"Nothing was done: this needs the role '{role}', and yours is '{own}'."]
    return console.message(visit, HTTPStatus.FORBIDDEN, "Not allowed", lines)


def not_served(console: Console, request: Request, fault: Exception) -> Response:
    """Return that there is no such page, or no such change."""
    status = fault.status_code if isinstance(fault, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    visit = Visit(request, None, root_of(request))
    lines = ["No such page."]
    if request.method != "GET" and console.read_only:
        lines = ["Nothing was done: this console is read-only."]
    response = console.message(visit, status, HTTPStatus(status).phrase, lines)
    response.headers.update(getattr(fault, "headers", None) or {})
    return response
