"""The last-known-good file: what a process held last, so that it can start without its store.

Written whole to a temporary file, synced, renamed, under a lock, mode 0600, with a checksum. A lowering is on disk
before it is reported; a reading of an older place in the log never replaces a newer one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graysplit.clock import Clock
from graysplit.core.lease import parse_lease
from graysplit.core.replica.adopted import Adopted, Tripped
from graysplit.core.replica.lineage import Past
from graysplit.core.waves import format_wave, parse_wave
from graysplit.core.weights import Weight, format_weight, parse_weight, rises

if TYPE_CHECKING:
    from graysplit.events import Events

SCHEMA: Final = 1
# A version on trial that is read from a file older than this, with no source to ask, is at baseline: nobody can
# know whether it has been rolled back meanwhile.
TRUST_S: Final = 3600.0
WRITE_EVERY_S: Final = 1.0  # what raises may wait this long; what lowers never waits
REFRESH_S: Final = 300.0  # while contact lasts, the file's time is kept young
READ_AT_MOST: Final = 1 << 28


class KnownGoodContent(NamedTuple):
    """What a file held, and when it was written (seconds since the epoch)."""

    held: Adopted
    past: Past
    at: float


class KnownGood:
    """One file, shared by the processes that follow one store under one cache directory."""

    def __init__(self, path: Path, events: Events, clock: Clock) -> None:
        """Take the path; nothing is read or written yet."""
        self.path = path
        self._events = events
        self._clock = clock
        self._written: Adopted | None = None
        self._written_at = float("-inf")

    def read(self) -> KnownGoodContent | None:
        """Return what the file holds; None where there is none, or none to be trusted (said once in the log)."""
        import json

        try:
            with self.path.open("rb") as file:
                return decode(json.loads(file.read(READ_AT_MOST)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            self._events.warning("known_good_ignored", f"the last-known-good file {self.path.name} is ignored: {fault}")
            return None

    def trusted(self, known: KnownGoodContent) -> bool:
        """Return whether a version on trial may run by this file alone; a time in the future counts as old."""
        return 0 <= self._clock.time() - known.at < TRUST_S

    def keep(self, held: Adopted, past: Past) -> bool:
        """Write what is held, if it has changed; False where that failed, and the file was taken away instead."""
        before, age = self._written, self._clock.monotonic() - self._written_at
        if not held.loaded or (held is before and age < REFRESH_S):
            return True
        if before is not None and age < WRITE_EVERY_S and not lowers(before, held):
            return True
        try:
            self._replace(held, past)
        except OSError as fault:
            self._events.trouble(
                "known_good_unwritten", f"the last-known-good file could not be written ({fault}) and was removed"
            )
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            return False
        self._events.over("known_good_unwritten", "the last-known-good file is written again")
        self._written, self._written_at = held, self._clock.monotonic()
        return True

    def _replace(self, held: Adopted, past: Past) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(self.path.with_suffix(".lock")):
            known = self.read()
            if known is not None and _is_anothers(known.past, past):
                self._keep_aside(known)
                known = None
            if known is not None and past.change and past.change in known.past.recent[:-1]:
                held, past = _with_stops(known.held, held.stops), known.past
            elif known is not None and known.past.change not in past.recent:
                held = _with_stops(held, known.held.stops)  # neither is known to be newer: in doubt, lower
            self._write(_encode(held, past, self._clock.time()))

    def _keep_aside(self, known: KnownGoodContent) -> None:
        """Leave what was known of another lineage where a person finds it: it is nobody's older state."""
        lineage = "".join(letter for letter in known.past.lineage if letter.isalnum())[:32]
        aside = self.path.with_suffix(f".{lineage}-{int(known.at)}.json")
        self.path.replace(aside)
        self._events.warning(
            f"known_good_aside {aside.name}",
            f"the last-known-good file belongs to another store than the one that answers: kept as {aside.name}. "
            f"Settle it with: graysplit recover --source {aside}",
        )

    def _write(self, content: bytes) -> None:
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _is_anothers(known: Past, past: Past) -> bool:
    """Return whether two processes' knowledge comes from logs that share nothing."""
    other = bool(known.lineage and past.lineage) and known.lineage != past.lineage
    return other and set(known.recent).isdisjoint(past.recent)


def lowers(before: Adopted, after: Adopted) -> bool:
    """Return whether anything is lower afterwards: only that must be on disk at once."""
    if after.stops.keys() - before.stops.keys():
        return True
    if before.weights is after.weights:
        return False
    return any(rises(after.weights.get(field, 0), weight) for field, weight in before.weights.items())


def _with_stops(held: Adopted, stops: Mapping[str, str]) -> Adopted:
    return held._replace(stops={**stops, **held.stops})


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Hold a lock file; where the system has no such locks, the rename alone keeps readers safe."""
    try:
        from fcntl import LOCK_EX, flock
    except ImportError:
        yield
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


def _encode(held: Adopted, past: Past, at: float) -> bytes:
    import json

    body = {
        "weights": {field: format_weight(weight) for field, weight in held.weights.items()},
        "stops": dict(held.stops),
        "definitions": {split: raw.decode() for split, raw in held.definitions.items()},
        "releases": dict(held.releases),
        "begun": dict(held.begun),
        "tripped": {field: list(trip) for field, trip in held.tripped.items()},
        "leases": {field: str(lease) for field, lease in held.leases.items()},
        "waves": {field: format_wave(wave) for field, wave in held.waves.items()},
        "revision": held.revision,
        "position": past.position,
        "recent": past.recent,
        "lineage": past.lineage,
        "explained": None if past.explained is None else sorted(past.explained),
        "read_ms": past.read_ms,
        "fork_ms": past.fork_ms,
        "untold": sorted(past.untold),
        "highest": past.highest,
    }
    text = json.dumps(body)
    return json.dumps({"schema": SCHEMA, "at": at, "sum": _sum(text), "body": text}).encode()


def decode(whole: Mapping[str, Any]) -> KnownGoodContent:  # Any: JSON, judged here
    """Read a file's content; raises whatever wrong content makes of it: value, key, type and attribute errors."""
    import json

    if whole["schema"] != SCHEMA:
        raise ValueError(f"schema {whole['schema']!r} is not {SCHEMA}")
    if _sum(whole["body"]) != whole["sum"]:
        raise ValueError("its checksum does not fit")
    body: dict[str, Any] = json.loads(whole["body"])  # Any: as above
    weights: dict[str, Weight] = {field: parse_weight(text) for field, text in body["weights"].items()}
    leases = {field: parse_lease(text) for field, text in body.get("leases", {}).items()}
    waves = {field: parse_wave(text) for field, text in body.get("waves", {}).items()}
    held = Adopted(
        weights=weights,
        stops=body["stops"],
        definitions={split: text.encode() for split, text in body["definitions"].items()},
        releases=body["releases"],
        begun=body.get("begun", {}),
        tripped={field: Tripped(*trip) for field, trip in body.get("tripped", {}).items()},
        leases={field: lease for field, lease in leases.items() if lease is not None},
        waves={field: wave for field, wave in waves.items() if wave is not None},
        revision=body["revision"],
        seen={"weights": {}, "stops": {}, "splits": {}},
    )
    explained = body["explained"]
    past = Past(
        body["position"],
        tuple(body["recent"]),
        body["lineage"],
        None if explained is None else frozenset(explained),
        body.get("read_ms", 0),
        body.get("fork_ms", 0),
        frozenset(body.get("untold", ())),
        body.get("highest", body["revision"]),
    )
    return KnownGoodContent(held, past, float(whole["at"]))


def _sum(text: str) -> str:
    from hashlib import sha256

    return sha256(text.encode()).hexdigest()
