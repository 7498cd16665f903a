"""The processes that follow a store, what they say they do now, and who is counted as what."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from graysplit.core.address import EVERYTHING, split_of
from graysplit.core.entry import Entry
from graysplit.core.weights import format_weight, parse_weight
from graysplit.errors import BadWeightError

BEAT_S: Final = 3.0  # at the latest a turn later: who lives is heard again long before it counts as silent
KEPT_AT_MOST: Final = 100  # what a receipt names as kept against the store; the rest follows once these are settled
LIVE_MS: Final = 6_000
QUIET_MS: Final = 500  # who was heard so lately lives
FORGET_MS: Final = 600_000
OFF: Final = "off"  # the reason of an effect, and of a decision, under break-glass
MANY: Final = 64  # fields: a change of more is told as a whole, beside those that changed last
GONE_MS: Final = 86_400_000  # who was heard within a day and said no goodbye: a fleet of nobody is not proof


# How a process follows its store: not yet, no longer, or in one of these ways.
Mode: TypeAlias = Literal["starting", "lost", "memory", "tracking", "redirect", "log", "poll"]

# How a store can be followed, and what that promises; in this order, the best first.
PROMISES: Final[Mapping[str, str]] = {
    "memory": "every change at once",
    "tracking": "every change at once, from any client",
    "redirect": "every change at once, from any client; by the old protocol, on two connections",
    "log": "graysplit's own changes at once, raw edits within 2 s",
    "poll": "every change within 2 s",
}


class Effect(NamedTuple):
    """What one field does in one process: the weight as compiled, and the calls still running on it."""

    weight: str  # as in the store: "0", "12.5", "preview"
    running: int = 0
    why: str = ""  # why it is not what was asked for: off, version_absent, refused, ...


class Sweep(NamedTuple):
    """What a change of many fields does in one process: where that is not what it wrote."""

    unlike: Mapping[str, Effect] = {}  # by field, the first of them
    more: int = 0  # fields of that kind that are not named
    running: int = 0  # calls still running on the fields that it wrote


class Receipt(NamedTuple):
    """What a process says it does now."""

    change: str = ""  # id of the last change applied
    revision: int = 0
    effects: Mapping[str, Effect] = {}  # by field: those changed lately
    mode: str = ""  # how it follows: one of PROMISES
    refused: tuple[str, ...] = ()  # "weights checkout/new: invalid weight '1_0' ..."
    # Kept by law 7 although the store says more, the first of it: "weights checkout/new" to the weight in force,
    # "stops checkout" to the stop's text, "splits checkout" to the definition without its units.
    held: Mapping[str, str] = {}
    durable: bool = True  # False: the last-known-good file could not be written
    # By split whose baseline is another one in this process's code than in the store: how they differ, as
    # `baseline_words` says it. There the code's own baseline answers every call.
    baselines: Mapping[str, str] = {}
    off: tuple[str, ...] | None = None  # what break-glass switches off there: splits, or "*"; None: it does not tell
    mode_why: str = ""  # why it does not follow by a better mode: in the server's words
    sweeps: Mapping[str, Sweep] = {}  # by change id: of the changes of many fields that were applied lately


class Declared(NamedTuple):
    """A split as a process's code declares it."""

    baseline: str
    versions: tuple[str, ...]
    kind: str = "split"  # split (a handle) or route
    calls: int = 0  # how often it was asked so far
    # By version: "" where what prepares it here (`warm`) has succeeded, else why it is not ready. A version that is not
    # in here needs no preparing.
    warm: Mapping[str, str] = {}
    by: Literal["unit", "instance"] = "unit"  # instance: where its unit is graysplit.INSTANCE
    measured: bool = False  # whether a guard has anything to watch: a route, an attempt, a goal

    def unready(self, version: str) -> str | None:
        """Return why this process cannot take over with a version, or None where it can."""
        stray = [name for name in self.warm if name not in self.versions]
        if version not in self.versions:
            return "version_absent"
        # A mistyped name would leave the version it was meant for without what prepares it, and seemingly ready.
        return f"prepares '{stray[0]}', which it does not declare" if stray else self.warm.get(version) or None


class Process(NamedTuple):
    """One process in the fleet."""

    boot: str  # random, new in every process and after every fork
    host: str
    pid: int
    library: str  # graysplit's version
    declared: Mapping[str, Declared] = {}
    seen_ms: int = 0  # server time of the last heartbeat
    receipt: Receipt = Receipt()
    instance: str = ""  # the name under which its host crosses over; "" from a library that does not tell
    zone: str = ""
    # Its connection, by the server's run id and the client id that the server gave it; "" where it was not told.
    connection: str = ""
    born_ms: int = 0  # server time at its start; 0 where that is not known
    successor: str = ""  # who has taken its place, its connection having ended: then it is gone
    parted: bool = False  # whether it counts as live, and the server has seen its connection end since it was heard
    rolls: bool | None = None  # whether its host crosses over in any split; None: as what it declares says

    @property
    def label(self) -> str:
        """Name the process for people: `web-7/812`."""
        return f"{self.host}/{self.pid}"

    def switched_off(self, split: str) -> bool | None:
        """Return whether break-glass holds a split at its baseline there; None where the receipt does not tell."""
        off, effects = self.receipt.off, self.receipt.effects
        if off is not None:
            return EVERYTHING in off or split in off
        told = [effect.why == OFF for field, effect in effects.items() if split_of(field) == split]
        return any(told) if told else None


class Fleet(NamedTuple):
    """All processes that have not said goodbye, as seen at one server time."""

    now_ms: int
    processes: tuple[Process, ...] = ()
    # Not counted any more: whose place another took within ten minutes, and who was silent for longer, within a day.
    gone: tuple[Process, ...] = ()

    @property
    def live(self) -> tuple[Process, ...]:
        """Those seen within six seconds of server time."""
        return tuple(process for process in self.processes if is_live(process, self.now_ms))

    @property
    def silent(self) -> tuple[Process, ...]:
        """Those not seen within six seconds: dead, stopped or cut off. They leave the count after ten minutes."""
        return tuple(process for process in self.processes if not is_live(process, self.now_ms))


def is_live(process: Process, now_ms: int) -> bool:
    """Return whether a process was seen within six seconds.

    A sighting from the future (the server's clock was set back) proves nothing: who lives is seen anew within four.
    """
    return 0 <= now_ms - process.seen_ms <= LIVE_MS


def fleet_of(now_ms: int, processes: Iterable[Process], ended: Container[str] = ()) -> Fleet:
    """Sort processes by name, and by whether they are still counted.

    `ended` names the boots whose connection the server saw end. Of those that are not live, one is gone for each
    younger process on its host that declares all its splits.
    """
    young = sorted(
        (process for process in processes if now_ms - process.seen_ms <= GONE_MS),
        key=lambda each: (each.host, each.pid),
    )
    recent = [process for process in young if now_ms - process.seen_ms <= FORGET_MS]
    replaced = _replaced(now_ms, recent, ended)
    counted = tuple(
        process._replace(parted=True) if process.boot in ended and is_live(process, now_ms) else process
        for process in recent
        if process.boot not in replaced
    )
    boots = {process.boot for process in counted}
    gone = tuple(p._replace(successor=replaced.get(p.boot, "")) for p in young if p.boot not in boots)
    return Fleet(now_ms, counted, gone)


def may_be_gone(now_ms: int, processes: Iterable[Process]) -> tuple[Process, ...]:
    """Return those whose connection is worth asking for.

    They are not live, and a live process on the host is younger; or they take part in a roll over hosts and were not
    heard just now: no place of a wave is for one that died a moment ago.
    """
    recent = [process for process in processes if now_ms - process.seen_ms <= FORGET_MS]
    rolling = [
        p for p in recent if p.connection and is_live(p, now_ms) and now_ms - p.seen_ms >= QUIET_MS and _rolls(p)
    ]
    return (*_with_heirs(now_ms, recent), *rolling)


def _rolls(process: Process) -> bool:
    if process.rolls is not None:
        return process.rolls
    return any(declared.by == "instance" for declared in process.declared.values())


def _with_heirs(now_ms: int, recent: Sequence[Process]) -> tuple[Process, ...]:
    """Return those that are not live, and have a younger live process on their host."""
    dead = [process for process in recent if process.connection and not is_live(process, now_ms)]
    youngest: dict[str, int] = {}
    for process in recent if dead else ():
        if is_live(process, now_ms):
            youngest[process.host] = max(youngest.get(process.host, 0), process.born_ms)
    return tuple(process for process in dead if youngest.get(process.host, 0) > process.seen_ms)


def _replaced(now_ms: int, recent: Iterable[Process], ended: Container[str]) -> dict[str, str]:
    """Return the boots of those whose place another took, with its label.

    Each process takes one place: where four died and two came, two are missing. Who took a place and is gone itself
    counts too (a program that was killed and started twice), so the last to die is looked at first.
    """
    heirs: dict[str, list[Process]] = {}
    dead: list[Process] = []
    for process in recent:
        if is_live(process, now_ms):
            heirs.setdefault(process.host, []).append(process)
        elif process.boot in ended:
            dead.append(process)
    replaced: dict[str, str] = {}
    for process in sorted(dead, key=lambda each: each.seen_ms, reverse=True):
        here = heirs.get(process.host, [])
        heir = next((each for each in here if _succeeds(each, process)), None)
        if heir is not None:
            here[here.index(heir)] = process
            replaced[process.boot] = heir.label
    return replaced


def _succeeds(heir: Process, process: Process) -> bool:
    """Return whether a process may stand in another's place: it was born after that was last seen, with its splits."""
    return heir.born_ms > process.seen_ms and process.declared.keys() <= heir.declared.keys()


class Confirmation(NamedTuple):
    """How far a change has come: who shows its effect, who is behind, who is not heard."""

    confirmed: tuple[Process, ...]
    lagging: tuple[Process, ...]
    silent: tuple[Process, ...]
    running: int = 0  # calls still running on what was lowered

    @property
    def processes(self) -> int:
        """How many are counted in all."""
        return len(self.confirmed) + len(self.lagging) + len(self.silent)

    @property
    def complete(self) -> bool:
        """Return whether everybody counted has confirmed, and somebody has."""
        return bool(self.confirmed) and not self.lagging and not self.silent


def baseline_words(code: str, store: str) -> str:
    """Return the message that code and store name different baselines of a split."""
    return f"baseline '{code}' in its code, '{store}' in the store"


def other_baselines(receipt: Receipt, splits: Collection[str]) -> tuple[str, ...]:
    """Return how a process's baselines differ from the store's, of the splits named; `*` names all of them."""
    if "*" in splits:
        return tuple(f"{split}: {words}" for split, words in sorted(receipt.baselines.items()))
    return tuple(receipt.baselines[split] for split in sorted(splits) if split in receipt.baselines)


def confirmation(  # noqa: PLR0913, PLR0917 - what to look for
    fleet: Fleet,
    change: str,
    revision: int,
    expected: Mapping[str, str],
    written_ms: int = 0,
    splits: Collection[str] = (),
    parts: Collection[str] = (),
) -> Confirmation:
    """Sort a fleet by whether it shows the weights expected; with none expected, by the change itself.

    A receipt names the effects of the fields that changed last. For more than it names, it must tell of every one of
    `parts`, the changes' ids, that it does what they wrote, with all exceptions named.

    Whose code names another baseline of one of `splits` (`*`: of any) answers with its own, and confirms nothing.

    What a process told before `written_ms`, the server's time of the change, proves nothing: a raise that was written
    just before may be in force there, with the receipt for it still on its way.
    """
    confirmed: list[Process] = []
    lagging: list[Process] = []
    for process in fleet.live:
        heard = not expected or process.seen_ms > written_ms or process.receipt.change == change
        heard = heard and not other_baselines(process.receipt, splits)
        (confirmed if heard and _shows(process.receipt, change, revision, expected, parts) else lagging).append(process)
    running = sum(_running(process.receipt, expected, parts) for process in confirmed)
    return Confirmation(tuple(confirmed), tuple(lagging), fleet.silent, running)


def _shows(receipt: Receipt, change: str, revision: int, expected: Mapping[str, str], parts: Collection[str]) -> bool:
    if not expected:
        return receipt.change == change or receipt.revision >= revision
    effects = receipt.effects
    if any(field in effects and effects[field].weight != weight for field, weight in expected.items()):
        return False
    return expected.keys() <= effects.keys() or _swept(receipt, expected, parts)


def _swept(receipt: Receipt, expected: Mapping[str, str], parts: Collection[str]) -> bool:
    """Return whether a process does what every part of a change wrote, with all exceptions named."""
    if not parts or not receipt.sweeps.keys() >= set(parts):
        return False
    sweeps = [receipt.sweeps[part] for part in parts]
    unlike = {field: effect for sweep in sweeps for field, effect in sweep.unlike.items()}
    named = all(effect.weight == expected.get(field, effect.weight) for field, effect in unlike.items())
    return named and not any(sweep.more for sweep in sweeps)


def _running(receipt: Receipt, expected: Mapping[str, str], parts: Collection[str]) -> int:
    if parts and receipt.sweeps.keys() >= set(parts):
        return sum(receipt.sweeps[part].running for part in parts)
    return sum(receipt.effects[field].running for field in expected if field in receipt.effects)


def swept_by(entry: Entry) -> Mapping[str, str]:
    """Return the weights that a change of many fields, or of everything, has written, by field; else nothing."""
    written = {
        where.removeprefix("weights "): _written(text)
        for where, text in entry.after.items()
        if where.startswith("weights ") and "/" in where
    }
    return written if entry.split == EVERYTHING or len(written) > MANY else {}


def _written(text: str | None) -> str:
    try:
        return format_weight(parse_weight(text or "0"))
    except BadWeightError:
        return ""  # no effect is like it


def declarations(processes: Iterable[Process], split: str) -> Mapping[str, Declared]:
    """Return what each process declares for a split, by the process's label."""
    return {p.label: p.declared[split] for p in processes if split in p.declared}
