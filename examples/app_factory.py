"""An app factory: routes are declared at import, the address comes later with the configuration."""

from __future__ import annotations

from collections.abc import Mapping

import graysplit

gray = graysplit.Router()  # inert: importing this module opens nothing


@gray.route("mail", unit="address")
def send(address: str) -> str:
    """Send as ever."""
    return f"to {address} by the old relay"


@send.version("new")
def send_new(address: str) -> str:
    """Send by the new relay."""
    return f"to {address} by the new relay"


def create_app(config: Mapping[str, str]) -> graysplit.Router:
    """Make the application: here is where the address is known."""
    gray.configure(url=config["graysplit_url"], namespace=config["environment"])
    gray.wait_ready()
    return gray


def main() -> None:
    """Make an application for staging, and turn staging alone."""
    url = "memory://factory"
    with graysplit.Control(url, namespace="staging") as control:
        control.create("mail")
        control.set("mail", 100, confirm="mail")
    print(f"before it is made: {gray.status().phase}")
    app = create_app({"graysplit_url": url, "environment": "staging"})
    print(f"after: {app.status().phase}; {send('ann@example.org')}")
    try:
        create_app({"graysplit_url": url, "environment": "production"})
    except graysplit.ConfigurationError as error:
        print(f"a second time: {error}")


if __name__ == "__main__":
    main()
