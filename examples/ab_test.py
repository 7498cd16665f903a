"""Three banners at fixed shares: who saw which, and which of them sells."""

from __future__ import annotations

from collections import Counter
from typing import Final

import graysplit

STORE: Final = "memory://banners"

gray = graysplit.Router(STORE)
banner = gray.split("banner", "plain", "photo", "video")  # the first is the baseline


def main() -> None:
    """Give each candidate a share, and count what the visitors see."""
    with graysplit.Control(STORE) as control:
        control.create("banner", ["plain", "photo", "video"])
        gray.wait_ready()
        control.wait_confirmed(control.set("banner", weights={"photo": 20, "video": 10}))
        visitors = [f"visitor-{number}" for number in range(10_000)]
        seen = {visitor: banner.choose(visitor) for visitor in visitors}
        for version, count in sorted(Counter(seen.values()).items()):
            print(f"{version}: {count / 100:.0f} % of {len(visitors)} visitors")
        print(f"each sees the same again: {all(banner.choose(visitor) == seen[visitor] for visitor in visitors)}")
        control.wait_confirmed(control.set("banner", weights={"photo": 30}))
        moved = {
            (seen[visitor], banner.choose(visitor)) for visitor in visitors if banner.choose(visitor) != seen[visitor]
        }
        print(f"photo at 30 %: the only way that anybody went is {' and '.join(f'{a} to {b}' for a, b in moved)}")
    gray.close()


if __name__ == "__main__":
    main()
