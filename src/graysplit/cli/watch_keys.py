"""The keys of `watch`: each that acts asks once, and shows below the picture what was done.

They are read, and act, in a thread of their own: the picture goes on, whatever a store takes. What is done runs on
connections of its own, as the command of that name would.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from graysplit.cli.app import tell_fault
from graysplit.cli.key_actions import ACTIONS, Choice, KeyAction, choice_of
from graysplit.cli.output import say_json, taken_by
from graysplit.cli.screen import Screen
from graysplit.cli.session import Session
from graysplit.errors import GraysplitError
from graysplit.words.texts import plural

if TYPE_CHECKING:
    from graysplit.cli.keys import Keyboard

LOOK_AGAIN_S: Final = 0.5
LISTED_AT_MOST: Final = 8
HINT: Final = "keys: r roll back, p pause, a approve, j JSON, q quit, ? help"
HELP: Final = (
    "r  roll back: zero and a stop, at once",
    "p  pause a plan; its weight does not change",
    "a  approve the next step of a plan, or accept a doubt",
    "j  print the state as JSON, then each change as a line; again: as before",
    "q  quit",
    "r, p and a ask once: only y does it, any other key does nothing. Where there are several, they ask which.",
)
NOT_DONE: Final = "nothing was done"
SAID: Final = "changes made by keys are in the history. See: graysplit history"
UNKNOWN: Final = "it is not known whether the change was written. See: graysplit history"
SETTLED_WITHIN_S: Final = 3.0  # as long as a store may take to answer
ENTER, ESCAPE, ERASE = "\r\n", "\x1b\x04", "\x7f\x08"
LONGEST: Final = 240  # of what is typed


def keys_of(session: Session, screen: Screen, split: str | None) -> ExitStack:
    """Return the keys of a watch; nothing where standard input or output is no terminal, or the system has no keys."""
    keys = ExitStack()
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        return keys
    try:
        from graysplit.cli.keys import Keyboard
    except ImportError:  # Windows
        return keys
    keys.enter_context(WatchKeys(session, screen, split, Keyboard()))
    return keys


def _is_terminal(stream: object) -> bool:
    return stream is not None and bool(getattr(stream, "isatty", lambda: False)())


class WatchKeys:
    """A thread that reads keys until the watch ends, or ends it."""

    def __init__(self, session: Session, screen: Screen, split: str | None, keyboard: Keyboard) -> None:
        """Begin with no key pressed."""
        self._session = session
        self._screen = screen
        self._split = split
        self._keyboard = keyboard
        self._dialog: list[str] = []
        self._over = False
        self._quit = False
        self._acting: Session | None = None  # of what is being done now
        self._done = threading.Event()  # nothing is being done

    def __enter__(self) -> Self:
        """Take the terminal and begin."""
        self._keyboard.open()
        threading.Thread(target=self._run, name="graysplit keys", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Leave the terminal as it was; a watch that a key has ended ends as any does."""
        self._over = True
        self._keyboard.close()
        if self._acting is not None:
            self._settle(self._acting)
        self._screen.close()
        return kind is not None and issubclass(kind, KeyboardInterrupt) and self._quit

    def _settle(self, acting: Session) -> None:
        """Wait until it is known what an interrupted action has written, and have the watch's session say so."""
        until = time.monotonic() + SETTLED_WITHIN_S
        while self._acting is not None and acting.written is None and time.monotonic() < until:
            self._done.wait(SETTLED_WITHIN_S / 100)
        if self._acting is not None:
            self._session.written = acting.written
            self._session.said = "" if acting.written is not None else UNKNOWN

    def _run(self) -> None:
        try:
            while not self._screen.is_read.wait(LOOK_AGAIN_S):
                if self._over:
                    return
            self._idle()
            while not (self._over or self._quit):
                self._press(self._keyboard.key(LOOK_AGAIN_S))
        except Exception as defect:  # noqa: BLE001 - the picture goes on without keys
            if not self._over:
                self._keyboard.close()
                self._show(f"keys are off after an internal error of graysplit: {defect!r}")

    def _press(self, key: str) -> None:
        match key:
            case "":
                return
            case "q" | "Q":
                self._end()
            case "j" | "J":
                self._switch()
            case "?" | "h" | "H":
                self._idle(*HELP)
            case _ if (action := ACTIONS.get(key.lower())) is not None:
                self._ask(action)
            case _:
                self._idle()

    def _end(self) -> None:
        """Have the thread that follows leave whatever it waits for."""
        self._screen.tell([])
        self._quit = True
        main = threading.main_thread().ident
        if main is not None and not self._over:
            signal.pthread_kill(main, signal.SIGINT)

    def _switch(self) -> None:
        self._screen.json = not self._screen.json
        if self._screen.json and self._screen.view is not None:
            from graysplit.words.values import overview_json

            say_json({"event": "state", **overview_json(self._screen.view)})
        self._idle()

    # --- a question, and what is done -------------------------------------------------------------------------------

    def _ask(self, action: KeyAction) -> None:
        view = self._screen.view
        choices = [] if view is None else action.choices(view, self._split)
        if not choices:
            self._idle(f"{'' if self._split is None else f'{self._split}: '}{action.nothing}")
            return
        choice = self._sure(choices[0]) if len(choices) == 1 else self._chosen(action, choices)
        if isinstance(choice, str):
            self._idle(choice)
        else:
            self._do(action, choice)

    def _sure(self, choice: Choice) -> Choice | str:
        """Ask whether; only y is a yes."""
        self._keyboard.forget()
        self._show(*([f"{choice.target}: {choice.words}"] if choice.words else []), choice.question)
        return choice if self._next_key() in {"y", "Y"} else NOT_DONE

    def _chosen(self, action: KeyAction, choices: list[Choice]) -> Choice | str:
        """Ask which, by number or by name; return the choice, or why there is none."""
        listed = [f"  {number} {choice.target}: {choice.words}" for number, choice in enumerate(choices, 1)]
        more = len(listed) - LISTED_AT_MOST
        self._show(*listed[:LISTED_AT_MOST], *([f"  and {plural(more, 'more split')}"] if more > 0 else []))
        typed = self._typed_at(f"{action.verb} which? number or name, then Enter; Enter alone: none").strip()
        view = self._screen.view
        choice = choice_of(typed, choices, lambda target: view is not None and action.more(view, target))
        if choice is None:
            return f"no such split here: '{typed}'; {NOT_DONE}" if typed else NOT_DONE
        return choice

    def _do(self, action: KeyAction, choice: Choice) -> None:
        """Act as the command does, with its words; an outage is said, and the keys go on."""
        session = Session()
        session.url, session.namespace = self._session.url, self._session.namespace
        session.changing, session.typed_at = True, self._typed_at
        self._show(f"{action.verb} {choice.target}:")
        self._done.clear()
        self._acting = session
        try:
            with taken_by(self._add):
                self._act(action, session, choice)
        finally:
            self._session.said = SAID
            self._acting = None
            self._done.set()
            session.close()
        self._idle(*self._dialog)

    @staticmethod
    def _act(action: KeyAction, session: Session, choice: Choice) -> None:
        try:
            action.act(session, choice)
        except GraysplitError as fault:
            tell_fault(session, fault)

    def _typed_at(self, prompt: str) -> str:
        """Return the line that is typed at a prompt; "" where Escape ends it."""
        before, typed = [*self._dialog], ""
        self._keyboard.forget()
        self._show(*before, f"{prompt}: ")
        while (key := self._next_key()) not in ENTER:
            if key in ESCAPE:
                typed = ""
                break
            typed = typed[:-1] if key in ERASE else (typed + key)[:LONGEST] if key.isprintable() else typed
            if self._screen.draws:
                self._show(*before, f"{prompt}: {typed}")
        self._show(*before, f"{prompt}: {typed}")
        return typed

    def _next_key(self) -> str:
        """Wait for the next key."""
        while not self._over:
            if key := self._keyboard.key(LOOK_AGAIN_S):
                return key
        raise SystemExit  # ends this thread: the watch is over

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _idle(self, *lines: str) -> None:
        """Show what was done, and which keys there are."""
        self._dialog = [*lines]
        self._screen.tell([*lines, HINT])

    def _show(self, *lines: str) -> None:
        self._dialog = [*lines]
        self._screen.tell(self._dialog)

    def _add(self, line: str) -> None:
        self._show(*self._dialog, line)
