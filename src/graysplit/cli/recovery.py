"""What `recover` prints: both sides, and what stands after it."""

from __future__ import annotations

from graysplit.cli.exits import DONE, REFUSED
from graysplit.cli.output import say, say_json
from graysplit.cli.result_lines import finish
from graysplit.cli.session import Session
from graysplit.cli.table import table
from graysplit.control.recovery.carried import carried_lines
from graysplit.control.recovery.recovery import Recovery, Sides
from graysplit.core.definition import Definition
from graysplit.words.texts import number


def show_sides(session: Session, recovery: Recovery) -> None:
    """Print both sides before anything is asked or written."""
    if not session.json:
        say(*side_lines(recovery, session.namespace))


def recovered(session: Session, recovery: Recovery) -> int:
    """Print how it ended, and return the exit code."""
    if recovery.needed:
        return finish(session, recovery.result, recovery_json(recovery))
    if session.json:
        say_json(recovery_json(recovery))
    return REFUSED if recovery.left else DONE


def side_lines(recovery: Recovery, namespace: str) -> list[str]:
    """Lay out what each side says and what will be written."""
    if recovery.fresh:
        lines = [f"namespace {namespace} is empty: it is rebuilt from {recovery.source}"]
    else:
        lines = [f"the key {key} is lost ({why}): it is repaired" for key, why in sorted(recovery.lost.items())]
    weights = [side for side in recovery.sides if side.key == "weights"]
    lines += [
        f"definition of {side.split}: {_definition_words(side)}" for side in recovery.sides if side.key == "splits"
    ]
    lines += weight_lines(weights)
    lines += [f"stop {side.field}: {_stop_words(side)}" for side in recovery.sides if side.key == "stops"]
    lines += [f"{split} is not changed: {why}" for split, why in recovery.left.items()]
    lines += carried_lines(recovery.carried)
    lines += recovery.notes
    if not recovery.needed:
        lines.append("nothing to recover: no process keeps a value against the store")
    return lines


def weight_lines(sides: list[Sides]) -> list[str]:
    """Lay out weights; a side that says nothing at all has no column."""
    if not sides:
        return []
    columns = [("store", [side.store for side in sides])]
    columns += [("fleet", [side.fleet for side in sides])]
    columns += [("file", [side.file for side in sides])]
    shown = [column for column in columns if column[0] == "store" or any(cell is not None for cell in column[1])]
    head = ("candidate", *(name for name, _ in shown), "written")
    rows = zip(*([side.field for side in sides], *([c or "-" for c in cells] for _, cells in shown)), strict=True)
    return table(head, [(*row, side.written or "absent") for row, side in zip(rows, sides, strict=True)])


def recovery_json(recovery: Recovery) -> dict[str, object]:
    """Return it for scripts; definitions may hold units, and only their shape is told."""
    return {
        "source": recovery.source,
        "lost": dict(recovery.lost),
        "fresh": recovery.fresh,
        "left": dict(recovery.left),
        "carried": list(recovery.carried.said),
        "left_out": dict(recovery.carried.left_out),
        "notes": list(recovery.notes),
        "sides": [
            {"key": side.key, "field": side.field, **{name: _value(side, name) for name in Sides._fields[2:]}}
            for side in recovery.sides
        ],
    }


def _value(side: Sides, name: str) -> object:
    text: str | None = getattr(side, name)
    if side.key == "weights":
        return number(text)
    return text if side.key == "stops" or text is None else _shape(side.split, text)


def _stop_words(side: Sides) -> str:
    knew = [
        name
        for name, text in (("the history", side.store), ("the fleet", side.fleet), ("the file", side.file))
        if text is not None
    ]
    return f"set again, as {' and '.join(knew)} has it"


def _definition_words(side: Sides) -> str:
    before = _shape(side.split, side.store) if side.store else "absent"
    after = _shape(side.split, side.written) if side.written else "absent"
    return f"{after}, unchanged" if before == after else f"{before} -> {after}"


def _shape(split: str, text: str) -> str:
    """Return a definition's baseline and candidates, or say that it is none."""
    definition = _parsed(split, text)
    if definition is None:
        return "none"
    return f"{definition.baseline} (baseline), {', '.join(version.name for version in definition.candidates)}"


def _parsed(split: str, text: str) -> Definition | None:
    from graysplit.codec import parse_definition
    from graysplit.errors import BadDefinitionError

    try:
        return parse_definition(split, text.encode(errors="replace"))
    except BadDefinitionError:
        return None
