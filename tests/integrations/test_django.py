"""Django: sync and async requests, streams, templates, checks, the command, and a helper for tests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

import pytest
from django.test import AsyncClient, Client, SimpleTestCase, override_settings

from graysplit import Control, UnknownSplitError
from graysplit.scope import scope_get
from tests.integrations import django_site
from tests.integrations.conftest import NEW, OLD

django_site.configure()

from graysplit.integrations.django import get_router, override_versions  # noqa: E402 - needs settings
from graysplit.integrations.django.checks import check_settings  # noqa: E402 - needs settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True, scope="module")
def _split() -> None:
    """Create `checkout` at 50 %."""
    with Control(django_site.STORE, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 50)


def text_of(response: Any) -> str:
    """Return a body."""
    return b"".join(response).decode()


@pytest.mark.parametrize("path", ["/", "/async", "/stream", "/template"])
def test_a_request_has_its_unit(path: str) -> None:
    """In each kind of view, from the first request on; the context ends with it."""
    for unit, version in ((NEW, "new"), (OLD, "old")):
        assert {*text_of(Client().get(path, headers={"x-user": unit})).split(version)} == {""}
    assert scope_get() is None


@pytest.mark.parametrize("path", ["/", "/async", "/astream", "/template"])
def test_an_async_server_is_served_alike(path: str) -> None:
    """Through the async half of the middleware, two requests side by side."""

    async def ask(unit: str) -> str:
        response = await AsyncClient().get(path, headers={"x-user": unit})
        parts = [part async for part in response] if response.streaming else [response.content]
        return b"".join(parts).decode()

    async def main() -> list[str]:
        return [*await asyncio.gather(ask(NEW), ask(OLD))]

    new, old = asyncio.run(main())
    assert ({*new.split("new")}, {*old.split("old")}) == ({""}, {""})


def test_the_session_names_the_unit() -> None:
    """Django's own, from the request after the one that sets it."""
    client = Client()
    client.get("/", {"login": NEW})
    assert text_of(client.get("/", headers={"x-user": OLD})) == "new"


def test_a_visitor_keeps_a_version_by_a_cookie() -> None:
    """With the headers that caches need, and those of the session beside them."""
    client = Client()
    first = client.get("/", secure=True)
    cookie = first.cookies["visitor"]
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert first.headers["X-Versions"] == f"checkout={text_of(first)}"
    assert first.headers["Cache-Control"] == "private"
    assert {name.strip().lower() for name in first.headers["Vary"].split(",")} == {"cookie", "x-user"}
    again = client.get("/", secure=True)
    assert (text_of(again), "visitor" in again.cookies) == (text_of(first), False)


@pytest.mark.parametrize(
    ("changed", "middleware", "found"),
    [
        ({}, None, []),
        ({"UNITS": "header:x"}, None, ["graysplit.E002"]),
        ({"UNIT": "x-user"}, None, ["graysplit.E001"]),
        ({"ROUTER": "nowhere.gray"}, None, ["graysplit.E001"]),
        ({"ROUTER": "tests.integrations.django_site.STORE"}, None, ["graysplit.E001"]),
        ({"UNIT": "header:x"}, [], ["graysplit.W001"]),
        ({"UNIT": "session:user"}, [django_site.OURS, django_site.SESSIONS], ["graysplit.E003"]),
    ],
)
def test_settings_are_checked(changed: dict[str, Any], middleware: list[str] | None, found: list[str]) -> None:
    """Each mistake has its number, and nothing is opened for it."""
    from django.conf import settings

    asked = {"GRAYSPLIT": {**settings.GRAYSPLIT, **changed}}
    with override_settings(**asked, MIDDLEWARE=settings.MIDDLEWARE if middleware is None else middleware):
        assert [message.id for message in check_settings()] == found


def test_the_router_is_the_one_that_the_settings_name() -> None:
    """And without one there is one of the app's own."""
    assert get_router() is django_site.gray
    with override_settings(GRAYSPLIT={}):
        assert get_router() is get_router() is not django_site.gray


def test_versions_are_overridden_in_tests() -> None:
    """As a block, above a function, above a TestCase with sync and async tests; a mistyped name fails the test."""

    def asked() -> str:
        return text_of(Client().get("/", headers={"x-user": OLD}))

    with override_versions(checkout="new"):
        assert asked() == "new"
    assert override_versions(checkout="new")(asked)() == "new"

    @override_versions(checkout="new")
    class Case(SimpleTestCase):
        def test_sync(self) -> None:
            assert asked() == "new"

        async def test_async(self) -> None:
            response = await self.async_client.get("/async", headers={"x-user": OLD})
            assert response.content == b"new"

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    assert asked() == "old"
    with pytest.raises(UnknownSplitError), override_versions(chekout="new"):
        asked()


def test_the_command_is_the_command_line(redis_url: str, namespace: str) -> None:
    """On the settings' store, after a setup that opens nothing; its exit code is the command's."""
    program = (
        "import sys\n"
        "from tests.integrations import django_site\n"
        "django_site.configure(NAMESPACE=sys.argv.pop(1), URL=sys.argv.pop(1))\n"
        "assert django_site.gray.status().phase == 'asleep'\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    )
    with Control(redis_url, namespace=namespace) as control:
        control.create("checkout")
    settings = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, namespace, redis_url, "graysplit"]
    done = subprocess.run(
        [*command, "list", "--json"], capture_output=True, text=True, check=False, env={**os.environ, **settings}
    )
    assert done.returncode == 0, done.stderr
    assert "checkout" in json.dumps(json.loads(done.stdout))
