"""The host of a process as the unit: how it is named, told to the fleet, and used by handles and routes."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path

import pytest

import graysplit
from graysplit.clock import SYSTEM_CLOCK
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.lineage import Past
from graysplit.core.waves import Wave
from graysplit.errors import RegistrationError
from graysplit.events import Events
from graysplit.follower.known_good import KnownGood
from graysplit.stores.memory import MemoryStore
from tests.support import eventually


@pytest.fixture
def name() -> str:
    """Return a store of this test's own."""
    return uuid.uuid4().hex


def told(name: str, split: str) -> bool:
    """Return whether the fleet knows that a live process declares a split."""
    return any(split in process.declared for process in MemoryStore(name).fleet().live)


def test_the_instance_is_named_by_argument_environment_or_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read when it is first asked for, not before; the argument wins, and the host's name is what is left."""
    router, given = graysplit.Router(), graysplit.Router(instance="web-7")
    monkeypatch.setenv("GRAYSPLIT_INSTANCE", " pod 1 ")
    assert router.instance() == "pod_1"
    assert given.instance() == "web-7"
    monkeypatch.setenv("GRAYSPLIT_INSTANCE", "")
    assert router.instance() == "pod_1"
    assert graysplit.Router().instance() == socket.gethostname()


def test_the_fleet_is_told_instance_zone_and_who_crosses_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a raise needs to know of a process is in its first report."""
    monkeypatch.setenv("GRAYSPLIT_ZONE", "eu-1a")
    with graysplit.Router(f"memory://{name}", instance="web-7") as gray:

        @gray.route("renderer", unit=graysplit.INSTANCE)
        def render() -> str:
            return "old"

        gray.split("cache", "old", "new", unit=(graysplit.INSTANCE, graysplit.attribute("tenant")))
        gray.split("banner", "old", "new", unit=(graysplit.attribute("tenant"), graysplit.INSTANCE))
        assert render() == "old"
        assert gray.wait_ready(5)

        def all_told() -> bool:
            (process,) = MemoryStore(name).fleet().live
            assert (process.instance, process.zone) == ("web-7", "eu-1a")
            said = {split: found.by for split, found in process.declared.items()}
            return said == {"renderer": "instance", "cache": "instance", "banner": "unit"}

        assert eventually(all_told)


def test_a_library_crosses_over_with_its_application(name: str) -> None:
    """What it declares on its own router goes by the application's instance."""
    library = graysplit.Router()
    cache = library.split("cache", "old", "new", unit=graysplit.INSTANCE)
    with (
        graysplit.Router(f"memory://{name}", instance="web-7") as gray,
        graysplit.Control(f"memory://{name}", confirm=True) as control,
    ):
        gray.include(library)
        assert gray.wait_ready(5)
        eventually(lambda: told(name, "cache"))
        assert library.instance() == "web-7"
        control.wait_confirmed(control.set("cache", 50))
        assert cache.choose() == "new"


def test_a_routed_call_crosses_over(name: str) -> None:
    """Whatever its arguments: the host decides, and it is counted as drawn."""
    with (
        graysplit.Router(f"memory://{name}", instance="web-7") as gray,
        graysplit.Control(f"memory://{name}", confirm=True) as control,
    ):

        @gray.route("renderer", unit=graysplit.INSTANCE)
        def render(page: str) -> str:
            return f"old {page}"

        @render.version("new")
        def render_new(page: str) -> str:
            return f"new {page}"

        assert gray.wait_ready(5)
        eventually(lambda: told(name, "renderer"))
        control.wait_confirmed(control.set("renderer", 1))
        assert {render(page) for page in "ab"} == {"new a", "new b"}
        with graysplit.context(unit="u-1"):
            assert render("c") == "new c"
            assert gray.decide("renderer").reason == "bucket"
        control.wait_confirmed(control.rollback("renderer"))
        assert render("a") == "old a"


def test_a_handle_finds_its_unit(name: str) -> None:
    """In the order of its tuple; whoever is named in the question is meant, and what raises is no unit."""
    with (
        graysplit.Router(f"memory://{name}", instance="web-7") as gray,
        graysplit.Control(f"memory://{name}", confirm=True) as control,
    ):

        def broken() -> str:
            raise LookupError("no tenant")

        banner = gray.split("banner", "old", "new", unit=(graysplit.attribute("tenant"), graysplit.INSTANCE))
        other = gray.split("other", "old", "new", unit=broken)
        assert gray.wait_ready(5)
        eventually(lambda: told(name, "banner") and told(name, "other"))
        control.set("banner", "preview")
        control.pin("banner", "acme", "new")
        control.wait_confirmed(control.pin("banner", "web-7", "new"))
        assert banner.choose() == "new"
        assert banner.choose("u-1") == "old"
        with graysplit.context(attributes={"tenant": "acme"}):
            assert banner.decide().reason == "pin"
        with graysplit.context(attributes={"tenant": "umbrella"}), banner.attempt() as version:
            assert version == "old"
        control.wait_confirmed(control.set("other", 100, allow_needless=True))
        assert other.decide().reason == "no_unit"


def picking(user: object) -> object:
    """Want a parameter."""
    return user


@pytest.mark.parametrize("unit", ["user_id", picking, ("user_id", graysplit.INSTANCE), (), 3])
def test_a_handle_has_no_parameters(unit: object) -> None:
    """What would need one is refused when it is declared, with what can be given."""
    gray = graysplit.Router()
    with pytest.raises(RegistrationError, match="split 'banner'"):
        gray.split("banner", "old", "new", unit=unit)  # type: ignore[call-overload] # what checkers refuse too


def test_waves_outlive_a_restart_without_the_store(tmp_path: Path) -> None:
    """The last-known-good file holds who has crossed, or a restart would send a host back."""
    file = KnownGood(tmp_path / "known.json", Events(SYSTEM_CLOCK), SYSTEM_CLOCK)
    wave = Wave({"web-7": 20_000}, everybody=True)
    held = Adopted(weights={"renderer/new": 20_000}, waves={"renderer/new": wave}, seen={"weights": {b"_": b"1"}})
    assert file.keep(held, Past())
    known = file.read()
    assert known is not None
    assert known.held.waves == {"renderer/new": wave}
