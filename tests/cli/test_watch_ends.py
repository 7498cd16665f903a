"""However `watch` ends, its terminal is as it was: keys are shown again, and lines are read as lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from graysplit import Control
from graysplit.cli.watch_keys import HINT
from graysplit.control.operator import operator_of
from tests.cli.terminal import Seat, at_terminal, seat
from tests.cli.test_process import surroundings
from tests.control.processes import live
from tests.support import eventually


@pytest.fixture
def control(redis_url: str, namespace: str) -> Iterator[Control]:
    """Return an operator, with a split at 20 %."""
    with closing(Control(redis_url, namespace=namespace, actor="bob@lab")) as found:
        found.create("checkout")
        found.set("checkout", 20)
        yield found


@contextmanager
def watched(redis_url: str, namespace: str, *words: str) -> Iterator[Seat]:
    """Run `watch` until it takes keys."""
    with at_terminal(surroundings(redis_url, namespace), "watch", *words) as place:
        place.see(HINT)
        eventually(place.is_watched)
        yield place


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize(
    ("end", "code", "asked"),
    [
        ("q", 0, False),
        ("q", 0, True),
        (signal.SIGINT, 130, False),
        (signal.SIGTERM, -signal.SIGTERM, False),
        (signal.SIGTERM, -signal.SIGTERM, True),
        (signal.SIGHUP, -signal.SIGHUP, False),
        (signal.SIGQUIT, -signal.SIGQUIT, True),
    ],
)
def test_each_end_gives_the_terminal_back(
    end: str | signal.Signals, code: int, asked: bool, redis_url: str, namespace: str
) -> None:
    """Idle, and in the middle of a question, which q answers with no."""
    with at_terminal(surroundings(redis_url, namespace), "watch") as place:
        place.see(HINT)
        eventually(place.is_watched)
        if asked:
            place.type("r")
            place.see("roll back checkout? y/N")
        if isinstance(end, str):
            place.type(end)
            if asked:
                place.see("nothing was done")
                place.type(end)
        else:
            place.process.send_signal(end)
        assert place.process.wait(20) == code
        assert place.mode() == place.first_mode
        if end is signal.SIGINT:
            assert "interrupted: nothing was written" in place.look()


def test_count_and_a_trip_end_as_before(redis_url: str, namespace: str, control: Control) -> None:
    """After so many changes; what was typed and not read is nobody's command."""
    with watched(redis_url, namespace, "--count", "1") as place:
        place.type("r")
        place.see("roll back checkout? y/N")
        control.set("checkout", 30)
        assert place.process.wait(20) == 0
        assert not place.is_watched()


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize("part", ["picture", "keys"])
def test_a_defect_gives_the_terminal_back(part: str, redis_url: str, namespace: str) -> None:
    """In the picture it ends the program with 70; in the keys it is said, and the picture goes on."""
    environment = surroundings(redis_url, namespace)
    with at_terminal(environment, part, "watch", module="tests.cli.broken_watch") as place:
        if part == "keys":
            place.see(HINT)
            place.type("r")
            place.see("keys are off after an internal error of graysplit")
            assert place.mode() == place.first_mode
            frames = place.terminal.frames
            eventually(lambda: place.look() and place.terminal.frames > frames, 10)
            place.process.send_signal(signal.SIGINT)
        else:
            place.see("an internal error of graysplit (RuntimeError)")
        assert place.process.wait(20) == (130 if part == "keys" else 70)
        assert place.mode() == place.first_mode


def test_an_interrupt_while_receipts_are_awaited_says_what_was_written(
    redis_url: str, namespace: str, control: Control
) -> None:
    """As after `graysplit rollback`; once an action is over, it is in the history."""
    with watched(redis_url, namespace) as place:
        place.type("r")
        place.see("roll back checkout? y/N")
        place.type("y")
        place.see("no process follows this namespace")
        place.see(HINT)
        place.process.send_signal(signal.SIGINT)
        assert place.process.wait(20) == 130
        assert "interrupted: changes made by keys are in the history" in place.look()
    with watched(redis_url, namespace) as place:
        place.type("r")
        place.see("roll back checkout? y/N")
        live(operator_of(control).store, 1)  # and says nothing more
        place.type("y")
        place.see("written: rollback checkout")
        place.process.send_signal(signal.SIGINT)
        assert place.process.wait(20) == 130
        assert "interrupted: the change was written (revision" in place.look()
        assert not place.is_watched()


@pytest.mark.usefixtures("control")
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back(redis_url: str, namespace: str) -> None:
    """In a real shell with job control: stopped, the shell has its terminal; in the background nothing is read."""
    environment = {**surroundings(redis_url, namespace), "TERM": "xterm", "PS1": "ready$ ", "HISTFILE": "/dev/null"}
    environment = {name: value for name, value in environment.items() if name not in {"COLUMNS", "LINES"}}
    with seat() as place:
        its = place._its  # pyright: ignore[reportPrivateUsage]
        with subprocess.Popen(
            [sys.executable, "-c", _SHELL, os.ttyname(its)], env=environment, start_new_session=True
        ) as shell:
            try:
                place.see("ready$")
                place.type("stty -echoctl; clear; stty -g\r")
                place.see("ready$")
                plain = eventually(lambda: not place.is_watched() and place.mode())
                place.type(f"{sys.executable} -m graysplit.cli watch\r")
                place.see(HINT)
                eventually(place.is_watched)
                place.type("\x1a")
                place.see("Stopped")
                eventually(lambda: _flags(place.mode()) == _flags(plain))
                place.type("bg\r")
                frames = place.terminal.frames
                eventually(lambda: place.look() and place.terminal.frames > frames, 20)
                assert _flags(place.mode()) == _flags(plain)  # it goes on, and the shell reads
                place.type("fg\r")
                eventually(place.is_watched)
                place.see(HINT)
                place.type("r")
                place.see("roll back checkout? y/N")
                place.type("n")
                place.see("nothing was done")
                place.type("q")
                eventually(lambda: _flags(place.mode()) == _flags(plain))
                place.type("clear; echo code $?\r")
                place.see("code 0")
            finally:
                shell.kill()


# A shell reads lines in a mode of its own; without readline's editing the terminal is as a program finds it.
_SHELL = """
import fcntl, os, sys, termios
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for number in range(3):
    os.dup2(terminal, number)
os.execvp("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
"""


def _flags(mode: list[object]) -> object:
    """Return what a program changes of a terminal."""
    flags = mode[3]
    assert isinstance(flags, int)
    return flags & (termios.ECHO | termios.ICANON | termios.ISIG)
