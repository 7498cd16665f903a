"""The OpenFeature provider: a split is a flag, a version is a variant. Needs the extra `openfeature`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

from graysplit.core.address import split_of
from graysplit.core.limits import shown
from graysplit.core.replica.adoption import differing
from graysplit.core.weights import FULL
from graysplit.integrations.flag_reasons import flag_reason
from graysplit.integrations.flag_values import FlagValues
from graysplit.router.inside import decide_by_state, lifecycle_of
from graysplit.scope import MISSING, Unit

try:
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import ErrorCode
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ImportError as fault:
    raise ImportError("graysplit's OpenFeature provider needs: pip install 'graysplit[openfeature]'") from fault

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.track import TrackingEventDetails

    from graysplit.core.compiled import CompiledSplit
    from graysplit.core.decision import Decision
    from graysplit.core.replica.adopted import Adopted
    from graysplit.router.router import Router
    from graysplit.routes.handle import Split

__all__ = ["GraysplitProvider"]

T = TypeVar("T")

READY_WITHIN_S: Final = 2.0  # what `initialize` waits for the store; later it is STALE until the store has answered
# OpenFeature itself emits READY once `initialize` has returned; what is emitted before that would be overwritten.
AFTER_READY_S: Final = 0.5


class _Seen(NamedTuple):
    """What was last told to OpenFeature."""

    held: Adopted
    off: object
    stale: bool


class GraysplitProvider(AbstractProvider):
    """Answer OpenFeature's five types by a router's splits; nothing that it does is raised into an evaluation.

    `values` says what each version of a split stands for, the baseline first: `{"banner": {"old": 1, "new": 2}}`. A
    split that the program has not declared is declared by it. Without values a string is the version's name, and a
    boolean is True for the candidate of a split of two versions (`on` and `off` go by their names).
    `at_most` says by which value a tracked event counts in full: `{"purchase": 200.0}`. `metadata` is added to a
    flag's own.
    """

    def __init__(
        self,
        router: Router,
        *,
        values: Mapping[str, Mapping[str, FlagValueType]] | None = None,
        at_most: Mapping[str, float] | None = None,
        metadata: Mapping[str, Mapping[str, bool | float | str]] | None = None,
    ) -> None:
        """Check the values; raises `ConfigurationError` for those that cannot be served. Nothing is started."""
        super().__init__()
        self._router = router
        self._values = FlagValues(values or {})
        self._at_most = dict(at_most or {})
        self._metadata = {split: dict(found) for split, found in (metadata or {}).items()}
        self._declared = self._declare()
        self._set = ""
        self._told: _Seen | None = None
        self._may_tell_at = float("inf")

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="graysplit")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002 - OpenFeature's own
        """Start the router and wait up to two seconds for its store; a store that is late makes the provider STALE.

        Raises `ConfigurationError` for an address that cannot work.
        """
        lifecycle = lifecycle_of(self._router)
        self._told = None
        if self._watch not in lifecycle.states.watchers:
            lifecycle.states.watchers.append(self._watch)
        self._router.wait_ready(READY_WITHIN_S)
        lifecycle = lifecycle_of(self._router)
        self._set = lifecycle.settings.resolved().namespace or "default"
        self._told = self._seen()._replace(stale=False)  # what READY will say
        self._may_tell_at = monotonic() + AFTER_READY_S

    def shutdown(self) -> None:
        """Tell nothing any more; the router belongs to the program and goes on."""
        self._may_tell_at = float("inf")
        with suppress(ValueError):
            lifecycle_of(self._router).states.watchers.remove(self._watch)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's own
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Answer with a boolean."""
        return self._resolve(bool, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Answer with a text."""
        return self._resolve(str, flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Answer with an integer; a boolean is not one."""
        return self._resolve(int, flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Answer with a float; an integer is given as one."""
        return self._resolve(float, flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Answer with an object or a list: a copy, which the caller may change."""
        kind = cast("type[Sequence[FlagValueType] | Mapping[str, FlagValueType]]", dict)
        return self._resolve(kind, flag_key, default_value, evaluation_context)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record a goal for the unit in every armed split that it has met; never raises, never waits.

        A value counts as a share of the event's `at_most`; without one the event counts as 1.
        """
        at_most = self._at_most.get(tracking_event_name)
        value = tracking_event_details.value if tracking_event_details is not None and at_most is not None else None
        self._router.record(tracking_event_name, unit=_unit(evaluation_context), value=value, at_most=at_most or 1.0)

    def _declare(self) -> list[Split[str]]:
        """Declare the splits that have values and that the program has not declared: their baseline is known then."""
        known = lifecycle_of(self._router).states.declarations
        return [
            self._router.split(split, *found) for split, found in self._values.versions.items() if split not in known
        ]

    def _resolve(
        self, kind: type[T], flag_key: str, default_value: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        """Answer; whatever goes wrong is returned as an error code with the caller's default value."""
        try:
            self._may_tell_at = 0.0  # OpenFeature asks only once it has told READY
            self._watch()
            attributes = context.attributes if context is not None else None
            state, decision = decide_by_state(self._router, flag_key, _unit(context), attributes)
            return self._answer(kind, state, decision, default_value, context)
        except Exception as fault:  # noqa: BLE001 - an error is returned: raised, OpenFeature logs a traceback for each
            return _error(default_value, ErrorCode.GENERAL, f"evaluating the flag failed: {type(fault).__name__}")

    def _answer(
        self,
        kind: type[T],
        state: CompiledSplit,
        decision: Decision,
        default_value: T,
        context: EvaluationContext | None,
    ) -> FlagResolutionDetails[T]:
        refusal = self._refusal(state, decision, context)
        if refusal is not None:
            return _error(default_value, *refusal)
        metadata = self._flag_metadata(decision)
        if not self._is_known(decision.split):  # switched off, whatever it is
            return FlagResolutionDetails(default_value, reason=Reason.DISABLED, flag_metadata=metadata)
        value, doubt = self._values.of(kind, decision.split, decision.version, state.names)
        if doubt:
            return _error(default_value, ErrorCode.TYPE_MISMATCH, doubt)
        reason = flag_reason(decision.reason, settled=_is_settled(state))
        return FlagResolutionDetails(value, reason=reason, variant=decision.version, flag_metadata=metadata)

    def _refusal(
        self, state: CompiledSplit, decision: Decision, context: EvaluationContext | None
    ) -> tuple[ErrorCode, str] | None:
        """Return the error code and message where the caller's default value must do; None where there is an answer."""
        split, reason = decision.split, decision.reason
        known = reason == "off" or self._is_known(split)
        if not known and reason in {"not_ready", "empty_namespace", "closed"}:
            return ErrorCode.PROVIDER_NOT_READY, f"the store has not told '{split}' yet. See: graysplit doctor"
        if not known:
            return ErrorCode.FLAG_NOT_FOUND, f"flag {split} not found. See: graysplit list"
        if reason == "error":
            return ErrorCode.GENERAL, f"deciding '{split}' failed: see the log of graysplit"
        if reason == "no_unit" and any(state.weights):
            return _no_unit(split, context)
        return None

    def _is_known(self, split: str) -> bool:
        states = lifecycle_of(self._router).states
        return split in states.declarations or split in states.held.definitions

    def _flag_metadata(self, decision: Decision) -> Mapping[str, bool | int | float | str]:
        found: dict[str, bool | int | float | str] = {
            **self._metadata.get(decision.split, {}),
            "version": str(decision.revision),
            "flagSetId": self._set,
            "graysplit.reason": decision.reason,
        }
        if decision.stale or lifecycle_of(self._router).states.stale:
            found["stale"] = True
        return found

    def _seen(self) -> _Seen:
        states = lifecycle_of(self._router).states
        off = states.break_glass.names if states.break_glass is not None else None
        late = states.phase != "live" or states.following.mode in {"starting", "lost"}
        return _Seen(states.held, off, states.stale or (late and not states.held.loaded))

    def _watch(self) -> None:
        """Emit what has changed since it was last told; called at each turn of the follower, never raises."""
        told = self._told
        if told is None or monotonic() < self._may_tell_at:
            return
        seen = self._seen()
        if seen.held is told.held and seen[1:] == told[1:]:
            return
        self._told = seen
        with suppress(Exception):  # OpenFeature's executor takes nothing while the interpreter ends
            self._emit(told, seen)

    def _emit(self, told: _Seen, seen: _Seen) -> None:
        changed = sorted(_changed(told, seen))
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))
        if seen.stale and not told.stale:
            why = lifecycle_of(self._router).states.following.reason or "the store has not answered yet"
            self.emit_provider_stale(ProviderEventDetails(message=f"the last values read are in force: {why}"))
        elif told.stale and not seen.stale:
            self.emit_provider_ready(ProviderEventDetails(message="the store is followed"))


def _unit(context: EvaluationContext | None) -> Unit:
    """Return the targeting key, or what stands for the unit of `graysplit.context`."""
    return (context.targeting_key if context is not None else None) or MISSING


def _no_unit(split: str, context: EvaluationContext | None) -> tuple[ErrorCode, str]:
    if _unit(context) is MISSING:
        said = f"flag {split} is split by a targeting key: pass one, or open graysplit.context(unit=...)"
        return ErrorCode.TARGETING_KEY_MISSING, said
    return ErrorCode.INVALID_CONTEXT, f"flag {split}: the targeting key cannot be a unit: pass text that is not empty"


def _error(default_value: T, code: ErrorCode, message: str) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(default_value, error_code=code, error_message=shown(message), reason=Reason.ERROR)


def _is_settled(state: CompiledSplit) -> bool:
    """Return whether one version is for everybody, whoever asks."""
    return FULL in state.weights or not any(state.weights)


def _changed(told: _Seen, seen: _Seen) -> set[str]:
    """Name the splits that differ between what was told and what is so now."""
    before, after = told.held, seen.held
    if before is after and told.off == seen.off:
        return set()
    fields = differing(before.weights, after.weights) | differing(before.stops, after.stops)
    splits = {split_of(field) for field in fields} | differing(before.definitions, after.definitions)
    if told.off != seen.off:
        splits |= _off_names(told.off) ^ _off_names(seen.off)
    return set(after.definitions) | splits - {"*"} if "*" in splits else splits


def _off_names(names: object) -> frozenset[str]:
    return frozenset(cast("frozenset[str]", names)) if names else frozenset()
