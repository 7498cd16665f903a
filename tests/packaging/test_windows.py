"""Where Python has nothing of POSIX, as under Windows, a program without Redis imports, decides and is tested."""

from __future__ import annotations

import subprocess
import sys

# What Python's documentation marks as not there under Windows, of what anything here might use.
WITHOUT = """
import os, select, signal, socket, sys, time
for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "pty"):
    sys.modules[name] = None
for name in ("fork", "register_at_fork", "getuid", "geteuid", "getpgid", "killpg", "setsid", "sched_getaffinity",
             "O_NOFOLLOW", "fchmod", "fchown", "getloadavg", "uname", "wait4", "mkfifo", "posix_spawn"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGSTOP", "SIGCONT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGALRM", "pthread_sigmask",
             "SIGPIPE", "SIGCHLD", "pause", "setitimer", "alarm"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("poll", "epoll"):
    if hasattr(select, name):
        delattr(select, name)
for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime"):
    delattr(time, name)
del socket.AF_UNIX
import builtins
real = builtins.open
def opened(file, *args, **named):
    if isinstance(file, str) and file.startswith("/proc/"):
        raise FileNotFoundError(file)
    return real(file, *args, **named)
builtins.open = opened
"""

PROGRAM = """
import graysplit
from graysplit.stores import store_from_url
from graysplit.testing import forced

store = store_from_url("memory://")
with graysplit.Router(store, off_file="off") as router, graysplit.Control(store, confirm=True) as control:
    @router.route("checkout", unit="user")
    def checkout(user): return "old"
    @checkout.version("new")
    def checkout_new(user): return "new"
    control.create("checkout")
    assert router.wait_ready(10)
    control.wait_confirmed(control.set("checkout", 100))
    assert checkout("u") == "new"
    control.wait_confirmed(control.rollback("checkout"))
    assert checkout("u") == "old"
    with forced(checkout="new"), graysplit.context("u"):
        assert checkout("u") == "new"
    assert router.status().phase == "live"
print("done")
"""


def test_memory_stores_work_without_posix() -> None:
    """Modules, signals, forks and files of POSIX are taken away before graysplit is imported."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert not done.stderr
