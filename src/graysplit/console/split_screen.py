"""A split's page as values: its weights, what holds them, the processes on it, and what was changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from graysplit.console.picture import Picture
from graysplit.console.screen import Said, SplitLine, split_line
from graysplit.control.views import SplitView
from graysplit.core.address import field_of
from graysplit.core.fleet import Fleet, Process
from graysplit.words.fleet import off_lines, unready_lines
from graysplit.words.guard import guard_lines
from graysplit.words.loss import loss_lines
from graysplit.words.notes import freeze_lines
from graysplit.words.plan import gate_lines, plan_lines
from graysplit.words.texts import percent, plural, stop_words
from graysplit.words.waves import crossing_lines

PROCESSES_AT_MOST = 200


class Weights(NamedTuple):
    """One candidate's three weights."""

    name: str
    asked: str
    in_force: str
    processes: str
    why: str


class ProcessLine(NamedTuple):
    """What one process does with a split."""

    label: str
    state: str  # live, silent
    weights: tuple[str, ...]  # in the order of the candidates
    note: str
    tone: str


class Offered(NamedTuple):
    """What may be done with a split now, beside what always may."""

    is_running: bool  # whether a plan runs
    is_paused: bool
    waits_for: str  # the weight of the step that waits for an approval; ""
    is_doubted: bool  # whether a candidate is suspect, and nobody has accepted that
    stops: tuple[str, ...]
    frozen: tuple[str, ...]  # the patterns of the freezes that hold it


class SplitScreen(NamedTuple):
    """One split in full, but for its history and its evidence."""

    split: str
    line: SplitLine
    definition: str
    weights: tuple[Weights, ...]
    plan: tuple[str, ...]
    gates: tuple[str, ...]
    guard: tuple[str, ...]
    said: tuple[Said, ...]
    stops: tuple[tuple[str, str], ...]  # what each holds, and its words
    offered: Offered
    candidates: tuple[str, ...]


def split_screen(picture: Picture, split: str) -> SplitScreen | None:
    """Return a split's page; None before the first look, and where neither the store nor the fleet knows the split."""
    if picture.look is None:
        return None
    view = picture.look.split(split, picture.lasts.get(split))
    lost = view.loss is not None and split in view.loss.splits
    if view.definition is None and view.unread is None and not view.raw and not lost:
        return None
    overview = picture.look.overview
    plan = view.plan
    waiting = plan is not None and any(gate.name == "approve" and not gate.open for gate in plan.gates)
    line = split_line(picture, overview, split, view.rows)
    offered = Offered(
        line.is_running,
        line.is_paused,
        (plan.ahead or "") if plan is not None and waiting else "",
        any(heard.doubted for heard in view.verdicts.values()),
        tuple(sorted(view.stops)),
        tuple(freeze.pattern for freeze in view.freezes),
    )
    return SplitScreen(
        split,
        line,
        _definition(view),
        tuple(
            Weights(row.version, percent(row.asked), percent(row.effective), row.actual, row.why) for row in view.rows
        ),
        tuple(plan_lines(plan)) if plan else (),
        tuple(gate_lines(plan)) if plan else (),
        tuple(guard_lines(view)),
        tuple(_said(view, picture.look.fleet)),
        tuple((field, stop_words(field, text)) for field, text in sorted(view.stops.items())),
        offered,
        tuple(row.version for row in view.rows),
    )


def processes_of(picture: Picture, screen: SplitScreen) -> tuple[tuple[ProcessLine, ...], int]:
    """Return all processes, those first that are not on a split's weights, and how many are not named."""
    if picture.look is None:
        return (), 0
    fleet, revision = picture.look.fleet, picture.look.overview.revision
    live = {process.boot for process in fleet.live}
    found = [_shown(process, screen, revision, is_live=process.boot in live) for process in fleet.processes]
    found.sort(key=lambda shown: (shown.tone == "calm", shown.label))
    return tuple(found[:PROCESSES_AT_MOST]), max(0, len(found) - PROCESSES_AT_MOST)


def _shown(process: Process, screen: SplitScreen, revision: int, *, is_live: bool) -> ProcessLine:
    effects = process.receipt.effects
    said: list[str] = []
    notes: list[str] = []
    for weights in screen.weights:
        effect = effects.get(field_of(screen.split, weights.name))
        if effect is None:
            said.append(weights.in_force if process.receipt.revision >= revision else "not told yet")
        else:
            said.append(percent(effect.weight))
            notes += [effect.why] if effect.why else []
            notes += [f"{plural(effect.running, 'call')} still running"] if effect.running else []
    off = any(word != weights.in_force for word, weights in zip(said, screen.weights, strict=True))
    differs = process.receipt.baselines.get(screen.split)
    notes += [differs] if differs else []
    notes += [] if screen.split in process.declared else ["its code does not declare it"]
    state = "live" if is_live else "silent (dead or cut off)"
    return ProcessLine(
        process.label, state, tuple(said), ", ".join(dict.fromkeys(notes)), "calm" if is_live and not off else "warn"
    )


def _definition(view: SplitView) -> str:
    definition = view.definition
    if definition is None:
        return ""
    names = ", ".join(name for name in definition.names if name != definition.baseline)
    pins = f"; pins: {len(definition.pins)}, denied: {len(definition.denied)}"
    return f"baseline {definition.baseline}; candidates {names}; salt {definition.salt}{pins}"


def _said(view: SplitView, fleet: Fleet) -> Iterable[Said]:
    yield from (Said("bad", line.strip()) for line in loss_lines(view.loss, view.split))
    if view.unread is not None:
        yield Said("bad", f"the definition is refused; the last good one stays in force: {view.unread}")
    yield from (Said("bad", f"refused: {at}: {why}") for at, why in sorted(view.refused.items()))
    yield from (Said("warn", line) for line in off_lines(fleet))
    yield from (Said("warn", line) for line in unready_lines(fleet) if line.startswith(f"{view.split}/"))
    yield from (Said("calm", line) for line in crossing_lines(view.crossings))
    yield from (Said("calm", line) for line in freeze_lines(view.freezes))
    if view.definition is not None and view.definition.protected:
        yield Said("calm", "protected: a raise needs a reason and the typed name")
    if view.finished_ms is not None:
        yield Said("calm", "finished: a rollback of everything leaves it alone")
