"""What the pages show runs, and what they link to exists."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from graysplit import embedded
from tests.docs.pages import PAGES, ROOT, SKILL, Block, Command, Reader, blocks_of, commands_of

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
# Folders of a developer's or a CI's machine; a reader has others.
MACHINE = re.compile(r"(?<![\w.])/(work|root|home|Users|tmp/\w*priv)\b")
README = ROOT / "README.md"
LANGUAGES = {"python", "console", "sh", "json", "toml", "text", "ini", "yaml"}


def named(page: Path) -> str:
    """Name a page in the test's id."""
    return str(page.relative_to(ROOT))


@pytest.fixture
def reader(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    server: embedded.Server,  # shared by all tests, and asked for here to be skipped where there is none
) -> Iterator[Reader]:
    """Return a reader of a page, with a server that nobody else uses, as the environment says."""
    for name in ("NAMESPACE", "OFF", "OFF_FILE", "CACHE_DIR", "BOOTSTRAP"):
        monkeypatch.delenv(f"GRAYSPLIT_{name}", raising=False)
    with embedded.server() as own:
        monkeypatch.setenv("GRAYSPLIT_URL", own.url)
        monkeypatch.setenv("GRAYSPLIT_ACTOR", "ada@laptop")
        page: Path = request.node.callspec.params["page"]
        if "sentry_sdk.init()" in page.read_text("utf-8"):
            monkeypatch.setattr("sentry_sdk.init", init_sentry_alone)
        found = Reader(page, own.url)
        yield found
        found.leave()


def init_sentry_alone() -> None:
    """Do what `sentry_sdk.init()` does, without integrations: each changes a framework for the whole process."""
    from sentry_sdk import Client, get_global_scope

    get_global_scope().set_client(Client(default_integrations=False, auto_enabling_integrations=False))


@pytest.mark.parametrize("page", [page for page in PAGES if page != README and any(blocks_of(page))], ids=named)
def test_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    """Typed from top to bottom, each block runs and shows what the page shows."""
    for block in blocks_of(page):
        assert block.language in LANGUAGES, f"{named(page)}:{block.line}: unknown language '{block.language}'"
        if block.run:
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_inside_leads_somewhere(page: Path) -> None:
    """Files exist, and so do the headings that are pointed at."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{named(page)} points at {target}, which is not there"
        if anchor:
            assert anchor in anchors(file), f"{named(page)} points at {target}, and there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_names_no_folder_of_this_machine(page: Path) -> None:
    """What a page names exists for its reader."""
    found = MACHINE.search(page.read_text(encoding="utf-8"))
    assert found is None, f"{named(page)} names {found[0] if found else ''}"


def test_the_index_leads_to_every_page() -> None:
    """Nothing is written that nobody finds."""
    index = ROOT / "docs" / "index.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text("utf-8"))}
    pages = {page for page in PAGES if page.is_relative_to(index.parent) and page != index}
    assert pages <= listed, sorted(named(page) for page in pages - listed)


@pytest.mark.usefixtures("server")  # to be skipped where there is none
def test_the_readme_runs_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its one file starts a server and shows the shares that are shown, while the commands are typed beside it."""
    blocks = list(blocks_of(README))
    (program,) = (block for block in blocks if block.language == "python" and block.run)
    shown = next(block for block in blocks if block.language == "text").text.splitlines()
    (tmp_path / "shop.py").write_text(program.text, encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("GRAYSPLIT_")]:
        monkeypatch.delenv(name)
    seen: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-W", "error", "shop.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as shop:
        try:
            assert shop.stdout is not None
            name, _, url = shop.stdout.readline().strip().removeprefix("export ").partition("=")
            monkeypatch.setenv(name, url)
            monkeypatch.setenv("GRAYSPLIT_ACTOR", "ada@laptop")
            reader = Reader(README, url)
            lines = iter(shop.stdout.readline, "")

            def show_next() -> None:
                seen.append(next(line.strip() for line in lines if line.strip() == shown[len(seen)]))

            show_next()
            for block in (block for block in blocks if block.language == "console"):
                for command in commands_of(block):
                    reader.follow(block._replace(text=typed(command)))
                    if len(seen) < len(shown):
                        show_next()
            reader.leave()
        finally:
            shop.send_signal(signal.SIGINT)
    assert seen == shown


def typed(command: Command) -> str:
    """Return one command as a console block of its own."""
    code = f"  # exit {command.code}" if command.code else ""
    return f"$ {shlex.join(command.words)}{code}\n{command.shown}"


def test_the_first_screen_of_the_readme_says_what_counts() -> None:
    """Within 110 lines: how it is installed, a program, what is typed, when not to use it, what it needs."""
    first = "\n".join(README.read_text("utf-8").splitlines()[:110])
    parts = ("pip install", "```python", "$ graysplit rollback", "trip by guard", "**Do not use it**", "**It needs**")
    assert [part for part in (*parts, "make demo") if part not in first] == []


def test_the_skill_is_short_and_says_when_to_use_it() -> None:
    """Its head names the folder and the occasions; a reader's memory is limited."""
    text = SKILL.read_text("utf-8")
    head = re.match(r"---\nname: (.+)\ndescription: (.+)\n---\n", text)
    assert head is not None
    assert head[1] == SKILL.parent.name
    assert 100 < len(head[2]) < 1024
    assert text.count("\n") < 120


def test_a_console_block_is_read_as_typed() -> None:
    """Continued lines are joined, an exit code may stand behind, and what is printed stands below."""
    block = Block("console", "$ graysplit set a \\\n    20  # exit 6\nwritten\n\n$ graysplit list", 7, run=True)
    assert list(commands_of(block)) == [
        Command(("graysplit", "set", "a", "20"), 6, "written\n", 7),
        Command(("graysplit", "list"), 0, "", 11),
    ]


@pytest.mark.parametrize(
    "text",
    ["```python\nraise ValueError\n```", "```console\n$ graysplit show nosuch\n```", "```json\n{,}\n```"],
    ids=["python", "console", "json"],
)
def test_a_page_that_is_wrong_fails(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself can fail."""
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    monkeypatch.setenv("GRAYSPLIT_URL", "memory://")
    page = tmp_path / "page.md"
    page.write_text(text)
    reader = Reader(page, "redis://localhost:1")
    (block,) = blocks_of(page)
    with pytest.raises((ValueError, AssertionError)):
        reader.follow(block)
    reader.leave()


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    text = "\n".join(_outside_blocks(page))
    headings = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
    return headings | set(ANCHOR.findall(text))


def _outside_blocks(page: Path) -> Iterator[str]:
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            yield line
