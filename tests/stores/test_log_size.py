"""The log holds what changed, in so many bytes, and a process starts at once beside any of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graysplit.control import Control
from graysplit.control.operator import operator_of
from graysplit.errors import ConflictError
from graysplit.stores import store_from_url
from graysplit.stores.memory import MemoryStore
from graysplit.stores.text.records import new_id
from graysplit.stores.text.splice import SAVES, is_splice, spliced, widened
from graysplit.testing.contract import one, submission_of
from tests.stores.stage import Stage, staged

MB: Final = 1 << 20


@pytest.fixture
def bench(redis_url: str, namespace: str) -> Iterator[Stage]:
    """Return a namespace with one split in it."""
    with staged(redis_url, namespace, confirm=True) as bench:
        yield bench


TEXTS: Final = st.text(st.sampled_from('ab",:ü\U0001f600\udc80 '), max_size=40)


@given(TEXTS, TEXTS, TEXTS, TEXTS, st.integers(0, 3_000))
def test_a_splice_gives_both_texts_back_byte_for_byte(head: str, was: str, is_: str, tail: str, fill: int) -> None:
    """Whatever a text is and whatever changed in it; and it is written only where it saves much."""
    before, after = (f"{'x' * fill}{head}{middle}{tail}{'y' * fill}" for middle in (was, is_))
    cut = spliced(before, after)
    if cut == (before, after):
        return
    assert all(map(is_splice, cut))
    assert len(before) + len(after) - sum(map(len, cut)) >= SAVES
    assert widened(*cut, ["another", after]) == (before, after)
    assert widened(*cut, [after + " ", before] if before != after else [after + " "]) is None


def test_one_more_pin_is_a_splice() -> None:
    """What is long and has hardly changed is no longer than the change."""
    pins = {f"user-{number}": "new" for number in range(1_000)}
    before, after = (json.dumps({"pins": p}) for p in (pins, {**pins, "user-x": "new"}))
    assert sum(map(len, spliced(before, after))) < 150


@pytest.mark.parametrize("kind", ["memory", "redis", "without scripts"])
def test_undo_puts_a_definition_back_byte_for_byte(bench: Stage, kind: str) -> None:
    """Of a change that the log holds as a splice, too; an edit in between is a conflict, and nothing is written."""
    if kind == "memory":
        control = Control(MemoryStore(), actor="ada", confirm=True)
        control.create("checkout", ["old", "new"])
    elif kind == "redis":
        control = bench.control
    else:
        bench.client.execute_command("ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-@scripting")
        url = bench.url.replace("redis://", "redis://plain:pw@")
        control = Control(store_from_url(url, bench.namespace), actor="ada", confirm=True)
    for number in range(120):
        control.pin("checkout", f"user-{number}", "new")
    stood = operator_of(control).store.load().splits.fields[b"checkout"]
    control.pin("checkout", "user-ü", "new")
    last = operator_of(control).store.history("checkout", 1)[0]
    assert last.before["splits checkout"] == stood.decode()
    assert last.after["splits checkout"] == operator_of(control).store.load().splits.fields[b"checkout"].decode()
    assert any(is_splice(entry.after["splits checkout"]) for entry in operator_of(control).store.history("checkout", 3))
    control.undo("checkout")
    assert operator_of(control).store.load().splits.fields[b"checkout"] == stood
    control.undo("checkout")
    assert "user-ü" in operator_of(control).store.load().splits.fields[b"checkout"].decode()


def test_what_was_edited_since_is_not_undone(bench: Stage) -> None:
    """A definition that is another than the change left is a conflict."""
    for number in range(80):
        bench.control.pin("checkout", f"user-{number}", "new")
    raw = bench.client.hget(bench.key("splits"), "checkout")
    assert isinstance(raw, bytes)
    bench.client.hset(bench.key("splits"), "checkout", raw.replace(b"user-3", b"user-X"))
    with pytest.raises(ConflictError):
        bench.control.undo("checkout")


def test_recover_knows_the_whole_definition(bench: Stage) -> None:
    """Where the definitions are lost, and the log holds only what changed last."""
    for number in range(80):
        bench.control.pin("checkout", f"user-{number}", "new")
    stood = bench.client.hget(bench.key("splits"), "checkout")
    bench.client.xtrim(bench.key("log"), maxlen=1, approximate=False)
    bench.client.delete(bench.key("splits"))
    bench.control.recover()
    assert bench.client.hget(bench.key("splits"), "checkout") == stood


def test_recover_takes_no_part_for_the_whole(bench: Stage) -> None:
    """Where the copy beside the log is lost as well, a definition is not known: what changed last is none."""
    for number in range(80):
        bench.control.pin("checkout", f"user-{number}", "new")
    bench.client.delete(bench.key("splits"), bench.key("latest"))
    assert "checkout" in bench.control.recover().left
    assert bench.client.hget(bench.key("splits"), "checkout") is None


def test_the_log_is_bounded_in_bytes(bench: Stage) -> None:
    """Big entries push the oldest out, those that processes look for never; the newest is there."""
    for number in range(1_100):
        text = f"{number}" + "x" * 60_000
        bench.store.submit(submission_of(bench.store, "checkout", *one("stops", "checkout", _stop(bench), text)))
    length = bench.client.xlen(bench.key("log"))
    assert 1_000 <= length <= 1_002
    assert bench.store.history(None, 1)[0].after["stops checkout"] == text


def test_the_log_of_an_older_version_is_cut_too(bench: Stage) -> None:
    """Its whole definitions leave with the writes that come, a few at a time; small entries stay."""
    entry = ("id", "x", "rev", "1", "split", "checkout", "cause", "pin", "from", "{}", "to", "x" * 50_000)
    for _ in range(1_200):
        bench.client.execute_command("XADD", bench.key("log"), "*", *entry)
    for number in range(20):
        bench.control.pin("checkout", f"user-{number}", "new")
    assert bench.client.xlen(bench.key("log")) < 1_160
    assert len(bench.store.history("checkout", 20)) == 20


def test_a_start_reads_few_of_big_entries(bench: Stage) -> None:
    """A process that begins beside big entries of an older version reads a few, and all of small ones."""
    feed = bench.store.follow()
    for number in range(30):
        bench.control.pin("checkout", f"user-{number}", "new")
    assert len(feed.load("", whole=True).entries) == 31
    entry = ("id", "x", "rev", "1", "split", "checkout", "cause", "pin", "from", "{}", "to", "x" * MB)
    for _ in range(50):
        bench.client.execute_command("XADD", bench.key("log"), "*", *entry)
    load = feed.load("", whole=True)
    assert len(load.entries) < 25
    assert load.position == bench.client.xrevrange(bench.key("log"), count=1)[0][0].decode()
    assert not load.anchor
    bench.control.pin("checkout", "user-x", "new")
    after = feed.load(load.position, whole=True)
    assert (len(after.entries), after.anchor) == (1, "x")
    feed.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("pins", [400, pytest.param(10_000, marks=pytest.mark.soak)])
def test_many_pins_need_little_log(bench: Stage, pins: int) -> None:
    """A pin costs the log what a pin is, and a new process is ready at once."""
    bench.control.preview("checkout/new")
    raw = bench.client.hget(bench.key("splits"), "checkout")
    assert isinstance(raw, bytes)
    before = raw.decode()
    head, tail = json.dumps(json.loads(before), separators=(",", ":"))[:-1] + ',"pins":{"user-0":"new"', "}}"
    change = submission_of(bench.store, "checkout")._replace(cause="pin")
    for number in range(1, pins):
        head += f',"user-{number}":"new"'
        expect, writes = one("splits", "checkout", before, head + tail)
        bench.store.submit(change._replace(id=new_id(), expect=expect, writes=writes))
        before = head + tail
    size, seconds = bench.log_bytes(), bench.seconds_to_start()
    print(f"{pins} pins: log {size / MB:.2f} MB, a new process ready in {seconds:.2f} s")  # noqa: T201 - for people
    assert size < 20 * MB * pins / 10_000 + MB / 2
    assert seconds < 10  # 1 s on a quiet machine


def _stop(bench: Stage) -> str | None:
    raw = bench.client.hget(bench.key("stops"), "checkout")
    return raw.decode() if isinstance(raw, bytes) else None
