"""What the code declares: splits, their versions, and where each was registered.

A route calls the functions that were made beside it, never another's: the same `def`, run twice by a factory, makes two
routes of one split, each with functions of its own. Names and places are the split's; functions are the route's.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from weakref import ref

from graysplit.core.hot_state import VersionFunction
from graysplit.core.weights import check_name
from graysplit.errors import RegistrationError, SignatureMismatchError
from graysplit.routes.origin import MAIN, Origin, origin_of, registering

if TYPE_CHECKING:
    from graysplit.router.warmup_hook import WarmupHook
    from graysplit.routes.handle import Split
    from graysplit.routes.wrap import Route

# Handles of one split may be made in several places: they declare names, no functions.
HANDLE = Origin("", "Router.split()", "")

# So many handles of one split are kept for declarations to come; what is declared beyond lives as long as it is held.
HANDLES_AT_MOST = 64

# From so many routes on it is looked whether they still live: a route made by each call does not.
ROUTES_TOLD = 100


class Joining(NamedTuple):
    """A candidate that a route takes once the whole declaration is accepted."""

    route: Route
    version: str
    function: VersionFunction


class Declaration:
    """One split as this process's code declares it. Changed by a copy that replaces it, all or nothing."""

    __slots__ = (
        "_handles",
        "_joining",
        "_routes",
        "aside",
        "baseline",
        "by",
        "calls",
        "hooks",
        "kept",
        "kind",
        "led_in",
        "made",
        "places",
        "split",
    )

    def __init__(self, split: str) -> None:
        """Begin with nothing known; versions may be registered before their baseline."""
        self.split = check_name(split)
        self.baseline: str | None = None
        self.kind = "split"
        self.by: Literal["unit", "instance"] = "unit"  # instance: where its unit is graysplit.INSTANCE
        self.calls: dict[
            str, VersionFunction
        ] = {}  # candidates registered by name, for every route that is still to come
        self.places: dict[str, Origin] = {}  # every version declared, by name
        self.hooks: dict[str, WarmupHook] = {}  # what prepares a version, by its name
        self.kept: dict[Hashable, Split[Any]] = {}  # handles, by what they were declared with; Any: of any versions
        self.led_in = ""  # the module that made the last handle
        self.made = 0  # routes so far
        self.aside: tuple[str, ...] = ()  # candidates that the last change has set aside, as people read them
        # What reads states lives as long as somebody can ask it: a route made by each call is not kept here.
        self._routes: tuple[ref[Route], ...] = ()
        self._handles: tuple[ref[Split[Any]], ...] = ()
        self._joining: tuple[Joining, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The versions, the baseline first."""
        first = [self.baseline] if self.baseline is not None else []
        return (*first, *(name for name in self.places if name != self.baseline))

    @property
    def routes(self) -> list[Route]:
        """The routes that can still be called, in the order in which they were made."""
        return [route for known in self._routes if (route := known()) is not None]

    @property
    def handles(self) -> list[Split[Any]]:
        """The handles that can still be asked."""
        return [handle for known in self._handles if (handle := known()) is not None]

    def copy(self) -> Declaration:
        """Return a copy to change."""
        copied = Declaration(self.split)
        copied.baseline, copied.kind, copied.by, copied.made = self.baseline, self.kind, self.by, self.made
        copied.calls, copied.places, copied.hooks = self.calls.copy(), self.places.copy(), self.hooks
        copied.kept, copied.led_in = self.kept.copy(), self.led_in
        copied._routes = tuple(known for known in self._routes if known() is not None)
        copied._handles = tuple(known for known in self._handles if known() is not None)
        return copied

    def settle(self) -> None:
        """Let routes take what this change gives them; the change has been accepted, and nothing raises."""
        for route, version, function in self._joining:
            route.take(version, function)
        self._joining = ()

    def copy_into(self, other: Declaration) -> None:
        """Add all of this to another router's declaration of the same split."""
        for version, place in self.places.items():
            other.claim(version, place)
        if self.baseline is not None:
            other.lead(self.baseline, self.kind)
        if self.by == "instance":
            other.by = self.by
        for version, function in self.calls.items():
            other.offer(version, function, self.places[version])
        for route in self.routes:
            other.join(route)
        for version, hook in self.hooks.items():
            other.prepare(version, hook)
        other.kept = {**self.kept, **other.kept}
        other._handles += self._handles

    def lead_handle(self, baseline: str) -> None:
        """Name the baseline of a handle; an edited cell of a notebook (`__main__`) may name another one than before."""
        module, _ = registering()
        if self.kind == "split" and self.led_in == module == MAIN:
            self.baseline = None
            self.kept = {key: handle for key, handle in self.kept.items() if handle.baseline == baseline}
        self.lead(baseline, "split")
        self.led_in = module

    def lead(self, baseline: str, kind: str) -> None:
        """Name the baseline; code that names another one for the same split is an error."""
        if self.baseline not in (None, baseline):
            raise RegistrationError(
                f"split '{self.split}' has two baselines in this code: '{self.baseline}' and '{baseline}'. "
                "Name one of them in both places"
            )
        self.baseline = baseline
        self.kind = kind

    def hold(self, handle: Split[Any], key: Hashable | None) -> None:
        """Hand states to a handle from now on; with a key the same declaration finds it again."""
        self._handles += (ref(handle),)
        if key is not None and len(self.kept) < HANDLES_AT_MOST:
            self.kept[key] = handle

    def lead_route(self, route: Route) -> None:
        """Register a route with its baseline; candidates registered by name are checked and become its own.

        Declared again with other parameters, those that do not fit it yet are set aside: they are to come again too.
        """
        former = self.places.get(self.baseline) if self.baseline is not None else None
        again = former is not None and route.place.is_again(former)
        if again and self.baseline is not None and self.baseline != route.baseline:
            del self.places[self.baseline]
            self.baseline = None
        self.lead(route.baseline, "route")
        self.claim(route.baseline, route.place)
        self.made += 1
        self.join(route, again=again)

    def join(self, route: Route, *, again: bool = False) -> None:
        """Hand states to a route from now on, and offer it the candidates registered by name."""
        for version, function in tuple(self.calls.items()):
            place = self.places[version]
            if version in route.own:
                continue
            try:
                route.check(version, function, named=False)
            except SignatureMismatchError:
                if not again:
                    raise
                self._set_aside(version, place)
                del self.calls[version]
                continue
            self._joining += (Joining(route, version, function),)
            if place.is_beside(route.place):
                del self.calls[version]  # made by the call that made this route: another call brings its own
        self._routes += (ref(route),)

    def take_beside(self, route: Route, version: str, function: VersionFunction) -> None:
        """Register a candidate of one route, made beside it."""
        route.check(version, function)
        self.claim(version, origin_of(function))
        self._joining += (Joining(route, version, function),)

    def take(self, version: str, function: VersionFunction) -> None:
        """Register a candidate by name, for the routes there are and those to come."""
        place = origin_of(function)
        known = self.places.get(check_name(version))
        self.claim(version, place)
        self.offer(version, function, place, again=known is not None and place.is_again(known))

    def offer(self, version: str, function: VersionFunction, place: Origin, *, again: bool = False) -> None:
        """Pass a candidate registered by name on to the routes that are to call it: the newest must be able to.

        One made by a call (of a factory) belongs to the route that the same call made; routes of earlier calls keep
        theirs.
        """
        beside = False
        for number, route in enumerate(reversed(self.routes)):
            own = place.is_beside(route.place)
            if own and version in route.own:
                continue
            try:
                route.check(version, function, named=not again)
            except SignatureMismatchError:
                if number == 0 and not (again and route.place.module == place.module):
                    raise
                if number == 0:
                    self._set_aside(version, place)
                continue
            self._joining += (Joining(route, version, function),)
            beside = beside or own
        if not beside:
            self.calls[version] = function

    def _set_aside(self, version: str, place: Origin) -> None:
        self.aside += (f"'{version}' ({place})",)

    def prepare(self, version: str, hook: WarmupHook) -> None:
        """Register what prepares a version, which may come later; the same place again replaces it."""
        known = self.hooks.get(check_name(version))
        if known is not None and not hook.place.is_again(known.place):
            raise RegistrationError(
                f"version '{version}' of split '{self.split}' is prepared twice: by {known.place} and by {hook.place}. "
                "Call both from one hook"
            )
        self.hooks = {**self.hooks, version: hook}

    def claim(self, version: str, place: Origin) -> None:
        """Register a version's name; the same place again (a reload) replaces, another is an error."""
        known = self.places.get(check_name(version))
        if known is not None and not place.is_again(known):
            raise RegistrationError(
                f"version '{version}' of split '{self.split}' is registered twice: {known} and {place}. "
                "Give one of them another version name"
            )
        self.places[version] = place

    def made_per_call(self) -> bool:
        """Return whether routes come and go, so that each call seems to make one."""
        return self.made % ROUTES_TOLD == 0 and 2 * len(self.routes) < ROUTES_TOLD
