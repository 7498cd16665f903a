"""The console inside a FastAPI shop: the shop's login says who looks, lowers or raises, and the history names them."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Final, NamedTuple

from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from starlette.middleware.sessions import SessionMiddleware

import graysplit
from graysplit import console
from graysplit.integrations.fastapi import GraysplitMiddleware, version_of

# ---------------------------------------------------------------- the shop

STORE: Final = "memory://shop"


class User(NamedTuple):
    """A user of the shop: the group they are in, and their password as it is kept."""

    group: str
    salt: bytes
    digest: bytes


def digest_of(password: str, salt: bytes) -> bytes:
    """Return a password as the shop keeps it."""
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)


def user(group: str, password: str) -> User:
    """Return a user with a password."""
    salt = secrets.token_bytes(16)
    return User(group, salt, digest_of(password, salt))


USERS: Final = {
    "carla": user("customers", "carla's password"),
    "sam": user("support", "sam's password"),
    "nina": user("on call", "nina's password"),
    "ruth": user("release", "ruth's password"),
}

gray = graysplit.Router(STORE)
gray.split("price", "old", "new")

app = FastAPI()
app.add_middleware(GraysplitMiddleware, router=gray, unit="header:x-user")
app.add_middleware(SessionMiddleware, secret_key=secrets.token_urlsafe(32), https_only=True)


@app.post("/login")
def log_in(request: Request, name: Annotated[str, Body()], password: Annotated[str, Body()]) -> None:
    """Open a session."""
    known = USERS.get(name)
    if known is None or not secrets.compare_digest(digest_of(password, known.salt), known.digest):
        raise HTTPException(401)
    request.session["name"] = name


@app.get("/price")
def price(version: Annotated[str, version_of(gray, "price")]) -> str:
    """Price by the version."""
    return f"{version} price"


# ---------------------------------------------------------------- the console in it

ROLES: Final[dict[str, console.Role]] = {"support": "look", "on call": "lower", "release": "operate"}


def who(request: Request) -> console.Person | None:
    """Return who is logged in at the shop, and what they may do; a group without a role sees nothing."""
    name = request.session.get("name", "")
    role = ROLES.get(USERS[name].group) if name in USERS else None
    return console.Person(name, role) if role else None


app.mount("/ops", console.app(STORE, auth=who, read_only=False, hosts=["shop.example"]))


# ---------------------------------------------------------------- tried as a browser would

OWN_PAGE: Final = {"sec-fetch-site": "same-origin"}  # what browsers add to a request by a page of the console itself
FOREIGN: Final = {"sec-fetch-site": "cross-site"}


def codes(client: TestClient, name: str) -> str:
    """Return what the console answers to somebody who looks, rolls back, and asks for a raise."""
    client.cookies.clear()
    if name in USERS:
        client.post("/login", json={"name": name, "password": f"{name}'s password"}).raise_for_status()
    looks = client.get("/ops/splits/price")
    lowers = client.post("/ops/splits/price/rollback", headers=OWN_PAGE, data={"why": f"tried by {name}"})
    raises = client.get("/ops/splits/price/set", params={"to": "50"})
    return f"look {looks.status_code}, roll back {lowers.status_code}, raise {raises.status_code}"


def main() -> None:
    """Let each of them try everything, and read what was done."""
    with graysplit.Control(STORE, actor="deploy") as control, TestClient(app, "https://shop.example") as client:
        control.create("price")
        control.set("price", 20)
        for name in ("a stranger", *USERS):
            print(f"{name}: {codes(client, name)}")
        foreign = client.post("/ops/splits/price/rollback", headers=FOREIGN)
        print(f"a rollback by a form of another site: {foreign.status_code}")
        print(f"in force: {control.show('price').rows[0].effective} %")
        for entry in control.history("price", 3):
            print(f"{entry.cause} by {entry.actor}{f': {entry.why}' if entry.why else ''}")


if __name__ == "__main__":
    main()
