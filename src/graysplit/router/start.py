"""What a start makes: a store, break-glass, what is known already, and the follower. Imported when a router starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from graysplit import native
from graysplit.core.bucketing import hash32
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.adoption import Parse
from graysplit.core.replica.lineage import Past
from graysplit.errors import ConfigurationError, GraysplitError
from graysplit.follower.break_glass import BreakGlass
from graysplit.follower.follower import Follower
from graysplit.follower.known_good import KnownGood
from graysplit.follower.replica import Replica
from graysplit.router.jobs import Jobs
from graysplit.stores.url import store_from_url
from graysplit.version import __version__

if TYPE_CHECKING:
    from graysplit.clock import Clock
    from graysplit.events import Events
    from graysplit.notices.notifier import Notices
    from graysplit.router.settings import Settings
    from graysplit.router.states import PublishedStates
    from graysplit.stores.port import Store

# A child uses the inherited snapshot while its parent's last contact is younger than this.
FRESH_S: Final = 2.0


class KnownAtStart(NamedTuple):
    """What is known before the store has been asked, and whether versions on trial may run by it."""

    held: Adopted
    past: Past
    fresh: bool


class Made(NamedTuple):
    """What a start has made, before any of it is published."""

    follower: Follower
    break_glass: BreakGlass
    parse: Parse
    inherited: bool  # whether what is known was followed by this process or its parent, and may be served at once
    fresh: bool  # whether versions on trial may run by it


def make_store(settings: Settings) -> Store | None:
    """Make the store that settings name, connecting to nothing; None where they name none."""
    if not settings.url:
        return None
    return store_from_url(settings.url, namespace=settings.namespace or "default")


def make(  # noqa: PLR0913, PLR0917 - what a lifecycle has, handed over once
    store: Store | None,
    settings: Settings,
    states: PublishedStates,
    events: Events,
    clock: Clock,
    parent: Follower | None,
) -> Made:
    """Make the follower and what it begins with; nothing is published and no thread started yet."""
    if native.refusal is not None:
        events.warning("configuration", native.refusal)
    break_glass = BreakGlass(settings.off or "", settings.off_file)
    parse = _parse_definition() if store is not None else _nothing_to_parse
    file = _file(store, settings, events, clock)
    since = states.following.since
    known = _inherited(parent, clock.monotonic() - since) if since else None
    inherited = known is not None and store is not None
    known = known or _known(file, settings)
    follower = Follower(
        store,
        Replica(states, events, parse, known.held, known.past),
        states,
        break_glass,
        events,
        file=file,
        library=__version__,
        instance=settings.instance or "",
        zone=settings.zone or "",
        clock=clock,
        stand_in=None if inherited or not known.held.loaded else known.fresh,
    )
    return Made(follower, break_glass, parse, inherited, known.fresh)


def make_notices(  # noqa: PLR0913, PLR0917 - as above
    store: Store, settings: Settings, follower: Follower, jobs: Jobs, events: Events, clock: Clock
) -> Notices | None:
    """Make what tells the hooks that settings name; None where they name none, or none that can be told.

    A wrong address in the environment is said and harms no decision.
    """
    if not settings.notify and not settings.notify_url:
        return None
    from graysplit.notices.notifier import Notices, NoticeStore, hooks_of

    try:
        hooks = settings.notify or hooks_of(settings.notify_url or "")
    except ConfigurationError as fault:
        events.warning("hook_refused", f"this process sends no notices: GRAYSPLIT_NOTIFY_URL: {fault}")
        return None
    console = _console(settings, events)
    notice_store = NoticeStore(follower.boot, store, settings.namespace or "default", events, clock, console)
    return Notices(hooks, notice_store, [jobs.beside().submit for _ in hooks])


def _console(settings: Settings, events: Events) -> str:
    """Return the console's address for notices; a wrong one is said, and they come without a link."""
    if not settings.console_url:
        return ""
    from graysplit.notices.console_link import console_address

    try:
        return console_address(settings.console_url)
    except GraysplitError as fault:
        events.warning("configuration", f"notices have no link: GRAYSPLIT_CONSOLE_URL: {fault}")
        return ""


def _file(store: Store | None, settings: Settings, events: Events, clock: Clock) -> KnownGood | None:
    """Return the last-known-good file of this store and namespace, where one is kept."""
    if not settings.cache_dir or store is None:
        return None
    mark = hash32(store.name.encode(), 0)
    return KnownGood(Path(settings.cache_dir) / f"graysplit-{settings.namespace}-{mark:08x}.json", events, clock)


def _inherited(parent: Follower | None, age_s: float) -> KnownAtStart | None:
    """Return what was followed before a fork, or by a thread that has ended; None where nothing was."""
    if parent is None or not parent.replica.adopted.loaded:
        return None
    return KnownAtStart(parent.replica.adopted, parent.replica.past, age_s < FRESH_S)


def _known(file: KnownGood | None, settings: Settings) -> KnownAtStart:
    """Return what stands in for a store that does not answer: the file, else bootstrap."""
    kept = file.read() if file is not None else None
    if file is not None and kept is not None:
        return KnownAtStart(kept.held, kept.past, file.trusted(kept))
    if settings.bootstrap:
        from graysplit.codec import read_bootstrap

        return KnownAtStart(read_bootstrap(Path(settings.bootstrap)), Past(), fresh=True)
    return KnownAtStart(Adopted(), Past(), fresh=False)


def _parse_definition() -> Parse:
    """Make the parser ready in the caller's thread (about 100 ms, once), not in the follower's."""
    from graysplit.codec import parse_definition, parser

    parser()
    return parse_definition


def _nothing_to_parse(split: str, raw: bytes) -> None:
    """Stand for the parser where there is no store, so that pydantic need not be imported."""
