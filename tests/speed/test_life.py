"""Every end and every beginning with a compiled core is quiet: exit, fork, sub-interpreters, a module loaded again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from graysplit import __version__, native
from tests.conftest import TESTS

pytestmark = pytest.mark.skipif(native.compiled_core is None, reason=native.words)

# Asks in each way. Python's own checks of memory are on (-X dev): what is used after its end fails there.
COMMON = """
import gc, importlib, os, sys, threading, warnings
from graysplit import Router, context, native
from tests.speed.routes import route
from tests.speed.test_threads import SPLITS, published
from graysplit.codec import parse_definition

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which are what is shown
router = Router()
handle = router.split("shop", "old", "new")
routed = route(router, "pay", SPLITS["pay"], "four")
states = router._lifecycle.states
states.enter("not_ready", parse=parse_definition)
published(states, 3)

def ask():
    found = []
    for number in range(20, 60):
        found += [handle.choose(f"u-{number}"), handle.decide(number).version, router.choose("lane", f"u-{number}")]
        with context(f"u-{number}"):
            found += [handle.choose(), routed(f"v-{number}"), handle.choose(b"x")]
    return found

def ask_for_ever():
    while True:
        ask()

known = ask()
"""
ENDS = {
    "while threads ask": """
for _ in range(4):
    threading.Thread(target=ask_for_ever, daemon=True).start()
for _ in range(20):
    ask()
""",
    "while the modules go": """
class Late:
    def __init__(self, handle, routed):
        self.handle, self.routed = handle, routed
    def __del__(self):
        for number in range(50):
            self.handle.choose("u-1"), self.handle.decide(7), self.routed("u-2")
sys.late = Late(handle, routed)
sys.modules["late"] = Late(handle, routed)
late = Late(handle, routed)
late.itself = late
""",
    "with a context open": "context('u-1').__enter__(); ask()",
    "in a fork": """
for _ in range(4):
    threading.Thread(target=ask_for_ever, daemon=True).start()
for _ in range(5):
    if not (child := os.fork()):
        os._exit(ask() != known)
    assert os.waitpid(child, 0)[1] == 0
assert ask() == known
""",
    "loaded again": """
core = native.compiled_core
assert importlib.reload(core) is core
assert ask() == known
del sys.modules["graysplit_speed.core"], sys.modules["graysplit_speed"]
second = importlib.import_module("graysplit_speed.core")
assert second is not core and second.Count is not core.Count
assert ask() == known
del second, sys.modules["graysplit_speed.core"], sys.modules["graysplit_speed"]
gc.collect()
native.compiled_core = core = None
gc.collect()
assert ask() == known
""",
    "its contexts loaded again": """
import graysplit.scope
importlib.reload(graysplit.scope)
assert ask() == known
""",
    "graysplit loaded a second time": """
first, core = ask, native.compiled_core
for name in [name for name in sys.modules if name.partition(".")[0] in {"graysplit", "tests"}]:
    del sys.modules[name]
exec(COMMON)
assert native.compiled_core is not core and first is not ask
for _ in range(3):
    assert first() == ask() == known
""",
    "in sub-interpreters": """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
program = '''
import gc
from graysplit_speed import core
count = core.Count()
assert [next(count), next(count)] == [0, 1]
class State(core.HotState):
    __slots__ = ("more",)
one = State()
one.names = one
core.connect(None, __import__("contextvars").ContextVar("v", default=None), None)
del one
gc.collect()
'''
for _ in range(10):
    interpreter = interpreters.create()
    fault = interpreters.run_string(interpreter, program)
    assert fault is None, fault
    interpreters.destroy(interpreter)
    assert ask() == known
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_said_and_nothing_crashes(end: str) -> None:
    """The process ends with 0, and prints nothing."""
    again = f"COMMON = {COMMON!r}\nexec(COMMON)\n{ENDS[end]}"
    program = f"{again}\nassert native.words == 'compiled {__version__}'\nprint('done')"
    environment = {**os.environ, "GRAYSPLIT_PURE": "0", "PYTHONDEVMODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False,
        timeout=100,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
