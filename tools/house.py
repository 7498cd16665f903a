"""Print how the source is named, filed and worded, as one table: run it on two trees to compare them.

python tools/house.py             this tree
python tools/house.py /other/tree another checkout, read by the same rules

The flows are run, on a server of their own, with the tree's own source; the other rows are read.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
# Nouns of the field that end as a gerund does.
NOUNS: Final = frozenset(("bucketing", "reading", "settings"))
SUBJECTS: Final = {"plans": r"\bplans?\b", "the guard": r"\bguards?\b", "notices": r"\bnotices?\b"}
RULE: Final = frozenset(("EVERYTHING", "'*'", "b'*'"))
FLOWS: Final = ROOT / "tools" / "flows.py"


class Source(NamedTuple):
    """One module, parsed."""

    path: Path
    text: str
    tree: ast.Module


def sources(tree: Path) -> list[Source]:
    """Return the modules of the package."""
    files = sorted((tree / "src" / "graysplit").rglob("*.py"))
    texts = [(path.relative_to(tree), path.read_text("utf-8")) for path in files]
    return [Source(path, text, ast.parse(text)) for path, text in texts]


def rows(tree: Path) -> Iterator[tuple[str, str]]:
    """Return each finding with its figure."""
    found = sources(tree)
    yield "source files, lines", f"{len(found)}, {sum(one.text.count(chr(10)) for one in found):,}"
    yield "places that list the stops over a candidate", str(sum(map(rules, found)))
    doubles = {name: number for name, number in Counter(classes(found)).items() if number > 1}
    yield "class names defined more than once", f"{len(doubles)} {', '.join(sorted(doubles))}".strip()
    names = gerunds(found)
    yield "modules named by a gerund (without nouns)", f"{len([name for name in names if name not in NOUNS])}"
    yield "nouns among them", ", ".join(dict.fromkeys(name for name in names if name in NOUNS))
    yield "functions with a local name `found`", str(sum(_binds(f, "found") for one in found for f in _functions(one)))
    yield '"is no", "are no" in the source', str(sum(len(re.findall(r"\b(?:is|are) no\b", one.text)) for one in found))
    docs = sum(ast.get_docstring(f) is not None for one in found for f in _functions(one))
    yield 'docstrings that begin with "Give"', f"{len(gives(found))} of {docs:,}"
    for subject, words in SUBJECTS.items():
        own = [one.path for one in found if re.search(words, one.text)]
        rooms = {path.parts[2] for path in own}
        yield f"files that speak of {subject}", f"{len(own)} in {len(rooms)} rooms"
    lengths = sorted(f.end_lineno - f.lineno + 1 for one in found for f in _functions(one) if f.end_lineno)
    yield (
        "lines of a function: median, 90 %, longest",
        (f"{lengths[len(lengths) // 2]}, {lengths[len(lengths) * 9 // 10]}, {lengths[-1]}"),
    )
    longest = sorted(found, key=lambda one: -one.text.count("\n"))[:3]
    yield "longest modules", ", ".join(f"{one.path.name} {one.text.count(chr(10))}" for one in longest)
    yield from _flows(tree)


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def gerunds(found: list[Source]) -> list[str]:
    """Return the modules whose name ends as a gerund does."""
    return sorted(one.path.stem for one in found if re.search(r"ings?$", one.path.stem))


def gives(found: list[Source]) -> list[str]:
    """Return the functions whose docstring says that they give something."""
    said = ((one.path, f.name, ast.get_docstring(f) or "") for one in found for f in _functions(one))
    return [f"{path}: {name}" for path, name, text in said if text.startswith("Give")]


def classes(found: list[Source]) -> Iterator[str]:
    """Return the name of each class, as often as it is defined."""
    return (node.name for one in found for node in ast.walk(one.tree) if isinstance(node, ast.ClassDef))


def _binds(function: ast.AST, name: str) -> bool:
    stores = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    return any(node.id == name for node in stores)


def rules(source: Source) -> int:
    """Return how often a module lists a candidate, its split and everything by itself."""
    lists = (node for node in ast.walk(source.tree) if isinstance(node, (ast.Tuple, ast.Set, ast.List)))
    return sum(len(node.elts) > 1 and _is_rule({ast.unparse(one) for one in node.elts}) for node in lists)


def _is_rule(elements: set[str]) -> bool:
    named = any("field" in one or "split" in one for one in elements)
    return bool(elements & RULE) and named and len(elements) in {2, 3}


def _flows(tree: Path) -> Iterator[tuple[str, str]]:
    """Run the flows with the tree's own source; a tree that cannot run them says so."""
    command = [sys.executable, str(FLOWS), str(tree / "src")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        yield "flows", f"not run: {done.stderr.strip().splitlines()[-1]}"
    for line in done.stdout.splitlines():
        name, _, figure = line.partition(": ")
        yield f"functions, modules: {name}", figure


def main() -> None:
    """Print the table."""
    tree = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    table = list(rows(tree))
    width = max(len(name) for name, _ in table)
    print(*(f"{name.ljust(width)}  {figure}" for name, figure in table), sep="\n")


if __name__ == "__main__":
    main()
