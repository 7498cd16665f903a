"""Tell whether uWSGI may still fork this process: nothing of ours may run in it until then.

uWSGI forks in C, and leaves out Python's own hooks unless told `--py-call-uwsgi-fork-hooks`. So nobody tells a worker
that its follower is gone: it would decide by what its master knew, for ever. And where a thread of the master has the
interpreter at that moment, it has it in the worker too, without being there: the worker never runs. No thread in the
master, not even one that writes a line of log, is the way around both; it serves nobody.
"""

from __future__ import annotations

import sys
from typing import Any


def is_master() -> bool:
    """Return whether this is uWSGI and may still be forked: it is neither worker, mule nor spooler. Never raises."""
    uwsgi: Any = sys.modules.get("uwsgi")  # Any: it has no annotations, and exists inside uWSGI only
    if uwsgi is None:
        return False
    try:
        return not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())
    except Exception:  # noqa: BLE001 - a module of the program's own by that name may do anything
        return False
