"""What uWSGI does otherwise: it forks in C, and leaves out Python's own hooks unless told `--py-call-uwsgi-fork-hooks`.

So nobody tells a worker that its follower is gone: it would decide by what its master knew, for ever. And where a
thread of the master has the interpreter at that moment, it has it in the worker too, without being there: the worker
never runs. No thread in the master, not even one that writes a line of log, is the way around both; it serves nobody.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def is_master() -> bool:
    """Return whether this is uWSGI and may still be forked: it is neither worker, mule nor spooler."""
    if "uwsgi" not in sys.modules:
        return False
    uwsgi: Any = importlib.import_module("uwsgi")  # Any: it has no annotations, and exists inside uWSGI only
    return not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())
