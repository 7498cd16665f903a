"""What users read is plain English: no message, help text, screen or page has a phrase that a table bans.

Read from the source: every string with a blank in it, f-strings with `{}` for what is filled in, and the docstrings
of commands, which are help texts. Other docstrings and comments are not for users. Of pages the prose is read, without
code, headings and the names of links.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import PAGES, ROOT

SOURCE: Final = ROOT / "src" / "graysplit"
ROOMS: Final = (  # folders or files below src/graysplit
    "cli", "console", "words", "control", "router", "telemetry", "routes", "follower", "notices", "stores", "testing",
    "core", "codec.py", "embedded.py", "environment.py", "errors.py", "events.py", "native.py", "scope_entry.py",
)  # fmt: skip
# Pages whose prose is not held to the table: rationale for those who change the code, and what docstrings make.
UNREAD: Final = ("docs/design/", "docs/reference/python.md")

NO_SUBJECT: Final = "a subject: no sentence begins with 'what'"
# What no text says, and what it says instead.
BANNED: Final = {
    r"\b(?:is|are|was|were) no\b(?! longer\b)": "invalid, not a, unknown, without: 'invalid weight 'abc''",
    r"\bthat is none\b|\bvalues? that (?:is|are) none\b": "invalid value",
    r"\b(?:stands?|stood|standing)\b": "is set, is in force, was added, is unchanged; a plan is paused",
    r"\btake (?:it|them) away\b|\btaken away\b|\btakes? away\b": "remove, removed",
    r"\b(?:somebody|someone) (?:was faster|else's)\b|\bsomebody else\b": "conflict: changed by someone else",
    r"\bsends? no new calls\b": "processes stopped sending calls to new",
    r"\bnobody (?:here )?can say\b|\bnobody says\b": "not known; guard: none",
    r"\bhave (?:nothing|every) \w+": "Block every increase; Require ... for every increase",
    r"\bthe inverse of\b": "Revert",
    r"\bthe ladder that decides\b": "why UNIT gets its version",
    r"\bit will not come\b": "will not be reached",
    r"\bprocesses? tells?\b|\bwhat processes\b": "the processes' data",
    r"\banew\b|\bsown?\b|\bsows\b": "rebuild, again",
    r"\bgone without a tombstone\b": "deleted without a record",
    r"\bnought\b|\bparted by\b|\bblanks\b": "reset; separated by spaces",
    r"\basked\b.*\beffective\b": "set / in force / processes",
    r"\bthe plan's clock\b|\bclock of a plan\b": "the plan is paused",
    r"(?:^|[.:;] )[Ww]hat (?!is wrong\b)": NO_SUBJECT,
    r"\btill\b|\bwhoever\b|\bwherein\b|\bwhither\b": "until; the person who; where",
    r"\bsay yes\b|\ba yes\b": "approve, an approval",
    r"\btells? of\b|\btold of\b": "report, show, name",
    r"\bis said so\b": "the command says so",
    r"\bnot taken\b": "not accepted, not written, refused",
    r"\b(?:driven|told|notified|work|watched) from here\b": "this process does (not) ...",
    r"\bpassed over\b": "ignored, skipped",
    r"\bis the new path worse\b": "guard: none (graysplit guard checkout)",
    r"\brolled back by (?:its|the|a) guard\b": "the guard rolled it back",
    r"\bto take it too\b": "to roll it back too",
    r"\bLook(?: again)?: graysplit|\bLook at it with\b": "See: graysplit ...",
    r"\bma[dk]e (?:it |the store )?whole\b": "repair",
}
# A text that has such a phrase, and why.
ALLOWED: Final = {
    "what was rolled back": "an object: processes stopped sending calls to it",
    ", unless stop-writes-on-bgsave-error is no": "Redis's own word for a setting",
    "somebody else's": "a name in a contract, told to nobody",
}


class Text(NamedTuple):
    """A text of the source that users read, and where it is written."""

    path: Path
    line: int
    words: str

    def __str__(self) -> str:
        """Return the place and the text, on one line."""
        return f"{self.path.relative_to(ROOT)}:{self.line}: {' '.join(self.words.split())}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_text_of_a_room_has_a_banned_phrase(room: str) -> None:
    """Messages, help texts and screens are a subject, a verb and the next command."""
    found = [f"{text}\n    instead: {instead}" for text in texts_of(room) for instead in faults(text.words)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_prose_of_a_page_has_no_banned_phrase(page: Path) -> None:
    """Pages speak as the messages do."""
    name = str(page.relative_to(ROOT))
    said = () if name.startswith(UNREAD) else prose(page.read_text(encoding="utf-8"))
    found = [f"{name}: {words}\n    instead: {instead}" for words in said for instead in page_faults(words)]
    assert not found, "\n".join(found)


def test_prose_is_read_without_code() -> None:
    """Blocks, inline code, headings, comments and the names of links are not prose; list items and cells are."""
    page = (
        "# What stands\n\nWords, `code`.\n\n```text\nstands\n```\n\n<!-- anew -->\n* one\n  more [What](x)\n| a | b |\n"
    )
    assert [*prose(page)] == ["Words, {}.", "one more {}", "a", "b"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_texts(room: str) -> None:
    """A room that was renamed is not passed over in silence."""
    assert [*texts_of(room)], room


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("raise ValueError(f'{word!r} is no weight')", ["{} is no weight"]),
        ("say('a stop ' f'stands now: {stop}')", ["a stop stands now: {}"]),
        ("'''What the module does stands here.'''\nNAME = 'stands'", []),
        ("@click.command(help='x')\ndef shut():\n    '''Have nothing rise.'''", ["Have nothing rise."]),
        ("def shut():\n    '''Have nothing rise.'''", []),
        ('say(f\'{a} {"stands now" if b else ""} there\')', ["{} {} there", "stands now"]),
    ],
)
def test_texts_are_found_in_the_source(source: str, seen: list[str]) -> None:
    """Strings, f-strings, joined ones and help texts are texts; docstrings and single words are not."""
    assert [words for _, words in texts(source)] == seen


@pytest.mark.parametrize(
    "words",
    [
        "'{}' is no weight", "wrong usage, or a value that is none", "a stop stands there now", "take it away with: {}",
        "somebody was faster; nothing was written", "{}/{} send no new calls", "no guard watches, so nobody can say",
        "Have nothing rise: not by set", "Make the inverse of the last change", "Show the ladder that decides for {}",
        "it will not come: {}", "what processes tell is not enough to sow it anew", "the evidence from nought",
        "parted by blanks", "asked {}, effective {}, {}", "the plan's clock runs", "What the store lost is kept",
        "{}: what was counted is not valid", "whoever made it", "till then", "Say yes to the next step",
        "is the new path worse?", "rolled back by its guard", "Look: graysplit list", "Make the store whole again",
        "the heartbeat was not taken", "the plan of {} is not driven from here", "the file {} is passed over",
    ],
)  # fmt: skip
def test_a_banned_phrase_is_found(words: str) -> None:
    """Each row of the table finds what it bans."""
    assert [*faults(words)]


@pytest.mark.parametrize(
    "words",
    [
        "invalid weight '{}'", "{} is no longer pinned or denied", "{}/{} processes stopped sending calls to {}",
        "Block every increase (set, plans, undo, pin)", "Revert the last change of SPLIT", "standby ready {}/{}",
        "set {}, in force {}, {}", "Show why UNIT gets its version", "the plan is paused", "conflict: {}",
    ],
)  # fmt: skip
def test_plain_words_pass(words: str) -> None:
    """No row of the table finds what is said instead."""
    assert not [*faults(words)]


def test_what_is_allowed_is_still_said() -> None:
    """An exception whose text is gone goes too."""
    said = {" ".join(text.words.split()) for room in ROOMS for text in texts_of(room)}
    assert not ALLOWED.keys() - said


def faults(words: str) -> Iterator[str]:
    """Yield for each banned phrase in a text what is said instead."""
    if " ".join(words.split()) not in ALLOWED:
        yield from (instead for banned, instead in BANNED.items() if re.search(banned, words, re.IGNORECASE))


def page_faults(words: str) -> Iterator[str]:
    """Yield what is said instead in prose, where a question and a part of a sentence may begin with 'what'."""
    yield from (found for found in faults(words) if found != NO_SUBJECT or re.search(r"(?:^|\. )What [^?]*$", words))


def prose(page: str) -> Iterator[str]:
    """Yield the paragraphs, list items and cells of a page, `{}` for code and for links."""
    text = re.sub(r"^ *```.*?^ *```$|<!--.*?-->|^#.*?$", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", "{}", text)
    for part in re.split(r"\n\s*\n|\n\s*(?=[*|]|\d+\. )|\|", text):
        words = " ".join(part.split()).removeprefix("* ")
        if words:
            yield words


def texts_of(room: str) -> Iterator[Text]:
    """Yield the texts of a folder or file below src/graysplit."""
    place = SOURCE / room
    for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
        yield from (Text(path, line, words) for line, words in texts(path.read_text(encoding="utf-8")))


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each text of a source that has a blank in it."""
    tree = ast.parse(source)
    passed = {id(part) for node in ast.walk(tree) for part in _not_texts(node)}
    for node in ast.walk(tree):
        if id(node) in passed:
            continue
        if isinstance(node, ast.JoinedStr):
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value
        else:
            continue
        if " " in words.strip():
            yield node.lineno, words


def _not_texts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a node that are strings and no texts of their own: pieces of an f-string, docstrings."""
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and not _is_command(node):
            yield first.value


def _is_command(node: ast.AST) -> bool:
    """Return whether a function is a command, whose docstring is its help text."""
    marks = getattr(node, "decorator_list", ())
    return any(re.search(r"\b(?:command|group)\b", ast.unparse(mark)) for mark in marks)
