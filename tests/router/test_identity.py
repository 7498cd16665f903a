"""A route calls its own functions: code that runs twice makes two routes, code that is edited replaces one."""

# ruff: noqa: ARG002 - the methods routed have parameters and no use for them

from __future__ import annotations

import gc
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import graysplit
from graysplit import Control, RegistrationError, Router, SignatureMismatchError
from graysplit.stores.memory import MemoryStore
from tests.router.test_router import NEW, OLD
from tests.support import eventually

MakeRouter = Callable[..., Router]
Module = Callable[..., Any]


@pytest.fixture
def module(router: Router, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Return a maker of modules that find the router as `gray`; called again with other text it reloads."""
    names: list[str] = []
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit within one second is seen
    monkeypatch.setitem(sys.modules, "shared_gray", types.ModuleType("shared_gray"))
    sys.modules["shared_gray"].gray = router  # type: ignore[attr-defined] # a module made here

    def make(name: str, text: str) -> Any:
        (tmp_path / f"{name}.py").write_text(f"from shared_gray import gray\n{text}")
        importlib.invalidate_caches()
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        names.append(name)
        return importlib.import_module(name)

    yield make
    for name in names:
        sys.modules.pop(name, None)


def make_handler(gray: Router, tenant: str) -> Any:
    """Make one tenant's routed handler with its candidate beside it."""

    @gray.route("checkout", unit="user")
    def handle(user: str) -> str:
        return f"old {tenant}"

    @handle.version("new")
    def handle_new(user: str) -> str:
        return f"new {tenant}"

    return handle


def make_by_name(gray: Router, tenant: str, *, first: bool) -> Any:
    """Make the same with the candidate registered by name, before or after its route."""

    def candidate(user: str) -> str:
        return f"new {tenant}"

    def baseline(user: str) -> str:
        return f"old {tenant}"

    if first:
        gray.candidate("checkout", "new")(candidate)
    handle = gray.route("checkout", unit="user")(baseline)
    if not first:
        gray.candidate("checkout", "new")(candidate)
    return handle


@pytest.mark.parametrize("make", [make_handler, partial(make_by_name, first=True), partial(make_by_name, first=False)])
def test_a_factorys_routes_each_call_their_own(
    store: MemoryStore, make_router: MakeRouter, router: Router, make: Any
) -> None:
    """Tenant A's handler runs tenant A's functions, on both paths, before and after a rollback, and with no store."""
    a, b, c = (make(router, tenant) for tenant in "abc")
    assert [[route(unit) for route in (a, b, c)] for unit in (OLD, NEW)] == [
        ["old a", "old b", "old c"],
        ["new a", "new b", "new c"],
    ]
    assert a.versions["new"](OLD) == "new a"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: [route(NEW) for route in (a, b, c)] == ["old a", "old b", "old c"])
    bare = make_router()
    first, second = make(bare, "x"), make(bare, "y")
    assert (first(NEW), second(NEW)) == ("old x", "old y")


def test_a_class_made_in_a_function_calls_its_own(router: Router) -> None:
    """Views made by a function keep their methods apart, also the first one after the second was made."""

    def make(tenant: str) -> Any:
        class View:
            @router.route("checkout", unit="user")
            def get(self, user: str) -> str:
                return f"old {tenant} {type(self).__name__}"

            @get.version("new")
            def get_new(self, user: str) -> str:
                return f"new {tenant} {type(self).__name__}"

        return View

    first, second = make("a"), make("b")
    assert first().get(NEW) == "new a View"
    assert second().get(NEW) == "new b View"
    assert first().get(OLD) == "old a View"


def test_an_instance_without_a_candidate_is_its_own_baseline(store: MemoryStore, router: Router) -> None:
    """A route whose factory call made no candidate never runs another's: its baseline, and bystanders stay."""
    Control(store, confirm=True).create("ranking", versions=("a", "b", "c"))
    Control(store, confirm=True).set("ranking", weights={"b": 30, "c": 30})

    def make(tenant: str, *names: str) -> Any:
        @router.route("ranking", unit="user", baseline="a")
        def rank(user: str) -> str:
            return f"a {tenant}"

        def candidate(name: str) -> Callable[[str], str]:
            def ranked(user: str) -> str:
                return f"{name} {tenant}"

            return ranked

        for name in names:
            rank.version(name)(candidate(name))
        return rank

    full, half = make("full", "b", "c"), make("half", "b")
    eventually(lambda: router.decide("ranking", NEW).reason == "bucket")
    for number in range(300):
        unit = f"u-{number}"
        version = router.choose("ranking", unit)
        assert full(unit) == f"{version} full"
        assert half(unit) == f"{'a' if version == 'c' else version} half"
        with graysplit.context(unit):
            assert full(unit) == f"{version} full"
            assert half(unit) == f"{'a' if version == 'c' else version} half"
    counted = {found.version: found.evaluations for found in router.measures() if found.split == "ranking"}
    absent = sum(router.choose("ranking", f"u-{number}") == "c" for number in range(300))
    assert counted["a"]["version_absent"] == 2 * absent


def test_a_route_made_by_each_call_is_named_and_freed(
    store: MemoryStore, router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once that a call seems to make a route each time; and what nobody can call any more is let go."""
    kept = make_handler(router, "kept")
    for number in range(120):
        assert make_handler(router, str(number))(NEW) == f"new {number}"
        gc.collect(0)
    gc.collect()
    assert [text for text in caplog.messages if "make_handler" in text and "Route a function of the module" in text]
    make_handler(router, "last")
    assert len(router._lifecycle.states.declarations["checkout"].routes) <= 4
    assert kept(NEW) == "new kept"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: kept(NEW) == "old kept")


def test_a_copied_function_hears_a_rollback(store: MemoryStore, router: Router) -> None:
    """What frameworks make of a function's code and cells goes on hearing, though the routed function is gone."""
    routed = make_handler(router, "a")
    copied = types.FunctionType(routed.__code__, routed.__globals__, "copied", routed.__defaults__, routed.__closure__)
    del routed
    gc.collect()
    assert copied(NEW) == "new a"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: copied(NEW) == "old a")


@pytest.mark.parametrize("outer", ["@pay.version('new')", "@gray.candidate('checkout', 'new')"])
def test_a_second_def_of_the_routes_name_is_refused(module: Module, outer: str) -> None:
    """The habit of `property.setter` would send everybody to the candidate: the sentence names another name."""
    text = f"""
@gray.route("checkout", unit="user")
def pay(user):
    return "old"
first = pay
try:
    {outer}
    def pay(user):
        return "new"
except Exception as fault:
    refused = fault
"""
    shop = module("shop", text)
    assert isinstance(shop.refused, RegistrationError)
    assert "second def pay" in str(shop.refused)
    assert "def pay_new" in str(shop.refused)
    assert shop.pay is shop.first
    assert shop.pay(NEW) == "old"


def test_a_second_def_in_another_module_or_a_class_is_refused(router: Router, module: Module) -> None:
    """Where the name is imported, or stands in the class's body, it would be taken as well; beside it is another."""
    module("first_shop", '@gray.route("checkout", unit="user")\ndef pay(user):\n    return "old"\n')
    text = "from first_shop import pay\n@pay.version('new')\ndef pay(user):\n    return 'new'\n"
    with pytest.raises(RegistrationError, match="second def pay"):
        module("second_shop", text)
    with pytest.raises(RegistrationError, match="second def get"):

        class View:
            @router.route("view", unit="user")
            def get(self, user: str) -> str:
                return "old"

            @get.version("new")
            def get(self, user: str) -> str:  # type: ignore[no-redef] # what is refused
                return "new"

    fine = module("third_shop", "import first_shop\n@first_shop.pay.version('new')\ndef pay(user):\n    return 'new'\n")
    assert fine.pay(OLD) == "new"
    assert sys.modules["first_shop"].pay(NEW) == "new"


DECORATED = """
import functools
from shared_deco import logged
@gray.route("checkout", unit="user")
@logged
def handle(user):
    return "{name} old"
@handle.version("new")
@logged
def handle_new(user):
    return "{name} new"
"""
DECORATOR = """
import functools
def logged(function):
    @functools.wraps(function)
    def wrapper(user):
        return function(user)
    return wrapper
"""


def test_two_modules_that_claim_one_split_are_refused(module: Module) -> None:
    """A shared decorator hides neither the module nor the name: the second claim names both."""
    module("shared_deco", DECORATOR)
    orders = module("orders", DECORATED.format(name="orders"))
    with pytest.raises(
        RegistrationError, match=r"registered twice: handle in .*orders\.py and handle in .*refunds\.py"
    ):
        module("refunds", DECORATED.format(name="refunds"))
    assert orders.handle(NEW) == "orders new"
    assert module("orders", DECORATED.format(name="edited")).handle(NEW) == "edited new"
    assert orders.handle(NEW) == "edited new"


@pytest.mark.parametrize("made", ["functools.partial(work, 'x')", "Callable()", "Callable().bound", "len"])
def test_two_modules_that_claim_one_version_by_a_partial_are_refused(router: Router, module: Module, made: str) -> None:
    """Partials, objects, bound methods and built-in functions are told apart by who registers them."""
    module(
        "parts",
        "def work(tag, user):\n    return tag\n"
        "class Callable:\n    def __call__(self, user):\n        return 'x'\n    bound = __call__\n",
    )
    text = f"import functools\nfrom parts import work, Callable\ngray.candidate('parts', 'new')({made})\n"
    module("orders", text)
    module("orders", text)
    with pytest.raises(RegistrationError, match="registered twice"):
        module("refunds", text)


def test_an_edited_cell_is_run_again(store: MemoryStore, router: Router) -> None:
    """In a notebook (`__main__`) declaring again replaces: other names, other parameters, no candidate of before."""

    def cell(text: str) -> Any:
        names.update(gray=router)
        exec(compile(text, f"<cell {len(ran)}>", "exec", dont_inherit=True), names)  # noqa: S102 - a notebook's way
        ran.append(text)
        return names["pay"]

    names: dict[str, Any] = {"__name__": "__main__"}
    ran: list[str] = []
    route = "@gray.route('checkout', unit='user')\ndef pay(user):\n    return 'old'\n"
    candidate = "@pay.version('new')\ndef pay_new(user):\n    return 'new'\n"
    first = cell(route + candidate)
    assert first(NEW) == "new"
    assert cell(candidate.replace("'new'\n", "'newer'\n")) is first
    assert first(NEW) == "newer"
    second = cell(route.replace("user)", "user, cart)").replace("'old'", "'older'"))
    assert second(NEW, 1) == "older"
    assert first(NEW) == "newer"
    cell(candidate.replace("pay_new(user)", "another(user, cart)"))
    assert second(NEW, 1) == "new"
    third = cell(route.replace("def pay(", "def pay_v1(") + "pay = pay_v1\n")
    assert third(NEW) == "old"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: (first(NEW), second(NEW, 1), third(NEW)) == ("old", "older", "old"))


@pytest.mark.parametrize("order", ["route first", "candidate first"])
def test_a_reload_takes_other_parameters(module: Module, order: str, caplog: pytest.LogCaptureFixture) -> None:
    """A reloaded module may change the signature of both, also where the candidate is registered by name."""
    route = "@gray.route('checkout', unit='user')\ndef pay(user{more}):\n    return 'old{more}'\n"
    candidate = "@gray.candidate('checkout', 'new')\ndef pay_new(user{more}):\n    return 'new{more}'\n"
    text = route + candidate if order == "route first" else candidate + route
    before = module("shop", text.format(more="")).pay
    after = module("shop", text.format(more=", cart")).pay
    assert (before(OLD), before(NEW)) == ("old", "new")
    assert (after(OLD, 1), after(NEW, 1)) == ("old, cart", "new, cart")
    assert [text for text in caplog.messages if "absent until it is declared again" in text]


def test_candidates_of_another_module_are_set_aside_until_they_are_reloaded(module: Module) -> None:
    """Two modules with one changed signature are reloaded one after the other; in between the baseline answers."""
    route = "@gray.route('checkout', unit='user')\ndef pay(user{more}):\n    return 'old{more}'\n"
    candidate = "@gray.candidate('checkout', 'new')\ndef pay_new(user{more}):\n    return 'new{more}'\n"
    module("shop", route.format(more=""))
    module("fresh", candidate.format(more=""))
    pay = module("shop", route.format(more=", cart")).pay
    assert pay(NEW, 1) == "old, cart"
    module("fresh", candidate.format(more=", cart"))
    assert pay(NEW, 1) == "new, cart"


@pytest.mark.parametrize("how", ["beside", "by name"])
def test_a_refused_candidate_leaves_nothing(store: MemoryStore, router: Router, how: str) -> None:
    """A candidate whose parameters do not fit is not present: after the next change of weight nobody calls it."""

    @router.route("checkout", unit="user")
    def pay(user: str) -> str:
        return "old"

    def wrong(customer: str) -> str:
        return "new"

    register = pay.version("new") if how == "beside" else router.candidate("checkout", "new")
    with pytest.raises(SignatureMismatchError):
        register(wrong)  # type: ignore[arg-type] # what is refused
    assert router._lifecycle.states.declared()["checkout"].versions == ("old",)
    Control(store, confirm=True).set("checkout", 100, allow_needless=True)
    eventually(lambda: router.decide("checkout", OLD).reason == "version_absent")
    assert (pay(OLD), pay(NEW)) == ("old", "old")

    @router.candidate("checkout", "new")
    def right(user: str) -> str:
        return "new"

    assert pay(OLD) == "new"


def test_a_refused_split_leaves_nothing(router: Router) -> None:
    """Of a handle that is refused for one of its names, its unit or its errors, nothing is declared."""
    router.split("banner", "plain", "bright")
    before = {name: found.versions for name, found in router._lifecycle.states.declared().items()}
    for refused in (
        lambda: router.split("banner", "third", "plain"),
        lambda: router.split("fresh", "old", "NOT A NAME"),
        lambda: router.split("fresh", ignore=3),  # type: ignore[call-overload]
        lambda: router.split("fresh", unit=3),  # type: ignore[call-overload]
    ):
        with pytest.raises(graysplit.GraysplitError):
            refused()
    assert {name: found.versions for name, found in router._lifecycle.states.declared().items()} == before


def test_a_refused_include_leaves_nothing(store: MemoryStore, make_router: MakeRouter, router: Router) -> None:
    """What clashes with a library is named; neither router has taken anything over, and the library can be mended."""
    library = make_router()
    banner, checkout = library.split("banner"), make_handler(library, "library")
    router.split("checkout", "old", "new")
    with pytest.raises(RegistrationError, match="registered twice"):
        router.include(library)
    assert set(router._lifecycle.states.declared()) == {"checkout"}
    assert library._lifecycle is not router._lifecycle
    other = make_router(store)
    other.include(library)
    assert other.wait_ready(5)
    eventually(lambda: checkout(NEW) == "new library")
    assert banner.choose(NEW) == "old"


def test_nested_includes_are_served(store: MemoryStore, make_router: MakeRouter) -> None:
    """Inner into middle, middle into app: what each declares before and after follows the app's store."""
    inner, middle, last, app = make_router(), make_router(), make_router(), make_router(store)
    early = make_handler(inner, "early")
    middle.include(inner)
    app.include(middle)
    middle.include(last)
    late, latest = inner.split("checkout-late"), make_handler(last, "latest")
    assert app.wait_ready(5)
    Control(store, confirm=True).create("checkout-late")
    Control(store, confirm=True).set("checkout-late", 100)
    eventually(lambda: late.choose("u") == inner.choose("checkout-late", "u") == "new")
    assert early(NEW) == "new early"
    assert (latest(OLD), middle.choose("checkout", NEW), last.choose("checkout", NEW)) == ("old latest", "new", "new")
    for router in (inner, middle, last):
        assert router._lifecycle is app._lifecycle
    Control(store, confirm=True).rollback("checkout-late")
    eventually(lambda: late.choose("u") == inner.choose("checkout-late", "u") == "old")


def test_the_same_declaration_gives_the_same_handle(store: MemoryStore, router: Router) -> None:
    """`gray.split()` inside a handler grows nothing; other wishes are other handles, freed with their last user."""
    handles = {id(router.split("checkout")) for _ in range(500)}
    assert len(handles) == 1
    assert router.split("checkout", "old", "new") is router.split("checkout")
    assert router.split("checkout", unit=graysplit.INSTANCE) is router.split("checkout", unit=graysplit.INSTANCE)
    assert router.split("checkout", unit=graysplit.attribute("host")) is router.split(
        "checkout", unit=graysplit.attribute("host")
    )
    written_once = {id(router.split("checkout", unit=lambda: NEW)) for _ in range(2)}
    assert len(written_once) == 1
    assert router.split("checkout", unit=lambda: OLD).choose() == "old", "written elsewhere it is another"
    asked = [router.split("checkout", unit=lambda user=user: user) for user in (OLD, NEW)]
    assert [handle.choose() for handle in asked] == ["old", "new"]
    for number in range(300):
        assert router.split("checkout", unit=lambda number=number: f"u-{number}").name == "checkout"
    gc.collect()
    router.split("other")
    assert len(router._lifecycle.states.declarations["checkout"].handles) < 12
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: asked[1].choose() == "old")


def test_a_library_that_a_decision_has_started_is_taken_over(
    store: MemoryStore, make_router: MakeRouter, router: Router
) -> None:
    """Included late, its routes and handles follow the application's store, and no word of its own store any more."""
    theirs = MemoryStore()
    Control(theirs).create("checkout")
    library = make_router(theirs)
    checkout, banner = make_handler(library, "library"), library.split("banner")
    assert library.wait_ready(5)
    assert checkout(NEW) == "old library"
    router.include(library)
    assert (checkout(NEW), library.choose("checkout", NEW)) == ("new library", "new")
    assert banner.decide(NEW).reason == "unknown_split"
    assert library.status().phase == "live"
    assert not theirs.fleet().live
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: checkout(NEW) == library.choose("checkout", NEW).replace("old", "old library"))
    assert checkout(NEW) == "old library"


def test_an_edited_cell_may_turn_a_handle_around(router: Router) -> None:
    """In `__main__` another baseline for the same handle replaces the one before; elsewhere it is an error."""
    names: dict[str, Any] = {"__name__": "__main__", "gray": router}
    exec("banner = gray.split('banner', 'plain', 'bright')", names)  # noqa: S102 - a notebook's way
    exec("banner = gray.split('banner', 'bright', 'plain')", names)  # noqa: S102 - as above
    assert names["banner"].choose("u") == router.choose("banner", "u") == "bright"
    with pytest.raises(RegistrationError, match="two baselines"):
        router.split("banner", "plain", "bright")
