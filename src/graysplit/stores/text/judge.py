"""The text of a judge, as it stands in a tally and comes back with every flush.

Reading is tolerant: what is not a judge's text is nobody's, and the next evaluator takes over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.verdict import Verdict
from graysplit.core.guard.windows import WindowTotals
from graysplit.stores.text.records import dumps


def judge_text(judge: Judge) -> str:
    """Write who judges, the verdict and the cursor; the counts behind a verdict stand in the tally itself."""
    verdict = judge.verdict
    said: dict[str, object] = {
        **judge._asdict(),
        "verdict": {"word": verdict.word, "why": verdict.why} | ({"note": verdict.note} if verdict.note else {}),
        "cursor": {name: list(found) for name, found in judge.cursor.items()},
    }
    unsaid = Judge._field_defaults
    return dumps({name: value for name, value in said.items() if value not in ({}, ()) and value != unsaid[name]})


def read_judge(text: str) -> Judge:
    """Read a judge; nobody's where the text is none."""
    import json

    try:
        said: object = json.loads(text) if text else {}
        return _judge(cast("Mapping[str, object]", said)) if isinstance(said, dict) else Judge()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Judge()


def _judge(said: Mapping[str, object]) -> Judge:
    verdict = cast("Mapping[str, str]", said.get("verdict", {}))
    cursor = cast("Mapping[str, Sequence[int]]", said.get("cursor", {}))
    minute = cast("Sequence[Sequence[int]]", said.get("minute", ()))
    unsaid = Judge()
    return Judge(
        str(said.get("nonce", "")),
        int(cast("int", said.get("at_ms", 0))),
        _verdict(verdict) if "word" in verdict else unsaid.verdict,
        int(cast("int", said.get("stage", 0))),
        int(cast("int", said.get("share", 0))),
        {name: WindowTotals(int(calls), int(repeats), int(units)) for name, (calls, repeats, units) in cursor.items()},
        tuple(str(name) for name in cast("Sequence[str]", said.get("dead", ()))),
        str(said.get("lost", "")),
        str(said.get("doubt", "")),
        str(said.get("noted", "")),
        int(cast("int", said.get("sampled_s", 0))),
        tuple((int(second), int(calls), int(failed)) for second, calls, failed in minute),
        said.get("calm") is True,
    )


def _verdict(said: Mapping[str, str]) -> Verdict:
    return Verdict(str(said["word"]), str(said.get("why", "")), note=str(said.get("note", "")))
