"""What hooks are told, and what is never told of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from graysplit import ConfigurationError
from graysplit.core.record import Entry
from graysplit.notices import CommandHook, Webhook
from graysplit.notices.hooks import NotTakenError, masked
from graysplit.notices.payload import notice_of

CANARY = "canary-7f3a@example.org"
ENTRY = Entry(
    "c-1",
    7,
    "checkout",
    "rollback",
    "ana",
    "errors doubled",
    1_700_000_000_123,
    {"weights checkout/new": "20", "stops checkout": None, "splits checkout": f'{{"pins": {{"{CANARY}": "new"}}}}'},
    {"weights checkout/new": "0", "stops checkout": '{"why": "x"}', "splits checkout": f'{{"denied": ["{CANARY}"]}}'},
)


def test_a_notice_says_it_to_people_and_to_programs() -> None:
    """One sentence, and all that changed in weights and stops."""
    said = json.loads(notice_of(ENTRY, "default").body)
    assert said["text"] == "rollback checkout by ana: checkout/new 20% -> 0%, checkout is stopped (errors doubled)"
    assert (said["change"], said["revision"], said["cause"]) == ("c-1", 7, "rollback")
    assert said["at"] == "2023-11-14T22:13:20.123+00:00"
    assert said["before"] == {"weights": {"checkout/new": "20"}, "stops": {"checkout": False}}
    assert said["after"] == {"weights": {"checkout/new": "0"}, "stops": {"checkout": True}}


def test_no_unit_is_told() -> None:
    """Pins stand in definitions, and definitions are not told."""
    assert CANARY not in notice_of(ENTRY, "default").body.decode()


def test_what_somebody_wrote_by_hand_forges_no_line_and_no_header() -> None:
    """Control characters are told as question marks, a change's id as one word."""
    forged = ENTRY._replace(id="c\r\nX-Evil: 1", why="a\nb\x1b[31m", actor="\ud800", split="x\u2028y")
    notice = notice_of(forged, "default")
    assert notice.change == "c?X-Evil:?1"
    said = json.loads(notice.body)
    assert (said["why"], said["actor"], said["split"]) == ("a?b?[31m", "?", "x?y")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@hooks.example.com:8443/T0/B1/secret?token=secret", "https://hooks.example.com:8443/..."),
        ("http://example.com", "http://example.com"),
        ("http://[::1]:80/x", "http://[::1]:80/..."),
        ("http://example.com:port/", "..."),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """User, password, path and query may all be secret."""
    assert masked(url) == shown
    assert "secret" not in masked(url)


def test_a_hook_has_one_name_everywhere_and_no_secret_in_it() -> None:
    """The same address gives the same name; another path on that host another one."""
    one, again, other = (
        Webhook("https://h.example/secret-1"),
        Webhook("https://h.example/secret-1"),
        Webhook("https://h.example/secret-2"),
    )
    assert one.name == again.name != other.name
    assert "secret" not in f"{one.name} {one!r} {CommandHook(['/bin/page', '--key', 'secret'])!r}"


@pytest.mark.parametrize("url", ["", "ftp://x", "example.com", "http://", "http://a b/", "http://x\n/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    """With the form that works."""
    with pytest.raises(ConfigurationError, match="Write it as in"):
        Webhook(url)


def test_a_cause_that_no_change_has_is_refused() -> None:
    """It would stay silent for ever."""
    with pytest.raises(ConfigurationError, match="Did you mean 'rollback'"):
        Webhook("https://example.com", on=["rolback"])
    assert Webhook("https://example.com", on=["all"]).causes > Webhook("https://example.com").causes


def test_a_command_gets_it_on_its_standard_input(tmp_path: Path) -> None:
    """And cause, split and change in its environment; no shell reads them."""
    out = tmp_path / "out"
    code = (
        "import os, pathlib, sys; "
        f"pathlib.Path({str(out)!r}).write_text(os.environ['GRAYSPLIT_CAUSE'] + ' ' + sys.stdin.read())"
    )
    hook = CommandHook([sys.executable, "-c", code])
    hook.prepare()
    hook.deliver(notice_of(ENTRY, "default"))
    cause, _, body = out.read_text().partition(" ")
    assert (cause, json.loads(body)["change"]) == ("rollback", "c-1")


def test_a_command_that_fails_has_not_taken_it() -> None:
    """Its exit code says so; one that is not there is told as that."""
    for command, why in (([sys.executable, "-c", "raise SystemExit(3)"], "ended with 3"), (["/no/such"], "started")):
        hook = CommandHook(command)
        hook.prepare()
        with pytest.raises(NotTakenError, match=why):
            hook.deliver(notice_of(ENTRY, "default"))
    with pytest.raises(ConfigurationError, match="without a shell"):
        CommandHook("page --urgent")
