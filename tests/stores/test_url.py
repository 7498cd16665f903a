"""From an address to a store, with helpful words where that fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graysplit.errors import ConfigurationError
from graysplit.stores import store_from_url
from graysplit.stores.url import place_of


def test_memory_is_an_address() -> None:
    """memory:// gives the memory store, in any namespace."""
    assert store_from_url("memory://").name == "memory://"
    assert store_from_url("memory://x", "shop").name == "memory://x namespace shop"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://user:hunter2@db:6380/3?client_name=web&password=hunter2", "redis://db:6380/3"),
        ("rediss://:hunter2@db", "rediss://db"),
        ("redis://user:hun@ter2@db", "redis://db"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock"),
        (
            "redis+sentinel://user:hunter2@a:26379,b:26379/main?sentinel_password=x",
            "redis+sentinel://a:26379,b:26379/main",
        ),
        ("redis+cluster://a:7000,b:7001", "redis+cluster://a:7000,b:7001"),
    ],
)
def test_a_name_holds_no_secret(url: str, name: str) -> None:
    """What is printed of an address has neither user, password nor options."""
    assert store_from_url(url).name == name


def test_an_unknown_scheme_is_named_with_a_suggestion() -> None:
    """The error lists the schemes, and never repeats the address."""
    with pytest.raises(ConfigurationError, match="Did you mean redis://") as found:
        store_from_url("reds://user:hunter2@db")
    assert "hunter2" not in str(found.value)
    with pytest.raises(ConfigurationError, match="has no scheme"):
        store_from_url("localhost:6379")


@pytest.mark.parametrize("url", ["redis://u:hunter2@db:hunter2", "redis+sentinel://:hunter2@/main", "redis://[::1"])
def test_a_malformed_address_is_refused_without_repeating_secrets(url: str) -> None:
    """A port that is no number, no host, half an IPv6 address."""
    with pytest.raises(ConfigurationError) as found:
        store_from_url(url)
    assert "://:hunter2" not in str(found.value)
    assert "u:hunter2" not in str(found.value)


@pytest.mark.parametrize("namespace", ["", "a b", "{x}", "a\n"])
def test_a_namespace_is_a_word(namespace: str) -> None:
    """Braces would move the keys to another slot, blanks cannot be typed in redis-cli."""
    with pytest.raises(ConfigurationError, match="namespace"):
        store_from_url("memory://", namespace)


def test_the_way_of_a_rollback_is_short() -> None:
    """The stores load redis-py only when it is needed, and never pydantic."""
    code = (
        "import sys, graysplit.stores; assert 'redis' not in sys.modules;"
        "graysplit.stores.store_from_url('redis://localhost'); assert 'redis' in sys.modules;"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://user:hunter2@db", "db:6379/0"),
        ("redis://db:6380/3", "db:6380/3"),
        ("rediss://db?db=4", "db:6379/4"),
        ("redis://[::1]/2", "[::1]:6379/2"),
        ("redis://", "localhost:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://a:26379,b:26379/main", "redis+sentinel://a:26379,b:26379/main"),
        ("memory://x", "memory://x"),
    ],
)
def test_a_place_names_host_port_and_database(url: str, place: str) -> None:
    """What was left out of the address is said, and no login."""
    assert place_of(store_from_url(url).name) == place
