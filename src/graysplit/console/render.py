"""Pages and their parts as HTML: every text escaped, control characters shown, each part made once per picture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graysplit.core.limits import TYPED, shown
from graysplit.words.texts import when

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
KEPT_AT_MOST: Final = 500  # pages by role, mount and split whose parts are remembered


def _shown(value: object) -> object:
    """Return a value as it may reach a page; what is markup already, or no text, stays."""
    return shown(value, TYPED["text"]) if type(value) is str else value


def environment() -> Environment:
    """Return what renders the templates."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["when"] = when
    made.filters["asset"] = _assets().__getitem__
    return made


def _assets() -> Mapping[str, str]:
    """Return each file's name with a mark of its content: a browser keeps a file, and never an old one."""
    files = (file for file in STATIC.iterdir() if file.suffix in {".js", ".css", ".svg"})
    return {file.name: f"{file.name}?v={sha256(file.read_bytes()).hexdigest()[:12]}" for file in files}


class PagePart(NamedTuple):
    """One part of a page that changes by itself."""

    value: object  # what it was made from
    html: str
    number: int  # of the picture with which it came to be
    gist: object
    made_at: float


class PartSource(NamedTuple):
    """What a part is made from."""

    template: str
    value: object
    more: Mapping[str, object]  # what the template needs beside it; of no consequence for whether it has changed
    gist: object = None  # what of the value must be seen at once; None: all of it
    patience_s: float = 0.0  # how long the rest may wait


class PageParts(dict[str, PagePart]):
    """The parts of one page as of one picture, and what streams send of them."""

    def __init__(self, parts: Mapping[str, PagePart] = {}) -> None:
        """Take the parts by name."""
        super().__init__(parts)
        self.chunks: dict[int, bytes] = {}  # by the number that a page has seen: what it is sent, made once for all


class Parts:
    """The parts of all pages that are looked at; made once for all who see the same."""

    def __init__(self, env: Environment) -> None:
        """Begin with none."""
        self._env = env
        self._kept: dict[object, tuple[int, PageParts]] = {}

    def made(self, page: object, number: int, sources: Mapping[str, PartSource]) -> PageParts:
        """Return the parts of a page by name; those that are as before keep the number they had."""
        before = self._kept.get(page)
        if before is not None and before[0] >= number:
            return before[1]
        old = before[1] if before is not None else PageParts()
        parts = PageParts({name: self._part(old.get(name), source, number) for name, source in sources.items()})
        self._kept.pop(page, None)
        while len(self._kept) >= KEPT_AT_MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[page] = number, parts
        return parts

    def is_made(self, page: object, number: int) -> PageParts | None:
        """Return a page's parts where they are of this picture already."""
        kept = self._kept.get(page)
        return kept[1] if kept is not None and kept[0] >= number else None

    def _part(self, old: PagePart | None, source: PartSource, number: int) -> PagePart:
        now = time.monotonic()
        if old is not None:
            waits = source.gist is not None and old.gist == source.gist and now - old.made_at < source.patience_s
            if waits or old.value == source.value:
                return old
        html = self._env.get_template(source.template).render({"value": source.value, **source.more})
        return PagePart(source.value, html, number, source.gist, now)
