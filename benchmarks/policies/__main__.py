"""Play the six release policies with real processes under load, and print how each went.

`python -m benchmarks.policies`; `--quick` for short stories, `--json` for programs, `--only grayscale` for one of them.
Exit code 1 where a request was lost, somebody moved who should not, or a scene did not come to its end.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable

from benchmarks.policies.elsewhere import ELSEWHERE
from benchmarks.policies.scenes import SCENES, Played


def main() -> int:
    """Play what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short stories")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", choices=SCENES, help="one policy alone")
    asked = parser.parse_args()
    played: dict[str, Played] = {}
    for name, scene in SCENES.items():
        if asked.only in {None, name}:
            print(f"{name} ...", file=sys.stderr, flush=True)
            played[name] = scene(quick=asked.quick)
            if not asked.json:
                print(_text(name, played[name]), flush=True)
    if asked.json:
        print(
            json.dumps({name: one._asdict() | {"elsewhere": ELSEWHERE[name]} for name, one in played.items()}, indent=1)
        )
    return int(any(one.lost or one.wrong for one in played.values()))


def _text(name: str, one: Played) -> str:
    """Return a scene as lines of at most 80 characters."""
    found = [f"{one.policy}: {one.requests:,} requests, {one.lost} lost"]
    found += _indented(one.told)
    found += _indented(f"{what}: {1000 * seconds:,.0f} ms" for what, seconds in one.times.items())
    found += _indented(f"WRONG: {what}" for what in one.wrong)
    found += _indented(f"elsewhere: {said}" for said in ELSEWHERE[name])
    return "\n".join(found) + "\n"


def _indented(texts: Iterable[str]) -> list[str]:
    return [textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="    ") for text in texts]


if __name__ == "__main__":
    sys.exit(main())
