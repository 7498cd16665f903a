"""The command that takes a change back, where there is one."""

from __future__ import annotations

import shlex
from typing import Final

from graysplit.control.result import Result
from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.weights import parse_weight, share
from graysplit.errors import BadWeightError

# By cause, where it is always the same verb; None: nothing takes it back.
_VERBS: Final[dict[str, str | None]] = {
    "approve": None,
    "create": "delete",
    "freeze": "unfreeze",
    "pause": "resume",
    "protect": "unprotect",
    "ramp": "rollback",
    "rebalance": None,
    "recover": None,
    "resume": "pause",
    "unfreeze": "freeze",
    "unprotect": "protect",
    "unstop": "rollback",
}


# What is said where no command takes a change back.
_NONE: Final[dict[str, str]] = {
    "approve": "none, an approval cannot be withdrawn; stop the plan with: graysplit pause {target}",
    "rebalance": "none, an instance that has crossed stays; bring all of them back with: graysplit rollback {target}",
    "recover": "none, the lost content is not kept; see: graysplit history",
    "rollback": "split by split, as in: graysplit undo {target} --force",
}


def no_way_back(result: Result) -> str | None:
    """Return why no command takes a change back, and the way on; None where one does, or nothing was changed."""
    if not result.change or result.idle or way_back(result) is not None:
        return None
    if result.cause == "rollback" and result.split != EVERYTHING:
        return None  # a stop alone: what it says tells how to clear it
    words = _NONE.get(result.cause)
    lowered = sorted(split_of(field) for field, (before, _) in result.moves.items() if _share(before))
    target = lowered[0] if result.split == EVERYTHING and lowered else _target(result.split)
    return None if words is None else words.format(target=target)


def way_back(result: Result) -> str | None:
    """Return the command that takes back what was written; None where nothing was, or where nothing does."""
    if not result.change or result.idle:
        return None
    if result.cause in _VERBS:
        verb = _VERBS[result.cause]
        return None if verb is None else f"graysplit {verb} {_target(result.split)}"
    risen = [field for field, (before, after) in result.moves.items() if _share(after) > _share(before)]
    if risen:
        alone = len(risen) == 1 and len(result.moves) > 1
        return f"graysplit rollback {risen[0] if alone else split_of(result.split)}"
    ended = any(_share(before) and not _share(after) for before, after in result.moves.values())
    if result.cause == "rollback" and (not ended or result.split == EVERYTHING):
        return None
    return f"graysplit undo {split_of(result.split)}{' --force' if ended else ''}"


def _target(text: str) -> str:
    return "--all" if text == EVERYTHING else shlex.quote(text)


def _share(text: str | None) -> float:
    """Return a weight's share; `preview` is a little more than nothing."""
    try:
        weight = 0 if text is None else parse_weight(text)
    except BadWeightError:
        return 0
    return share(weight) or (0 if weight == 0 else 0.5)
