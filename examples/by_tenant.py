"""The unit is a tenant: all users of a company move together, and one company asked to be first."""

from __future__ import annotations

from typing import Final, NamedTuple

import graysplit

STORE: Final = "memory://tenants"

gray = graysplit.Router(STORE)


class User(NamedTuple):
    """Somebody who works somewhere."""

    name: str
    tenant: str


@gray.route("editor", unit="user.tenant")
def open_editor(user: User) -> str:
    """Open the editor that everybody knows."""
    return f"{user.name} of {user.tenant}: old editor"


@open_editor.version("new")
def open_new_editor(user: User) -> str:
    """Open the new one."""
    return f"{user.name} of {user.tenant}: new editor"


def main() -> None:
    """Let one tenant in, then a tenth of them."""
    with graysplit.Control(STORE) as control:
        control.create("editor")
        control.pin("editor", "acme", "new")
        gray.wait_ready()
        control.wait_confirmed(control.set("editor", 10))
        print(open_editor(User("ann", "acme")))
        print(open_editor(User("bob", "acme")))
        print(open_editor(User("eve", "umbrella")))
        tenants = [f"tenant-{number}" for number in range(1_000)]
        both = sum(open_editor(User("a", one))[4:] == open_editor(User("b", one))[4:] for one in tenants)
        print(f"colleagues who see the same editor: {both} of {len(tenants)} pairs")
    gray.close()


if __name__ == "__main__":
    main()
