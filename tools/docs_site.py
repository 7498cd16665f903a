"""What Sphinx must know to make a site of Markdown that is written for GitHub; an extension of docs/conf.py.

* The navigation is read from docs/index.md: its sections, and the pages they link to in that order.
* A link that leaves docs/ leads to the file in the repository.
* `<!-- api: MODULE -->` is replaced by what autodoc makes of the names in the module's `__all__`.
* A name of the API in a page's inline code is a link to it.
* Beside each page lies its Markdown, and llms.txt lists them as docs/index.md does.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import reference
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
INDEX: Final = "index"

_FENCE: Final = re.compile(r"^ *```")
_LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
_ANCHOR: Final = re.compile(r'<a id="([\w-]+)"></a>')
_API: Final = re.compile(r"^<!-- api: ([\w.]+) -->$", re.MULTILINE)
_NAME: Final = re.compile(r"(?:graysplit\.)?([A-Z]\w+(?:\.[a-z]\w*)?|graysplit\.[\w.]+)(?:\(.*\))?")


def setup(app: Sphinx) -> dict[str, Any]:  # Any: Sphinx's own type
    """Register what this extension does."""
    app.add_config_value("graysplit_description", "", "env")
    app.add_config_value("graysplit_repository", "", "env")
    app.add_config_value("graysplit_ref", "main", "env")
    app.connect("source-read", read_page)
    app.connect("autodoc-skip-member", is_left_out)
    app.connect("build-finished", write_markdown)
    app.add_transform(ApiLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# --- pages -----------------------------------------------------------------------------------------------------------


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn a page for GitHub into one for Sphinx."""
    text = outside_blocks(source[0], lambda line: _ANCHOR.sub(r"[]{#\1}", lead_outside(app, docname, line)))
    text = _API.sub(lambda mark: api(mark[1]), text)
    source[0] = text + navigation(source[0]) if docname == INDEX else text


def outside_blocks(text: str, change: Callable[[str], str]) -> str:
    """Change each line of a page that is not in a fenced block."""
    lines: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        fence = _FENCE.match(line) is not None
        lines.append(line if fence or inside else change(line))
        inside ^= fence
    return "".join(lines)


def lead_outside(app: Sphinx, docname: str, line: str) -> str:
    """Lead a line's links to what is no page of the site into the repository."""
    folder = (DOCS / docname).parent

    def target(link: re.Match[str]) -> str:
        path = (folder / link[1]).resolve()
        if path.is_relative_to(DOCS) and path.suffix == ".md":
            return link[0]
        kind = "tree" if path.is_dir() else "blob"
        place = path.relative_to(ROOT).as_posix()
        return f"]({app.config.graysplit_repository}/{kind}/{app.config.graysplit_ref}/{place}{link[2] or ''})"

    return _LINK.sub(target, line)


def navigation(index: str) -> str:
    """Return a hidden table of contents for each section of the index, of the pages that it links to."""
    sections = re.split(r"^##+ (.+)\n", index, flags=re.MULTILINE)
    parts: list[str] = []
    for title, text in zip(sections[1::2], sections[2::2], strict=True):
        pages = dict.fromkeys(path for path, _ in _LINK.findall(text) if path.endswith(".md") and path[:2] != "..")
        if pages:
            listed = "\n".join(page.removesuffix(".md") for page in pages)
            parts.append(f"\n```{{toctree}}\n:hidden:\n:titlesonly:\n:caption: {title}\n\n{listed}\n```\n")
    return "".join(parts)


# --- the API ---------------------------------------------------------------------------------------------------------


def api(module: str) -> str:
    """Return the directives that describe a module's public names, or those of each module of a package."""
    return "\n\n".join(_described(name) for name in public_modules(module))


def public_modules(module: str) -> Iterator[str]:
    """Return a module if it names what is public, else the modules in it that do."""
    found = import_module(module)
    if hasattr(found, "__all__"):
        yield module
        return
    for inner in pkgutil.iter_modules(found.__path__, f"{module}."):
        if hasattr(import_module(inner.name), "__all__"):
            yield inner.name


def _described(module: str) -> str:
    found = import_module(module)
    kinds = {name: _kind(getattr(found, name)) for name in found.__all__ if name[0] != "_"}
    errors_last = sorted(kinds, key=lambda name: kinds[name] == "exception")
    directives = "\n".join(
        f".. auto{kinds[name]}:: {module}.{name}{_OPTIONS.get(kinds[name], '')}" for name in errors_last
    )
    return f"## {module}\n\n```{{eval-rst}}\n.. py:module:: {module}\n\n{directives}\n```"


def plain_api(module: str) -> str:
    """Return the same names as Markdown."""
    parts: list[str] = []
    for name in public_modules(module):
        found = import_module(name)
        public = {one: getattr(found, one) for one in found.__all__ if one[0] != "_"}
        parts += [f"## {name}", *(part for one, value in public.items() for part in reference.described(one, value))]
    return "\n\n".join(parts)


_OPTIONS: Final = {"class": "\n   :inherited-members:\n"}  # several are put together from our own


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"


def is_left_out(_app: Sphinx, _kind: str, name: str, member: object, skip: bool, _options: object) -> bool | None:  # noqa: FBT001 - Sphinx's own
    """Leave out what a class has from Python or a framework, a tuple's `count`; and the tests of a contract."""
    module = getattr(member, "__module__", None) or getattr(getattr(member, "__objclass__", None), "__module__", "")
    return (
        skip or name.rpartition(".")[2].startswith("test_") or (callable(member) and not module.startswith("graysplit"))
    )


class ApiLinks(SphinxTransform):
    """Makes a link of each inline literal that is a name of the API, where it is one."""

    default_priority = 800

    def apply(self, **_settings: object) -> None:
        """Wrap literals; one that names nothing stays as it is."""
        for literal in list(self.document.findall(nodes.literal)):
            name = _NAME.fullmatch(literal.astext())
            if name is None or isinstance(literal.parent, nodes.reference | addnodes.pending_xref):
                continue
            target = name[1] if name[1].startswith("graysplit.") else f"graysplit.{name[1]}"
            link = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=target, refwarn=False, refdoc=self.env.docname
            )
            literal.replace_self(link)
            link += literal


# --- for programs that read -------------------------------------------------------------------------------------------


def write_markdown(app: Sphinx, failure: Exception | None) -> None:
    """Lay each page's Markdown beside it, and write llms.txt: the index, with a sentence on what this is."""
    if failure is not None or app.builder.format != "html":
        return
    for docname in app.env.found_docs:
        page = _API.sub(lambda mark: plain_api(mark[1]), (DOCS / docname).with_suffix(".md").read_text("utf-8"))
        text = outside_blocks(page, lambda line, docname=docname: lead_outside(app, docname, line))
        copy = app.outdir / f"{docname}.md"
        copy.write_text(text, encoding="utf-8")
        if docname == INDEX:
            title, rest = text.split("\n", 1)
            listed = f"{title.partition(':')[0]}\n\n> {app.config.graysplit_description}\n{rest}"
            (app.outdir / "llms.txt").write_text(listed, encoding="utf-8")
