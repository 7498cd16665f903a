"""What prepares a version before it takes over: one hook, and how that stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from graysplit.core.durations import BadSpanError, Span, seconds
from graysplit.errors import RegistrationError
from graysplit.routes.origin import Origin, origin_of
from graysplit.routes.signature import FUNCTION, described, shape_of

READY: Final = ""
WARMING: Final = "warming"
REFUSED: Final = "answered False"
LATE: Final = "not back from its last warm-up"
NEVER: Final = float("inf")
_TYPE_AT_MOST: Final = 100


class WarmupHook:
    """What prepares one version here, and how that stands. Written by the thread that runs it, read by all."""

    __slots__ = ("busy", "due", "every_s", "function", "place", "reason")

    def __init__(self, function: Callable[[], object], every_s: float | None) -> None:
        """Begin due; with `every_s` it is due again so many seconds after each start."""
        self.function = function
        self.every_s = every_s
        self.place: Origin = origin_of(function)
        self.reset()

    def reset(self) -> None:
        """Begin anew: what was prepared in a parent process is not prepared in its child."""
        self.reason = WARMING
        self.due = 0.0  # monotonic time
        self.busy = False  # handed over, and not back yet

    def run(self) -> None:
        """Prepare, and note how it ended; what it raises passes through, to be said in the log."""
        try:
            answer = _answer(self.function)
        except BaseException as fault:
            self.reason = f"failed: {_kind(fault)}"
            raise
        else:
            self.reason = REFUSED if answer is False else READY
        finally:
            self.busy = False


def _answer(function: Callable[[], object]) -> object:
    answer = function()
    if hasattr(answer, "__await__"):
        raise TypeError("the hook returned an awaitable, which is never awaited: call asyncio.run() in it")
    return answer


def _kind(fault: BaseException) -> str:
    name = type(fault).__name__[:_TYPE_AT_MOST]
    return name if name.isprintable() else "exception"


def make_hook(split: str, version: str, function: Callable[[], object], every: Span | None) -> WarmupHook:
    """Make a version's hook, or raise `RegistrationError` for what cannot be called so."""
    where = f"split '{split}', version '{version}': "
    shape = shape_of(function)
    required = [parameter.name for parameter in shape.parameters if not parameter.optional]
    if shape.mode != FUNCTION:
        raise RegistrationError(
            f"{where}{described(function)} is a {shape.mode}, but a hook runs in a thread of its own: give a plain "
            "function, which may call asyncio.run()"
        )
    if required:
        raise RegistrationError(
            f"{where}{described(function)} asks for {', '.join(required)}, but a hook is called without arguments"
        )
    return WarmupHook(function, None if every is None else _every(where, every))


def _every(where: str, every: Span) -> float:
    try:
        found = seconds(every)
    except BadSpanError:
        found = 0.0
    if not 0 < found < NEVER:
        raise RegistrationError(f'{where}invalid every={every!r}: use a time above zero, as in every="30s" or every=30')
    return found
