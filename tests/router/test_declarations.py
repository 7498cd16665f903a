"""Routes, handles and names: what code declares, and how it meets what the store says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest

import graysplit
from graysplit import Control, RegistrationError, Router, SignatureMismatchError, Split
from graysplit.codec import dump_definition
from graysplit.core.definition import define
from graysplit.stores.memory import MemoryStore
from tests.router.test_router import NEW, OLD
from tests.support import eventually

MakeRouter = Callable[..., Router]


def declare(router: Router) -> Callable[[str, int], str]:
    """Declare `checkout` with both versions, and return the routed function."""

    @router.route("checkout", unit="user")
    def checkout(user: str, amount: int = 1) -> str:
        return f"old {amount}"

    @checkout.version("new")
    def checkout_new(user: str, amount: int = 1) -> str:
        return f"new {amount}"

    return checkout


def test_a_route_calls_the_version_of_its_unit(router: Router) -> None:
    """A routed function calls what its unit gets, with the arguments as given."""
    checkout = declare(router)
    assert checkout(NEW, 3) == "new 3"
    assert checkout(OLD, amount=4) == "old 4"


def test_declared_before_the_start(store: MemoryStore, make_router: MakeRouter) -> None:
    """A function routed on an inert router starts it with its first call."""
    router = make_router(store)
    checkout = declare(router)
    assert router.status().phase == "asleep"
    eventually(lambda: checkout(NEW, 1) == "new 1")


def test_rollback_reaches_the_route(store: MemoryStore, router: Router) -> None:
    """After a rollback the routed function calls the baseline only."""
    checkout = declare(router)
    assert checkout(NEW, 1) == "new 1"
    Control(store, confirm=True).rollback("checkout")
    eventually(lambda: checkout(NEW, 1) == "old 1")


def test_versions_run_one_path_without_a_decision(router: Router) -> None:
    """`versions` holds the functions themselves."""
    checkout = declare(router)
    assert checkout.versions["new"](OLD, 2) == "new 2"  # type: ignore[attr-defined] # seen as a plain callable here
    assert set(checkout.versions) == {"old", "new"}  # type: ignore[attr-defined] # as above


def test_a_candidate_may_come_before_its_baseline(store: MemoryStore, router: Router) -> None:
    """`router.version` registers by name, before or after the baseline."""

    @router.candidate("checkout", "new")
    def candidate(user: str) -> str:
        return "new"

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    assert checkout(NEW) == "new"
    assert candidate(OLD) == "new"


def test_an_early_candidate_is_checked_when_the_baseline_comes(router: Router) -> None:
    """A candidate that came first and does not fit is named when the baseline is declared."""

    @router.candidate("checkout", "new")
    def candidate(customer: str) -> str:
        return "new"

    with pytest.raises(SignatureMismatchError, match="user"):

        @router.route("checkout", unit="user")
        def checkout(user: str) -> str:
            return "old"


def test_one_name_from_two_places_is_an_error(router: Router) -> None:
    """Two functions cannot be the same version; declaring the same one again (a reload) is fine."""
    declare(router)
    declare(router)
    with pytest.raises(RegistrationError, match="registered twice"):

        @router.candidate("checkout", "new")
        def another(user: str, amount: int = 1) -> str:
            return ""


def test_a_version_that_is_absent_here_is_the_baseline(store: MemoryStore, router: Router) -> None:
    """A unit of a version that this process does not have gets the baseline, and the reason says so."""

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    assert checkout(NEW) == "old"
    assert router.decide("checkout", NEW)[1:3] == ("old", "version_absent")
    assert router.decide("checkout", OLD)[1:3] == ("old", "bucket")

    @router.candidate("checkout", "new")
    def late(user: str) -> str:
        return "new"

    assert checkout(NEW) == "new"


def test_differing_baselines_get_the_codes(store: MemoryStore, router: Router) -> None:
    """Where the store names another baseline than the code, the code's own answers, also for its candidate."""

    @router.route("checkout", unit="user", baseline="v1")
    def checkout(user: str) -> str:
        return "v1"

    assert checkout(NEW) == "v1"
    assert router.decide("checkout", OLD)[1:3] == ("v1", "baseline_differs")


def test_a_baseline_turned_around_moves_nobody(store: MemoryStore, make_router: Callable[..., Router]) -> None:
    """The store's record names new as the baseline: route, handle, attempt, choice and explain answer old (law 5)."""
    control = Control(store, confirm=True)
    control.rollback("checkout")
    store.raw_set("splits", "checkout", dump_definition(define("checkout", ["new", "old", "third"])))
    store.raw_delete("stops", "checkout")
    router = make_router(store)

    @router.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return "old"

    @checkout.version("new")
    def newer(user: str) -> str:
        return "new"

    other = make_router(store)
    handle = other.split("checkout", "old", "new")
    assert router.wait_ready(5)
    assert other.wait_ready(5)
    for unit in (OLD, NEW):
        assert checkout(unit) == handle.choose(unit) == router.choose("checkout", unit) == "old"
        assert router.decide("checkout", unit)[1:3] == ("old", "baseline_differs")
        with handle.attempt(unit=unit) as version:
            assert version == "old"
    why = router.explain("checkout", NEW)
    assert (why.version, why.reason) == ("old", "baseline_differs")
    assert "baseline 'old' in its code, 'new' in the store" in str(why)
    counted = next(found for found in router.measures() if found.version == "old")
    assert counted.evaluations["baseline_differs"] == 6, "routed, chosen, decided: twice each"
    other.close()

    store.raw_set("weights", "checkout/old", "100")
    store.raw_set("weights", "checkout/third", "preview")
    result = control.rollback("checkout")
    found = control.wait_confirmed(result, 0.5).receipts
    assert (found.confirmed, found.complete) == (0, False)
    assert found.lagging[0].endswith("(baseline 'old' in its code, 'new' in the store)")
    everything = control.wait_confirmed(control.rollback("*"), 0.5).receipts
    assert everything.lagging[0].endswith("(checkout: baseline 'old' in its code, 'new' in the store)")
    effects = control.fleet().live[0].receipt.effects
    assert (effects["checkout/old"].weight, effects["checkout/third"].weight) == ("100", "0")

    control.delete("checkout")
    control.create("checkout", ["old", "new"])
    control.set("checkout", 20, unstop=True)
    assert control.wait_confirmed(control.rollback("checkout"), 5).receipts.complete
    assert (checkout(NEW), router.decide("checkout", NEW).reason) == ("old", "stopped")


def test_handles_choose_and_attempt(store: MemoryStore, router: Router) -> None:
    """A handle answers with its versions; an attempt that raises is that version's failure, untouched."""
    banner: Split[Literal["old", "new"]] = router.split("checkout", "old", "new")
    assert banner.choose(NEW) == "new"
    assert banner.decide(OLD).version == "old"
    answered: list[str] = []
    with pytest.raises(ZeroDivisionError), banner.attempt(unit=NEW) as version:
        answered.append(version + str(1 // (version == "old")))
    assert not answered
    with banner.attempt(unit=NEW) as version:
        assert version == "new"


def test_a_handle_for_a_split_nobody_created_answers_its_first_version(router: Router) -> None:
    """Unknown to the store: the code's baseline, with the reason."""
    banner = router.split("banner", "plain", "bright")
    assert banner.choose("u") == "plain"
    assert banner.decide("u").reason == "unknown_split"
    assert router.choose("banner", "u") == "plain"


def test_handles_of_one_split_agree(router: Router) -> None:
    """The same handle may be made in several places, but not with another baseline."""
    router.split("banner", "plain", "bright")
    router.split("banner", "plain", "bright")
    with pytest.raises(RegistrationError, match="two baselines"):
        router.split("banner", "bright", "plain")


def test_multi_version_splits_are_routed(store: MemoryStore, router: Router) -> None:
    """With three candidates each unit reaches the one whose bucket it is in, and counts are exact."""
    control = Control(store, confirm=True)
    control.create("ranking", versions=("a", "b", "c", "d"))
    control.set("ranking", weights={"b": 20, "c": 20, "d": 20})

    @router.route("ranking", unit="user", baseline="a")
    def ranking(user: str) -> str:
        return "a"

    for name in "bcd":
        router.candidate("ranking", name)(_named(name))
    eventually(lambda: router.decide("ranking", NEW).reason == "bucket")
    for number in range(500):
        assert ranking(f"u-{number}") == router.choose("ranking", f"u-{number}")


def test_include_brings_a_librarys_routes(store: MemoryStore, make_router: MakeRouter) -> None:
    """A library's route, declared on its inert router, follows the application's store."""
    library, application = make_router(), make_router(store)
    checkout = declare(library)
    application.include(library)
    assert application.wait_ready(5)
    eventually(lambda: checkout(NEW, 1) == "new 1")
    handle = library.split("checkout-banner", "old", "new")
    Control(store, confirm=True).create("checkout-banner")
    Control(store, confirm=True).set("checkout-banner", 100)
    eventually(lambda: handle.choose("u") == "new")


def test_receipts_show_effects_and_running_calls(store: MemoryStore, router: Router) -> None:
    """After a rollback the receipt says that the weight is zero here, and that a call still runs on the candidate."""
    banner = router.split("checkout", "old", "new")
    with banner.attempt(unit=NEW):
        change = Control(store, confirm=True).rollback("checkout").change
        receipt = eventually(lambda: _receipt(store, change))
        assert receipt.effects["checkout/new"].weight == "0"
        assert receipt.effects["checkout/new"].running == 1
    second = Control(store, confirm=True).rollback("checkout").change
    assert eventually(lambda: _receipt(store, second)).effects["checkout/new"].running == 0


def _named(name: str) -> Callable[[str], str]:
    def candidate(user: str) -> str:
        del user
        return name

    return candidate


def _receipt(store: MemoryStore, change: str) -> graysplit.core.fleet.Receipt | None:
    [process] = store.fleet().live
    return process.receipt if process.receipt.change == change else None
