"""Drive plans from a process that does nothing else, and say what was done."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import threading
from collections.abc import Sequence
from typing import Final

from graysplit.cli.exits import DONE
from graysplit.cli.output import say, say_json, tell
from graysplit.cli.session import Session
from graysplit.core.entry import Entry
from graysplit.errors import ConfigurationError, StoreUnreachableError
from graysplit.notices.hooks import CommandHook, Hook, Webhook
from graysplit.stores.port import Feed
from graysplit.words.entries import entry_json, entry_line
from graysplit.words.texts import when

LOOK_AGAIN_S: Final = 1.0
GUARDS: Final = ("trip", "suspect", "warned", "guard", "guard off")
TELLS_OF: Final = frozenset({"ramp", "step", "waiting", "plan over", "approve", "pause", "resume", "rollback", *GUARDS})


def hooks_of(
    urls: Sequence[str], commands: Sequence[str], on: str | None, console: str | None = None
) -> tuple[Hook, ...]:
    """Return whom to notify, the environment's where no address is given; raises `ConfigurationError`."""
    causes = None if on is None else on.split(",")
    addresses = urls or os.environ.get("GRAYSPLIT_NOTIFY_URL", "").split()
    hooks: list[Hook] = [Webhook(url, on=causes, console=console) for url in addresses]
    for command in commands:
        try:
            hooks.append(CommandHook(shlex.split(command), on=causes, console=console))
        except ValueError as fault:
            raise ConfigurationError(f"cannot parse --notify-command ({fault}): close its quotes") from None
    if on is not None and not hooks:
        raise ConfigurationError("--notify-on needs a hook: add --notify-url or --notify-command")
    if console is not None and not hooks:
        raise ConfigurationError("--console-url needs a hook: add --notify-url or --notify-command")
    return tuple(hooks)


def drive_until_interrupted(session: Session, hooks: tuple[Hook, ...] = ()) -> int:
    """Follow the store and take the steps of its plans; print each entry of the history that concerns a plan."""
    import graysplit

    session.changing = True  # it writes for as long as it runs
    store = session.store  # first: without one there is nothing to drive
    gc.enable()  # this run may be long
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped by it: say goodbye all the same
    router = graysplit.Router(session.url, namespace=session.namespace, notify=hooks)
    router.start()
    tell(f"driving the plans of {store.name}; end it with Ctrl-C")
    for hook in hooks:
        tell(f"notifying the {hook.name}")
    told = _Told(session)
    try:
        while True:
            told.follow()
    except KeyboardInterrupt:
        return DONE
    finally:
        router.close()


class _Told:
    """How much of the log has been told, over all connections."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._position = ""
        self._fault = ""

    def follow(self) -> None:
        """Print what the log says until contact is lost; the router follows on its own and is back by itself."""
        try:
            feed = self._session.store.follow()
            try:
                self._read(feed)
            finally:
                feed.close()
        except StoreUnreachableError as lost:
            if self._fault != lost.reason:
                tell(f"no contact to the store, plans take no steps until it is back: {lost.reason}")
            self._fault = lost.reason
            threading.Event().wait(LOOK_AGAIN_S)

    def _read(self, feed: Feed) -> None:
        self._position = self._position or feed.load("", whole=True).position
        while True:
            feed.wait(LOOK_AGAIN_S)
            load = feed.load(self._position, whole=False)
            self._position, self._fault = load.position, ""
            for entry in load.entries:
                _print(self._session, entry)


def _print(session: Session, entry: Entry) -> None:
    if entry.cause not in TELLS_OF:
        return
    if session.json:
        say_json(entry_json(entry))
    else:
        say(f"{when(entry.at_ms)}  {entry_line(entry)}")
