"""What is printed where the store is of no use: what is wrong, whether anything was written, and both ways out."""

from __future__ import annotations

from typing import Final

from graysplit.errors import StoreUnreachableError
from graysplit.words.commands import COPY

_WORDS: Final = {
    True: "Earlier writes of this command are in the store",
    False: "Nothing was written",
    None: "It is not known whether the change was written. See: graysplit history",
}


def written_words(fault: StoreUnreachableError, written: bool | None) -> str:  # noqa: FBT001 - None: not known
    """Return whether a change was written, unless the reason says how far."""
    return "" if fault.written else _WORDS[written]


def outage_lines(fault: StoreUnreachableError, written: str) -> list[str]:
    """Return what is wrong and the commands that help, each on a line of its own."""
    lines = [f"graysplit: {fault.fault}" + (f". {written}" if written else "")]
    if fault.mend:
        lines += ["to make the store writable again (then repeat the command):", f"{COPY}{fault.mend}"]
    return [
        *lines,
        "to send everything to the baseline without the store, run this on every machine",
        "of the application, or restart the application there with GRAYSPLIT_OFF='*':",
        f'{COPY}echo "*" > "$GRAYSPLIT_OFF_FILE"',
    ]
