"""How a hook is given and named, and what is never told of it; what it is told: `test_payload.py`."""

from __future__ import annotations

import pytest

from graysplit import ConfigurationError
from graysplit.notices import CommandHook, Webhook
from graysplit.notices.hooks import masked


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
    """Where the hook is made; which causes there are: `test_causes.py`."""
    with pytest.raises(ConfigurationError, match="Did you mean 'rollback'"):
        Webhook("https://example.com", on=["rolback"])
    assert Webhook("https://example.com", on=["all"]).causes > Webhook("https://example.com").causes


def test_a_command_is_a_list_of_words() -> None:
    """One line of text would need a shell."""
    with pytest.raises(ConfigurationError, match="without a shell"):
        CommandHook("page --urgent")
