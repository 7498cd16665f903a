"""The verbs that only look, and those that wait."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from graysplit.control.inputs import NEVER, split_and_version, typed_weight
from graysplit.control.operator import ControlVerbs
from graysplit.control.targets import Names, names_of
from graysplit.core.durations import Span, seconds
from graysplit.core.weights import format_weight
from graysplit.deprecation import renamed
from graysplit.errors import RefusedError, nearest
from graysplit.stores.write_rules import OUTSIDE

if TYPE_CHECKING:
    from datetime import datetime

    from graysplit.control.doctor import Finding
    from graysplit.control.explain import FleetExplanation
    from graysplit.control.guard.report import SplitReport
    from graysplit.control.plan.awaited import Awaited
    from graysplit.control.reading import Reading
    from graysplit.control.result import Confirmed, Receipts, Result
    from graysplit.control.simulate import Simulation
    from graysplit.control.steps import Steps
    from graysplit.control.undelivered import HookState
    from graysplit.control.views import Overview, SplitView
    from graysplit.control.wait import Until, Waited
    from graysplit.control.waves import Crossing
    from graysplit.core.entry import Entry
    from graysplit.core.fleet import Fleet, Process
    from graysplit.core.standby import Standby
    from graysplit.stores.port import Followed

# How long a change may take to its replicas before they are counted as without it.
COPIED_WITHIN_S: Final = 0.3

# So many of the newest changes are looked through first for those of a time or an actor, then four times as many.
LOOKED_THROUGH: Final = 500

# How many of the newest changes are looked through for what was frozen when somebody edited past graysplit.
FREEZES_WITHIN: Final = 5_000


def _not_forgotten(process: str, fleet: Fleet, *, alive: bool) -> RefusedError:
    if alive:
        return RefusedError(
            f"{process} is live: its next heartbeat, within two seconds, would add it again. Stop the process first. "
            "Nothing was written"
        )
    like = nearest(process, [each.label for each in (*fleet.silent, *fleet.gone)])
    hint = f"graysplit fleet --forget {like}" if like else "graysplit fleet"
    return RefusedError(f"no process {process} in this namespace's fleet. Nothing was written. Try: {hint}")


class ReadVerbs(ControlVerbs):
    """Shows what stands, and waits for what is to come."""

    @renamed(within_s="timeout")
    def wait_confirmed(self, result: Result, timeout: Span = 5.0) -> Confirmed:
        """Wait until every live process shows a result's effect, and return the result with its receipts."""
        from graysplit.control.receipts import wait_for
        from graysplit.control.result import Confirmed

        parts = result.parts or (result.change,)
        receipts = wait_for(
            self._operator.store,
            parts[-1],
            result.revision or NEVER,
            result.expected,
            within_s=seconds(timeout),
            written_ms=result.at_ms,
            parts=parts,
            target=result.split if result.cause == "rollback" or result.split != "*" else "",
        )
        return Confirmed(result=result, receipts=receipts)

    def names(self) -> Names:
        """Return the names that the store and its processes know, read without the parser."""
        return names_of(self._operator.store.load(), self._operator.store.fleet(), {})

    def followed(self) -> tuple[Followed, ...] | None:
        """Return the namespaces on this server that live processes follow; None where the server does not tell."""
        return self._operator.store.followed()

    @renamed(within_s="timeout")
    def with_copies(self, result: Result, timeout: Span = COPIED_WITHIN_S) -> Result:
        """Return a result with the number of replicas that have it; right after the change, from the same thread."""
        from dataclasses import replace

        copies = self._operator.store.replicas(seconds(timeout))
        return replace(result, copies=copies if copies is not None and copies.of else None)

    @renamed(within_s="timeout")
    def wait_weights(self, target: str, weight: float | str | None = None, timeout: Span = 60.0) -> Receipts:
        """Wait until every live process shows a split's weights as they stand, or the one given."""
        from dataclasses import replace

        from graysplit.control.receipts import wait_for

        deadline = time.monotonic() + seconds(timeout)
        while True:
            expected = self._in_force(target)
            if weight is None or set(expected.values()) == {format_weight(typed_weight(weight))}:
                left_s = max(0.0, deadline - time.monotonic())
                return wait_for(self._operator.store, "", NEVER, expected, within_s=left_s)
            if time.monotonic() >= deadline:
                confirmed = wait_for(self._operator.store, "", NEVER, expected, within_s=0.0)
                return replace(confirmed, confirmed=0)
            threading.Event().wait(0.2)

    @renamed(within_s="timeout")
    def wait_until(
        self,
        target: str,
        until: Until | float = "confirmed",
        timeout: Span = 60.0,
        told: Callable[[str], None] | None = None,
        looked: Callable[[Awaited], None] | None = None,
    ) -> Waited:
        """Wait until weights are `confirmed`, `safe` by the guard, the plan `done`, or a weight in percent is in force.

        Ends at once where it is rolled back or stopped meanwhile. An outage is outlived, and `told` hears of it; the
        first look alone must succeed. `looked` hears at each look where the plan stands, if one runs.
        """
        from graysplit.control.wait import Listener, WaitGoal, unheard, wait_until

        listener = Listener(told or unheard, looked)
        return wait_until(self._operator, WaitGoal(target, str(until)), seconds(timeout), listener)

    def overview(self) -> Overview:
        """Return every split with its weights as asked, effective and actual, and the last change."""
        from graysplit.control.look import look

        seen = look(self._operator)
        newest = self._operator.store.history(None, 1) if seen.last is None else seen.last
        return seen.overview._replace(last=next(iter(self._flagged(seen.reading, newest)), None))

    def show(self, split: str) -> SplitView:
        """Return one split: what the store says beside what is in force, its stops, its guard and its last change."""
        from graysplit.control.views import split_view

        fleet = self._operator.store.fleet()  # first: what processes tell is then no newer than what the store says
        reading = self._operator.read()
        last = next(iter(self._flagged(reading, self._operator.store.history(split, 1))), None)
        view = split_view(reading, fleet, split, last, self._operator.verdicts(reading, [split]))
        if split not in reading.unread and (view.loss is None or split not in view.loss.splits):
            self._operator.check_known(reading, split)
        return view

    @renamed(record="plan", bake_s="bake", confirm_s="confirm_after")
    def simulate(  # noqa: PLR0913 - keyword-only options of one verb
        self,
        target: str,
        steps: Steps | None = None,
        *,
        every: Span | None = None,
        until: Literal["safe"] | None = None,
        approve: bool = False,
        max_wait: Span | None = None,
        overdue: Literal["nag", "rollback"] = "nag",
        plan: Mapping[str, object] | None = None,
        template: str | None = None,
        bake: Span | None = None,
        confirm_after: Span = 0.0,
        units: Callable[[], Iterable[bytes]] | None = None,
    ) -> Simulation:
        """Foretell the plan that runs, or with steps (as `ramp` takes them) one that would start now.

        Each step is taken to be confirmed after `confirm_after`; of `units`, encoded, it is counted who moves.
        """
        from graysplit.control.simulate import simulate
        from graysplit.control.steps import Gates, plan_request

        wish = plan_request(target, steps, Gates(every, until, approve, max_wait, overdue), plan, template, bake)
        return simulate(self._operator, wish, seconds(confirm_after), units)

    def report(self, target: str) -> SplitReport:
        """Return how a split's releases do, stage by stage: both versions, how far apart they are, and the verdict."""
        from graysplit.control.guard.report import report
        from graysplit.control.reading import check_readable

        (split, _), reading = split_and_version(target), self._operator.read()
        check_readable(reading, split)
        self._operator.check_known(reading, split)
        return report(reading, self._operator.store, self.namespace, target)

    def explain(self, split: str, unit: object) -> FleetExplanation:
        """Return the ladder that decides for a unit by the store, and the processes in which the answer is another."""
        from graysplit.control.explain import explain
        from graysplit.control.reading import check_readable

        reading = self._operator.read()
        check_readable(reading, split)
        self._operator.check_known(reading, split)
        return explain(reading.snapshot.splits[split], unit, reading.snapshot.revision, self._operator.store.fleet())

    def history(
        self,
        split: str | None = None,
        count: int = 50,
        *,
        since: float | datetime | None = None,
        actor: str | None = None,
    ) -> tuple[Entry, ...]:
        """Return the newest changes, newest first; a raise from outside during a freeze has that as its reason.

        Of one split also the freezes that held it, whatever their pattern, and their ends.
        Not older than `since`, a time or so many seconds before the server's now; only those of an `actor`.
        """
        if since is None and actor is None:
            return self._flagged(None, self._entries(split, count))
        from_ms = self._since_ms(since)
        most = max(count, LOOKED_THROUGH)
        while True:
            entries = self._entries(split, most)
            picked = [e for e in entries if e.at_ms >= from_ms and actor in {None, e.actor}]
            if len(picked) >= count or len(entries) < most or entries[-1].at_ms < from_ms:
                return self._flagged(None, tuple(picked[:count]))
            most *= 4

    def standby(self, split: str, version: str) -> Standby:
        """Return which live processes that declare a split are ready to take over with a version, and which not."""
        from graysplit.core.standby import standby_of

        return standby_of(self._operator.store.fleet(), split, version)

    def fleet(self) -> Fleet:
        """Return the processes that follow the store, and what they say."""
        return self._operator.store.fleet()

    def forget(self, process: str) -> tuple[Process, ...]:
        """Take a process that is not live out of the fleet, by its label (`web-7/812`) or boot id; return who that was.

        For one that is known to be dead: one that only was cut off goes on as before, counted by nobody, until it is
        heard again. Raises `RefusedError` where none of that name is known, or where it lives.
        """
        fleet = self._operator.store.fleet()
        named = [each for each in (*fleet.processes, *fleet.gone) if process in (each.label, each.boot)]
        live = {each.boot for each in fleet.live}
        found = tuple(each for each in named if each.boot not in live)
        if not found:
            raise _not_forgotten(process, fleet, alive=bool(named))
        for each in found:
            self._operator.store.forget(each.boot)
        return found

    def doctor(self) -> tuple[Finding, ...]:
        """Look for everything that is wrong or about to be, each with the next command."""
        from graysplit.control.doctor import examine

        fleet = self._operator.store.fleet()  # first, as above
        reading = self._operator.read()
        said = self._operator.verdicts(reading, sorted(reading.snapshot.splits))
        weights = shlex.quote(f"graysplit:{{{self.namespace}}}:weights")
        return examine(reading, fleet, self._operator.store, said, f"{self.redis_cli() or 'redis-cli'} HDEL {weights}")

    def notices(self) -> tuple[HookState, ...]:
        """Return what each hook was not told; raises `RefusedError` where this role may not read it."""
        from graysplit.control.undelivered import hook_states

        return hook_states(self._operator.store.read_cursors())

    def export(self) -> Mapping[str, object]:
        """Return all that the store holds as plain values, ready for JSON."""
        from graysplit.control.views import export

        return export(self.namespace, self._operator.read())

    def crossings(self) -> tuple[Crossing, ...]:
        """Return how far instances have crossed, of every split and candidate for which they do."""
        from graysplit.control.waves import all_crossings

        return all_crossings(self._operator.read().snapshot, self._operator.store.fleet())

    def redis_cli(self) -> str | None:
        """Return the `redis-cli` that reaches the store's server, for a shell; None where the store has none."""
        from graysplit.stores.port import ByHand

        return self._operator.store.redis_cli() if isinstance(self._operator.store, ByHand) else None

    def _since_ms(self, since: float | datetime | None) -> float:
        if since is None:
            return 0
        if isinstance(since, (int, float)):
            return self._operator.store.read_fields(()).now_ms - since * 1000
        return since.timestamp() * 1000

    def _in_force(self, target: str) -> dict[str, str]:
        from graysplit.core.changes import known

        split, version = split_and_version(target)
        split_state = known(self._operator.read().snapshot, split)
        names = [candidate.name for candidate in split_state.definition.candidates]
        chosen = [version] if version else names
        return {f"{split}/{name}": format_weight(split_state.in_force(name)) for name in chosen}

    def _entries(self, split: str | None, count: int) -> tuple[Entry, ...]:
        """Return the newest entries, of one split with those of the freezes that hold it."""
        from graysplit.control.freeze import with_freezes
        from graysplit.core.freeze import FREEZES, THAWED

        entries = self._operator.store.history(split, count)
        if split is None or self._marks(FREEZES, THAWED) == [None, None]:
            return entries
        return with_freezes(split, entries, self._operator.store.history(None, FREEZES_WITHIN), count)

    def _marks(self, *names: str) -> list[str | None]:
        """Read fields of `meta`, and nothing of what stands beside them."""
        fields = self._operator.store.read_fields([("meta", name) for name in names]).texts
        return [fields["meta", name] for name in names]

    def _flagged(self, reading: Reading | None, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        """Return entries, those of raises from outside flagged that came during a freeze."""
        if all(entry.cause != OUTSIDE for entry in entries):
            return entries
        from graysplit.control.freeze import during_freeze
        from graysplit.core.freeze import FREEZES

        (now,) = self._marks(FREEZES) if reading is None else (reading.text("meta", FREEZES),)
        return tuple(during_freeze(entries, lambda: self._operator.store.history(None, FREEZES_WITHIN), now))
