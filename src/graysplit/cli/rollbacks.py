"""What rollbacks print: each as any change is, and at the end each target that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graysplit.cli.exits import DONE, NO_SUCH_SPLIT, UNCONFIRMED
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.result_lines import told
from graysplit.cli.session import Session
from graysplit.control.inputs import check_target
from graysplit.control.result import Result
from graysplit.control.targets import Names
from graysplit.core.address import EVERYTHING
from graysplit.core.limits import TYPED
from graysplit.errors import GraysplitError, StoreUnreachableError
from graysplit.stores.port import Followed
from graysplit.words.result import dry_run_lines, result_json, written_lines
from graysplit.words.texts import plural

NAMED_AT_MOST: Final = 5  # namespaces that are followed, where this one is not

# The worst of several, the first of these that one of them has.
_WORST: Final = (NO_SUCH_SPLIT, UNCONFIRMED)


def roll_back(session: Session, targets: Sequence[str], why: str, *, dry_run: bool) -> int:
    """Write all, then tell of each what it reached; return the worst exit code. The unknown ones come last."""
    for target in targets:
        check_target(target)  # before anything is written: what cannot be a name is wrong usage
    if len(why) > TYPED["reason"]:
        tell(f"the reason has {len(why)} characters; it is cut to {TYPED['reason']}")
    results, fault = _written(session, targets, why, dry_run=dry_run)
    codes: list[int] = []
    for result in sorted(results, key=lambda found: found.known is not True):
        document, code = _told(session, result, several=len(targets) > 1)
        session.documents.append({**document, "exit": code})
        codes.append(code)
    if fault is not None:
        if results:
            tell(f"not rolled back: {', '.join(targets[len(results) :])}")
        raise fault
    worst = next((code for code in _WORST if code in codes), DONE)
    if session.json:
        several: dict[str, object] = {"cause": "rollback", "rollbacks": session.documents, "exit": worst}
        say_json(session.documents[0] if len(targets) == 1 else several)
    return worst


def _written(
    session: Session, targets: Sequence[str], why: str, *, dry_run: bool
) -> tuple[list[Result], GraysplitError | None]:
    """Write one after the other until the store takes no more; return the fault that ended it."""
    results: list[Result] = []
    for target in targets:
        try:
            result = session.control.rollback(target, why=why, dry_run=dry_run)
        except GraysplitError as fault:
            return results, fault
        results.append(result)
        session.written = session.written if dry_run else result
    return results, None


def _told(session: Session, result: Result, *, several: bool) -> tuple[dict[str, object], int]:
    """Print one rollback, and return its JSON and its exit code."""
    out = tell if session.json else say
    if result.known:
        if not result.dry_run:
            return told(session, result, f"{result.split}: " if several else "")
        out(*dry_run_lines(result))
        return result_json(result), DONE
    if not result.dry_run:
        out(*written_lines(result))
    try:
        names = session.control.names()
    except StoreUnreachableError as lost:
        line = f"NOT CONFIRMED: cannot check whether {_quoted(result.split)} exists ({lost.reason})"
        out("See: graysplit list", line)
        return {**result_json(result), "error": line}, UNCONFIRMED
    if result.known is None:
        line = f"NOT CONFIRMED: no {_unknown(session, names, result.split)}, but some keys there cannot be read"
        out("See: graysplit doctor", line)
        return {**result_json(result), "error": line}, UNCONFIRMED
    line = f"NOT ROLLED BACK: {_unknown(session, names, result.split)}"
    nearest = names.nearest(result.split)
    followed = _followed(session, names)
    out(*_hints(session, result, nearest, followed), line)
    listed = None if followed is None else [one._asdict() for one in followed]
    return {**result_json(result), "nearest": nearest, "followed": listed, "error": line}, NO_SUCH_SPLIT


def _unknown(session: Session, names: Names, target: str) -> str:
    """Return what there is not, and where."""
    split, slash, version = target.partition("/")
    at = f"in {session.place}"
    if target == EVERYTHING:
        return f"no split {at}"
    if names.is_baseline(target):
        return f"'{version}' is the baseline of split '{split}' {at}"
    if slash and split in names.splits:
        return f"no candidate '{version}' of split '{split}' {at}"
    return f"no split '{split}' {at}"


def _followed(session: Session, names: Names) -> tuple[Followed, ...] | None:
    """Look for namespaces that are followed, where this one is not; None where nobody looked or the server refuses."""
    if names.followed:
        return None
    try:
        return session.control.followed()
    except GraysplitError:
        return None


def _hints(session: Session, result: Result, nearest: str | None, followed: tuple[Followed, ...] | None) -> list[str]:
    """Return what was written all the same, and what may have been meant."""
    target = result.split
    lines: list[str] = []
    if not result.dry_run:
        stop = "'*'" if target == EVERYTHING else target
        lines.append(f"a stop was added under that name; remove it with: graysplit unstop {stop}")
    if nearest is not None:
        lines += [
            f"Did you mean {'everything' if nearest == EVERYTHING else repr(nearest)}?",
            f"  $ graysplit rollback {'--all' if nearest == EVERYTHING else nearest}{session.options}",
        ]
    elif followed is None:
        lines.append("See all splits with: graysplit list")
    if followed is not None:
        lines += _followed_lines(followed)
    return lines


def _followed_lines(followed: tuple[Followed, ...]) -> list[str]:
    if not followed:
        return ["no process follows this namespace, and graysplit found none in other namespaces here"]
    lines = ["no process follows this namespace. On this server, live processes follow:"]
    lines += [
        f"  namespace {one.namespace}, database {one.database}: {plural(one.live, 'process', 'processes')}"
        for one in followed[:NAMED_AT_MOST]
    ]
    more = len(followed) - NAMED_AT_MOST
    lines += [f"  and {plural(more, 'namespace')} more"] if more > 0 else []
    return [*lines, "Choose one with: --namespace NAME; the database is the last part of --url"]


def _quoted(target: str) -> str:
    return "any split" if target == EVERYTHING else f"'{target}'"
