"""What the reading commands give to scripts: plain values from the same views."""

from __future__ import annotations

from collections.abc import Iterable

from graysplit.control.explain import FleetExplanation
from graysplit.control.undelivered import HookState
from graysplit.control.views import UNKNOWN, Overview, Row, SplitView
from graysplit.control.waves import Crossing
from graysplit.core.fleet import PROMISES, Fleet
from graysplit.core.lease import Lease
from graysplit.core.weights import format_weight
from graysplit.words.entries import entry_json
from graysplit.words.guard import guard_json, guards_json, verdicts_json
from graysplit.words.loss import loss_json
from graysplit.words.plan import plan_json
from graysplit.words.texts import number
from graysplit.words.waves import crossing_json


def overview_json(view: Overview) -> dict[str, object]:
    """Return the overview."""
    return {
        "store": view.store,
        "namespace": view.namespace,
        "revision": view.revision,
        "candidates": [row_json(row) for row in view.rows],
        "unreadable": dict(view.unread),
        "stops": dict(view.stops),
        "undefined": list(view.undefined),
        "freezes": [freeze._asdict() for freeze in view.freezes],
        "finished": dict(view.finished),
        "plans": [plan_json(plan) for plan in view.plans],
        "lost": dict(view.lost),
        "loss": loss_json(view.loss),
        "live": view.live,
        "silent": view.silent,
        "guard": guards_json(view.guards),
        "verdict": verdicts_json(view.verdicts),
        "last": entry_json(view.last) if view.last else None,
        "undelivered": None if view.owed is None else [hook_json(state) for state in view.owed],
    }


def hook_json(state: HookState) -> dict[str, object]:
    """Return what one hook was not told; times are the server's, in ms."""
    return {
        "hook": state.hook,
        "owed": [owed._asdict() for owed in state.owed],
        "oldest_s": state.age_ms // 1000 if state.owed else None,
        "next_ms": state.next_ms,
        "error": state.fault or None,
        "refused": state.refused,
        "given_up": state.given_up,
        "last_given_up": state.last_given_up or None,
        "missed": state.missed,
        "unreadable": state.unread,
    }


def show_json(view: SplitView, namespace: str) -> dict[str, object]:
    """Return one split."""
    definition = view.definition
    return {
        "split": view.split,
        "namespace": namespace,
        "revision": view.revision,
        "baseline": definition.baseline if definition else None,
        "versions": list(definition.names) if definition else None,
        "salt": definition.salt if definition else None,
        "pins": len(definition.pins) if definition else None,
        "denied": len(definition.denied) if definition else None,
        "when_stale": definition.when_stale if definition else None,
        "max_stale": definition.max_stale if definition else None,
        "protected": definition.protected if definition else None,
        "freezes": [freeze._asdict() for freeze in view.freezes],
        "finished_ms": view.finished_ms,
        "plan": plan_json(view.plan) if view.plan else None,
        "guard": guard_json(view.guard),
        "verdict": verdicts_json(view.verdicts),
        "in_flight": definition.in_flight if definition else None,
        "by": definition.by if definition else None,
        "crossings": [crossing_json(crossing) for crossing in view.crossings],
        "unreadable": view.unread,
        "loss": loss_json(view.loss),
        "candidates": [row_json(row) for row in view.rows],
        "redis": dict(view.raw),
        "refused": dict(view.refused),
        "stops": dict(view.stops),
        "releases": dict(view.releases),
        "live": view.live,
        "last": entry_json(view.last) if view.last else None,
    }


def fleet_json(fleet: Fleet, crossings: Iterable[Crossing] = ()) -> dict[str, object]:
    """Return the processes with all they say."""
    states = {process.boot: "silent" for process in fleet.silent} | {process.boot: "gone" for process in fleet.gone}
    return {
        "live": len(fleet.live),
        "silent": len(fleet.silent),
        "gone": len(fleet.gone),
        "crossings": [crossing_json(crossing) for crossing in crossings],
        "processes": [
            {
                "process": process.label,
                "instance": process.instance or process.host,
                "zone": process.zone,
                "boot": process.boot,
                "state": states.get(process.boot, "live"),
                "successor": process.successor or None,
                "seen_ms_ago": fleet.now_ms - process.seen_ms,
                "library": process.library,
                "mode": process.receipt.mode,
                "promise": PROMISES.get(process.receipt.mode),
                "revision": process.receipt.revision,
                "change": process.receipt.change,
                "effects": {field: effect._asdict() for field, effect in process.receipt.effects.items()},
                "refused": list(process.receipt.refused),
                "held": dict(process.receipt.held),
                "durable": process.receipt.durable,
                "off": None if process.receipt.off is None else list(process.receipt.off),
                "mode_why": process.receipt.mode_why,
                "declared": {split: declared._asdict() for split, declared in process.declared.items()},
            }
            for process in (*fleet.processes, *fleet.gone)
        ],
    }


def explained_json(explanation: FleetExplanation) -> dict[str, object]:
    """Return a decision with its ladder, and what each process says."""
    return {
        "split": explanation.split,
        "version": explanation.version,
        "reason": explanation.reason,
        "bucket": explanation.bucket,
        "revision": explanation.revision,
        "ladder": [step._asdict() for step in explanation.ladder],
        "note": explanation.note,
        "store_says": explanation.store_says
        and dict(zip(("version", "reason", "asked"), explanation.store_says, strict=True)),
        "live": len(explanation.live),
        "processes": [answer._asdict() for answer in explanation.processes],
    }


def row_json(row: Row) -> dict[str, object]:
    """Return a candidate's weights."""
    return {
        "split": row.split,
        "version": row.version,
        "asked": None if row.asked == UNKNOWN else number(row.asked),
        "effective": None if row.effective == UNKNOWN else number(row.effective),
        "actual": row.actual,
        "why": row.why,
        "lease": None if row.lease is None else _lease(row.lease),
        "hosts": None if row.crossing is None else _hosts(row.crossing),
    }


def _hosts(crossing: Crossing) -> dict[str, object]:
    return {
        "crossed": len(crossing.crossed),
        "live": crossing.instances,
        "wanted": crossing.wanted,
        "dead": len(crossing.missing),
    }


def _lease(lease: Lease) -> dict[str, object]:
    return {"until_ms": lease.until_ms, "then": number(format_weight(lease.then))}
