"""Decide at random, by every way of asking, and print a digest of the answers and counts: the same with any core.

    python -m tests.speed.fuzz SEED DECISIONS [SCENE]

A scene is a router with splits of every kind, and what is published changes while it is asked. With SCENE each answer
of that scene is printed, so that two outputs can be compared.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import hashlib
import logging
import random
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from graysplit import INSTANCE, Router, context, native
from graysplit.codec import dump_definition, parse_definition
from graysplit.core.allocation import PLACES
from graysplit.core.bucketing import BUCKETS
from graysplit.core.definition import Definition, Version, define
from graysplit.core.replica.adopted import Adopted
from graysplit.core.waves import Wave
from graysplit.core.weights import Weight
from graysplit.router.inside import listen
from graysplit.scope import MISSING, Taken, scope_get
from graysplit.testing import forced
from tests.speed.routes import ROUTES, route

SPLITS: Final = 24
SCENE: Final = 20_000  # decisions
NOW: Final = 1_700_000_000
CANDIDATES: Final = ("new", "b", "c", "d", "e")
POOL: Final = ("user-1", "user-2", "Zoë", "nul\x00", "7", "boom")


class Text(str):
    """Text of a class of its own, which is the same unit."""

    __slots__ = ()


class Mute(Text):
    """Text that raises when it is asked for its bytes: whoever asks must expect anything."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        """Raise."""
        raise ValueError(str.__str__(self))


class Number(int):
    """A whole number of a class of its own."""


class Liar:
    """An object that calls itself text, and can neither be compared nor hashed."""

    @property
    def __class__(self) -> type[str]:  # type: ignore[override] # the lie
        return str

    def __eq__(self, _other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        raise ZeroDivisionError


HOSTILE: Final[tuple[Any, ...]] = (
    "", "\ud800", "a\udfffb", "é" * 40, "\x00", "x" * 5_000, b"", b"user-1", b"\xff\xfe", bytearray(b"user-1"),
    0, 7, -7, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**40, True, False, 1.5, float("nan"),
    None, uuid.UUID(int=7), [], {}, Text("user-1"), Mute("user-2"), Number(7), Liar(), object(), int, len,
)  # fmt: skip


NAMES: Final[tuple[Any, ...]] = ("nowhere", Text("split-1"), None, 3, b"split-1", [], Liar(), "\ud800")
ATTRIBUTES: Final[tuple[Any, ...]] = (None, {"country": "DE"}, {}, [], 7, Liar(), {1: Liar()})


class Scene:
    """One router, what is published for it, and how it is asked."""

    def __init__(self, chance: random.Random, note: Callable[[str], object]) -> None:
        """Declare and publish splits of every kind."""
        self.chance = chance
        self.note = note
        self.asked = 0
        self.router = Router()
        self.states = self.router._lifecycle.states
        self.states.instance = "host-1"
        self.definitions: dict[str, Definition] = {}
        self.calls: dict[str, list[Callable[..., Any]]] = {}
        for number in range(SPLITS):
            self._declare(f"split-{number}")
        self.states.enter("not_ready", parse=parse_definition)
        self.held = Adopted(seen={"weights": {b"_": b""}})
        for split in self.definitions:
            self._change(split)
        self.states.publish(self.held, self.definitions)
        if native.compiled_core is not None:
            native.compiled_core.listen(False)  # the scene before may have listened
        if chance.random() < 0.3:
            listen(self.router, lambda taking: note(f"told {taking.split} {taking.version} {taking.settled}"))

    def _declare(self, split: str) -> None:
        """Define a split, and declare it as a handle or by one of the forms of routed functions."""
        chance = self.chance
        names = ("old", *chance.sample(CANDIDATES, chance.choice((1, 1, 1, 2, 3, 5))))
        here = [name for name in names if name == "old" or chance.random() < 0.9]
        self.definitions[split] = self._definition(split, names)
        gray = self.router
        calls: list[Callable[..., Any]] = [
            lambda *unit: gray.choose(split, *unit),
            lambda *unit: gray.decide(split, **dict(zip(("unit",), unit, strict=False))),
            lambda unit=MISSING: gray.choose(split, unit, chance.choice(ATTRIBUTES)),
        ]
        if chance.random() < 0.5:
            unit = {"unit": INSTANCE} if chance.random() < 0.1 else {}
            handle: Any = gray.split(split, *here, **unit) if len(here) > 1 else gray.split(split, "old", "elsewhere")
            calls += [handle.choose, handle.decide, lambda unit=MISSING: handle.choose(attributes=None, unit=unit)]
            calls.append(lambda unit=MISSING: attempted(handle, unit))
        else:
            calls += [route(gray, split, here, chance.choice(ROUTES))] * 3
        self.calls[split] = calls

    def _definition(self, split: str, names: tuple[str, ...]) -> Definition:
        chance = self.chance
        places = chance.sample(range(PLACES), len(names) - 1) if chance.random() < 0.5 else range(len(names) - 1)
        versions = (Version("old"), *(Version(name, place) for name, place in zip(names[1:], places, strict=True)))
        definition = define(split, names, salt=f"{split}{chance.random()}")._replace(versions=versions)
        if chance.random() < 0.3:
            definition = definition._replace(pins={unit: chance.choice(names) for unit in chance.sample(POOL, 3)})
        if chance.random() < 0.2:
            definition = definition._replace(denied=tuple(chance.sample(POOL, 2)))
        if chance.random() < 0.1:
            definition = definition._replace(by="instance")
        if chance.random() < 0.2:
            definition = definition._replace(in_flight="finish")
        if chance.random() < 0.3:
            definition = definition._replace(guard={"action": "warn", "every_call": True, "at": 1})
        return definition

    def _change(self, split: str) -> None:
        """Give a split other weights and stops; nothing is published yet."""
        chance, held = self.chance, self.held
        names = [version.name for version in self.definitions[split].candidates]
        cuts = sorted(chance.choice((0, 1, 50_000, BUCKETS, chance.randrange(BUCKETS))) for _ in (*names, 0))
        weights: dict[str, Weight] = {}
        for name, low, high in zip(names, cuts, cuts[1:], strict=False):
            weights[f"{split}/{name}"] = "preview" if chance.random() < 0.05 else high - low
        stops = {field: "by hand" for field in (split, *weights) if chance.random() < 0.05}
        began = {field: chance.randrange(10**6) for field in weights}
        others = {field: text for field, text in held.stops.items() if field.partition("/")[0] != split}
        self.held = held._replace(
            weights={**held.weights, **weights},
            stops={**others, **stops},
            definitions={**held.definitions, split: dump_definition(self.definitions[split]).encode()},
            releases={**held.releases, **dict.fromkeys(began, (NOW - 5) * 1000)},
            begun={**held.begun, **{field: f"r{number}" for field, number in began.items()}},
            waves={**held.waves, **{field: Wave({"host-1": chance.randrange(BUCKETS)}) for field in weights}},
            revision=held.revision + 1,
            since={**held.since, split: held.revision + 1},
        )

    def run(self, decisions: int) -> None:
        """Ask so often; then note what was counted and written down."""
        while self.asked < decisions:
            with ExitStack() as stack:
                for _ in range(self.chance.choice((0, 0, 1, 1, 2))):
                    stack.enter_context(self._opened())
                taken = self._noted()
                for _ in range(1_500 if self.chance.random() < 0.002 else self.chance.randrange(1, 30)):
                    self._ask()
                    if self.chance.random() < 0.01:
                        split = self.chance.choice([*self.definitions])
                        self._change(split)
                        self.states.publish(self.held, {split})
                    elif self.chance.random() < 0.01:
                        for buffer in self.states.buffers():
                            buffer.turn(NOW + self.asked)
                self.note(repr((taken, taken and taken.others)))
        self._note_counts()
        self.router.close()
        for _ in range(50):
            self._ask()

    def _opened(self) -> Any:
        chance = self.chance
        if chance.random() < 0.1:
            split = chance.choice([*self.definitions])
            return forced(**{split: "old"})
        if chance.random() < 0.1:
            return context(attributes={"country": "DE"})
        return context(self._unit())

    def _noted(self) -> Taken | None:
        """Have a context note the versions that are taken in it, as a request of a framework does, at times."""
        scope = scope_get()
        if scope is None or scope.taken is not None or self.chance.random() < 0.5:
            return None
        scope.note_in(taken := Taken(scope.unit))
        return taken

    def _unit(self) -> Any:
        chance = self.chance.random()
        if chance < 0.6:
            return f"u-{self.chance.randrange(2_000)}"
        if chance < 0.7:
            return self.chance.randrange(-1_000, 2**40)
        return self.chance.choice(POOL if chance < 0.8 else HOSTILE)

    def _ask(self) -> None:
        """Ask one split in one way, for a unit or for the context's, twice at times."""
        calls = self.calls[self.chance.choice([*self.calls])] if self.chance.random() < 0.98 else [self._unknown]
        call, unit = self.chance.choice(calls), self._unit()
        for _ in range(self.chance.choice((1, 1, 2))):
            self.asked += 1
            try:
                answer: object = call(unit) if self.chance.random() < 0.8 else call()
            except Exception as fault:  # noqa: BLE001 - a version's own
                answer = f"{type(fault).__name__}: {fault}"
            self.note(repr(answer))

    def _unknown(self, unit: Any = MISSING) -> object:
        return self.router.decide(self.chance.choice(NAMES), unit=unit)

    def _note_counts(self) -> None:
        """Note all that was counted, and what armed splits have written down, but for times."""
        for measure in self.router.measures():
            found = (measure.split, measure.version, measure.evaluations, measure.failures, measure.running)
            self.note(repr((*found, measure.asked, measure.actual)))
        for buffer in self.states.buffers():
            buffer.turn(NOW + SCENE + 1)
            for batch in buffer.collect(NOW + SCENE + 1):
                exposed = sorted(batch.exposed)
                self.note(repr((batch.field, batch.calls, batch.failures, batch.errors, exposed, batch.running)))


def attempted(handle: Any, unit: Any) -> str:
    """Enter a block of a handle, and fail in it for some."""
    with handle.attempt(unit) as version:
        if unit == "boom":
            raise LookupError(version)
        return str(version)


def say(line: str) -> None:
    """Print a line at once: a process that crashes has told how far it came."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(seed: int, decisions: int, shown: int | None = None) -> None:
    """Run scenes until so many decisions are made, and print what decides, and a line for each."""
    logging.getLogger("graysplit").setLevel(logging.CRITICAL)  # of units that are none it would say so
    say(native.words)
    made, number = 0, 0
    while made < decisions:
        digest = hashlib.sha256()

        def note(answer: str, number: int = number, taken: Callable[[bytes], object] = digest.update) -> None:
            if number == shown:
                say(answer)
            taken(answer.encode("utf-8", "surrogatepass"))

        scene = Scene(random.Random(f"{seed} {number}"), note)
        scene.run(min(SCENE, decisions - made))
        made += scene.asked
        if shown is None:
            say(f"{number} {digest.hexdigest()}")
        number += 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
