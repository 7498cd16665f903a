"""A namespace in which anybody has written anything, past graysplit's own checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from redis import Redis

HUGE: Final = 2 << 20
EVILS: Final = (
    "\x1b]52;c;aGk=\x07\x1b[2J",
    "new\nERROR graysplit: all is well",
    "\u202egpj.exe",
    "\x9b31m\u2028\r\x00",
    "x" * 20_000,
)


def spoil(client: Redis, namespace: str, evils: Sequence[str] = EVILS, huge: int = HUGE) -> None:
    """Write hostile names and texts wherever a raw edit can."""
    at = f"graysplit:{{{namespace}}}:"
    now_ms = client.time()[0] * 1000
    redis = client.pipeline()
    for number, evil in enumerate(evils):
        definition = json.dumps({"versions": [evil], "baseline": evil})
        stop = json.dumps({"why": evil, "who": evil, "at": 1, "change": "c", "release": evil})
        redis.hset(f"{at}weights", mapping={evil: "20", f"checkout/{evil}": "30", f"s{number}/new": evil})
        redis.hset(f"{at}stops", mapping={evil: evil, f"o{number}/{evil}": stop, f"p{number}/new": stop})
        redis.hset(f"{at}splits", mapping={evil: definition, f"q{number}": definition, f"r{number}": evil})
        marks = {f"{kind}:{evil}": evil for kind in ("release", "lease", "plan", "wave")}
        redis.hset(f"{at}meta", mapping={**marks, f"plan:r{number}": f"run {evil}"})
        to = json.dumps({f"weights {evil}": "20", "weights checkout/new": "20"})
        said = {"id": f"id{number}", "rev": "1", "split": evil, "cause": evil, "actor": evil, "why": evil}
        redis.xadd(f"{at}log", {**said, "from": "{}", "to": to})
        about = {"host": evil, "pid": 1, "library": evil, "instance": evil, "zone": evil}
        declared = {evil: {"baseline": evil, "versions": [evil]}, "checkout": {"baseline": "old", "versions": [evil]}}
        receipt = {"change": evil, "effects": {evil: {"weight": evil, "why": evil}}, "mode": evil, "refused": [evil]}
        kept = {"held": {f"weights {evil}": "20"}, "baselines": {evil: evil}, "off": [evil], "mode_why": evil}
        boot = f"boot-{number}"
        redis.hset(f"{at}fleet:about", boot, json.dumps({**about, "declared": declared}))
        redis.hset(f"{at}fleet:receipts", boot, json.dumps({**receipt, **kept}))
        redis.zadd(f"{at}fleet:seen", {boot: now_ms})
    redis.hset(f"{at}weights", "x" * huge, "20")
    redis.hset(f"{at}stops", "huge/new", json.dumps({"why": "y" * huge}))
    redis.execute()
