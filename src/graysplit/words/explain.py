"""How a decision is explained: the ladder, the rung that answered, and the processes that answer otherwise."""

from __future__ import annotations

from graysplit.control.doctor import some
from graysplit.control.explain import FleetExplanation
from graysplit.words.texts import plural


def explain_lines(explanation: FleetExplanation) -> list[str]:
    """Return the ladder from the top to the rung that answered."""
    bucket = "" if explanation.bucket is None else f", hashed to {explanation.bucket}"
    where = _where(explanation)
    lines = [
        (
            f"{explanation.split}: {explanation.version} "
            f"({explanation.reason}{bucket}, revision {explanation.revision}){where}"
        )
    ]
    for step in explanation.ladder:
        mark = f"-> {step.version}" if step.version is not None else "passed"
        lines.append(f"  {step.reason:9} {mark:12} {step.asked}")
    if explanation.note:
        lines.append(explanation.note)
    if explanation.store_says is not None:
        version, reason, asked = explanation.store_says
        lines.append(f"by the store alone: {version} ({reason}: {asked})")
    apart: dict[str, list[str]] = {}
    for answer in explanation.apart:
        said = "not known" if answer.version is None else f"{answer.version} ({answer.reason})"
        apart.setdefault(f"{said}: {answer.says}", []).append(answer.process)
    return lines + [f"{some(labels)}: {said}" for said, labels in apart.items()]


def _where(explanation: FleetExplanation) -> str:
    """Return in how many of the live processes the answer is this one."""
    if not explanation.live:
        return "; no live process"
    same = sum(answer.version == explanation.version for answer in explanation.live)
    return f" in {same} of {plural(len(explanation.live), 'live process', 'live processes')}"
