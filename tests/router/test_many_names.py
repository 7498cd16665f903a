"""What a request can name grows nothing, and whoever counts keeps nobody from publishing."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from decimal import Decimal

import pytest

from graysplit import Router, context
from graysplit.core.counters import Measure, Meter
from graysplit.router.call_counts import UNKNOWN
from graysplit.stores.memory import MemoryStore
from tests.support import eventually

NAMES = 3_000


def ask(router: Router, begin: int, end: int) -> None:
    """Ask as a program does that takes the name out of a request, in each way that takes a name."""
    for number in range(begin, end):
        name = f"request-{number}"
        router.choose(name, "u")
        router.decide(name, number)
        with context(unit="u"):
            router.decide(name)
        router.explain(name, "u")


def grown(act: Callable[[], None]) -> int:
    """Return by how many objects the program has grown."""
    gc.collect()
    before = len(gc.get_objects())
    act()
    gc.collect()
    return len(gc.get_objects()) - before


@pytest.mark.parametrize("follows", [True, False])
def test_names_that_nobody_knows_share_one_count_and_grow_nothing(
    router: Router, make_router: Callable[..., Router], follows: bool
) -> None:
    """All of them are one line of `measures()`, with a store and without."""
    router = router if follows else make_router()
    ask(router, 0, 2_000)  # what is said of them has its bounds, too
    assert grown(lambda: ask(router, 2_000, 2_000 + NAMES)) < NAMES // 10
    found = [one for one in router.measures() if one.split != "checkout"]
    (unknown,) = found
    reason = "unknown_split" if follows else "not_configured"
    assert unknown == Measure(UNKNOWN, "old", {"bucket": 0, reason: 3 * (2_000 + NAMES)}, 0, 0, None, None)


def test_a_name_that_the_store_comes_to_know_is_counted_by_itself(store: MemoryStore, router: Router) -> None:
    """From then on, and also when it has gone again."""
    from graysplit import Control

    router.choose("banner", "u")
    Control(store, confirm=True).create("banner")
    eventually(lambda: router.decide("banner", "u").reason != "unknown_split")
    router.choose("banner", "u")
    counted = {one.split: one.evaluations for one in router.measures() if one.version == "old"}
    assert counted[UNKNOWN]["unknown_split"] >= 1
    assert "unknown_split" not in counted["banner"]
    assert sum(counted["banner"].values()) >= 2


def test_a_name_that_nobody_knows_is_said_once(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """Each of the first few; of all others that there are more. What the code declares is said elsewhere."""
    banner = router.split("banner", "old", "new")
    for number in range(100):
        for _ in range(3):
            router.choose(f"request-{number}", "u")
        banner.choose("u")
    eventually(lambda: "more unknown splits are asked for" in caplog.text)
    said = [record.getMessage() for record in caplog.records if "unknown split" in record.getMessage()]
    assert len(said) == 21
    assert said[0].startswith("unknown split 'request-0': neither this program nor the store knows it")
    assert "banner" not in caplog.text


def test_the_type_of_what_is_no_unit_is_said_and_never_its_value(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each type: `numpy.int64` and `ObjectId` look like units, and everybody gets the baseline."""
    for _ in range(3):
        for unit in (Decimal(4_711), 47.11, [4_711], None, ""):
            assert router.decide("checkout", unit).reason == "no_unit"
    eventually(lambda: "a decimal.Decimal, which is not a valid unit" in caplog.text and "a list" in caplog.text)
    said = [record.getMessage() for record in caplog.records]
    assert sum("decimal.Decimal" in one for one in said) == sum("a float" in one for one in said) == 1
    assert sum("without a usable unit" in one for one in said) == 1
    assert "47" not in caplog.text


def test_measuring_takes_no_lock_that_publishing_needs(router: Router) -> None:
    """While somebody holds it to publish, and so while somebody measures, the other goes on."""
    states = router._lifecycle.states
    router.choose("checkout", "u")
    told: list[object] = []
    with states._lock:
        thread = threading.Thread(target=lambda: told.extend((router.measures(), states.declared())))
        thread.start()
        thread.join(10)
    assert len(told) == 2


def test_measuring_is_linear_in_splits(
    make_router: Callable[..., Router], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each count is read once, however many splits there are beside it."""
    router, reads = make_router(store), list[int]()
    assert router.wait_ready(5)
    eventually(lambda: any(one.receipt.effects for one in store.fleet().processes))  # it makes counts of `checkout`
    read = Meter.read
    # A heartbeat, in a thread of its own, reads them too.
    monkeypatch.setattr(Meter, "read", lambda meter: reads.append(threading.get_ident()) or read(meter))

    def counted(splits: int) -> int:
        for number in range(splits):
            router.split(f"s{number}", "old", "new").choose("u")
        reads.clear()
        assert len(router.measures()) >= 2 * splits
        return reads.count(threading.get_ident())

    few, many, more = (counted(splits) for splits in (100, 200, 300))
    assert many - few == more - many > 0
