"""A process with a standby that is prepared once a file is there: `python -m tests.control.standby_process JSON`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import graysplit


def main() -> None:
    """Follow until standard input ends; say so when the store has answered."""
    settings: dict[str, str] = json.loads(sys.argv[1])
    prepared = Path(settings["file"])
    gray = graysplit.Router(settings["url"], namespace=settings["namespace"])

    @gray.route("checkout", unit="user")
    def checkout(user: str) -> str:
        return f"old for {user}"

    @checkout.version("new")
    def checkout_new(user: str) -> str:
        return f"new for {user}"

    @checkout.warm("new", every=0.1)
    def prepare() -> None:
        if not prepared.exists():
            raise ConnectionError(f"no pool for {prepared}")

    with gray:
        gray.wait_ready(30)
        print("ready", flush=True)  # noqa: T201 - what the test waits for
        for line in sys.stdin:
            print(checkout(line.strip()), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
