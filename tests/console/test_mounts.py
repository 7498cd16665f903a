"""Mounted anywhere: every address on every page leads to what is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar
from litestar.handlers import asgi
from starlette.applications import Starlette
from starlette.routing import Mount

from graysplit import Control
from graysplit.console import Person, app
from tests.console.front import Front, certified
from tests.console.site import OWN_PAGE, Element, Page, served

GETS: Final = ("href", "src", "hx-get", "data-lines")
UNIT: Final = "u-17"


def console(control: Control) -> Starlette:
    """Return a console in which everything may be done."""
    return app(control, auth=lambda _: Person("anna", "operate"), read_only=False)


def starlette_of(**mounts: Any) -> Starlette:
    """Return an application of Starlette's, with each console under a path of its own and without a name."""
    return Starlette(routes=[Mount(f"/{path.replace('_', '/')}", one) for path, one in mounts.items()])


def fastapi_of(path: str, one: Any, **options: Any) -> FastAPI:
    """Return an application of FastAPI's with a console."""
    made = FastAPI(**options)
    made.mount(path, one)
    return made


def litestar_of(path: str, one: Any) -> Litestar:
    """Return an application of Litestar's with a console."""
    return Litestar([asgi(path, is_mount=True, copy_scope=True)(one)])


class Visitor:
    """Follows every address of every page, as a browser resolves it."""

    def __init__(self, client: httpx.Client, prefix: str) -> None:
        """Take a client, and the path under which a browser sees the console."""
        self._client = client
        self._prefix = prefix
        self.seen: set[str] = set()
        self.presses: dict[str, dict[str, str]] = {}  # by the address of a form: its fields as the page has them

    def follow(self, address: str) -> Page:
        """Read a page and all that it leads to."""
        self.seen.add(address)
        response = self._client.get(address)
        assert response.status_code == 200, (address, response.status_code)
        page = Page(response.text)
        if response.headers["content-type"].startswith("text/html"):
            for element in page.elements:
                self._all_of(element, address)
            self.presses |= {
                str(form.attributes["action"]): page.fields(str(form.attributes["action"]))
                for form in page.all("form", method="post")
            }
        return page

    def press(self) -> None:
        """Send each form as it stands: what lowers is done, and what raises wants more than that."""
        for address, fields in sorted(self.presses.items()):
            sent = {"for": "1h", "unit": UNIT, **fields}
            response = self._client.post(address, data=sent, headers=OWN_PAGE)
            lowers = address.endswith(("/rollback", "/freeze", "/explain"))
            assert response.status_code in ({200} if lowers else {200, 400, 409}), (address, response.status_code)
            for link in Page(response.text).all("a"):
                assert self._client.get(str(link.attributes["href"])).status_code == 200

    def _all_of(self, element: Element, page: str) -> None:
        found = element.attributes
        for name in (*GETS, "sse-connect", "action", "hx-post"):
            address = found.get(name)
            if address is None or address in self.seen:
                continue
            assert address.startswith(f"{self._prefix}/"), (page, address)
            if name in GETS:
                self.follow(address)
            elif name == "sse-connect":
                self._listen(address)

    def _listen(self, address: str) -> None:
        self.seen.add(address)
        with self._client.stream("GET", address) as response:
            assert response.status_code == 200, address
            assert next(response.iter_lines()).startswith(("event:", "retry:"))


MOUNTS: Final[dict[str, tuple[Callable[[Any], Any], str, dict[str, Any]]]] = {
    "alone": (lambda one: one, "", {}),
    "alone under a root path": (lambda one: one, "/api", {"root_path": "/api"}),
    "Starlette": (lambda one: starlette_of(ops_gray=one), "/ops/gray", {}),
    "Starlette, in a mount of its own": (
        lambda one: Starlette(routes=[Mount("/a", routes=[Mount("/b c", one)])]),
        "/a/b%20c",
        {},
    ),
    "Starlette under a root path": (lambda one: starlette_of(gray=one), "/api/gray", {"root_path": "/api"}),
    "FastAPI": (lambda one: fastapi_of("/gray", one), "/gray", {}),
    "FastAPI under a root path": (lambda one: fastapi_of("/gray", one), "/api/v1/gray", {"root_path": "/api/v1"}),
    "Litestar": (lambda one: litestar_of("/ops/gray", one), "/ops/gray", {}),
    "Litestar under a root path": (lambda one: litestar_of("/gray", one), "/api/gray", {"root_path": "/api"}),
}


LONG: Final = {"alone under a root path", "Starlette, in a mount of its own", "FastAPI under a root path"}


@contextmanager
def before(client: httpx.Client, prefix: str, **options: Any) -> Iterator[httpx.Client]:
    """Return a client of a proxy before an application."""
    trusted = options.pop("trusted", True)
    with (
        Front(client.base_url.port or 0, prefix=prefix, **options) as front,
        httpx.Client(base_url=front.url, verify=trusted, timeout=10) as through,
    ):
        yield through


def check(client: httpx.Client, prefix: str) -> None:
    """Follow everything below a prefix, with and without the slash at its end."""
    visitor = Visitor(client, prefix)
    page = visitor.follow(f"{prefix}/")
    assert page.one("article", data_split="checkout").text
    assert f"{prefix}/splits/checkout" in visitor.seen
    assert {f"{prefix}/splits/checkout/explain", f"{prefix}/splits/checkout/rollback"} <= visitor.presses.keys()
    assert any(each.startswith(f"{prefix}/splits/checkout/events?since=") for each in visitor.seen)
    bare = client.get(prefix or "/", follow_redirects=True)
    slash = client.get(f"{prefix}/splits/checkout/")
    assert (bare.status_code, slash.status_code) == (200, 200)
    assert Page(bare.text).one("article", data_split="checkout").text
    assert Page(slash.text).one("h1").text == "checkout"
    visitor.press()


@pytest.mark.parametrize(
    "mount", [pytest.param(name, marks=pytest.mark.soak) if name in LONG else name for name in MOUNTS]
)
def test_every_address_of_every_page_leads_there(control: Control, mount: str) -> None:
    """Pages, parts, events, files and forms, wherever it is mounted; a root path was taken off by a proxy."""
    build, prefix, options = MOUNTS[mount]
    with served(build(console(control)), **options) as client:
        if not options:
            check(client, prefix)
        else:
            with before(client, options["root_path"]) as through:
                check(through, prefix)


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_fastapi_knows_of_a_prefix_that_its_server_does_not(control: Control) -> None:
    """`FastAPI(root_path=)`, with a proxy that takes the prefix off."""
    with served(fastapi_of("/gray", console(control), root_path="/api")) as client, before(client, "/api") as through:
        check(through, "/api/gray")


def test_one_console_under_two_paths(control: Control) -> None:
    """Its pages stay under the path that they were asked under."""
    one = console(control)
    with served(starlette_of(a=one, b_deep=one)) as client:
        check(client, "/a")
        check(client, "/b/deep")


def test_two_namespaces_in_one_application(control: Control, redis_url: str, namespace: str) -> None:
    """Each shows its own, and a change of one is none of the other."""
    with Control(redis_url, namespace=f"{namespace}-2", actor="ops") as other:
        other.create("checkout")
        other.set("checkout", 70)
        with served(starlette_of(one=console(control), two=console(other))) as client:
            for prefix, weight in (("/one", "20%"), ("/two", "70%")):
                page = Page(client.get(f"{prefix}/").text)
                assert page.one("div", data_candidate="new").attributes["data-weight"] == weight
                check(client, prefix)


@pytest.mark.parametrize("header", ["", "x-forwarded-proto: https"])
def test_behind_a_proxy_that_ends_tls(control: Control, tmp_path: Path, header: str) -> None:
    """The application sees http, or is told of https: no address names a scheme, and a form's Origin is https."""
    trusted = certified(tmp_path)
    with (
        served(starlette_of(gray=console(control))) as client,
        before(client, "", papers=tmp_path, header=header, trusted=trusted) as through,
    ):
        assert Visitor(through, "/gray").follow("/gray/").one("article", data_split="checkout").text
        origin = str(through.base_url).rstrip("/")
        old_browser = {"origin": origin}  # says nothing of where the page is from
        by_http = {"origin": origin.replace("https", "http")}
        address = "/gray/splits/checkout/explain"
        assert through.post(address, data={"unit": UNIT}, headers=old_browser).status_code == 200
        if header:
            assert through.post(address, data={"unit": UNIT}, headers=by_http).status_code == 403
