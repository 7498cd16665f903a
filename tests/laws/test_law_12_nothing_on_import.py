"""Law 12: nothing happens on import: no thread, socket, environment read or global.

GRAYSPLIT_PURE alone is read then: it chooses what is imported.
"""

from __future__ import annotations

import subprocess
import sys

WATCH = """
import builtins, os, socket, sys, threading

class Watched(dict):
    def __getitem__(self, name):
        if b"GRAYSPLIT" in name and name != b"GRAYSPLIT_PURE":
            raise SystemExit(f"environment read: {name}")
        return super().__getitem__(name)

os.environ._data = Watched(os.environ._data)
class Refused(socket.socket):
    def __init__(self, *args, **kwargs):
        raise SystemExit("socket made")

def refuse(thread):
    raise SystemExit("thread started")

socket.socket = Refused
threading.Thread.start = refuse
import graysplit
router = graysplit.Router()
handle = router.split("banner", "old", "new")

@router.route("checkout", unit="user")
def checkout(user): return "old"

@checkout.version("new")
def checkout_new(user): return "new"

heavy = {"pydantic", "redis", "opentelemetry", "asyncio", "dataclasses", "inspect", "logging"}
print(sorted(heavy & set(sys.modules)))
"""


def test_import_and_declarations_do_nothing() -> None:
    """Importing and declaring reads no environment, opens no socket, starts no thread, loads nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH], capture_output=True, text=True, check=False, env={"GRAYSPLIT_URL": "redis://x"}
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_the_watch_can_fail() -> None:
    """The watch itself sees what it is there to see."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH + "\nrouter.start()"],
        capture_output=True,
        text=True,
        check=False,
        env={"GRAYSPLIT_URL": "redis://x"},
    )
    assert done.returncode == 1
    assert "thread started" in done.stderr  # the first that a start does
