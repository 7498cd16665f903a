"""What `wait` prints, and the exit code that a pipeline goes by."""

from __future__ import annotations

from typing import Final, cast

from graysplit.cli.exits import DONE, UNCONFIRMED, UNHEALTHY
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.session import Session
from graysplit.control.wait import Until, Waited
from graysplit.words.plan import plan_json, plan_words
from graysplit.words.result import receipt_lines, receipts_json

_WORDS: Final = {"met": "", "undone": "will not be reached: ", "late": "not yet: "}


def wait(session: Session, target: str, until: str, timeout_s: float) -> int:
    """Wait, and say how it ended."""
    waited = session.control.wait_until(target, cast("Until", until), timeout_s, tell)  # or a weight, as typed
    code = _code(waited, until)
    if session.json:
        plan = plan_json(waited.plan) if waited.plan else None
        said = {"split": target, "until": until, "outcome": waited.outcome, "why": waited.why, "plan": plan}
        say_json({**said, **receipts_json(waited.receipts), "exit": code})
    else:
        say(*_lines(waited, target))
    return code


def _code(waited: Waited, until: str) -> int:
    if waited.outcome == "undone":
        return UNHEALTHY
    sure = until == "done" or waited.receipts.complete
    return DONE if waited.outcome == "met" and sure else UNCONFIRMED


def _lines(waited: Waited, target: str) -> list[str]:
    lines: list[str] = []
    why = waited.why or ("" if waited.plan is None or waited.outcome != "late" else plan_words(waited.plan))
    if why:
        lines.append(f"{target}: {_WORDS[waited.outcome]}{why}")
    if waited.outcome == "undone":
        lines.append(f"See: graysplit history {target.partition('/')[0]}")
    return lines + receipt_lines(waited.receipts)
