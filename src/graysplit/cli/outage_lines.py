"""What is printed where the store is of no use: what is wrong, whether anything was written, and both ways out."""

from __future__ import annotations

from typing import Final

from graysplit.cli.output import COPY
from graysplit.errors import StoreUnreachableError

_WORDS: Final = {
    True: "What was written before it stands",
    False: "Nothing was written",
    None: "Whether the change was written is not known. Look: graysplit history",
}


def written_words(fault: StoreUnreachableError, written: bool | None) -> str:  # noqa: FBT001 - None: not known
    """Say whether a change was written, unless the reason says how far."""
    return "" if fault.written else _WORDS[written]


def outage_lines(fault: StoreUnreachableError, written: str) -> list[str]:
    """Return what is wrong and the commands that help, each on a line of its own."""
    lines = [f"graysplit: {fault.fault}" + (f". {written}" if written else "")]
    if fault.mend:
        lines += ["to have it take writes again (then give the command again):", f"{COPY}{fault.mend}"]
    return [
        *lines,
        "to send everything to the baseline without it, type this on every machine that",
        "runs the application, or start it again there with GRAYSPLIT_OFF='*':",
        f'{COPY}echo "*" > "$GRAYSPLIT_OFF_FILE"',
    ]
