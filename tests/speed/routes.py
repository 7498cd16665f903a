"""Routed functions of every form that a compiled core meets: what each is called with, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from graysplit import Router

NOBODY: Final = "nobody"  # what a routed function is called with where nobody is named

# A form: the text of a version, and how the routed function is called with a unit.
FORMS: Final[dict[str, tuple[str, Callable[[Callable[..., Any], Any], Any]]]] = {
    "one": (
        "def {name}(user): return answer({name!r}, user)",
        lambda call, unit: call(unit),
    ),
    "four": (
        "def {name}(user, a, b=2, *, c=3): return answer({name!r}, user), a, b, c",
        lambda call, unit: call(unit, 1, c=4),
    ),
    "named": (
        "def {name}(user, a=1): return answer({name!r}, user), a",
        lambda call, unit: call(user=unit, a=2),
    ),
    "any": (
        "def {name}(user, *args, **named): return answer({name!r}, user), args, named",
        lambda call, unit: call(unit, 1, z=2),
    ),
    "async": (
        "async def {name}(user): return answer({name!r}, user)",
        lambda call, unit: _awaited(call(unit)),
    ),
    "generator": (
        "def {name}(user):\n    yield answer({name!r}, user)\n    yield 2",
        lambda call, unit: [*call(unit)],
    ),
}
ROUTES: Final = (*FORMS, "context", "fallback")


def answer(name: str, user: Any) -> str:
    """Return the version's name; fail for some units, the candidates for one more."""
    if type(user) is str and (user.endswith("13") or (user == "boom" and name != "old")):
        raise RuntimeError(name)
    return name


def route(gray: Router, split: str, names: Sequence[str], form: str) -> Callable[..., Any]:
    """Route a split by one form; return how to ask it. Of the form `context` only the context names the unit."""
    text, call = FORMS.get(form, FORMS["one"])
    namespace: dict[str, Any] = {"answer": answer}
    for name in names:
        exec(text.format(name=name), namespace)  # noqa: S102 - the texts above
    wishes: dict[str, Any] = {} if form == "context" else {"unit": "user"}
    routed = gray.route(split, fallback=form == "fallback", **wishes)(namespace["old"])
    for name in names[1:]:
        routed.version(name)(namespace[name])
    return lambda unit=NOBODY: call(routed, unit)


def _awaited(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waited")
