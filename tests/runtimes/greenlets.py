"""A program of greenlets, patched by gevent at the time that its argument names. Run by `test_gevent.py`.

Says its share of `new` whenever it changes, one number a line, and ends with exit code 7 once it has come down to zero.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Final

GREENLETS: Final = 20
ENDS_WITHIN_S: Final = 60.0


def patch() -> None:
    """Patch everything; gevent warns where modules were imported before, and that is the point."""
    from gevent import monkey

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", monkey.MonkeyPatchWarning)
        monkey.patch_all()


def main(when: str) -> None:
    """Start, let greenlets decide, and tell what they see."""
    if when == "early":
        patch()
    import gevent

    import graysplit
    from tests.faults.shares import share

    gray = graysplit.Router()
    if when == "late":
        import redis  # noqa: F401 - what the follower will use is there already, unpatched

        patch()
    elif when == "too late":
        gray.wait_ready(20)
        patch()
    gray.wait_ready(20)
    seen: list[int] = []
    decided = 0

    def look() -> None:
        nonlocal decided
        until = time.monotonic() + ENDS_WITHIN_S
        while (now := share(gray)) > 0 and time.monotonic() < until:
            decided += 1
            if not seen or seen[-1] != now:
                seen.append(now)
                print(now, flush=True)  # noqa: T201 - for the test
            gevent.sleep(0.002)

    gevent.joinall([gevent.spawn(look) for _ in range(GREENLETS)])
    print(share(gray), decided > GREENLETS, time.monotonic(), flush=True)  # noqa: T201 - from here on it ends
    sys.exit(7)


if __name__ == "__main__":
    main(sys.argv[1])
