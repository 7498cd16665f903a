"""What a request brings along: the split in its path, and the fields of its form."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qs

from graysplit.console.console import Visit
from graysplit.core.weights import check_name
from graysplit.errors import BadValueError

BODY_AT_MOST: Final = 1 << 20  # bytes: a rollback of everything names each of its weights in what it asks for
FIELDS_AT_MOST: Final = 20_000


class Form(NamedTuple):
    """The fields of a form; of a field that is given twice, the first counts nothing: it is refused."""

    fields: dict[str, list[str]]

    def text(self, name: str) -> str:
        """Return a field's text, "" where it is absent; raise `BadValueError` where it is given twice."""
        values = self.fields.get(name, [""])
        if len(values) > 1:
            raise BadValueError(f"the field '{name}' is given twice. Nothing was done")
        return values[0]

    def all(self, name: str) -> list[str]:
        """Return all texts of a field that may be given several times."""
        return self.fields.get(name, [])


async def form_of(visit: Visit) -> Form:
    """Read the form of a request."""
    return read_form(await body_of(visit))


async def body_of(visit: Visit) -> bytes:
    """Read a request's body; raise `BadValueError` for more than any form of the console has."""
    body = b""
    async for piece in visit.request.stream():
        body += piece
        if len(body) > BODY_AT_MOST:
            raise BadValueError("the form is too long. Nothing was done")
    return body


def read_form(body: bytes) -> Form:
    """Read fields as forms are sent; raise `BadValueError` for what is no such text."""
    try:
        return Form(parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_AT_MOST))
    except ValueError as fault:
        raise BadValueError("the form cannot be read. Nothing was done") from fault


def split_of_path(visit: Visit) -> str:
    """Return the split that a request's path names; raise `BadNameError` for what can name none."""
    return check_name(str(visit.request.path_params["split"]))
