"""Whom to tell: a webhook, or a command. Each takes a notice within five seconds, or says why it did not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final, Protocol, cast
from urllib.parse import SplitResult, urlsplit, urlunsplit

from graysplit.core.limits import check_typed, shown
from graysplit.environment import kind_unlike_text, path_of
from graysplit.errors import ConfigurationError
from graysplit.notices.causes import chosen
from graysplit.notices.console_link import console_address
from graysplit.notices.not_taken import NotTakenError
from graysplit.notices.payload import Notice

WITHIN_S: Final = 5.0
CHATS: Final = ("slack", "teams")  # as in `shapes`, which is loaded where one is named
_BETWEEN: Final = re.compile(r"[,;]([a-z]+\+)?https?://")  # between addresses that were meant to be several


class Hook(Protocol):
    """Somebody to tell."""

    name: str  # in Redis and in log lines: the same in every process that has this hook, and without secrets
    causes: frozenset[str]

    # It may also have `console`, the console's address; without it the process's is used.

    def prepare(self) -> None:
        """Import what it needs, in the caller's thread."""
        ...

    def deliver(self, notice: Notice) -> None:
        """Hand a notice over; raises `NotTakenError`."""
        ...


class Webhook:
    """An address to which each change is sent: `POST`, JSON, the change's id in the header `X-Graysplit-Change`.

    Taken is what is answered with 2xx within five seconds; anything else, a redirect too, is attempted again: a
    rollback or a trip for a day, other changes five times in all. The same change may come twice: tell it by its id.
    `on` names the causes, as in `("rollback",)`. `slack+` or `teams+` before the address sends what the webhooks of
    these chats take. With the address of the `console` a notice has a link to the page about its split.
    """

    def __init__(self, url: str, *, on: str | Iterable[str] | None = None, console: str | None = None) -> None:
        """Check the address, and connect to nothing; raises `ConfigurationError`."""
        self._shape, url = _shape_and_address(url)
        parts = _checked(url)
        self.causes = chosen(on)
        self.console = None if console is None else console_address(console)
        self.address = masked(url)
        self.name = f"webhook {parts.hostname} {_mark(url)}"
        # Without user and password, which urllib would take for a part of the host's name.
        self._url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
        self._authorization = _basic(parts)

    def __repr__(self) -> str:
        """Show it without what is secret."""
        return f"Webhook({self.address!r})"

    def prepare(self) -> None:
        """Import what sends it."""
        import_module("graysplit.notices.post")
        if self._shape:
            import_module("graysplit.notices.shapes")

    def deliver(self, notice: Notice) -> None:
        """Send a notice; raises `NotTakenError`."""
        from graysplit.notices.post import post

        headers = {"Content-Type": "application/json", "X-Graysplit-Change": notice.change} | self._authorization
        status = post(self._url, self._body(notice), headers, WITHIN_S)
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own
            raise NotTakenError(f"it answered {status}{_redirects(status)}")

    def _body(self, notice: Notice) -> bytes:
        if not self._shape:
            return notice.body
        import json

        from graysplit.notices.shapes import SHAPES

        # As UTF-8, which is half as long as escapes are: Teams takes 28 kB.
        return json.dumps(SHAPES[self._shape](notice.told), ensure_ascii=False).encode()


class CommandHook:
    """A program that is run for each change: the JSON on its standard input, no shell.

    Its environment is the process's, with `GRAYSPLIT_CAUSE`, `GRAYSPLIT_SPLIT` and `GRAYSPLIT_CHANGE` beside it. Taken
    is what ends with 0 within five seconds; else it is killed, and attempted again as a webhook is. `console` as for a
    webhook.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        on: str | Iterable[str] | None = None,
        console: str | None = None,
    ) -> None:
        """Take the program and its arguments; raises `ConfigurationError`."""
        words = _words(command)
        if not all(words[:1]) or not words:
            raise ConfigurationError(
                "a command is a list of program and arguments, run without a shell, as in: "
                'CommandHook(["/usr/local/bin/page", "--urgent"])'
            )
        self.causes = chosen(on)
        self.console = None if console is None else console_address(console)
        self._command = words
        self.address = os.path.basename(words[0])  # noqa: PTH119 - not a path of this host for certain
        self.name = f"command {self.address} {_mark(chr(0).join(words))}"

    def __repr__(self) -> str:
        """Show it without its arguments."""
        return f"CommandHook({self.address!r})"

    def prepare(self) -> None:
        """Import what runs it."""
        import_module("graysplit.notices.run")

    def deliver(self, notice: Notice) -> None:
        """Run it; raises `NotTakenError`."""
        from graysplit.notices.run import run

        named = {
            "GRAYSPLIT_CAUSE": notice.cause,
            "GRAYSPLIT_SPLIT": notice.split,
            "GRAYSPLIT_CHANGE": notice.change,
        }
        code = run(self._command, notice.body, named, WITHIN_S)
        if code:
            raise NotTakenError(f"it ended with {code}")


def _words(command: object) -> tuple[str, ...]:
    """Return program and arguments as text; none for what is not a list of these."""
    if not isinstance(command, (list, tuple)):
        return ()
    words = [path_of(word) for word in cast("list[object]", command)]
    return () if None in words else tuple(map(str, words))


def masked(url: str) -> str:
    """Return of an address what is not a secret: user, password and query are, and chat services' paths as well."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "..."
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    more = "/..." if parts.path not in ("", "/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}{port}{more}"


def _shape_and_address(url: str) -> tuple[str, str]:
    """Return the shape of the chat that an address names, "" for plain JSON, and the address that is called."""
    if (kind := kind_unlike_text(url)) is not None:
        raise ConfigurationError(
            f"the address to notify is not text, but {kind}: use the form https://example.com/hook"
        )
    shape, plus, address = url.partition("+")
    if not plus or "/" in shape or ":" in shape:
        return "", url
    if shape not in CHATS:
        raise ConfigurationError(
            f"no chat {shown(shape, 40)!r} is known before the address to notify: use "
            f"{' or '.join(f'{chat}+https://' for chat in CHATS)}, or https:// alone for plain JSON"
        )
    return shape, address


def _checked(url: str) -> SplitResult:
    check_typed("address", url, "the address to notify")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 0) >= 0
    except ValueError:
        raise ConfigurationError("the address to notify is not a URL. Use the form: https://example.com/hook") from None
    if not good or _BETWEEN.search(url) or any(not 32 < ord(letter) < 127 for letter in url):  # noqa: PLR2004 - printable ASCII
        raise ConfigurationError(
            f"the address to notify is not an http or https URL: {masked(url)}. Write it as in: "
            "https://example.com/hook (several are separated by spaces)"
        )
    return parts


def _basic(parts: SplitResult) -> dict[str, str]:
    from base64 import b64encode
    from urllib.parse import unquote

    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _mark(secret: str) -> str:
    """Tell hooks apart that share a host or a program, without what is secret about them."""
    from hashlib import sha256

    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _redirects(status: int) -> str:
    return ", and no redirect is followed" if 300 <= status < 400 else ""  # noqa: PLR2004 - HTTP's own
