"""Write the parts of the documentation that the code knows better: between marks in `docs/` and in the README.

    python tools/reference.py            writes them
    python tools/reference.py --check    only says which pages are out of date; exit 1 if any is

A mark is `<!-- generated: NAME -->`, its end `<!-- end -->`; all between is replaced by what the function `NAME` in
`PARTS` gives. Texts that the code cannot know stand in `reference.toml` beside the names; a name without one is an
error.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, MethodDescriptorType
from typing import Any, Final

import click

import graysplit
from graysplit.cli import exits
from graysplit.cli.app import VERBS, app, common, load
from graysplit.core.decision import LADDER
from graysplit.core.definition import Definition
from graysplit.core.entry import Entry
from graysplit.errors import GraysplitError
from graysplit.router.status import Status
from graysplit.stores.redis.keys import keys_of

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "graysplit"
COMMAND: Final = "python tools/reference.py"
WIDTH: Final = 88
_VARIABLE: Final = re.compile(r"""["'](GRAYSPLIT_[A-Z_]+|REDIS_SERVER)["']""")
_REGION: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

TEXTS: Final[dict[str, Any]] = tomllib.loads((ROOT / "tools" / "reference.toml").read_text("utf-8"))  # Any: TOML


def main(arguments: Sequence[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    pages = stale()
    for page, text in pages.items():
        print(page.relative_to(ROOT))
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
    return 1 if pages and "--check" in arguments else 0


def stale() -> Mapping[Path, str]:
    """Return the pages whose generated parts differ from what the code says, with the text they should have."""
    found: dict[Path, str] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        fresh = _REGION.sub(lambda region: f"{region[1]}{PARTS[region[2]]()}\n{region[3]}", text)
        if fresh != text:
            found[page] = fresh
    return found


def used() -> set[str]:
    """Name the parts that some page has."""
    pages = (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    return {name for page in pages for _, name, _ in _REGION.findall(page.read_text(encoding="utf-8"))}


# --- the command line ------------------------------------------------------------------------------------------------


def commands() -> str:
    """Describe every verb: what it is for, how it is written, its own options."""
    for verb in VERBS:
        load(verb)
    return "\n\n".join(_command(name, app.commands[name]) for name in app.list_commands(click.Context(app)))


def common_options() -> str:
    """Describe the options that every verb takes."""
    return _options(common())


def _command(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"graysplit {name}")
    usage = " ".join((context.command_path, *(word for word in command.collect_usage_pieces(context))))
    shared = {option.name for option in common()}
    own = [p for p in command.params if isinstance(p, click.Option) and p.name not in shared]
    parts = [f"### {name}", _prose(command.help or ""), f"```text\n{usage}\n```", *([_options(own)] if own else [])]
    return "\n\n".join(parts)


def _options(options: Iterable[click.Parameter]) -> str:
    rows: list[tuple[str, str]] = []
    for option in options:
        record = option.get_help_record(click.Context(click.Command("graysplit")))
        if record is not None:
            rows.append((f"`{record[0]}`", " ".join(record[1].split())))
    return _table(("option", "meaning"), rows)


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def exit_codes() -> str:
    """List the exit codes."""
    return _table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in exits.MEANINGS.items()))


def limits() -> str:
    """List how long what a person types may be, and how much of the store is read."""
    from graysplit.core.limits import FIELDS, RECORD, SPLITS, TYPED, VALUE

    typed = [(f"typed: {name}", f"{most:,} characters") for name, most in TYPED.items()]
    stored = [
        ("stored: a weight or a stop", f"{VALUE:,} bytes"),
        ("stored: a definition, or a field of `meta`", f"{RECORD:,} bytes"),
        ("fields of `weights`, `stops`, `meta` or `booked`", f"{FIELDS:,}"),
        ("definitions that are read", f"{SPLITS:,}"),
    ]
    return _table(("what", "at most"), (*typed, *stored))


# --- errors, reasons, status -----------------------------------------------------------------------------------------


def errors() -> str:
    """List the public exceptions with what they mean and the exit code the command line gives them."""
    rows: list[tuple[str, ...]] = []
    for name in sorted(graysplit.__all__):
        found = getattr(graysplit, name)
        if inspect.isclass(found) and issubclass(found, GraysplitError):
            bases = ", ".join(f"`{base.__name__}`" for base in found.__bases__)
            code = next((str(code) for kind, code in exits._CODES if issubclass(found, kind)), str(exits.REFUSED))  # noqa: SLF001 - the table itself
            rows.append((f"`{name}`", bases, _summary(found), code if found is not GraysplitError else ""))
    return _table(("error", "is a", "meaning", "exit"), rows)


def reasons() -> str:
    """List the reasons a decision may give, the ladder's in its order."""
    rungs = [name for name, _ in LADDER]
    if list(TEXTS["reasons"])[: len(rungs)] != rungs:
        sys.exit(f"reference.toml: the reasons begin with the ladder's, in its order: {', '.join(rungs)}")
    rows = ((f"`{name}`", *texts) for name, texts in TEXTS["reasons"].items())
    return _table(("reason", "version", "when"), rows)


def status() -> str:
    """List the fields of a router's status."""
    texts = _agreed("status", Status._fields)
    return _table(("field", "meaning"), ((f"`{name}`", texts[name]) for name in Status._fields))


# --- environment and Redis -------------------------------------------------------------------------------------------


def variables() -> str:
    """List the environment variables that the source reads, and no other; Flask's keys are settings of its own."""
    files = [file for file in SOURCE.rglob("*.py") if "integrations" not in file.parts]
    read = {name for file in files for name in _VARIABLE.findall(file.read_text("utf-8"))}
    rows = ((f"`{name}`", *texts) for name, texts in _agreed("variables", read).items())
    return _table(("variable", "read by", "meaning"), rows)


def keys() -> str:
    """List the keys of a namespace."""
    names = keys_of("ns")._asdict()
    texts = _agreed("keys", names)
    return _table(("key", "type", "holds"), ((f"`{key}`", *texts[name]) for name, key in names.items()))


def definition() -> str:
    """List the fields of a definition."""
    texts = _agreed("definition", Definition._fields)
    optional = Definition._field_defaults
    rows = ((f"`{name}`", texts[name], "may be left out" if name in optional else "") for name in Definition._fields)
    return _table(("field", "holds", ""), rows)


def entry() -> str:
    """List what a history entry holds."""
    texts = _agreed("entry", Entry._fields)
    return "\n".join(f"* {texts[name]}" for name in Entry._fields)


# --- laws ------------------------------------------------------------------------------------------------------------


def laws() -> str:
    """List the laws with the tests that hold each, as far as they are there."""
    rows = (
        (f'<a id="law-{number}"></a>{number}', f"**{law['name']}.** {law['text']}", _law_tests(number, law))
        for number, law in _numbered_laws()
    )
    return _table(("", "law", "held by"), rows)


def _numbered_laws() -> Iterator[tuple[str, dict[str, Any]]]:  # Any: TOML
    yield from TEXTS["laws"].items()


def _law_tests(number: str, law: Mapping[str, Any]) -> str:  # Any: TOML
    own = sorted((ROOT / "tests" / "laws").glob(f"test_law_{number}_*.py"))
    files = [*own, *(ROOT / name for name in law.get("tests", ()))]
    links = [f"[{file.name}](../../{file.relative_to(ROOT).as_posix()})" for file in files if file.exists()]
    return ", ".join(links) or "no test of its own yet"


# --- timelines and words ----------------------------------------------------------------------------------------------

LINEAGE: Final = ROOT / "docs/design/lineage.md"
_TIMELINE: Final = re.compile(r"^### Timeline (\d+)\n\n\*\*(.+?)\.\*\*", re.MULTILINE)
_CITED: Final = re.compile(r"\b[Tt]imelines? (\d+(?:(?:, (?:and )?| and | to )\d+)*)")
_TEST_OF: Final = re.compile(r"def test_f(\d\d)_")


def timelines() -> str:
    """List the timelines of lineage with the tests that cite each, by its number or in their names."""
    cited: dict[int, list[Path]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for number in cited_timelines(file.read_text("utf-8")):
            cited.setdefault(number, []).append(file)
    rows: list[tuple[str, ...]] = []
    for number, name in _TIMELINE.findall(LINEAGE.read_text("utf-8")):
        tests = (f"[{file.stem}](../../{file.relative_to(ROOT).as_posix()})" for file in cited.get(int(number), ()))
        rows.append((f"[{number}](#timeline-{number})", name, ", ".join(tests)))
    return _table(("", "what happens", "tests"), rows)


def cited_timelines(text: str) -> set[int]:
    """Return the numbers of the timelines that a source names; "5 to 7" names three."""
    cited = {int(number) for number in _TEST_OF.findall(text)}
    for numbers in _CITED.findall(text):
        for part in re.split(r", and |, | and ", numbers):
            first, _, last = part.partition(" to ")
            cited.update(range(int(first), int(last or first) + 1))
    return cited


def glossary() -> str:
    """List the words of graysplit with their meanings and what else they are called, by the alphabet."""
    words = glossary_words()
    rows = ((f'<a id="{_anchor(word)}"></a>**{word}**', *words[word]) for word in sorted(words, key=str.lower))
    return _table(("word", "meaning", "elsewhere"), rows)


def glossary_words() -> dict[str, tuple[str, str]]:
    """Return each word with its meaning and what else it is called."""
    table = tomllib.loads((ROOT / "tools" / "glossary.toml").read_text("utf-8"))["words"]
    return {word: (meaning, elsewhere) for word, (meaning, elsewhere) in table.items()}


def _anchor(word: str) -> str:
    return re.sub(r"\W+", "-", word.lower()).strip("-")


# --- Python ----------------------------------------------------------------------------------------------------------


def python() -> str:
    """Describe the public classes and functions by their signatures and docstrings."""
    names = (
        *("Router", "Split", "context", "attribute", "Decision", "Explanation", "Control"),
        *("Webhook", "CommandHook"),
    )
    return "\n\n".join("\n\n".join(described(name, getattr(graysplit, name))) for name in names)


METHODS: Final = (FunctionType, MethodDescriptorType)  # the latter are the compiled core's
THE_CONTEXTS: Final = "=the context's"


def described(name: str, found: Any) -> Iterator[str]:  # noqa: ANN401 - a class, a function or a value
    """Describe one name: its signature, its docstring, and a line for each method; of a value its name alone."""
    yield f"### {name}"
    if not inspect.isclass(found) and not inspect.isroutine(found):
        return
    fields: tuple[str, ...] = found._fields if inspect.isclass(found) and issubclass(found, tuple) else ()
    takes = not inspect.isclass(found) or found.__init__ is not object.__init__
    if takes and not fields and name != "Split":  # handles are made by Router.split
        yield _code(_signature(name, found.__init__ if inspect.isclass(found) else found))
    yield _prose(inspect.getdoc(found) or "")
    if fields:
        yield "Fields: " + ", ".join(f"`{field}`" for field in fields) + "."
    elif inspect.isclass(found):
        # A class may be put together from several of our own; what is asked most comes first, compiled or not.
        rooms = [one for one in found.__mro__ if one.__module__.startswith(("graysplit.", "graysplit_speed."))]
        rooms.sort(key=lambda one: not one.__name__.endswith("Line"))
        methods = {name: one for room in rooms for name, one in vars(room).items() if isinstance(one, METHODS)}
        public = {method: methods[method] for method in methods if not method.startswith(("_", "test_"))}
        rows = ((f"`{_short(method, function)}`", _summary(function)) for method, function in public.items())
        if public:
            yield _table(("method", ""), rows)


def _signature(name: str, function: Callable[..., Any]) -> str:  # Any: of whatever signature
    signature = inspect.signature(function)
    taken = [parameter for parameter in signature.parameters.values() if parameter.name not in ("self", "clock")]
    bare = [parameter.replace(annotation=_Written(parameter.annotation)) for parameter in taken]
    on_one_line = f"{name}({', '.join(_with_star(bare))})"
    return on_one_line if len(on_one_line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(_with_star(bare)) + ",\n)"


def _with_star(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield str(parameter)


class _Written:
    """An annotation as it is written in the source."""

    def __init__(self, text: object) -> None:
        """Take the annotation, a text under `from __future__ import annotations`."""
        self._text = str(text)

    def __repr__(self) -> str:
        return self._text


def _short(name: str, function: Callable[..., Any]) -> str:  # Any: of whatever signature
    """Return a call's form: the parameters' names and defaults."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return f"{name}({', '.join(_with_star(bare))})".replace("=MISSING", THE_CONTEXTS).replace("=Ellipsis", THE_CONTEXTS)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _summary(found: object) -> str:
    return _prose((inspect.getdoc(found) or "").partition("\n\n")[0])


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_rows(head, rows))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _agreed(table: str, code: Iterable[str]) -> dict[str, Any]:  # Any: TOML
    """Return a table of texts; fail, naming the difference, where it has not the names that the code has."""
    texts: dict[str, Any] = TEXTS[table]
    missing, gone = sorted({*code} - texts.keys()), sorted(texts.keys() - {*code})
    if missing or gone:
        sys.exit(f"reference.toml, [{table}]: no text for {missing}; not in the code any more: {gone}")
    return texts


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands,
    "common-options": common_options,
    "definition": definition,
    "entry": entry,
    "errors": errors,
    "exit-codes": exit_codes,
    "glossary": glossary,
    "limits": limits,
    "keys": keys,
    "laws": laws,
    "python": python,
    "reasons": reasons,
    "status": status,
    "timelines": timelines,
    "variables": variables,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
