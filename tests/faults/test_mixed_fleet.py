"""Two versions of the library follow one store: each obeys what it understands, and no rollback needs the newer one.

The next version is a copy of this one in a folder of its own, with a field and a gate that this one does not know. It
runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import redis

import graysplit
from tests.support import eventually

SOURCE: Final = Path(graysplit.__file__).parent
NEW_FIELD: Final = '    in_flight: Literal["finish"] | None = None\n'

# By file of the copy: what a next minor version might change.
CHANGES: Final = {
    "version.py": (f'"{graysplit.__version__}"', '"99.1.0"'),
    "core/definition.py": (NEW_FIELD, NEW_FIELD + '    lane: Literal["slow", "fast"] = "slow"\n'),
    "core/plan/plan.py": ("NEEDS: Final = 2", "NEEDS: Final = 3"),
}
NEW_GATE: Final = ('    if plan.name != "ramp":\n', '    record["needs"] = 3\n    if plan.name != "ramp":\n')

# Follows, takes orders on stdin, and answers each with a line of JSON.
PROCESS: Final = """
import json, sys
import graysplit
gray, control = graysplit.Router(), graysplit.Control(confirm=True)
handles = {name: gray.split(name, "old", "new") for name in ("plain", "laned", "planned")}
assert gray.wait_ready(10)
print(json.dumps(graysplit.__version__), flush=True)
for line in sys.stdin:
    try:
        answer = eval(line)
    except graysplit.GraysplitError as error:
        answer = str(error)
    print(json.dumps(answer, default=str), flush=True)
gray.close()
"""


class Next:
    """A process of the next version."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take a process that has started."""
        self._process = process

    def do(self, expression: str) -> object:
        """Have it evaluate an expression with `gray`, `control` and `handles`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        if expression:
            stdin.write(expression + "\n")
            stdin.flush()
        answer = stdout.readline()
        assert answer, f"the next version's process ended at: {expression}"
        return json.loads(answer)


@pytest.fixture
def following(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Next]:
    """Return a process of the next version that follows the tests' store."""
    copy = tmp_path / "graysplit"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file, (before, after) in (*CHANGES.items(), ("core/plan/plan.py", NEW_GATE)):
        text = (copy / file).read_text("utf-8")
        assert text.count(before) == 1, file
        (copy / file).write_text(text.replace(before, after), encoding="utf-8")
    own = {"PYTHONPATH": str(tmp_path), "GRAYSPLIT_URL": redis_url, "GRAYSPLIT_NAMESPACE": namespace}
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env={**os.environ, **own},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        found = Next(process)
        assert found.do("") == "99.1.0"
        yield found
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def test_two_versions_on_one_store(following: Next, redis_url: str, namespace: str) -> None:
    """What `docs/reference/stability.md` says of mixed fleets, one after the other."""
    splits = f"graysplit:{{{namespace}}}:splits"
    unit = "user-1"
    with (
        graysplit.Router(redis_url, namespace=namespace) as gray,
        graysplit.Control(redis_url, namespace=namespace, confirm=True) as control,
        redis.Redis.from_url(redis_url) as plain,
    ):
        handles = {name: gray.split(name, "old", "new") for name in ("plain", "laned", "planned")}
        assert gray.wait_ready(10)

        def both(split: str) -> list[object]:
            return [handles[split].choose(unit), following.do(f"handles[{split!r}].choose({unit!r})")]

        # What either writes in words that both know, both follow: the record of the next one is the same.
        assert following.do("control.create('plain') and control.set('plain', 100) and 'set'") == "set"
        eventually(lambda: both("plain") == ["new", "new"])
        assert control.wait_confirmed(control.rollback("plain", why="from this version")).receipts.confirmed == 2
        assert both("plain") == ["old", "old"]

        # A definition with a field that this version does not know: it keeps the last one that it understood, says so,
        # and goes on following weights and stops.
        control.create("laned")
        control.wait_confirmed(control.set("laned", 100))
        record = json.loads(plain.hget(splits, "laned") or b"")
        plain.hset(splits, "laned", json.dumps(record | {"lane": "fast"}))
        eventually(lambda: "lane" in str(gray.status().refused))
        assert following.do("gray.status().refused") == {}
        assert both("laned") == ["new", "new"]
        # It does not write what it cannot read; a process that starts now answers with its baseline.
        with pytest.raises(graysplit.BadDefinitionError, match="lane"):
            control.pin("laned", "user-2", "new")
        assert json.loads(plain.hget(splits, "laned") or b"")["lane"] == "fast"
        with graysplit.Router(redis_url, namespace=namespace) as late:
            fork = late.split("laned", "old", "new")
            assert late.wait_ready(10)
            assert fork.choose(unit) == "old"
            # Going back is never refused, from either side, and every process obeys.
            control.rollback("laned", why="this version cannot read it")
            eventually(lambda: both("laned") == ["old", "old"])
            assert fork.choose(unit) == "old"

        # A plan with a gate that this version does not know is driven by those that do, and stopped by anybody.
        started = "control.ramp('planned', [5, 100], every='1h') and 'started'"
        assert following.do("control.create('planned') and 'made'") == "made"
        assert following.do(started) == "started"
        with pytest.raises(graysplit.RefusedError, match="not understood by this graysplit"):
            control.approve("planned")
        control.rollback("planned", why="this version drives no such plan")
        eventually(lambda: both("planned") == ["old", "old"])
