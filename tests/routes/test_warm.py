"""What prepares a version: when it runs, how it ends, and what of that the fleet is told."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from graysplit import Control, Router
from graysplit.core.fleet import Declared, Process, Receipt
from graysplit.errors import RegistrationError
from graysplit.router.warmup_hook import LATE
from graysplit.stores.memory import MemoryStore
from graysplit.stores.port import Report
from graysplit.stores.text.records import about_text, read_process
from tests.support import NewThreads, eventually


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()


@pytest.fixture
def gray(store: MemoryStore) -> Iterator[Router]:
    """Return a router on it, not started."""
    router = Router(store)
    yield router
    router.close()


def told(store: MemoryStore, split: str = "checkout") -> Mapping[str, str]:
    """Return what the fleet was told of a split's readiness by its one process."""
    declared = [process.declared[split].warm for process in store.fleet().live if split in process.declared]
    return declared[0] if declared else {}


def nothing() -> None:
    """Prepare nothing."""


def same(user: str) -> str:
    """Return back what is asked for."""
    return user


def test_a_hook_runs_beside_the_follower_when_the_router_starts(store: MemoryStore, gray: Router) -> None:
    """Not before, not in the caller's thread, and once; then the version is ready."""
    ran: list[str] = []
    banner = gray.split("checkout", "old", "new")

    @banner.warm("new")
    def prepare() -> None:
        ran.append(threading.current_thread().name)

    assert ran == []
    assert gray.wait_ready(5)
    eventually(lambda: told(store) == {"new": ""})
    assert ran == ["graysplit jobs"]


@pytest.mark.parametrize("how", ["route", "handle", "name"])
def test_hooks_are_registered_like_versions(store: MemoryStore, gray: Router, how: str) -> None:
    """On a routed function, on a handle, by name before either; and the function is handed back untouched."""

    def failing() -> None:
        raise LookupError

    if how == "handle":
        assert gray.split("checkout").warm("new")(failing) is failing
    elif how == "name":
        assert gray.warm("checkout", "new")(failing) is failing
        gray.split("checkout")
    else:
        checkout = gray.route("checkout", unit="user")(same)
        checkout.version("new")(same)
        assert checkout.warm("new")(failing) is failing
        checkout.warm("old")(nothing)
    gray.start()
    ready = {"old": ""} if how == "route" else {}
    eventually(lambda: told(store) == {"new": "failed: LookupError", **ready})


def test_a_slow_hook_delays_nobody_and_is_told_as_warming(store: MemoryStore, gray: Router) -> None:
    """The router is ready and decides while a version is being prepared; the fleet hears the end at once."""
    release = threading.Event()
    gray.split("checkout").warm("new")(lambda: release.wait(30))
    assert gray.wait_ready(5)
    assert gray.choose("checkout", "u-1") == "old"
    eventually(lambda: told(store) == {"new": "warming"})
    release.set()
    ended = time.monotonic()
    eventually(lambda: told(store) == {"new": ""})
    assert time.monotonic() - ended < 1.9, "a heartbeat comes every 2 s; this comes before"


def test_a_failure_tells_its_type_and_no_unit(
    store: MemoryStore, gray: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """What a hook raises may name a user: neither the fleet nor the log hears the message."""

    def failing() -> None:
        raise ConnectionError("no session for ann@example.org")

    gray.split("checkout").warm("new")(failing)
    with caplog.at_level(logging.WARNING, "graysplit"):
        gray.start()
        eventually(lambda: told(store) == {"new": "failed: ConnectionError"})
        eventually(lambda: "'warm checkout/new' failed: ConnectionError" in caplog.text)
    assert "ann@" not in caplog.text


def test_a_failure_s_type_is_told_in_a_hundred_characters(store: MemoryStore, gray: Router) -> None:
    """However long a class's name is; one that would move a cursor is not told."""

    def failing(name: str) -> Callable[[], object]:
        def fail() -> None:
            raise type(name, (Exception,), {})

        return fail

    gray.split("checkout").warm("new")(failing("E" * 5_000))
    gray.split("search").warm("new")(failing("\x1b[2J"))
    gray.start()
    eventually(lambda: told(store) == {"new": f"failed: {'E' * 100}"})
    eventually(lambda: told(store, "search") == {"new": "failed: exception"})


def test_a_trickle_keeps_a_version_warm_and_shows_when_it_is_not(store: MemoryStore, gray: Router) -> None:
    """With `every` the hook runs again: what fails later is not ready, what succeeds again is."""
    faults: list[type[Exception]] = []
    runs: list[int] = []

    @gray.split("checkout").warm("new", every=0.05)
    def prepare() -> None:
        runs.append(1)
        if faults:
            raise faults[0]

    gray.start()
    eventually(lambda: told(store) == {"new": ""})
    faults.append(TimeoutError)
    eventually(lambda: told(store) == {"new": "failed: TimeoutError"})
    faults.clear()
    eventually(lambda: told(store) == {"new": ""})
    assert len(runs) > 2


def test_a_trickle_that_hangs_is_not_ready(store: MemoryStore, gray: Router) -> None:
    """A standby that does not answer by the time it is asked again has gone cold."""
    answering = threading.Event()
    answering.set()
    gray.split("checkout").warm("new", every=0.05)(lambda: answering.wait(30))
    gray.start()
    eventually(lambda: told(store) == {"new": ""})
    answering.clear()
    eventually(lambda: told(store) == {"new": LATE})
    answering.set()
    eventually(lambda: told(store) == {"new": ""})


def test_without_every_it_runs_once(store: MemoryStore, gray: Router) -> None:
    """A hook that may write is run once in each process."""
    runs: list[int] = []
    trickles: list[int] = []
    gray.split("checkout").warm("new")(lambda: runs.append(1))
    gray.split("search").warm("new", every=0.05)(lambda: trickles.append(1))
    gray.start()
    eventually(lambda: len(trickles) > 3)
    assert runs == [1]


def test_a_hook_may_be_declared_later(store: MemoryStore, gray: Router) -> None:
    """Also while the router follows: it runs soon, and until it has the version is not ready."""
    checkout = gray.split("checkout")
    gray.wait_ready(5)
    eventually(lambda: any("checkout" in process.declared for process in store.fleet().live))
    assert told(store) == {}
    checkout.warm("new")(nothing)
    eventually(lambda: told(store) == {"new": ""})


def test_a_reloaded_hook_replaces_and_runs_again(store: MemoryStore, gray: Router) -> None:
    """From the same place; another place is an error that names both."""
    runs: list[int] = []
    checkout = gray.split("checkout")

    def declare() -> None:
        @checkout.warm("new")
        def prepare() -> None:
            runs.append(1)

    declare()
    gray.start()
    eventually(lambda: runs == [1])
    declare()
    eventually(lambda: runs == [1, 1])
    with pytest.raises(RegistrationError, match=r"prepared twice: .*prepare .* and by nothing"):
        checkout.warm("new")(nothing)


def test_a_library_s_hooks_run_in_the_application(store: MemoryStore, gray: Router) -> None:
    """An included router never starts, and what it declared is prepared all the same."""
    library = Router()
    library.split("pdf").warm("new")(nothing)
    gray.include(library)
    gray.start()
    eventually(lambda: told(store, "pdf") == {"new": ""})


async def waiting() -> None:
    """Be no plain function."""


def test_who_answers_false_is_not_ready(store: MemoryStore, gray: Router) -> None:
    """A ping that says no has not failed, and yet nobody can take over; any other answer counts for nothing."""
    gray.split("checkout").warm("new")(lambda: False)
    gray.split("search").warm("new")(lambda: None)
    gray.start()
    eventually(lambda: told(store) == {"new": "answered False"})
    eventually(lambda: told(store, "search") == {"new": ""})


def test_what_nobody_awaits_is_not_ready(store: MemoryStore, gray: Router) -> None:
    """A hook that hands a coroutine back has prepared nothing."""

    class Later:
        def __await__(self) -> Iterator[None]:
            yield None

    gray.split("checkout").warm("new")(lambda: Later())  # noqa: PLW0108 - a plain function, whose answer is not
    gray.start()
    eventually(lambda: told(store) == {"new": "failed: TypeError"})


@pytest.mark.parametrize(
    ("hook", "every", "said"),
    [
        (same, None, "asks for user, but a hook is called without arguments"),
        (waiting, None, "is a coroutine function"),
        (nothing, 0.0, "invalid every=0.0: use a time above zero"),
        (nothing, float("nan"), "invalid every=nan: use a time"),
        (nothing, float("inf"), "invalid every=inf: use a time"),
    ],
)
def test_what_cannot_prepare_is_refused(
    gray: Router, hook: Callable[[], object], every: float | None, said: str
) -> None:
    """At declaration, and by name."""
    with pytest.raises(RegistrationError, match=said):
        gray.warm("checkout", "new", every=every)(hook)


def test_a_handle_names_the_versions_it_has(gray: Router) -> None:
    """A mistyped version is an error where it is typed."""
    with pytest.raises(RegistrationError, match=r"no version 'neww' to prepare: it was declared with old, new"):
        gray.split("checkout").warm("neww")(nothing)


def test_a_mistyped_version_makes_no_version_ready(store: MemoryStore, gray: Router) -> None:
    """By name, and on a route, the version may come later: until it does, this process cannot take over."""
    checkout = gray.route("checkout", unit="user")(same)
    checkout.version("new")(same)
    checkout.warm("nwe")(nothing)
    gray.warm("search", "new")(nothing)
    gray.start()
    eventually(lambda: told(store) == {"nwe": ""})
    (process,) = store.fleet().live
    assert process.declared["checkout"].unready("new") == "prepares 'nwe', which it does not declare"
    assert process.declared.keys() == {"checkout"}, "preparing a version declares none"
    checkout.version("nwe")(same)
    eventually(lambda: store.fleet().live[0].declared["checkout"].unready("new") is None)


def test_nothing_runs_where_no_store_is_followed() -> None:
    """Without an address nobody can switch, and nothing is prepared."""
    threads, runs = NewThreads(), list[int]()
    with Router() as gray:
        gray.split("checkout").warm("new")(lambda: runs.append(1))
        assert gray.choose("checkout", "u-1") == "old"
    assert not threads.named("graysplit jobs")
    assert runs == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_prepares_for_itself(store: MemoryStore, gray: Router) -> None:
    """Its parent's connections are not its own: hooks run again in the child."""
    runs: list[int] = []
    gray.split("checkout").warm("new")(lambda: runs.append(os.getpid()))
    gray.wait_ready(5)
    eventually(lambda: told(store) == {"new": ""})
    child = os.fork()
    if child == 0:
        gray.choose("checkout", "u-1")
        eventually(lambda: runs[1:] == [os.getpid()])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert runs == [os.getpid()]


def test_readiness_crosses_the_wire() -> None:
    """What is written is read, and what cannot be read is not ready."""
    declared = {"checkout": Declared("old", ("old", "new"), "route", 5, {"new": "warming", "old": ""})}
    text = about_text(Report("b", "web", 1, "0", declared, Receipt()))
    assert read_process(b"b", 1, text.encode(), None).declared == declared
    assert _read('{"baseline":"old","versions":["old","new"]}').unready("new") is None
    assert _read('{"baseline":"old","versions":["old","new"],"warm":{"new":7}}').unready("new") == "unreadable"
    assert _read('{"baseline":"old","versions":["old","new"],"warm":["new"]}').unready("new") is None
    assert _read('{"baseline":"old","versions":["old"],"warm":{"new":""}}').unready("new") == "version_absent"


def _read(declared: str) -> Declared:
    found: Process = read_process(b"b", 1, f'{{"declared":{{"checkout":{declared}}}}}'.encode(), None)
    return found.declared["checkout"]


def test_preparing_changes_no_decision(store: MemoryStore, gray: Router) -> None:
    """Readiness is for whoever switches: weights alone decide."""
    with Control(store, confirm=True) as control:
        control.create("checkout")
        control.set("checkout", 100)

    def failing() -> None:
        raise LookupError

    gray.split("checkout").warm("new")(failing)
    assert gray.wait_ready(5)
    eventually(lambda: told(store) == {"new": "failed: LookupError"})
    assert gray.choose("checkout", "u-1") == "new"
