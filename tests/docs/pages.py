"""Markdown pages as programs: take their code blocks apart, and run them in order as a reader would.

The convention: a `python` block is run, all of a page in one namespace; a `console` block is run line by line where a
line begins with `$ graysplit` or `$ redis-cli`, and what is printed below a line must come, with `...` for anything
(`# exit 6` behind a line names the exit code, else it is 0); `json` and `toml` must parse. A block below a comment
`<!-- not run: why -->` is left alone, and so is `sh`, which is for the reader's machine.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType
from typing import Any, Final, NamedTuple

import redis

from graysplit.cli.app import run as graysplit_command
from tests.support import eventually

ROOT: Final = Path(__file__).resolve().parents[2]
SKILL: Final = ROOT / "src/graysplit/.agents/skills/graysplit/SKILL.md"  # for programs that write programs
PAGES: Final = (ROOT / "README.md", SKILL, *sorted((ROOT / "docs").rglob("*.md")))

_FENCE: Final = re.compile(r"^( *)```(\w*)$")
_NOT_RUN: Final = re.compile(r"^ *<!-- not run: \S.*-->$")
_EXIT: Final = re.compile(r"  # exit (\d+)$")
# What differs from run to run: how long, how long ago, when, and where the server listens.
_VOLATILE: Final = (
    (re.compile(r"in \d+(\.\d+)?(e-\d+)? s\b"), "in # s"),
    (re.compile(r"\b\d+ (s|min|h|d) +ago"), "# ago"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"), "#when"),
    (re.compile(r"redis://[\w.]+:\d+(/0)?"), "redis://#"),
)


class Block(NamedTuple):
    """One fenced block: its language, its text, the line its text begins at, and whether it is to be run."""

    language: str
    text: str
    line: int
    run: bool


class Command(NamedTuple):
    """One line of a console block, the exit code to come, and what is shown below it."""

    words: tuple[str, ...]
    code: int
    shown: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    """Return the fenced blocks of a page, in order; fails on one that is never closed."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opened = _FENCE.match(lines[at])
        if opened is None:
            at += 1
            continue
        indent, language = opened.groups()
        end = next((i for i in range(at + 1, len(lines)) if lines[i] == f"{indent}```"), None)
        assert end is not None, f"{page.name}:{at + 1}: a code block is not closed"
        above = next((lines[i] for i in range(at - 1, -1, -1) if lines[i].strip()), "")
        text = "\n".join(line.removeprefix(indent) for line in lines[at + 1 : end])
        yield Block(language, text, at + 2, _NOT_RUN.match(above) is None)
        at = end + 1


def commands_of(block: Block) -> Iterator[Command]:
    """Return the commands of a console block; a line that ends with a backslash goes on."""
    rows = block.text.splitlines()
    starts = [number for number, row in enumerate(rows) if row.startswith("$ ")]
    assert starts[:1] == [0], f"line {block.line}: a console block begins with a command"
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        typed = start
        while rows[typed].endswith("\\"):
            typed += 1
        line = " ".join(row.removesuffix("\\") for row in rows[start : typed + 1]).removeprefix("$ ")
        code = _EXIT.search(line)
        words = shlex.split(_EXIT.sub("", line))
        shown = "\n".join(rows[typed + 1 : end])
        yield Command(tuple(words), int(code[1]) if code else 0, shown, block.line + start)


class Reader:
    """Somebody who types a page from top to bottom, with a server of their own."""

    def __init__(self, page: Path, url: str) -> None:
        """Begin at the top; `GRAYSPLIT_URL` is set already."""
        self._page = page
        self._names: dict[str, Any] = {"__name__": f"page_{page.stem.replace('-', '_')}"}  # Any: a program's names
        self._client = redis.Redis.from_url(url)

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        if block.language == "python":
            exec(self._compiled(block), self._names)  # noqa: S102 - our own documentation
        elif block.language == "console":
            for command in commands_of(block):
                self._type(command)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)

    def leave(self) -> None:
        """Close what the page has opened."""
        for found in self._names.values():
            for one in found.values() if isinstance(found, dict) else (found,):
                if type(one).__name__ in ("Router", "Control"):
                    one.close()
        self._client.close()

    def _compiled(self, block: Block) -> CodeType:
        """Compile such that a traceback names the page and its line."""
        return compile("\n" * (block.line - 1) + block.text, str(self._page), "exec")

    def _type(self, command: Command) -> None:
        where = f"{self._page.relative_to(ROOT)}:{command.line}: {' '.join(command.words)}"
        looks = command.words[1:2] and command.words[1] in _LOOKING
        code, said = self._run(command)

        def as_shown() -> bool:
            nonlocal code, said
            fits = code == command.code and (not command.shown or _fits(command.shown, said))
            if not fits and looks:
                code, said = self._run(command)
            assert code == command.code, f"{where}\nexit {code}, expected {command.code}:\n{said}"
            assert not command.shown or _fits(command.shown, said), f"{where}\nshown:\n{command.shown}\nsaid:\n{said}"
            return True

        eventually(as_shown, within=5.0)

    def _run(self, command: Command) -> tuple[int, str]:
        program, *words = command.words
        if program == "graysplit":
            with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
                code = graysplit_command(words)
            return code, _in_short(out.getvalue())
        assert program == "redis-cli", f"line {command.line}: only graysplit and redis-cli are run, not {program}"
        return self._raw(words)

    def _raw(self, words: list[str]) -> tuple[int, str]:
        """Answer as redis-cli does."""
        try:
            answer = self._client.execute_command(*words)
        except redis.ResponseError as error:
            return 0, f"(error) {error}"
        if words[0] in _WRITING:
            self._be_slow(self._is_recorded)
        if words[0] == "FLUSHALL":
            self._be_slow(lambda: bool(self._client.dbsize()))  # a process has told of itself again
        return 0, "\n".join(_answered(answer))

    def _be_slow(self, seen: Callable[[], bool]) -> None:
        """Type no faster than a process that follows can see what was done by hand."""
        follows = any(
            getattr(found, "status", None) and found.status().phase == "live" for found in self._names.values()
        )
        if follows and self._client.config_get("maxmemory")["maxmemory"] == "0":
            eventually(seen, within=20.0)  # pages are read beside busy neighbours

    def _is_recorded(self) -> bool:
        space = "graysplit:{default}:"
        found = {f"{key} {text(f)}": text(v) for key in _EDITED for f, v in self._client.hgetall(space + key).items()}
        there = {where: value for where, value in found.items() if not where.endswith(" _")}
        books = {text(where): text(value) for where, value in self._client.hgetall(f"{space}booked").items()}
        return there == {where: value for where, value in books.items() if where != "_"}


def _in_short(said: str) -> str:
    """Leave out where a changing verb writes, and its way back: pages tell of these two once, not at each command."""
    lines = said.splitlines(keepends=True)
    if lines and re.fullmatch(r"namespace \S+ on \S+\n", lines[0]):
        del lines[0]
    return re.sub(r"^the way back: .*\n(  .*\n)*", "", "".join(lines), flags=re.MULTILINE)


_WRITING: Final = ("HSET", "HDEL", "HSETNX")
_EDITED: Final = ("weights", "stops")


def text(raw: object) -> str:
    """Return an answer's bytes as text."""
    assert isinstance(raw, bytes)
    return raw.decode()


# These only look: what they show may take a moment to come true.
_LOOKING: Final = ("list", "show", "history", "fleet", "doctor", "wait", "report")


def _answered(answer: object) -> list[str]:
    if answer is None:
        return ["(nil)"]
    if isinstance(answer, (bool, str)):
        return ["OK" if answer is True else str(answer)]
    if isinstance(answer, int):
        return [f"(integer) {answer}"]
    if answer == b"OK":
        return ["OK"]
    if isinstance(answer, bytes):
        return ['"' + answer.decode().replace("\\", "\\\\").replace('"', '\\"') + '"']
    items = [part for pair in answer.items() for part in pair] if isinstance(answer, dict) else list(answer)  # type: ignore[call-overload]
    return [f"{number}) {_answered(item)[0]}" for number, item in enumerate(items, 1)]


def _fits(shown: str, said: str) -> bool:
    """Compare what is shown with what was said, by their words: folding and columns are the command line's affair."""
    pattern = re.escape(_plain(shown)).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, _plain(said), re.DOTALL) is not None


def _plain(text: str) -> str:
    text = " ".join(text.split())
    for volatile, instead in _VOLATILE:
        text = volatile.sub(instead, text)
    return text
