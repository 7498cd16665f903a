"""A console as people run it: uvicorn on a port of its own, asked by a client that sends what a browser sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from html.parser import HTMLParser
from typing import Any, Final

import httpx
import uvicorn

from tests.support import eventually

OWN_PAGE: Final = {"sec-fetch-site": "same-origin"}  # what a browser says of a request by a page of the console itself
IN_PLACE: Final = {"hx-request": "true", **OWN_PAGE}  # by htmx: the answer is a part of the page
VOID: Final = frozenset({"meta", "link", "input", "br"})


@contextmanager
def served(app: Any, **options: Any) -> Iterator[httpx.Client]:
    """Serve an application with uvicorn's options, and return a client of it."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1, **options)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        eventually(lambda: server.started, 10)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=10) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


class Element:
    """One element of a page."""

    def __init__(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        """Begin without text."""
        self.tag = tag
        self.attributes = attributes
        self.parts: list[str] = []

    @property
    def text(self) -> str:
        """Return all text inside, blanks joined."""
        return " ".join("".join(self.parts).split())


class Page(HTMLParser):
    """A page as a browser reads it: its elements in their order, each with its attributes and its text."""

    def __init__(self, html: str) -> None:
        """Read it."""
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close what is open down to it."""
        while any(one.tag == tag for one in self._open) and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Give text to all that are open."""
        for element in self._open:
            element.parts.append(data)

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """Return the elements of a tag with these attributes; `data_split` names `data-split`."""
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return [
            one
            for one in self.elements
            if tag in {"", one.tag} and all(one.attributes.get(name) == value for name, value in wanted.items())
        ]

    def one(self, tag: str = "", **attributes: str) -> Element:
        """Return the one element of this kind."""
        (found,) = self.all(tag, **attributes)
        return found

    def fields(self, action: str) -> dict[str, str]:
        """Return the hidden fields of the form that is sent to an address, as they stand."""
        form = next(
            i for i, one in enumerate(self.elements) if one.tag == "form" and one.attributes["action"] == action
        )
        found: dict[str, str] = {}
        for one in self.elements[form + 1 :]:
            if one.tag == "form":
                break
            if one.tag == "input" and one.attributes.get("type") == "hidden":
                found[one.attributes["name"] or ""] = one.attributes.get("value") or ""
        return found


def events(response: httpx.Response) -> Iterator[tuple[str, str]]:
    """Yield the name and the data of each event of a stream."""
    name, data = "", list[str]()
    for line in response.iter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line:
            yield name, "\n".join(data)
            name, data = "", []
