"""The link of a notice: to the split's page, to the page that asks for an approval, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from graysplit import CommandHook, ConfigurationError, Control, GraysplitError, Router, Webhook
from graysplit.cli.plan.drive import hooks_of
from graysplit.control.operator import operator_of
from graysplit.core.plan.plan import Plan, PlanStep
from graysplit.core.plan.progress import Late, PlanView, Progress, Tick, rule
from graysplit.notices.console_link import console_address, link_of
from graysplit.notices.payload import notice_of
from graysplit.stores.memory import MemoryStore
from tests.notices.recorder import Recorder
from tests.notices.test_payload import ENTRY
from tests.support import eventually

CONSOLE = "https://ops.example/console"


def reminder() -> str:
    """Return the reason that a plan's reminder has after an hour at its gate."""
    steps = (PlanStep(20_000, approve=True, max_wait_s=60), PlanStep(50_000))
    progress = Progress("run", "release", 0, 20_000, 1, confirmed_ms=1)
    ruling = rule(Plan("new", steps), progress, Tick(3_600_000, 3_600_000, running=True), PlanView(3_600_000, 20_000))
    assert isinstance(ruling, Late)
    return ruling.reason


@pytest.mark.parametrize(
    ("cause", "split", "why", "page"),
    [
        ("rollback", "checkout", "500s", "/splits/checkout"),
        ("rollback", "*", "", "/"),
        ("freeze", "pay-*", "", "/"),
        ("set", "a/../../logout?x=1", "", "/"),
        ("waiting", "checkout", reminder(), "/splits/checkout/approve"),
        ("waiting", "checkout", "for approval of step 2 (50 %)", "/splits/checkout/approve"),
        ("waiting", "checkout", "paused: checkout/b was stopped", "/splits/checkout"),
        ("set", "checkout", reminder(), "/splits/checkout"),
    ],
)
def test_a_link_goes_to_the_page_that_the_change_is_about(cause: str, split: str, why: str, page: str) -> None:
    """Of names that no split can have, and of everything, to the first screen."""
    assert link_of(CONSOLE, ENTRY._replace(cause=cause, split=split, why=why)) == CONSOLE + page


def test_without_a_console_nothing_changes() -> None:
    """Byte for byte; with one, the link is one more field at the end."""
    plain, linked = notice_of(ENTRY, "shop").body, notice_of(ENTRY, "shop", CONSOLE).body
    assert linked == plain[:-1] + f', "link": "{CONSOLE}/splits/checkout"}}'.encode()
    assert "link" not in json.loads(plain)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ops.example/console", "not an http or https URL"),
        ("javascript:alert(1)", "not an http or https URL"),
        ("https://", "not an http or https URL"),
        ("https://ops.example:port/", "not an http or https URL"),
        ("https://ops.example/a b", "not an http or https URL"),
        ("https://ops.example/<b>", "not an http or https URL"),
        ("https://ada:secret@ops.example/", "has a password"),
        ("https://ops.example/?token=secret", "has a password"),
        ("https://ops.example/#secret", "has a password"),
        ("", "not an http or https URL"),
        ("https://ops.example/" + "x" * 3_000, "the limit is 2000"),
    ],
)
def test_an_address_that_cannot_be_sent_is_refused(url: str, said: str) -> None:
    """At the line where it is given, without what may be secret in it."""
    with pytest.raises(GraysplitError, match=said) as refused:
        Webhook("https://example.com", console=url)
    assert "secret" not in str(refused.value)
    with pytest.raises(GraysplitError, match=said):
        CommandHook(["page"], console=url)
    with pytest.raises(GraysplitError, match=said):
        hooks_of(["https://example.com"], [], None, url)


def test_an_address_needs_no_slash_at_its_end() -> None:
    """Both forms give the same links."""
    assert console_address(f"{CONSOLE}/") == console_address(CONSOLE) == CONSOLE


def test_the_option_of_drive_reaches_each_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks and commands; alone it is refused."""
    monkeypatch.delenv("GRAYSPLIT_NOTIFY_URL", raising=False)
    hooks = hooks_of(["https://example.com"], ["page"], None, CONSOLE)
    assert [getattr(hook, "console", None) for hook in hooks] == [CONSOLE, CONSOLE]
    with pytest.raises(ConfigurationError, match="--console-url needs a hook"):
        hooks_of([], [], None, CONSOLE)


def test_a_plan_that_waits_for_a_yes_is_told_once_with_the_page_that_asks(
    redis_url: str, namespace: str, recorder: Recorder
) -> None:
    """By a real fleet of one; what was approved is told no more."""
    hook = Webhook(recorder.url, on=("waiting", "step"), console=CONSOLE)
    control = Control(redis_url, namespace=namespace)
    control.create("checkout")
    with Router(redis_url, namespace=namespace, notify=hook) as gray:
        gray.split("checkout", "old", "new")
        eventually(lambda: operator_of(control).store.read_cursors().texts)
        eventually(lambda: operator_of(control).store.fleet().live, 30)
        control.ramp("checkout", [20, 50], approve=True, guard=False)
        eventually(lambda: recorder.bodies, 30)
        control.approve("checkout", 50)
        eventually(lambda: len(recorder.bodies) == 2, 30)
    assert [(body["cause"], body["link"]) for body in recorder.bodies] == [
        ("waiting", f"{CONSOLE}/splits/checkout/approve"),
        ("step", f"{CONSOLE}/splits/checkout"),
    ]
    assert "for approval of step 2 (50 %)" in recorder.bodies[0]["text"]
    control.close()


@contextmanager
def told(store: MemoryStore, *hooks: Webhook) -> Iterator[None]:
    """Run a router until each hook has begun, and its block's changes reached them."""
    with Router(store, notify=hooks):
        eventually(lambda: len(store.read_cursors().texts) == len(hooks))
        yield


def test_the_environment_names_the_console(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """For hooks that name none; a wrong address is said, and the notice comes without a link."""
    hooks = (
        Webhook(f"{recorder.url}/own", on="create", console="https://own.example"),
        Webhook(recorder.url, on="create"),
    )
    monkeypatch.setenv("GRAYSPLIT_CONSOLE_URL", f"{CONSOLE}/")
    store = MemoryStore("linked")
    with told(store, *hooks):
        Control(store).create("checkout")
        eventually(lambda: len(recorder.bodies) == 2)
    links = dict(zip(recorder.paths, (body["link"] for body in recorder.bodies), strict=True))
    assert links == {"/own": "https://own.example/splits/checkout", "/": f"{CONSOLE}/splits/checkout"}
    monkeypatch.setenv("GRAYSPLIT_CONSOLE_URL", "https://ada:secret@ops.example")
    store = MemoryStore("unlinked")
    with told(store, hooks[1]):
        Control(store).create("checkout")
        eventually(lambda: len(recorder.bodies) == 3)
    assert "link" not in recorder.bodies[2]
    assert "notices have no link: GRAYSPLIT_CONSOLE_URL" in caplog.text
    assert "secret" not in caplog.text
