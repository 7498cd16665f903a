"""A plan: the schedule of a release, as a person wrote it into the split's record.

    {"version": "new", "steps": [{"weight": "20", "after": "10m"}, {"weight": "50", "approve": true}], "bake": "1h"}

A step is a weight and its gates: what must be so before the next step is taken, `after` (time since its
confirmation), `until` (a verdict), `ready` (every live process), `approve` (a person, asked last). A gate that a
library does not know keeps it from driving: an unknown key is not a decoration, and `needs` says what a plan asks of
its drivers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, cast

from graysplit.core.durations import BadSpanError, Span, seconds, span_text
from graysplit.core.limits import shown
from graysplit.core.weights import FULL, check_name, format_weight, type_weight
from graysplit.errors import BadNameError, BadValueError, BadWeightError

NEEDS: Final = 2  # what this library knows; a plan that needs more is not driven here
SEVERAL: Final = 2  # what a plan of several candidates needs
STEPS_AT_MOST: Final = 1_000
SPAN_AT_MOST_S: Final = 400 * 86_400
BAKE_S: Final = 3_600
REASON_AT_MOST: Final = 300  # characters
SAFE: Final = "safe"

Overdue: TypeAlias = Literal["nag", "rollback"]


class BadPlanError(BadValueError):
    """A plan does not hold together, or is not understood here."""

    def __init__(self, field: str, reason: str) -> None:
        """Keep the field's path (empty for the whole) and the reason, escaped and cut: it quotes what stands there."""
        self.field = field
        self.reason = shown(reason, REASON_AT_MOST)
        super().__init__(f"plan, {field}: {self.reason}" if field else f"plan: {self.reason}")


class PlanStep(NamedTuple):
    """One weight, and the gates that stand before the next step."""

    weight: int  # thousandths of a percent
    after_s: float | None = None  # seconds that must have been driven since its confirmation; 0 is said on purpose
    until: Literal["safe"] | None = None  # the verdict that must stand
    approve: bool = False  # a person must say yes, asked when the other gates are open
    max_wait_s: float | None = None  # how long it may wait at its gates
    overdue: Overdue = "nag"  # what happens after that: a person is called again, or everything goes back

    ready: bool = False  # every live process must be ready for the version: present, and what prepares it done
    also: tuple[int, ...] = ()  # the weights of the candidates that go with the plan's, in their order

    @property
    def total(self) -> int:
        """Return what all candidates of the plan hold at it."""
        return self.weight + sum(self.also)

    @property
    def words(self) -> str:
        """Return its weights for people: `20`, of several candidates `20/20`."""
        return "/".join(map(format_weight, (self.weight, *self.also)))

    @property
    def is_gated(self) -> bool:
        """Return whether something stands before the next step: a gate, or a time of 0 that somebody has named."""
        return self.after_s is not None or self.until is not None or self.approve or self.ready

    @property
    def gates(self) -> tuple[str, ...]:
        """Name the gates for people, in the order in which they are asked."""
        named = (
            f"after {span_text(self.after_s)}" if self.after_s else "",
            f"until {self.until}" if self.until else "",
            "ready" if self.ready else "",
            "approve" if self.approve else "",
        )
        return tuple(filter(None, named))


class Plan(NamedTuple):
    """The steps of one candidate."""

    version: str
    steps: tuple[PlanStep, ...]
    name: str = "ramp"  # the template's that it was copied from
    bake_s: float = 0  # the guarded wait after the last step
    needs: int = 1
    also: tuple[str, ...] = ()  # the candidates that go with it, each with a weight in every step

    @property
    def versions(self) -> tuple[str, ...]:
        """Name all candidates that it raises, the leading one first."""
        return (self.version, *self.also)

    def weights(self, number: int, out: Collection[str] = ()) -> dict[str, int]:
        """Return what a step writes, by version; not of those that have left the plan."""
        step = self.steps[number]
        found = zip(self.versions, (step.weight, *step.also), strict=False)
        return {name: weight for name, weight in found if name not in out}

    def words(self, number: int, out: Collection[str] = ()) -> str:
        """Return the same weights for people: `5/5`."""
        return "/".join(map(format_weight, self.weights(number, out).values()))

    @property
    def mark(self) -> str:
        """Return how its mark in `meta` names them: a rollback of one of several does not end it there."""
        return "+".join(self.versions)


CONTROL: Final = 95_000  # the default plan's last step but one: some users stay on old, for the guard to compare with


def default_steps(bake_s: float = BAKE_S, *, hosts: int = 0) -> tuple[PlanStep, ...]:
    """Return what `ramp` does unless told otherwise: 20 %, approve, 50 %, approve, 95 % for a time, 100 %.

    At 100 % nobody is left to compare with, so it bakes before. Where instances cross over, so many `hosts` are live,
    and one of them is the control: of twenty hosts or fewer 95 % would be all.
    """
    weight = min(CONTROL, (hosts - 1) * FULL // hosts) if hosts else CONTROL
    if weight <= 50_000:  # noqa: PLR2004 - one of two hosts: the step before is the control
        return (PlanStep(20_000, approve=True), PlanStep(50_000, bake_s, approve=True), PlanStep(FULL))
    return (PlanStep(20_000, approve=True), PlanStep(50_000, approve=True), PlanStep(weight, bake_s), PlanStep(FULL))


def make_plan(
    version: str, steps: Iterable[PlanStep], *, name: str = "ramp", bake_s: float = 0, also: tuple[str, ...] = ()
) -> Plan:
    """Make a plan; raises `BadPlanError` unless it rises from above 0 to at most 100 %."""
    plan = Plan(version, tuple(steps), name, bake_s, SEVERAL if also else 1, also)
    _check(plan)
    return plan


def parse_plan(record: Mapping[str, object], version: str | None = None) -> Plan:
    """Read a plan from a split's record or a file (where `version` stands in for one not named)."""
    _check_keys("", record, ("version", "steps", "name", "bake", "needs", "also"))
    needs = record.get("needs", 1)
    if not _is_whole(needs) or cast("int", needs) > NEEDS:
        raise BadPlanError("needs", f"{needs!r} is newer than this graysplit knows ({NEEDS}): upgrade it")
    steps = record.get("steps")
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        raise BadPlanError("steps", 'expected a list, as in [{"weight": "20", "approve": true}, {"weight": "100"}]')
    plan = Plan(
        _name("version", record.get("version", version)),
        tuple(_step(number, step) for number, step in enumerate(cast("Sequence[object]", steps))),
        _name("name", record.get("name", "ramp")),
        plan_span("bake", record.get("bake", 0)),
        cast("int", needs),
        tuple(_name("also", name) for name in _listed("also", record)),
    )
    _check(plan)
    return plan


def check_gated(plan: Plan) -> None:
    """Raise `BadPlanError` where a step would be taken at once and nobody has said so.

    Asked where a plan begins. One that an older library has started runs on.
    """
    for number in ungated(plan):
        step, ahead = plan.steps[number], plan.steps[number + 1]
        at, to = format_weight(step.weight), format_weight(ahead.weight)
        raise BadPlanError(
            f"steps.{number}",
            f"no gate between {at} % and {to} %: {to} % would follow at once. Add a gate to each step: --every "
            '10m, --approve or --until safe ("after", "approve", "until" in a file). Steps that follow at once on '
            'purpose: --every 0 ("after": "0s")',
        )


def ungated(plan: Plan) -> tuple[int, ...]:
    """Return the numbers of the steps, from 0, with nothing between them and the next."""
    return tuple(number for number, step in enumerate(plan.steps[:-1]) if not step.is_gated)


def check_waits(plan: Plan) -> None:
    """Raise `BadPlanError` where a step would be overdue before its own time is up.

    Asked where a plan begins. One that an older library has started runs on.
    """
    for number, step in enumerate(plan.steps[:-1]):
        if step.max_wait_s is not None and step.max_wait_s < (step.after_s or 0):
            at, after, most = format_weight(step.weight), span_text(step.after_s or 0), span_text(step.max_wait_s)
            raise BadPlanError(
                f"steps.{number}.max_wait",
                f"{most} would be over before the {after} at {at} % end: use more than {after}",
            )


def plan_record(plan: Plan) -> dict[str, object]:
    """Return a plan as it stands in the split's record."""
    record: dict[str, object] = {"version": plan.version, "steps": [_step_record(step) for step in plan.steps]}
    if plan.also:
        record |= {"also": list(plan.also), "needs": SEVERAL}
    if plan.name != "ramp":
        record["name"] = plan.name
    if plan.bake_s:
        record["bake"] = span_text(plan.bake_s)
    return record


def _step(number: int, found: object) -> PlanStep:
    where = f"steps.{number}"
    if not isinstance(found, Mapping):
        raise BadPlanError(where, 'expected an object, as in {"weight": "20", "after": "10m"}')
    record = cast("Mapping[str, object]", found)
    _check_keys(where, record, ("weight", "after", "until", "approve", "max_wait", "overdue", "ready", "also"))
    until, approve, overdue = record.get("until"), record.get("approve", False), record.get("overdue")
    if until not in (None, SAFE):  # no set: what stands here may be a list, and has no hash
        raise BadPlanError(f"{where}.until", f"invalid verdict {until!r}: use 'safe'")
    if not isinstance(approve, bool):
        raise BadPlanError(f"{where}.approve", f"invalid value {approve!r}: use true or false")
    if not isinstance(record.get("ready", False), bool):
        raise BadPlanError(f"{where}.ready", f"invalid value {record['ready']!r}: use true or false")
    if overdue not in (None, "nag", "rollback"):
        raise BadPlanError(f"{where}.overdue", f"invalid value {overdue!r}: use 'nag' or 'rollback'")
    return PlanStep(
        _weight(f"{where}.weight", record.get("weight")),
        plan_span(f"{where}.after", record["after"]) if "after" in record else None,
        SAFE if until == SAFE else None,
        approve,
        plan_span(f"{where}.max_wait", record["max_wait"]) if "max_wait" in record else None,
        "rollback" if overdue == "rollback" else "nag",
        ready=record.get("ready") is True,
        also=tuple(_weight(f"{where}.also", weight) for weight in _listed("also", record, where)),
    )


def _listed(key: str, record: Mapping[str, object], where: str = "") -> Sequence[object]:
    found = record.get(key, [])
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise BadPlanError(f"{where}.{key}" if where else key, "expected a list")
    return cast("Sequence[object]", found)


def _step_record(step: PlanStep) -> dict[str, object]:
    record: dict[str, object] = {"weight": format_weight(step.weight)}
    if step.also:
        record["also"] = [format_weight(weight) for weight in step.also]
    if step.after_s is not None:
        record["after"] = span_text(step.after_s)
    if step.until:
        record["until"] = step.until
    if step.approve:
        record["approve"] = True
    if step.ready:
        record["ready"] = True
    if step.max_wait_s is not None:
        record["max_wait"] = span_text(step.max_wait_s)
    if step.overdue != "nag":
        record["overdue"] = step.overdue
    return record


def _check(plan: Plan) -> None:
    if not plan.steps:
        raise BadPlanError("steps", "a plan needs at least one step")
    if len(plan.steps) > STEPS_AT_MOST:
        raise BadPlanError("steps", f"{len(plan.steps)} are more than the {STEPS_AT_MOST} allowed")
    before = 0
    for number, step in enumerate(plan.steps):
        if step.weight == 0:
            raise BadPlanError(f"steps.{number}.weight", "a step cannot be zero: to go back, use rollback")
        if step.weight <= before:
            shown = f"{format_weight(step.weight)} is not above {format_weight(before)}"
            raise BadPlanError(f"steps.{number}.weight", f"{shown}: a step must raise the weight (back: rollback)")
        before = step.weight
    _check_several(plan)


def _check_several(plan: Plan) -> None:
    """Check that each step has one weight for each candidate, that none falls, and that all fit together."""
    if len({*plan.versions}) != len(plan.versions):
        raise BadPlanError("also", "a candidate is named twice")
    before = (0,) * len(plan.also)
    for number, step in enumerate(plan.steps):
        if len(step.also) != len(plan.also):
            raise BadPlanError(
                f"steps.{number}.also",
                f"{len(step.also) + 1} weights for {len(plan.versions)} candidates ({', '.join(plan.versions)})",
            )
        if any(now < was or not now for was, now in zip(before, step.also, strict=True)):
            raise BadPlanError(f"steps.{number}.also", f"{step.words}: no candidate may fall or be at zero")
        if step.total > FULL:
            raise BadPlanError(f"steps.{number}.also", f"{step.words} are more than 100 % together")
        before = step.also


def _check_keys(where: str, record: Mapping[str, object], known: Sequence[str]) -> None:
    unknown = next((key for key in record if key not in known), None)
    if unknown is not None:
        path = f"{where}.{unknown}" if where else str(unknown)
        raise BadPlanError(path[:100], f"unknown here (known: {', '.join(known)})")


def _weight(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise BadPlanError(where, f"invalid weight {value!r}: write 20 or 12.5")
    try:
        weight = type_weight(value if isinstance(value, str) else f"{value:.10g}")
    except BadWeightError as fault:
        raise BadPlanError(where, str(fault)) from None
    except OverflowError:
        raise BadPlanError(where, "invalid weight: use 0 to 100") from None
    if weight == "preview":
        raise BadPlanError(where, "a step cannot be preview: use a weight above 0")
    return weight


def plan_span(where: str, value: object) -> float:
    """Return a length of time in a plan, in seconds; raise `BadPlanError` where it cannot be one."""
    try:
        whole = seconds(cast("Span", value))
    except BadSpanError as fault:
        raise BadPlanError(where, str(fault)) from None
    except OverflowError:
        raise BadPlanError(where, "invalid duration: write 10m, 2h or 3d") from None
    if not 0 <= whole <= SPAN_AT_MOST_S:
        raise BadPlanError(where, f"{value!r} is not between 0 and {SPAN_AT_MOST_S // 86_400} days")
    return whole


def _name(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadPlanError(where, f"invalid name {value!r}")
    try:
        return check_name(value)
    except BadNameError as fault:
        raise BadPlanError(where, str(fault)) from None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
