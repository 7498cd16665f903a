"""Where Router, command line and Control look for address, namespace and actor: at the same places, in one order."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Final

import pytest

from graysplit import Control, Router
from graysplit.cli.app import run
from graysplit.errors import ConfigurationError
from graysplit.stores.memory import MemoryStore

SAID: Final = (None, "", "theirs")  # of a variable: not set, set to nothing, set
NOWHERE: Final = "memory://nowhere"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a store of this test's own, and an environment that says nothing."""
    for name in ("GRAYSPLIT_URL", "GRAYSPLIT_NAMESPACE", "GRAYSPLIT_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    return f"memory://{uuid.uuid4().hex}"


def said(monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None) -> None:
    """Set a variable, or take it away."""
    if value is None:
        monkeypatch.delenv(variable, raising=False)
    else:
        monkeypatch.setenv(variable, value)


def by_control(url: str | None, namespace: str | None) -> None:
    """Create a split by a program."""
    with Control(url, namespace=namespace) as control:
        control.create("checkout")


def by_command(url: str | None, namespace: str | None) -> None:
    """Create a split by the command line."""
    options = [*(("--url", url) if url is not None else ()), *(("--namespace", namespace) if namespace else ())]
    assert run(["create", "checkout", "--no-wait", *options]) == 0


def by_router(url: str | None, namespace: str | None) -> None:
    """Have a router say where it follows, and create the split there."""
    with Router(url, namespace=namespace) as router:
        assert router.wait_ready(5)
        (found,) = {
            name
            for name in ("default", "theirs", "mine")
            if MemoryStore((url or "").partition("://")[2], name).fleet().live
        }
    by_control(url, found)


def holders(url: str) -> set[str]:
    """Name the namespaces that hold a split."""
    names = ("default", "theirs", "mine")
    return {name for name in names if len(MemoryStore(url.partition("://")[2], name).load().splits.fields) > 1}


@pytest.mark.parametrize("how", [by_control, by_command, by_router])
@pytest.mark.parametrize(("argument", "variable"), [*itertools.product((None, "mine"), SAID)])
def test_one_order_for_the_namespace(
    how: Callable[[str | None, str | None], None],
    argument: str | None,
    variable: str | None,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arguments win, then the environment, then `default`; an empty variable is not set."""
    said(monkeypatch, "GRAYSPLIT_NAMESPACE", variable)
    how(url, argument)
    assert holders(url) == {argument or variable or "default"}


@pytest.mark.parametrize("how", [by_control, by_command])
@pytest.mark.parametrize("argument", [True, False])
def test_one_order_for_the_address(
    how: Callable[[str | None, str | None], None], argument: bool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments win, then the environment."""
    monkeypatch.setenv("GRAYSPLIT_URL", NOWHERE if argument else url)
    how(url if argument else None, None)
    assert holders(url) == {"default"}


@pytest.mark.parametrize("variable", [None, ""])
def test_no_address_is_an_error(variable: str | None, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to set, and the command line ends with a usage error."""
    said(monkeypatch, "GRAYSPLIT_URL", variable)
    with pytest.raises(ConfigurationError, match="GRAYSPLIT_URL"):
        Control()
    assert run(["rollback", "checkout"]) == 2
    assert not holders(url)


@pytest.mark.parametrize("where", [("--url", ""), ("--namespace", "")])
def test_an_unset_shell_variable_is_no_other_store(
    where: tuple[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--namespace "$NS"` with NS unset is a usage error, not a rollback of another namespace."""
    monkeypatch.setenv("GRAYSPLIT_URL", url)
    assert run(["create", "checkout", "--no-wait", *where]) == 2
    assert not holders(url)
    with pytest.raises(ConfigurationError), Control(**{where[0].removeprefix("--").replace("url", "store"): ""}) as one:
        one.create("checkout")


def test_an_emergency_script_rolls_back_the_namespace_of_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`Control()` and `Control(url)` reach what the application follows, under the name of who is at work."""
    monkeypatch.setenv("GRAYSPLIT_URL", url)
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", "shop")
    monkeypatch.setenv("GRAYSPLIT_ACTOR", "bot-7")
    with Router() as router, Control() as control:
        banner = router.split("banner", "old", "new")
        control.create("banner")
        router.wait_ready(5)
        control.wait_confirmed(control.set("banner", 100, confirm="banner"))
        assert banner.choose("user-1") == "new"
        control.wait_confirmed(Control(url).rollback("banner", why="errors"))
        assert banner.choose("user-1") == "old"
        (entry,) = control.history("banner", 1)
        assert (entry.cause, entry.actor) == ("rollback", "bot-7")
        assert Control(url, actor="ann").actor == "ann"


def test_a_store_that_is_handed_over_has_its_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no other for it."""
    monkeypatch.setenv("GRAYSPLIT_NAMESPACE", "theirs")
    assert Control(MemoryStore()).namespace == "default"
