"""`graysplit console`: on this machine alone, by a link that works once, under the name of who runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from graysplit import Control
from tests.console.site import OWN_PAGE, Page


@contextmanager
def console(url: str, namespace: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command, and return its process and the link that it prints."""
    command = [sys.executable, "-m", "graysplit", "console", "--url", url, "--namespace", namespace, *options]
    environment = {**os.environ, "GRAYSPLIT_ACTOR": "anna@laptop"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_link_opens_it_once(redis_url: str, namespace: str, control: Control) -> None:
    """Who comes second by the same link, or by none, sees nothing; Ctrl-C ends it as a success."""
    with console(redis_url, namespace, "--read-write") as (process, link), httpx.Client(follow_redirects=True) as anna:
        root = link.partition("/login/")[0]
        assert httpx.get(root).status_code == 401
        page = Page(anna.get(link).raise_for_status().text)
        assert "anna@laptop" in page.one("header").text
        cookie = next(iter(anna.cookies.jar))
        assert (cookie.has_nonstandard_attr("HttpOnly"), cookie.get_nonstandard_attr("SameSite")) == (True, "strict")
        assert anna.get(link).status_code == 200
        with httpx.Client(follow_redirects=True) as second:
            assert second.get(link).status_code == 403
            assert second.get(root).status_code == 401
        anna.post(f"{root}/splits/checkout/rollback", headers=OWN_PAGE).raise_for_status()
        assert control.history("checkout", 1)[0].actor == "anna@laptop"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert link.rpartition("/")[2] not in process.stderr.read()


def test_it_only_looks_unless_told_otherwise(redis_url: str, namespace: str, control: Control) -> None:
    """Without --read-write there is no route that changes anything; another host's name shows nothing."""
    with console(redis_url, namespace) as (process, link), httpx.Client(follow_redirects=True) as anna:
        root = link.partition("/login/")[0]
        anna.get(link).raise_for_status()
        assert anna.post(f"{root}/splits/checkout/rollback", headers=OWN_PAGE).status_code == 404
        assert anna.get(root, headers={"host": "evil.example"}).status_code == 403
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert control.history("checkout", 1)[0].cause == "set"


@pytest.mark.parametrize("package", ["starlette", "jinja2", "uvicorn"])
def test_a_missing_package_names_the_extra(package: str) -> None:
    """Nothing is served, and one line says what to install."""
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from graysplit.cli.app import run\n"
        "raise SystemExit(run(['console', '--url', 'memory://']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'graysplit[console]'" in " ".join(done.stderr.split())
