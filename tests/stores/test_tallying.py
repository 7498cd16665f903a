"""How a real server keeps tallies: for how long, in how little room, with what lost or broken; and how trips get in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from graysplit import embedded
from graysplit.core.guard.tally import EXPOSED_AT_MOST, Begun, Exposed, Failed, Goal, Judgement, Pair, Stage, Tally
from graysplit.errors import RefusedError, StoreUnreachableError
from graysplit.stores import Store, store_from_url
from graysplit.stores.port import Trip, Wanted
from graysplit.stores.release_counts import BUFFER_MS, CLOSES_S, DAY_MS, RELEASE_MS, window_ms
from graysplit.stores.text.records import new_id
from graysplit.testing.contract import one, seed, submission_of
from graysplit.testing.contract.tally import FIELD, FIFTY, RELEASE, TWENTY, Release, begin, side

KEPT_MS = {"tape:tape": BUFFER_MS, "counts": RELEASE_MS, "course": RELEASE_MS}


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """Return a plain client, to look past the store."""
    with Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def store(redis_url: str, namespace: str) -> Iterator[Store]:
    """Return a store in an empty namespace."""
    found = store_from_url(redis_url, namespace)
    yield found
    found.close()


@pytest.fixture
def now(store: Store) -> Iterator[Release]:
    """Return a release that began ten seconds ago."""
    found = begin(store)
    yield found
    found.feed.close()


@pytest.fixture
def plain(redis_url: str, namespace: str, client: Redis) -> Iterator[Store]:
    """Return a store of a user whom the server runs no scripts for."""
    client.execute_command("ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all", "-eval", "-evalsha")
    found = store_from_url(redis_url.replace("redis://", "redis://plain:secret@"), namespace)
    yield found
    found.close()
    client.execute_command("ACL", "DELUSER", "plain")


@pytest.fixture
def starved(server: embedded.Server, client: Redis) -> Iterator[Redis]:
    """Return a client of a server that is to run out of memory, and gets it back after the test."""
    assert server.pid
    yield client
    client.config_set("maxmemory", 0)


def place(namespace: str, end: str = "") -> str:
    """Return the name of a tally's key."""
    return f"graysplit:{{{namespace}}}:tally:{FIELD}:{RELEASE}:{end}"


def lives(client: Redis, namespace: str) -> dict[str, int]:
    """Return how many ms each key of the tally has left; -1: for ever."""
    prefix = place(namespace)
    found = client.keys(prefix.replace("{", r"\{").replace("[", r"\[") + "*")
    return {raw.decode().removeprefix(prefix): client.pttl(raw) for raw in found}


def fill(now: Release, number: int = 1, stage: Stage = TWENTY, buffer: str = "tape") -> None:
    """Flush a batch that touches every key there is."""
    now.feed.flush(
        now.batch(number, buffer, stage)._replace(
            calls=(Begun(now.now_s, True, 3),),
            failures=Pair(0, 1),
            errors=(Failed(now.now_s, number, True),),
            timed=(Begun(now.now_s, True, 3),),
            slow=(Failed(now.now_s, number, True),),
            exposed=(Exposed(number, True),),
            goals=(Goal("buy", number),),
            running=(Begun(now.now_s, False, 1),),
        )
    )


# --- for how long ----------------------------------------------------------------------------------------------------


def test_every_key_ends_by_itself(now: Release, client: Redis, namespace: str) -> None:
    """Windows some minutes after their end, a buffer's number in a quarter of an hour, the rest in a day or a month."""
    fill(now)
    now.feed.judge(now.judgement()._replace(settled_s=now.now_s))
    found = lives(client, namespace)
    assert set(found) >= {"counts", "exposed", "failed", "running", "tape:tape", "60:1", "1800:1", "21600:1:s"}
    for end, left in found.items():
        length = end.partition(":")[0]
        kept = window_ms(int(length)) if length.isdigit() else KEPT_MS.get(end, DAY_MS)
        assert kept - 60_000 < left <= kept, end


def test_flushes_and_judgements_keep_a_tally_alive(now: Release, client: Redis, namespace: str) -> None:
    """A slow split's evidence does not expire in the middle of its stage."""
    fill(now)
    judged = {"counts", "exposed", "failed", "running", "60:1", "1800:1", "21600:1"}
    for write, ends in (
        (lambda: fill(now, buffer="other"), set(lives(client, namespace)) - {"tape:tape"}),
        (lambda: now.feed.judge(now.judgement()._replace(settled_s=1)), judged),
    ):
        for end in ends:
            client.pexpire(place(namespace, end), 5_000)
        write()
        left = lives(client, namespace)
        assert min(left[end] for end in ends) > 60_000, left


def test_a_buffer_renews_every_ten_seconds(now: Release, client: Redis, namespace: str) -> None:
    """A thousand processes that do so every second would say the same a thousand times."""
    fill(now)
    times = ((now.now_s + 5, False), (now.now_s - 60, True), (now.now_s + 60, True))  # the last: a clock set back
    for number, (renewed, lived) in enumerate(times, 2):
        client.hset(place(namespace, "tape:tape"), "renewed", renewed)
        client.pexpire(place(namespace, "counts"), 5_000)
        now.feed.flush(now.batch(number))
        assert (client.pttl(place(namespace, "counts")) > 60_000) == lived


def test_a_buffers_number_outlives_its_repetitions(now: Release, client: Redis, namespace: str) -> None:
    """A batch is sent again for at most a minute; its number is known for more than ten."""
    fill(now)
    assert client.pttl(place(namespace, "tape:tape")) > 600_000


# --- in how little room ----------------------------------------------------------------------------------------------


def test_units_below_the_level_are_swept_away_in_portions(now: Release, client: Redis, namespace: str) -> None:
    """When a set has grown too large, later flushes take out a few units each, until the subset alone is left."""
    some = tuple(Exposed(unit, unit % 3 == 0) for unit in range(EXPOSED_AT_MOST + 2))
    now.feed.flush(now.batch(1)._replace(exposed=some))
    exact = now.tally().stages[0]
    assert exact.exposed_bits == 1
    longest, number = 0, 1
    while client.hexists(place(namespace, "counts"), "sweep:x"):
        number += 1
        before = client.hlen(place(namespace, "exposed"))
        now.feed.flush(now.batch(number))
        longest = max(longest, before - client.hlen(place(namespace, "exposed")))
        assert number < 5_000
    assert client.hlen(place(namespace, "exposed")) == sum(exact.exposed) == EXPOSED_AT_MOST // 2 + 1
    assert 0 < longest < 1_000
    assert now.tally().stages[0] == exact


def test_units_of_a_stage_that_is_over_are_swept_away(now: Release, client: Redis, namespace: str) -> None:
    """Ten minutes after the next stage began; what is told of them then counts for its windows alone."""
    fill(now, 1)
    fill(now, 2, FIFTY)
    counts = place(namespace, "counts")
    client.hset(counts, "stage:2", f"50000 50000 2 2 {now.now_s - CLOSES_S - 5}")
    before = now.tally().stages[0]
    fill(now, 3, TWENTY)
    fill(now, 4, FIFTY)
    first, second = now.tally().stages
    assert (first.exposed, first.units, first.goals, first.ratio) == (
        *(before.exposed, before.units),
        *(before.goals, before.ratio),
    )
    assert first.calls.new == before.calls.new + 3
    assert side(now.tally(), "errors", on_new=True).recent == {now.now_s: 2}
    assert second.exposed == Pair(0, 2)
    assert {raw.partition(b":")[0] for raw in client.hkeys(place(namespace, "exposed"))} == {b"2"}
    assert {raw.partition(b":")[0] for raw in client.hkeys(place(namespace, "failed"))} == {b"2"}


def test_a_unit_takes_little_room(now: Release, client: Redis, namespace: str) -> None:
    """Some hundred bytes in each window and in its stage."""
    some = tuple(Failed(now.now_s, unit << 40 | unit, True) for unit in range(5_000))
    now.feed.flush(now.batch()._replace(errors=some))
    for end in ("60:1:e", "1800:1:e", "failed"):
        assert client.memory_usage(place(namespace, end), samples=0) / 5_000 < 150, end


# --- with what lost or broken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["exposed", "failed"])
def test_a_stage_whose_units_are_lost_begins_anew(now: Release, client: Redis, namespace: str, end: str) -> None:
    """Nobody could tell who has counted: the same shares are another stage."""
    fill(now)
    client.delete(place(namespace, end))
    fill(now, 2)
    assert [(stage.number, stage.exposed) for stage in now.tally().stages] == [(1, Pair(0, 1)), (2, Pair(0, 1))]


def test_broken_keys_harm_themselves_only(now: Release, client: Redis, namespace: str) -> None:
    """What holds no count, or is no hash, keeps nothing else from being read and counted."""
    fill(now)
    no_counts = {"1:c1": "many", "stage:x": "1 2 3 4 5", "7:c1": "3", "named:1:E": "x"}
    client.hset(place(namespace, "counts"), mapping=no_counts)
    client.hset(place(namespace, "60:1"), mapping={"e1:1:c": "many", "levels:e": "soon", "e1:1:now": "1"})
    client.set(place(namespace, "1800:1"), "no hash")
    client.set(place(namespace, "running"), "no hash")
    fill(now, 2)
    judgement = now.judgement()._replace(settled_s=now.now_s, forget=("tape",))
    assert now.feed.judge(judgement)
    tally = now.tally()
    assert (tally.stages[0].calls, tally.stages[0].failures, tally.running) == (Pair(0, 0), Pair(0, 2), ())
    assert side(tally, "errors", on_new=True).calls == 0
    assert side(tally, "errors", on_new=True, length_s=21_600).calls == 6
    assert [one.window.books for one in tally.kept if one.window.span.length_s == 1_800] == [(), (), (), ()]


def test_a_tally_that_is_no_hash_takes_nothing(now: Release, client: Redis, namespace: str) -> None:
    """What is refused whole counts once the key is gone."""
    client.set(place(namespace, "counts"), "no hash")
    with pytest.raises(RefusedError, match=r"the evidence of 'checkout/new' was not stored"):
        fill(now)
    with pytest.raises(RefusedError, match=r"evaluation of 'checkout/new' was not stored"):
        now.feed.judge(now.judgement())
    assert now.tally().stages == ()
    client.delete(place(namespace, "counts"))
    fill(now)
    assert now.tally().stages[0].calls == Pair(0, 3)


def test_out_of_memory_a_batch_is_refused_whole(starved: Redis, now: Release) -> None:
    """Nothing of it is counted, so that it counts once when it is sent again."""
    fill(now)
    before = now.tally()
    starved.config_set("maxmemory", 1)
    with pytest.raises(RefusedError, match="out of memory"):
        fill(now, 2)
    with pytest.raises(RefusedError, match="out of memory"):
        now.feed.judge(now.judgement())
    assert now.tally()._replace(now_ms=0) == before._replace(now_ms=0)
    starved.config_set("maxmemory", 0)
    fill(now, 2)
    assert now.tally().stages[0].calls == Pair(0, 6)


def test_without_scripts_the_guard_says_what_it_needs(plain: Store) -> None:
    """There is no other way to count once; reading goes on."""
    feed = plain.follow()
    found = Release(feed, 1_000_000_000)
    with pytest.raises(RefusedError, match="the guard needs scripts"):
        feed.flush(found.batch())
    with pytest.raises(RefusedError, match="the guard needs scripts"):
        feed.judge(Judgement(FIELD, RELEASE, "", "judge"))
    assert found.tally().stages == ()
    feed.close()


# --- trips -----------------------------------------------------------------------------------------------------------


def test_a_trip_is_one_change(store: Store, client: Redis, namespace: str) -> None:
    """Stop, zero, revision, the plan's end and the entry: nobody sees one without the others, and nothing is booked."""
    trip, feed = trip_of(store), store.follow()
    before = store.load()
    client.hset(f"graysplit:{{{namespace}}}:meta", mapping={f"lease:{FIELD}": "{}", "finished:checkout": "1"})
    assert feed.trip(trip)
    load = store.load()
    assert load.weights.fields[b"checkout/new"] == load.booked.fields[b"weights checkout/new"] == b"0"
    assert load.stops.fields[b"checkout/new"] == load.booked.fields[b"stops checkout/new"]
    assert not {b"lease:checkout/new", b"finished:checkout"} & set(load.meta.fields)
    assert int(load.meta.fields[b"revision"]) == int(before.meta.fields[b"revision"]) + 1
    assert store.history()[0].cause == "trip"
    assert feed.record_raw_edits("outside") == 0
    feed.close()


def test_a_trip_works_out_of_memory(starved: Redis, store: Store) -> None:
    """A failing version may be what has filled the server."""
    trip, feed = trip_of(store), store.follow()
    starved.config_set("maxmemory", 1)
    assert feed.trip(trip)
    load = store.load()
    assert load.weights.fields[b"checkout/new"] == b"0"
    assert b"checkout/new" in load.stops.fields
    assert store.history()[0].cause == "trip"
    feed.close()


@pytest.mark.parametrize("end", ["weights", "booked", "log", "plans"])
def test_a_trip_does_without_its_neighbours(store: Store, client: Redis, namespace: str, end: str) -> None:
    """Keys that hold no hash keep no guard from stopping."""
    trip, feed = trip_of(store), store.follow()
    client.set(f"graysplit:{{{namespace}}}:{end}", "no hash")
    assert feed.trip(trip)
    assert b"checkout/new" in store.load().stops.fields
    feed.close()


def trip_of(store: Store) -> Trip:
    """Begin a release, and return what rolls it back."""
    seed(store)
    start = submission_of(store, "checkout", *one("weights", FIELD, "0", "20"), cause="start")
    store.submit(start._replace(begins=(FIELD,)))
    return Trip(new_id(), FIELD, start.id, "18 users failed on new, 12 on old")


def test_a_signal_and_answers_find_their_own_way(now: Release, client: Redis, namespace: str) -> None:
    """A push between posted answers makes the next wait true; what is read later is answered behind them, as its own.

    Whoever is told that something has changed reads it before anything more is judged.
    """
    now.feed.flush(now.batch())
    now.feed.load("", whole=True)
    posted = [now.feed.flush_all([now.batch(number)]) for number in range(2, 12)]
    client.hset(f"graysplit:{{{namespace}}}:weights", "checkout/new", "20")
    assert now.feed.wait(5)
    assert now.feed.load("", whole=True).weights.fields[b"checkout/new"] == b"20"
    assert all(later.here(0) for later in posted)  # in front of what was read
    assert all(not isinstance(one, Exception) and one.applied for later in posted for one in later.take())
    assert not now.feed.wait(0.05)


def test_posted_scripts_that_the_server_has_forgotten_are_sent_again(now: Release, client: Redis) -> None:
    """Each in its turn: a server that starts anew knows none."""
    told = [now.batch(number)._replace(calls=(Begun(now.now_s - 5, True, 1),)) for number in (1, 2, 3)]
    now.feed.flush(now.batch(buffer="another"))
    client.script_flush()
    assert [not isinstance(one, Exception) and one.applied for one in now.feed.flush_all(told).take()] == [True] * 3
    client.script_flush()
    assert list(now.feed.judge_all([now.judgement()]).take()) == [True]
    assert side(now.tally(), "errors", on_new=True).calls == 3


def test_what_is_refused_is_refused_to_each_and_the_others_are_answered(plain: Store) -> None:
    """Where no script runs each batch and judgement says so, and tallies are read all the same."""
    now = begin(plain)
    for answers in (now.feed.flush_all([now.batch(1), now.batch(2)]), now.feed.judge_all([now.judgement()] * 2)):
        assert [isinstance(one, RefusedError) for one in answers.take()] == [True, True]
    wanted = Wanted(FIELD, RELEASE, now.started_s)
    assert [isinstance(one, Tally) for one in now.feed.tallies([wanted] * 2, 0).take()] == [True, True]
    now.feed.close()


def test_a_connection_that_breaks_ends_the_waiting_for_what_was_posted(now: Release, client: Redis) -> None:
    """It is the store that is not reached, as for whatever else is asked."""

    def told() -> None:
        while True:
            now.feed.flush_all([now.batch()]).take()

    client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(StoreUnreachableError):
        told()
