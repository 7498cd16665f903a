"""What `wait` prints, and the exit code that a pipeline goes by."""

from __future__ import annotations

from typing import Final

from graysplit.cli.exits import DONE, UNCONFIRMED, UNHEALTHY
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.plan.lines import plan_json, plan_words
from graysplit.cli.result_lines import receipt_lines, receipts_json
from graysplit.cli.session import Session
from graysplit.control.wait import Waited

_WORDS: Final = {"met": "", "undone": "will not be reached: ", "late": "not yet: "}


def wait(session: Session, target: str, until: str, timeout_s: float) -> int:
    """Wait, and say how it ended."""
    found = session.control.wait_until(target, until, timeout_s, tell)
    code = _code(found, until)
    if session.json:
        plan = plan_json(found.plan) if found.plan else None
        said = {"split": target, "until": until, "outcome": found.outcome, "why": found.why, "plan": plan}
        say_json({**said, **receipts_json(found.receipts), "exit": code})
    else:
        say(*_lines(found, target))
    return code


def _code(found: Waited, until: str) -> int:
    if found.outcome == "undone":
        return UNHEALTHY
    sure = until == "done" or found.receipts.complete
    return DONE if found.outcome == "met" and sure else UNCONFIRMED


def _lines(found: Waited, target: str) -> list[str]:
    lines: list[str] = []
    why = found.why or ("" if found.plan is None or found.outcome != "late" else plan_words(found.plan))
    if why:
        lines.append(f"{target}: {_WORDS[found.outcome]}{why}")
    if found.outcome == "undone":
        lines.append(f"See: graysplit history {target.partition('/')[0]}")
    return lines + receipt_lines(found.receipts)
