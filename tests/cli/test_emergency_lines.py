"""The lines that `show` prints for an emergency are whole: a shell takes them as they stand, and they do it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from redis import Redis

import graysplit
from graysplit.cli.output import COPY
from graysplit.stores.redis.address import read_address
from graysplit.stores.redis.by_hand import redis_cli
from tests.faults.command_line import graysplit_cli
from tests.topologies.servers import server


def lines(url: str, namespace: str) -> list[str]:
    """Return the lines to copy."""
    out = graysplit_cli(url, namespace, "show", "checkout").out
    return [line.removeprefix(COPY) for line in out.splitlines() if line.startswith(COPY)]


@pytest.mark.skipif(not shutil.which("redis-cli") and not os.environ.get("CI"), reason="no redis-cli")
def test_a_shell_takes_each_line_and_the_server_does_it(tmp_path: Path) -> None:
    """With a user, a password that is asked for, a database, and a namespace that a shell would take apart."""
    login = ("--user", "ops", "on", ">pw", "~*", "&*", "+@all")
    with server() as running, Redis.from_url(running.url) as client:
        client.execute_command("ACL", "SETUSER", *login[1:])
        url = f"redis://ops:pw@127.0.0.1:{running.port}/3"
        space = "a$b'c;*"
        with graysplit.Control(url, namespace=space) as control:
            control.create("checkout")
            control.set("checkout", 20)
        own, *typed = lines(url, space)
        assert shlex.split(own) == ["graysplit", "rollback", "checkout", "--namespace", space]
        assert all("pw" not in line for line in typed)
        answers = [
            subprocess.run(
                ["/bin/sh", "-c", line], input="pw\n", check=True, capture_output=True, text=True, cwd=tmp_path
            ).stdout.strip()
            for line in typed
        ]
        assert answers == ["0", "1", "1"], typed
        with graysplit.Control(url, namespace=space) as control:
            assert control.show("checkout").rows[0].effective == "0"


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("redis://localhost:6379", "redis-cli -u redis://localhost:6379/0"),
        ("redis://h:7/2", "redis-cli -u redis://h:7/2"),
        ("redis://:secret@h/0", "redis-cli -u redis://h:6379/0 --askpass"),
        ("redis://ann:secret@h/0", "redis-cli -u redis://h:6379/0 --user ann --askpass"),
        ("redis://a%27n:s@h/0", "redis-cli -u redis://h:6379/0 --user 'a'\"'\"'n' --askpass"),
        ("redis://[::1]:7/1", "redis-cli -h ::1 -p 7 -n 1"),
        ("rediss://h:7/1", "redis-cli -u rediss://h:7/1"),
        ("rediss://h?ssl_ca_certs=/a b.pem".replace(" ", "%20"), "redis-cli -u rediss://h:6379/0 --cacert '/a b.pem'"),
        ("rediss://h?ssl_cert_reqs=none", "redis-cli -u rediss://h:6379/0 --insecure"),
        ("unix:///run/redis.sock?db=3", "redis-cli -s /run/redis.sock -n 3"),
        ("redis+cluster://h:1,i:2", "redis-cli -c -u redis://h:1/0"),
        ("redis+sentinel://h:1/main/4", "redis-cli -u redis://primary:9/4"),
    ],
)
def test_each_kind_of_address_has_its_line(url: str, line: str) -> None:
    """Never with the password, always with what reaches the server."""
    assert redis_cli(read_address(url), ("primary", 9) if "sentinel" in url else None) == line
