"""Upgrade hosts batch by batch: each raise records its wave, and nobody follows a host that dies."""

from __future__ import annotations

from typing import Final

import graysplit

STORE: Final = "memory://rolling"


class Host:
    """One host of the farm. In a real one GRAYSPLIT_INSTANCE, or the host's name, tells them apart."""

    def __init__(self, name: str) -> None:
        """Declare the split with the host as its unit, and follow the store."""
        self.gray = graysplit.Router(STORE, instance=name)
        self.renderer = self.gray.split("renderer", "old", "new", unit=graysplit.INSTANCE)
        self.gray.wait_ready()

    def render(self) -> str:
        """Serve any user: the host decides, not the user."""
        return self.renderer.choose()


def main() -> None:
    """Two waves over five hosts, a crash in between, a rebalance, and back."""
    farm = {name: Host(name) for name in ("web-1", "web-2", "web-3", "web-4", "web-5")}

    def look(title: str) -> None:
        crossed = [name for name, host in farm.items() if host.render() == "new"]
        print(f"{title:<18} on new: {', '.join(crossed) or 'nobody'}")

    with graysplit.Control(STORE) as control:
        control.wait_confirmed(control.set("renderer", 20, why="one host first"))
        look("20 % of 5 hosts")

        first = next(name for name, host in farm.items() if host.render() == "new")
        farm.pop(first).gray.close()
        farm["web-6"] = Host("web-6")
        look("it dies")

        control.wait_confirmed(control.rebalance("renderer", why="it was its disk"))
        look("rebalanced")

        control.wait_confirmed(control.set("renderer", 60, why="the second wave"))
        look("60 % of 5 hosts")

        control.wait_confirmed(control.set("renderer", 20, why="not so fast"))
        look("20 % again")

        control.wait_confirmed(control.rollback("renderer", why="all of it"))
        look("rolled back")
    for host in farm.values():
        host.gray.close()


if __name__ == "__main__":
    main()
