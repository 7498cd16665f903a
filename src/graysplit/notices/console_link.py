"""The address of the console in a notice: of the page about its split, or of the one that asks for an approval."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from graysplit.core.entry import Entry
from graysplit.core.limits import check_typed
from graysplit.core.plan.progress import FOR_APPROVAL
from graysplit.core.weights import check_name
from graysplit.environment import kind_unlike_text
from graysplit.errors import BadNameError, ConfigurationError

_FORM: Final = "Use the form: https://example.com/console"


def console_address(url: str) -> str:
    """Return the console's address without a slash at its end; raise `ConfigurationError` for one that cannot be sent.

    A chat's history is read by many, so an address with a password or a query in it is refused.
    """
    if (kind := kind_unlike_text(url)) is not None:
        raise ConfigurationError(f"the console's address is not text, but {kind}. {_FORM}")
    check_typed("address", url, "the console's address")
    if not _is_address(url) or any(not 32 < ord(letter) < 127 or letter in '<>"' for letter in url):  # noqa: PLR2004 - printable ASCII
        raise ConfigurationError(f"the console's address is not an http or https URL. {_FORM}")
    if "@" in urlsplit(url).netloc or "?" in url or "#" in url:
        raise ConfigurationError(
            f"the console's address has a password, a query or a fragment, and notices show it to many. {_FORM}"
        )
    return url.rstrip("/")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return False


def link_of(console: str, entry: Entry) -> str:
    """Return where the console shows what a history entry is about; where a plan waits for a yes, the page that asks.

    A change of everything, or of names by a pattern, has no page of its own: then it is the first screen.
    """
    try:
        page = f"{console}/splits/{quote(check_name(entry.split), safe='')}"
    except BadNameError:
        return f"{console}/"
    return f"{page}/approve" if entry.cause == "waiting" and FOR_APPROVAL in entry.why else page
