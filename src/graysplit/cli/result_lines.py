"""What a change prints: the written line first, the receipts second."""

from __future__ import annotations

from collections.abc import Mapping

from graysplit.cli.exits import DONE, UNCONFIRMED
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.session import Session
from graysplit.control.result import Receipts, Result
from graysplit.errors import StoreUnreachableError
from graysplit.words.kept import Declared, declared_by, left_json, left_lines
from graysplit.words.result import copies_line, done_words, dry_run_lines, receipt_lines, result_json, written_lines
from graysplit.words.way_back import no_way_back, way_back


def finish_note(session: Session, result: Result) -> int:
    """Print what was noted; where it was so already, there is nothing to wait for."""
    if result.change or result.dry_run:
        return finish(session, result)
    if session.json:
        say_json(result_json(result))
    else:
        say(*result.notes)
    return DONE


def finish(session: Session, result: Result, more: Mapping[str, object] = {}) -> int:
    """Print what was written, wait for the receipts unless told not to, and return the exit code.

    `more` stands beside it in JSON.
    """
    if result.dry_run:
        _print(session, result, dry_run_lines(result), more)
        return DONE
    document, code = told(session, result)
    if session.json:
        say_json({**document, **more})
    return code


def told(session: Session, result: Result, name: str = "") -> tuple[dict[str, object], int]:
    """Print what was written and, unless nobody waits, its receipts; return its JSON and the exit code.

    `name` stands before the receipts where several are told of.
    """
    session.written = result
    (tell if session.json else say)(*written_lines(result))
    more: dict[str, object] = {}
    if result.left:
        declared = _declared_by(session, result)
        more = {"kept": left_json(result, declared)}
        (tell if session.json else say)(*left_lines(result, declared))
    if result.unrecorded:
        tell(f"the change is in force, but the history has no entry for it: {result.unrecorded}")
    receipts, code = None, DONE
    if session.wait_s is not None:
        result = _count_copies(session, result)
        receipts, code = _wait(session, result, session.wait_s, name)
    tell_way_back(result)
    return {**result_json(result, receipts), **more}, code


def tell_way_back(result: Result) -> None:
    """Print the command that takes a change back, where there is one."""
    back = way_back(result) or no_way_back(result)
    if back is not None:
        tell(f"the way back: {back}")


def _wait(session: Session, result: Result, wait_s: float, name: str) -> tuple[Receipts | None, int]:
    try:
        receipts = session.control.wait_confirmed(result, wait_s).receipts
    except StoreUnreachableError as fault:
        tell(f"written, but the receipts cannot be read: {fault.reason}. See them with: graysplit fleet")
        return None, UNCONFIRMED
    first, *rest = receipt_lines(receipts, done_words(result))
    (tell if session.json else say)(name + first, *rest)
    return receipts, DONE if receipts.complete or receipts.nobody else UNCONFIRMED


def _declared_by(session: Session, result: Result) -> Declared | None:
    try:
        return declared_by(session.control.fleet(), result)
    except StoreUnreachableError:
        return None  # whoever reads the receipts next says so


def _count_copies(session: Session, result: Result) -> Result:
    """Return how many replicas have a rollback: one that no replica has dies with its primary."""
    if result.cause != "rollback" or not result.at_ms:
        return result
    try:
        result = session.control.with_copies(result)
    except StoreUnreachableError:
        return result  # whoever reads the receipts next says so
    if result.copies is not None:
        (tell if session.json else say)(copies_line(result.copies, result.split))
    return result


def _print(session: Session, result: Result, lines: list[str], more: Mapping[str, object]) -> None:
    if session.json:
        say_json({**result_json(result), **more})
    else:
        say(*lines)
