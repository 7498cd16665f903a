"""Where a command says that nobody sends calls to a candidate any more, no live process answers with it.

Asked of the processes themselves: several routers of different code, in this process, on one real server. What stands
before is drawn: weights and stops, raw edits, lost and unreadable definitions, finished marks, code that names another
baseline; and so is the command, with targets that are mistyped, too wide or too narrow.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from graysplit import embedded
from graysplit.cli.app import run
from graysplit.router.router import Router
from tests.support import eventually

# What the code of a process declares; the first is its baseline.
CODES: Final = (
    {"checkout": ("old", "new"), "search": ("a", "b", "c")},
    {"checkout": ("old", "new")},
    {"checkout": ("old", "new", "newer"), "search": ("a", "b")},
    {"checkout": ("new", "old")},  # names another baseline
    {"other": ("old", "new")},
)
UNITS: Final = tuple(f"u-{n}" for n in range(40))
FIELDS: Final = ("checkout/new", "search/b", "search/c")
TARGETS: Final = (
    "checkout", "checkout/new", "search", "search/b", "search/c", "other",
    "chekout", "checkout/nwe", "checkout/old", "all", "serach/b", "search/a",
)  # fmt: skip


# What a person who types a mistyped target means by it: a line that says that calls ended says it of that.
MEANT: Final = {
    "chekout": "checkout", "all": "--all", "checkout/nwe": "checkout/new", "checkout/old": "checkout",
    "serach/b": "search/b", "search/a": "search",
}  # fmt: skip


# The lines that claim: all processes do it, nothing was there to do, and what a rollback of everything left.
COMPLETE: Final = re.compile(r"\b(\d+)/\1 (?:processes stopped sending calls to|confirmed)\b")
NOTHING: Final = "no unfinished release is above zero"
LEFT: Final = re.compile(r"left alone, finished: ([^/\s]+)/")
QUIET: Final = re.compile(r"left alone, finished, not declared by live code: (.*)")


class Raw(NamedTuple):
    """One edit past graysplit."""

    key: str
    field: str
    text: str | None


class World(NamedTuple):
    """What stands before the command, and who follows."""

    codes: Sequence[int]
    created: bool
    weights: dict[str, int]
    finished: bool
    stops: Sequence[str]
    edits: Sequence[Raw]


EDITS: Final = {
    "weights": (
        (*FIELDS, "checkout", "checkout/old"),
        ("0", "30", "100", "1_0", "", "preview", None),
    ),
    "stops": (("checkout", "checkout/new", "search/b", "*"), ("by hand", None)),
    "splits": (("checkout", "search"), ("{broken", None)),
    "meta": (("finished:checkout", "finished:search"), ("1", None)),
}
raws = st.one_of(
    st.builds(Raw, st.sampled_from([*EDITS]), st.just("_"), st.none()),
    *(
        st.builds(Raw, st.just(key), st.sampled_from(fields), st.sampled_from(texts))
        for key, (fields, texts) in EDITS.items()
    ),
)
worlds = st.builds(
    World,
    codes=st.lists(st.integers(0, len(CODES) - 1), min_size=1, max_size=3),
    created=st.booleans(),
    weights=st.fixed_dictionaries({}, optional={f: st.sampled_from((0, 5, 40)) for f in FIELDS}),
    finished=st.booleans(),
    stops=st.lists(st.sampled_from(("checkout", "checkout/new", "search", "search/c")), max_size=2, unique=True),
    edits=st.lists(raws, max_size=3),
)
commands = st.one_of(
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=3).map(lambda found: ["rollback", *found]),
    st.just(["rollback", "--all"]),
    st.sampled_from(FIELDS).map(lambda field: ["set", field, "0"]),
    st.sampled_from((["switch", "checkout", "--to", "old"], ["switch", "search", "--to", "a"])),
)
SHOP: Final = World((0, 1), created=True, weights={"checkout/new": 40}, finished=False, stops=(), edits=())
FINISHED: Final = World(
    (0, 1), created=True, weights={"checkout/new": 40, "search/b": 40}, finished=True, stops=(), edits=()
)


@pytest.mark.timeout(300)  # a busy machine takes five seconds for an example
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds, command=commands)
@example(world=SHOP, command=["rollback", "chekout"])
@example(world=SHOP, command=["rollback", "all"])
@example(world=SHOP, command=["rollback", "checkout/nwe", "checkout/nwe"])
@example(world=SHOP, command=["rollback", "checkout/old"])
@example(world=SHOP, command=["rollback", "checkout"])
@example(world=SHOP._replace(codes=(3,)), command=["rollback", "checkout"])
@example(world=SHOP._replace(edits=[Raw("splits", "checkout", None)]), command=["rollback", "checkout"])
@example(world=SHOP._replace(edits=[Raw("weights", "_", None)]), command=["rollback", "--all"])
@example(world=FINISHED, command=["rollback", "--all"])
@example(world=FINISHED._replace(codes=(1,)), command=["rollback", "--all"])
@example(world=FINISHED._replace(weights={"search/b": 40}), command=["rollback", "--all"])
@example(world=SHOP._replace(edits=[Raw("weights", "checkout/new", None)]), command=["rollback", "checkout"])
def test_where_a_command_says_that_nobody_is_sent_no_live_process_answers(
    server: embedded.Server, world: World, command: list[str]
) -> None:
    """For random stores, fleets and commands; the processes are asked until a moment after it has been said."""
    with following(server.url, world) as (namespace, routers, defined):
        code, said = ran(server.url, namespace, *command, "--yes", "--wait", "3s")
        claimed = claims(command, said)
        answered = set[str]()
        for router, split in itertools.product(routers, ("checkout", "search")):
            versions = {router.choose(split, unit) for unit in UNITS}
            # Where no definition ever said so, what a code calls its baseline is no candidate there.
            own = set[str]() if split in defined else {CODES[world.codes[routers.index(router)]].get(split, ("",))[0]}
            answered |= {f"{split}/{version}" for version in versions - own}
    wrong = answered & claimed
    assert not wrong, (code, said, wrong)
    if claimed and code == 0:
        assert "NOT " not in said


def claims(command: Sequence[str], said: str) -> set[str]:
    """Return the candidates to which, by what was printed, nobody sends calls any more."""
    verb, *targets = dict.fromkeys(command)
    complete = [line for line in said.splitlines() if COMPLETE.search(line)]
    if verb == "rollback" and len(targets) > 1:
        heard = {target for target in targets if any(line.startswith(f"{target}: ") for line in complete)}
    else:
        heard = {*targets[:1]} if complete else set[str]()
    heard = {MEANT.get(target, target) for target in heard}
    if "--all" in heard or (NOTHING in said and re.search(r"\b(\d+)/\1 processes have read", said)):
        left = {*LEFT.findall(said), *(name for names in QUIET.findall(said) for name in names.split(", "))}
        return {field for field in FIELDS if field.partition("/")[0] not in left}
    return {field for field in FIELDS if heard & {field, field.partition("/")[0]}}


@contextmanager
def following(url: str, world: World) -> Iterator[tuple[str, list[Router], set[str]]]:
    """Build the world in a namespace of its own, with processes that follow it; return the defined splits too."""
    namespace = f"said-{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        client = stack.enter_context(closing(redis.Redis.from_url(url)))
        routers: list[Router] = []
        for number in world.codes:
            router = stack.enter_context(closing(Router(url, namespace=namespace)))
            for split, versions in CODES[number].items():
                router.split(split, *versions)
            router.start()
            routers.append(router)
        if world.created:
            for split, versions in (("checkout", "old,new"), ("search", "a,b,c")):
                ran(url, namespace, "create", split, "--versions", versions, "--no-wait", "--yes")
        for field, weight in world.weights.items():
            ran(url, namespace, "set", field, str(weight), "--no-wait", "--yes")
        for stop in world.stops:
            ran(url, namespace, "rollback", stop, "--no-wait")
        if world.finished:
            at = sum(weight for field, weight in world.weights.items() if field.startswith("search/"))
            ran(url, namespace, "finish", "search", "--at", str(at), "--no-wait")
        settle(url, namespace, routers)
        names: list[bytes] = client.hkeys(f"graysplit:{{{namespace}}}:splits")  # type: ignore[assignment] # not awaited
        for edit in world.edits:
            key = f"graysplit:{{{namespace}}}:{edit.key}"
            if edit.text is None:
                client.hdel(key, edit.field)
            else:
                client.hset(key, edit.field, edit.text)
        yield namespace, routers, {name.decode() for name in names}


def settle(url: str, namespace: str, routers: Sequence[Router]) -> None:
    """Wait until every process has followed what graysplit wrote."""
    history = json.loads(ran(url, namespace, "history", "--json")[1].splitlines()[0])["entries"]
    newest = max((entry["revision"] for entry in history), default=0)
    eventually(lambda: all(router.status().revision >= newest for router in routers), within=20.0)


def ran(url: str, namespace: str, *words: str) -> tuple[int, str]:
    """Run one command in this process, on stdout and stderr together, no line folded."""
    out = io.StringIO()
    environment: dict[str, Any] = {"GRAYSPLIT_URL": url, "GRAYSPLIT_NAMESPACE": namespace}
    with patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(out):
        code = run(words)
    return code, out.getvalue().replace("\n  ", " ")
