"""Where the console is mounted: its routes and its links are right whatever stands around."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from graysplit import Control
from graysplit.console import Person, app
from graysplit.console.mount import rest_of
from tests.console.site import OWN_PAGE, Page, served


@pytest.mark.parametrize(
    ("root", "path", "rest"),
    [
        ("", "/", "/"),
        ("", "", "/"),
        ("", "/splits/checkout", "/splits/checkout"),
        ("/console", "/console/", "/"),
        ("/console", "/console", "/"),
        ("/console", "/console/splits/checkout", "/splits/checkout"),
        ("/console", "/splits/checkout", "/splits/checkout"),  # a framework that strips the prefix
        ("/shop/console", "/console/splits/checkout", "/splits/checkout"),  # a proxy that strips the outer part of it
        ("/console", "/consoles", "/consoles"),
    ],
)
def test_the_rest_of_a_path_is_below_the_mount(root: str, path: str, rest: str) -> None:
    """By the longest end of the prefix."""
    assert rest_of(root, path) == rest


def test_two_in_one_application_know_nothing_of_each_other(control: Control, redis_url: str, namespace: str) -> None:
    """Each under its own prefix and its own rights; every link of a page leads to its own console."""
    whole = app(control, auth=lambda _: Person("anna", "operate"), read_only=False)
    quiet = app(redis_url, namespace=namespace)
    with served(Starlette(routes=[Mount("/ops/console", whole), Mount("/look", quiet)])) as client:
        for prefix, status in (("/ops/console", 200), ("/look", 404)):
            page = Page(client.get(f"{prefix}/").text + client.get(f"{prefix}/splits/checkout").text)
            for address in addresses(page):
                assert address.startswith(f"{prefix}/")
            assert follows(client, page)
            assert client.post(f"{prefix}/splits/checkout/rollback", headers=OWN_PAGE).status_code == status


def addresses(page: Page) -> list[str]:
    """Return every address that a page names."""
    names = ("href", "src", "action", "hx-post", "hx-get", "sse-connect", "data-lines")
    return [str(one.attributes[name]) for one in page.elements for name in names if name in one.attributes]


def follows(client: httpx.Client, page: Page) -> bool:
    """Return whether all that a page loads and links to is there."""
    links = {
        str(one.attributes.get("href") or one.attributes.get("src")) for one in page.all() if one.tag in {"a", "link"}
    }
    return all(client.get(link).status_code == 200 for link in links)
