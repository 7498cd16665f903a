"""What a stop says of itself: by whom, when and why; one set by hand may say anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, cast

from graysplit.core.limits import NAME_AT_MOST, shown


class StopNote(NamedTuple):
    """One stop's note; it is read when it is asked, as most commands do not ask."""

    text: str  # as the store holds it

    @property
    def who(self) -> str:
        """Return who stopped it; "" where the note does not say."""
        return shown(str(self.fields.get("who") or ""), NAME_AT_MOST)

    @property
    def at_ms(self) -> int | None:
        """Return when, by the server's time; None where the note does not say."""
        at = self.fields.get("at")
        return at if isinstance(at, int) else None

    @property
    def why(self) -> str:
        """Return why; "" where the note does not say."""
        return shown(str(self.fields.get("why") or ""))

    @property
    def fields(self) -> dict[str, object]:
        """Return the note's fields; none where it is not an object of JSON."""
        import json

        try:
            decoded: object = json.loads(self.text)
        except (ValueError, RecursionError):
            return {}
        # Any: what JSON holds is not known; its keys are always texts.
        return cast("dict[str, Any]", decoded) if isinstance(decoded, dict) else {}


NotePair: TypeAlias = tuple[StopNote | None, StopNote | None]  # before a change, and after it


def stop_notes(
    texts: Mapping[str, tuple[str | None, str | None]],
) -> dict[str, NotePair]:
    """Return the notes of stops before and after a change, by field; None where there is no stop."""
    return {field: (_note(before), _note(after)) for field, (before, after) in texts.items()}


def stop_texts(
    notes: Mapping[str, tuple[StopNote | None, StopNote | None]],
) -> dict[str, tuple[str | None, str | None]]:
    """Return the texts of notes, as the store holds them."""
    return {field: (before and before.text, after and after.text) for field, (before, after) in notes.items()}


def _note(text: str | None) -> StopNote | None:
    return None if text is None else StopNote(text)
