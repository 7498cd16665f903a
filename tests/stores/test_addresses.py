"""Bad addresses: one sentence from the library and from the command, and no part of a login anywhere."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import RedisDsn, SecretStr
from redis import Redis

from graysplit import Control, Router
from graysplit.cli.app import run
from graysplit.errors import ConfigurationError
from graysplit.stores import store_from_url

USER, PASSWORD, HALF = "zqxuser", "zqxpass", "zqxhalf"
LOGIN = f"{USER}:{PASSWORD}"

# Each is refused when it is read: nothing is connected, and nothing of it is guessed.
REFUSED = [
    "localhost:6379",
    "",
    "://",
    f"reds://{LOGIN}@h",
    f"http://{LOGIN}@h:6379/0",
    f"redis://{LOGIN}@h/notadb",
    f"redis://{LOGIN}@h/0/1",
    f"redis://{LOGIN}@h/-1",
    f"redis://{LOGIN}@h/1.5",
    f"redis://{LOGIN}@h/\u0661",
    f"redis://{LOGIN}@h/0?db=3",
    f"redis://{LOGIN}@h?db=x",
    f"redis://{LOGIN}@h?db=-1",
    f"redis://{LOGIN}@h?db=1&db=2",
    f"redis://{LOGIN}@h?foo=1",
    f"redis://{LOGIN}@h?pasword={HALF}",
    f"redis://{LOGIN}@h?{HALF}",
    f"redis://{LOGIN}@h?password=",
    f"redis://{LOGIN}@h?=1",
    f"redis://{LOGIN}@h?socket_timeout=x",
    f"redis://{LOGIN}@h?socket_keepalive_options=x",
    f"redis://{LOGIN}@h?encoding=nope",
    f"redis://{LOGIN}@h?host=other",
    f"redis://{LOGIN}@h?port=1",
    f"redis://{LOGIN}@h?path=/x",
    f"redis://{LOGIN}@h?connection_class=x",
    f"redis://{LOGIN}@h?parser_class=x",
    f"redis://{LOGIN}@h?protocol=9",
    f"redis://{LOGIN}@h?protocol=x",
    f"redis://{LOGIN}@h?ssl_cert_reqs=none",
    f"redis://{LOGIN}@h?sentinel_password={HALF}",
    f"rediss://{LOGIN}@h?ssl_cert_reqs=bogus",
    f"rediss://{LOGIN}@h?ssl_min_version=x",
    f"rediss://{LOGIN}@h?ssl_check_hostname=1&ssl_check_hostname=0",
    f"redis://{LOGIN}@h:99999",
    f"redis://{LOGIN}@h:0",
    f"redis://{LOGIN}@h:",
    f"redis://{LOGIN}@h:x",
    f"redis://{LOGIN}@h:-1",
    f"redis://{LOGIN}@a..b",
    f"redis://{LOGIN}@{'a' * 70}",
    f"redis://{LOGIN}@[::1",
    f"redis://{LOGIN}@::1:6379",
    f"redis://{LOGIN}@a,b",
    f"redis://{LOGIN}@h h",
    f"redis://{LOGIN}@h\x1b[2J",
    f"redis://{LOGIN}@h/0\n1",
    f"redis://{USER}:{PASSWORD}?a={HALF}@h",
    f"redis://{LOGIN}@h?client_name=a@b",
    f"redis://{USER}:{PASSWORD}",
    f"redis://:{PASSWORD}",
    f"redis://{USER}:{PASSWORD}\ud800@h",
    f"redis://{USER}:{PASSWORD}\n@h",
    f"redis+sentinel://{LOGIN}@a:26379",
    f"redis+sentinel://{LOGIN}@/main",
    f"redis+sentinel://{LOGIN}@a/main/notadb",
    f"redis+sentinel://{LOGIN}@a:x/main",
    f"redis+cluster://{LOGIN}@",
    f"redis+cluster://{LOGIN}@a/3",
    f"redis+cluster://{LOGIN}@a?db=3",
    f"redis+magic://{LOGIN}@a",
    f"unix://{LOGIN}@",
    f"unix://{LOGIN}@host/x",
    f"unix://{LOGIN}@/x?db=x",
]


def free_of_secrets(text: str) -> bool:
    """Return whether no part of a login is in a text."""
    return not any(secret in text for secret in (USER, PASSWORD, HALF))


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_a_bad_address_is_refused_in_one_sentence(
    url: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store raises `ConfigurationError`, the command exits 2, the application says it once and answers baseline."""
    with pytest.raises(ConfigurationError) as refused:
        store_from_url(url)
    assert free_of_secrets(str(refused.value) + repr(refused.value))
    assert str(refused.value).isprintable()
    if url:
        assert run(["list", "--url", url]) == 2
    out, err = capsys.readouterr()
    assert free_of_secrets(out + err)
    with caplog.at_level(logging.DEBUG):
        try:
            gray = Router(url or "x")
        except ConfigurationError:  # it names no kind of store, in the sentence above: of the environment at the start
            monkeypatch.setenv("GRAYSPLIT_URL", url or "x")
            gray = Router()
        assert gray.split("checkout", "old", "new").choose("u") == "old"
    assert gray.status().phase == "not_configured"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert free_of_secrets(caplog.text + repr(gray) + repr(gray.status()))
    gray.close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"redis://{USER}:{PASSWORD}?{HALF}@h/0", "redis://h/0"),
        (f"redis://{USER}:{PASSWORD}/{HALF}@h/1", "redis://h/1"),
        (f"redis://{USER}:{PASSWORD}#{HALF}@h:6380", "redis://h:6380"),
        (f"redis://{USER}:{PASSWORD}@{HALF}@h", "redis://h"),
        (f"redis://{LOGIN}@h?db=3", "redis://h/3"),
        (f"redis://{LOGIN}@h/3?db=3", "redis://h/3"),
        (f"redis://{LOGIN}@h?password={HALF}", "redis://h"),
        (f"redis://{LOGIN}@[::1]:6379/0", "redis://[::1]:6379/0"),
        (f"redis+sentinel://{LOGIN}@a,b/main?db=2&sentinel_username={USER}", "redis+sentinel://a,b/main/2"),
        (f"redis+cluster://{LOGIN}@a:7000,b/0", "redis+cluster://a:7000,b/0"),
        (f" rediss://{LOGIN}@h\n", "rediss://h"),
    ],
)
def test_what_is_printed_is_what_is_used(url: str, name: str) -> None:
    """A login ends at the last '@'; the database that is printed is the one that is used."""
    assert store_from_url(url).name == name


def test_an_unreachable_store_is_named_without_its_login(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever redis-py says of a host that refuses."""
    assert run(["list", "--url", f"redis://{LOGIN}@127.0.0.1:1/0"]) == 5
    out, err = capsys.readouterr()
    assert "127.0.0.1:1" in err
    assert free_of_secrets(out + err)


class _Secret:
    """What hides a text."""

    def get_secret_value(self) -> str:
        return "redis://user:hush@nowhere:1/0"


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        (_Secret(), r"\.get_secret_value\(\)"),
        (RedisDsn("redis://user:hush@nowhere:1/0"), r"str\(\.\.\.\)"),
        (SecretStr("redis://user:hush@nowhere:1/0"), r"\.get_secret_value\(\)"),
        (b"redis://user:hush@nowhere:1/0", r"\.decode\(\)"),
        (Redis.from_url("redis://user:hush@nowhere:1/0"), "give the address"),
        (6379, r"str\(\.\.\.\)"),
    ],
)
def test_what_is_neither_an_address_nor_a_store_is_refused_with_what_to_write(given: Any, instead: str) -> None:
    """At once, by a router and by a control, and no part of a login is in it."""
    for made in (Router, Control, Router().configure):
        with pytest.raises(ConfigurationError, match=f"this is an? {type(given).__name__}: .*{instead}") as found:
            made(given)
        assert "hush" not in str(found.value)
