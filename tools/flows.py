"""Count which functions of graysplit run in three flows: `set`, a signal, and a failing call that leads to a stop.

python tools/flows.py SRC     with the source in that folder; `tools/house.py` prints the counts in its table
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

SRC = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(SRC))
WITHIN_S = 30.0
HALF = 50


class Trace:
    """The functions of graysplit that ran while it was on, in the threads that were started since it was made."""

    def __init__(self) -> None:
        """Listen in each new thread."""
        self._seen: set[tuple[str, str, str]] = set()
        self._on = False
        threading.setprofile(self._see)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if self._on and event == "call" and code.co_filename.startswith(str(SRC)) and code.co_name[0] != "<":
            self._seen.add((threading.current_thread().name, code.co_filename, code.co_qualname))

    def begin(self) -> None:
        """Forget what ran before, and note what runs."""
        self._seen.clear()
        self._on = True

    def end(self, thread: str = "") -> str:
        """Return how many functions of how many modules have run, in all threads or in one."""
        self._on = False
        seen = {(file, name) for ran, file, name in self._seen if thread in {"", ran}}
        return f"{len(seen)}, {len({file for file, _ in seen})}"

    def run(self, act: Callable[[], object], thread: str = "") -> str:
        """Return how many functions of how many modules run in an act, in all threads or in one."""
        self.begin()
        sys.setprofile(self._see)
        try:
            act()
        finally:
            sys.setprofile(None)
        return self.end(thread)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds; raise `TimeoutError` where it does not in time."""
    ends = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError("a flow did not come to its end")
        time.sleep(0.01)  # noqa: TID251 - a program may let time pass


def main() -> None:
    """Run the flows and print their counts."""
    trace = Trace()
    import graysplit
    from graysplit.cli.app import run
    from graysplit.embedded import server as embedded

    out, sys.stdout = sys.stdout, sys.stderr
    with embedded() as server:
        router = graysplit.Router(server.url)
        other = graysplit.Control(server.url)

        @router.route("flow", unit="unit")
        def pay(unit: str) -> str:
            return f"old {unit}"

        @pay.version("new")
        def pay_new(unit: str) -> str:
            raise ValueError(unit)

        def ran(*words: str) -> None:
            with suppress(SystemExit):
                run([*words, "--url", server.url, "--yes", "--no-wait"])

        def is_new(unit: str) -> bool:
            try:
                return not pay(unit).startswith("old")
            except ValueError:
                return True

        def on_new() -> int:
            return sum(is_new(f"u-{number}") for number in range(100))

        def fail() -> None:
            eventually(lambda: on_new() == 0)

        router.wait_ready(WITHIN_S)
        ran("create", "flow", "--versions", "old,new")
        ran("set", "flow", "10")  # what is imported for the first time is not counted
        figures = {"`set`, from the shell to Redis": trace.run(lambda: ran("set", "flow", "20"), "MainThread")}
        eventually(lambda: on_new() > 0)
        trace.begin()
        other.set("flow", 90)
        eventually(lambda: router.choose("flow", unit="u-1") and on_new() > HALF)
        figures["a signal, to the swapped state"] = trace.end("graysplit")
        ran("guard", "flow")
        figures["failing calls, to the stop"] = trace.run(fail)
        router.close()
    sys.stdout = out
    for name, figure in figures.items():
        print(f"{name}: {figure}")


if __name__ == "__main__":
    main()
