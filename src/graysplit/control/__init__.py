"""The command line's verbs, for programs, and what they return and raise.

A table of contents, as `graysplit` itself: each name is imported from its module when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graysplit.control.agreement import Confirm, Question
    from graysplit.control.batch import ChangeBatch
    from graysplit.control.control import Control
    from graysplit.control.doctor import Finding
    from graysplit.control.explain import FleetExplanation
    from graysplit.control.guard.report import SplitReport
    from graysplit.control.plan.awaited import Awaited
    from graysplit.control.recovery.recovery import Recovery
    from graysplit.control.result import Confirmed, Receipts, Result
    from graysplit.control.simulate import Simulation
    from graysplit.control.steps import Step
    from graysplit.control.stop_note import StopNote
    from graysplit.control.switch import OvertakenError, SwitchStep
    from graysplit.control.targets import Names
    from graysplit.control.undelivered import HookState
    from graysplit.control.views import Overview, SplitView
    from graysplit.control.wait import Outcome, Until, Waited
    from graysplit.control.waves import Crossing
    from graysplit.core.durations import BadSpanError
    from graysplit.core.entry import Entry
    from graysplit.core.fleet import Fleet, Process
    from graysplit.core.guard.settings import BadGuardError
    from graysplit.core.plan.plan import BadPlanError
    from graysplit.core.standby import Standby
    from graysplit.stores.port import Followed

_ROOMS = {
    "Awaited": "graysplit.control.plan.awaited",
    "BadGuardError": "graysplit.core.guard.settings",
    "BadPlanError": "graysplit.core.plan.plan",
    "BadSpanError": "graysplit.core.durations",
    "ChangeBatch": "graysplit.control.batch",
    "Confirm": "graysplit.control.agreement",
    "Confirmed": "graysplit.control.result",
    "Control": "graysplit.control.control",
    "Crossing": "graysplit.control.waves",
    "Entry": "graysplit.core.entry",
    "FleetExplanation": "graysplit.control.explain",
    "Finding": "graysplit.control.doctor",
    "Fleet": "graysplit.core.fleet",
    "Followed": "graysplit.stores.port",
    "HookState": "graysplit.control.undelivered",
    "Names": "graysplit.control.targets",
    "OvertakenError": "graysplit.control.switch",
    "Overview": "graysplit.control.views",
    "Process": "graysplit.core.fleet",
    "Question": "graysplit.control.agreement",
    "Receipts": "graysplit.control.result",
    "Recovery": "graysplit.control.recovery.recovery",
    "Result": "graysplit.control.result",
    "Simulation": "graysplit.control.simulate",
    "SplitReport": "graysplit.control.guard.report",
    "SplitView": "graysplit.control.views",
    "Standby": "graysplit.core.standby",
    "Step": "graysplit.control.steps",
    "StopNote": "graysplit.control.stop_note",
    "SwitchStep": "graysplit.control.switch",
    "Until": "graysplit.control.wait",
    "Outcome": "graysplit.control.wait",
    "Waited": "graysplit.control.wait",
}

__all__ = [
    "Awaited",
    "BadGuardError",
    "BadPlanError",
    "BadSpanError",
    "ChangeBatch",
    "Confirm",
    "Confirmed",
    "Control",
    "Crossing",
    "Entry",
    "Finding",
    "Fleet",
    "FleetExplanation",
    "Followed",
    "HookState",
    "Names",
    "Outcome",
    "OvertakenError",
    "Overview",
    "Process",
    "Question",
    "Receipts",
    "Recovery",
    "Result",
    "Simulation",
    "SplitReport",
    "SplitView",
    "Standby",
    "Step",
    "StopNote",
    "SwitchStep",
    "Until",
    "Waited",
]


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_ROOMS[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted(_ROOMS)
