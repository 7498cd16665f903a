"""A process that follows a server, and tells each change of its decisions with the time at which it saw it.

Told by one JSON object on the command line (`url`, `namespace`, `splits`, further settings of the router). Writes one
JSON object a line: `{"at": monotonic, "split": ..., "share": ...}` for each change, and the answer to each word on its
standard input: `status`, `ping`. Ends with its standard input. The monotonic clock is one for all processes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any, Final

import graysplit
from graysplit.core.plan import plan
from tests.faults.shares import LOADED_WITHIN_S, share, units

LOOK_EVERY_S: Final = 0.002


def say(**what: object) -> None:
    """Tell the parent."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(
    splits: list[str],
    wait_s: float = LOADED_WITHIN_S,
    needs: int = plan.NEEDS,
    *,
    declares: bool = False,
    dies: bool = False,
    **settings: Any,
) -> None:  # Any: a router's settings
    """Follow, look, tell; as a library that drives plans up to `needs`, and with splits that the code declares.

    `dies`: each split is a route over hosts, and new takes its host down.
    """
    setattr(plan, "NEEDS", needs)  # noqa: B010 - it is final
    for split in splits:
        units(split)
    router = graysplit.Router(**settings)
    for split in splits if declares else ():
        router.split(split, "old", "new")
    for split in splits if dies else ():
        router.route(split, unit=graysplit.INSTANCE)(lambda: "old").version("new")(lambda: "new")
    router.wait_ready(wait_s)
    say(ready=os.getpid())
    seen: dict[str, int] = {}
    while True:
        for split in splits:
            now = share(router, split)
            if seen.get(split) != now:
                seen[split] = now
                say(at=time.monotonic(), split=split, share=now)
                if dies and now:
                    os.kill(os.getpid(), signal.SIGKILL)
        if select.select([sys.stdin], [], [], LOOK_EVERY_S)[0]:
            word = sys.stdin.readline().strip()
            if not word:
                break
            say(answer=router.status()._asdict() if word == "status" else word)
    router.close()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
