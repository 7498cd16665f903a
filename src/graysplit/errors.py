"""The conditions graysplit reports as exceptions, each with the sentence that tells the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Self, TypeVar

__all__ = [
    "BadDefinitionError",
    "BadNameError",
    "BadValueError",
    "BadWeightError",
    "ConfigurationError",
    "ConflictError",
    "GraysplitError",
    "NotYetError",
    "RefusedError",
    "RegistrationError",
    "SignatureMismatchError",
    "StoreCorruptError",
    "StoreLostError",
    "StoreUnreachableError",
    "UnknownSplitError",
    "UnknownVersionError",
]


class GraysplitError(Exception):
    """The root of all errors raised by graysplit; a decision never raises one (law 5).

    Each of them is copied and pickled as it is, whatever its constructor takes: message, data, notes and cause. What
    could not be read by the other process (a cause that refuses) arrives as its text, for an error that cannot be read
    there would leave a process pool without an answer.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Return what makes it anew without its constructor; used by pickle and deepcopy."""
        data = {name: value for name, value in vars(self).items() if _survives(value)}
        cause = self.__cause__
        if cause is not None and not _survives(cause):
            cause = Exception(f"{type(cause).__name__}: {cause}")
        return _blank, (type(self), self.args), data | _chained(self, cause)

    def __copy__(self) -> Self:
        """Return the same error: data and cause are shared."""
        copied = _blank(type(self), self.args)
        copied.__setstate__(vars(self) | _chained(self, self.__cause__))
        return copied


E = TypeVar("E", bound="GraysplitError")


def _blank(kind: type[E], args: tuple[object, ...]) -> E:
    """Make an error of a kind as it was printed, before it has its data."""
    return kind.__new__(kind, *args)


def _chained(error: BaseException, cause: BaseException | None) -> dict[str, object]:
    """Return what stands beside an error's own data."""
    return {"__cause__": cause, "__suppress_context__": error.__suppress_context__}


def _survives(value: object) -> bool:
    """Return whether a value can be written and read again; some exceptions can be written only."""
    import pickle

    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - written one moment before
    except Exception:  # noqa: BLE001 - whatever another's class raises
        return False
    return True


class ConfigurationError(GraysplitError):
    """A router, store or program was set up in a way that cannot work."""


class RegistrationError(ConfigurationError):
    """Two places in the code claim one name, or a function cannot be routed."""


class SignatureMismatchError(RegistrationError):
    """A candidate does not take every call that the baseline takes."""

    def __init__(self, split: str, version: str, differences: Sequence[str]) -> None:
        """Keep the names and the differences, one sentence each."""
        self.split = split
        self.version = version
        self.differences = tuple(differences)
        listed = "; ".join(self.differences)
        super().__init__(
            f"version '{version}' of split '{split}' does not take every call that the baseline takes: {listed}. "
            "Give it the baseline's parameters (extra ones need defaults)."
        )


class BadValueError(GraysplitError, ValueError):
    """A typed or stored value is not valid."""


def _shown(text: str) -> str:
    """Return a text as it was typed, or how it begins: an error is one line, whatever was typed."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text)} characters)"


_SHOWN: Final = 200


class BadWeightError(BadValueError):
    """A text is not a valid weight."""

    def __init__(self, text: str) -> None:
        """Keep the text as it was given."""
        self.text = text
        super().__init__(
            f"invalid weight {_shown(text)}: use 0 to 100 with up to three decimals (20 or 12.5), or preview"
        )


class BadNameError(BadValueError):
    """A split or version name is outside the alphabet."""

    def __init__(self, name: str) -> None:
        """Keep the name as it was given."""
        self.name = name
        super().__init__(
            f"invalid name {_shown(name)}: use 1 to 100 characters of a-z 0-9 . _ - beginning with a letter or digit"
        )


class BadDefinitionError(BadValueError):
    """A definition in the store, or one about to be written, does not hold together."""

    def __init__(self, split: str, field: str, reason: str) -> None:
        """Keep split, field path (empty for the whole) and reason apart for status and doctor."""
        self.split = split
        self.field = field
        self.reason = reason
        where = f"split '{split}', {field}" if field else f"split '{split}'"
        super().__init__(f"{where}: {reason}")


class UnknownSplitError(GraysplitError):
    """The split does not exist."""

    def __init__(self, split: str, known: Iterable[str] = ()) -> None:
        """Keep the name and suggest the nearest of the known ones."""
        self.split = split
        self.known = tuple(sorted(known))
        self.suggestion = nearest(split, self.known)
        hint = f" Did you mean '{self.suggestion}'?" if self.suggestion else ""
        super().__init__(
            f"no split '{split}'.{hint} See the known ones with: graysplit list; "
            f"or create it with: graysplit create {split}"
        )


class UnknownVersionError(GraysplitError):
    """A split has no version of this name."""

    def __init__(self, split: str, version: str, known: Iterable[str]) -> None:
        """Keep the names; the message lists the known versions."""
        self.split = split
        self.version = version
        self.known = tuple(known)
        self.suggestion = nearest(version, self.known)
        hint = f" Did you mean '{self.suggestion}'?" if self.suggestion else ""
        new = "" if self.suggestion else f"; add a candidate with: graysplit create {split} --add {version}"
        super().__init__(
            f"split '{split}' has no version '{version}' (known: {', '.join(self.known)}).{hint} "
            f"See it with: graysplit show {split}{new}"
        )


class RefusedError(GraysplitError):
    """A change was understood and is not made; the message says why and what to type instead."""


class NotYetError(RefusedError):
    """A plan's step is not due by the server's own clock, or the server has just started."""


class ConflictError(GraysplitError):
    """The split was changed by someone else since it was read; nothing was written."""

    def __init__(self, split: str, expected: str, found: str) -> None:
        """Keep what was expected and what was found, as people read it."""
        self.split = split
        self.expected = expected
        self.found = found
        super().__init__(
            f"conflict: '{split}' was changed by someone else: expected {expected}, found {found}. "
            f"Nothing was written. See: graysplit show {split}"
        )


class StoreUnreachableError(GraysplitError):
    """The store does not answer, or refuses to."""

    def __init__(  # noqa: PLR0913 - keyword-only facts about one failure
        self,
        store: str,
        reason: str,
        *,
        patient: bool = False,
        silent: bool = False,
        refuses: bool = False,
        answered: bool = False,
        written: bool | None = None,
        mend: str = "",
    ) -> None:
        """Keep the store's printable address (never its password) and the reason.

        `patient`: only a person can end it (a password, a right), so that whoever asks again does so seldom.
        `silent`: nothing came at all, so that it may answer again at any moment. `refuses`: it was reached, and takes
        no writes. `answered`: it was reached, and answered with an error. `written` says of a change on its way: not at
        all (False), not known (None), or in part, or where it does not count (True, and the reason says so). `mend` is
        the command that makes the server take writes.
        """
        self.store = store
        self.reason = reason
        self.patient = patient
        self.silent = silent
        self.refuses = refuses
        self.answered = answered
        self.written = written
        self.mend = mend
        super().__init__(store, reason)

    @property
    def fault(self) -> str:
        """What is wrong, without what to do."""
        return (
            f"{self.store} takes no writes: {self.reason}"
            if self.refuses
            else f"cannot reach {self.store}: {self.reason}"
        )

    def __str__(self) -> str:
        """Return what is wrong and both ways out."""
        mended = f"To let it take writes again: {self.mend} (then repeat the command). " if self.mend else ""
        return f"{self.fault}. {mended}{BREAK_GLASS}"


# For when the store is of no use: where it must be typed, and what.
BREAK_GLASS: Final = (
    "To send everything to the baseline without it, on every machine that runs the application: "
    "write * into the file that GRAYSPLIT_OFF_FILE names, or start it again with GRAYSPLIT_OFF='*'"
)


class StoreCorruptError(GraysplitError):
    """A key of the store is lost or of the wrong type, so that an ordinary write would do harm."""


class StoreLostError(StoreCorruptError):
    """The store has lost a split that live processes still run."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word`, or None where nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None
