"""What `explain` says of the processes: in which the answer is another, and of which it is not known."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from graysplit import Router
from graysplit.control import Control
from graysplit.control.explain import FleetExplanation
from graysplit.core.fleet import Declared, Effect
from graysplit.stores.memory import MemoryStore
from graysplit.words.explain import explain_lines
from tests.control.processes import live
from tests.support import eventually

NOW = 99  # a revision that no process is behind of


@pytest.fixture
def store() -> MemoryStore:
    """Return a store in which u-1 gets new, at 50 %."""
    store = MemoryStore()
    control = Control(store, actor="ada")
    control.create("checkout")
    control.set("checkout", 50)
    return store


def explained(store: MemoryStore, unit: str = "u-1") -> FleetExplanation:
    """Ask why a unit gets its version."""
    return Control(store).explain("checkout", unit)


def said(found: FleetExplanation) -> str:
    """Return what is printed, in one line."""
    return " | ".join(" ".join(line.split()) for line in explain_lines(found))


def test_the_comparison_is_printed(store: MemoryStore) -> None:
    """Bucket and threshold, as they were compared: on either side of it."""
    live(store, revision=NOW)
    inside, outside = explained(store), explained(store, "u-3")
    assert (inside.version, outside.version) == ("new", "old")
    assert f"bucket {inside.bucket} < 50000 (new)" in said(inside)
    assert f"bucket {outside.bucket}, not {outside.bucket} < 50000 (new)" in said(outside)
    assert (inside.bucket or 0) < 50_000 <= (outside.bucket or 0)


def test_ranges_of_several_candidates_are_printed(store: MemoryStore) -> None:
    """Each with both of its ends where it does not begin at zero."""
    control = Control(store, actor="ada")
    control.create("ranking", ["a", "b", "c"])
    control.set("ranking", weights={"b": 10, "c": 10})
    units = [f"u-{number}" for number in range(100)]
    printed = {said(control.explain("ranking", unit)).partition("bucket ")[2] for unit in units}
    assert any("< 10000 (b)" in line and " or 90000 <= " in line for line in printed), printed
    assert any("90000 <= " in line and " or " not in line and "(c)" in line for line in printed), printed


def test_break_glass_everywhere_is_the_answer(store: MemoryStore) -> None:
    """All live processes give the baseline: that is the first line, with what the store says beside it."""
    for number in range(4):
        live(store, number, revision=NOW, off=("*",), effects={"checkout/new": Effect("0", 0, "off")})
    found = explained(store)
    assert (found.version, found.reason) == ("old", "off")
    lines = said(found)
    assert lines.startswith("checkout: old (off, hashed to")
    assert "in 4 of 4 live processes" in lines
    assert "off -> old break-glass: in force on 4 of 4" in lines
    assert f"by the store alone: new (bucket: bucket {found.bucket} < 50000 (new))" in lines
    assert "passed" not in lines


def test_break_glass_somewhere_is_told(store: MemoryStore) -> None:
    """On one of three: which one, and what it answers; a name in its list counts as `*` does, another does not."""
    live(store, 1, revision=NOW, off=("checkout",))
    live(store, 2, revision=NOW, off=("search",))
    live(store, 3, revision=NOW)
    found = explained(store)
    assert (found.version, found.reason) == ("new", "bucket")
    assert "in 2 of 3 live processes" in said(found)
    assert "off passed break-glass: in force on 1 of 3" in said(found)
    assert "web-1/101: old (off): break-glass is in force there" in said(found)


@pytest.mark.parametrize(
    ("report", "version", "reason", "words"),
    [
        (
            {"declared": {"checkout": Declared("old", ("old", "v3"))}},
            "old",
            "version_absent",
            "'new' is not registered",
        ),
        ({"declared": {"checkout": Declared("v1", ("v1", "v2"))}}, "v1", "baseline_differs", "'v1'"),
        (
            {
                "declared": {"checkout": Declared("v1", ("v1", "v2"))},
                "effects": {"checkout/new": Effect("0", 0, "version_absent")},
            },
            "v1",
            "version_absent",
            "baseline",
        ),
        (
            {"effects": {"checkout/new": Effect("0")}, "declared": {"checkout": Declared("v1", ("v1", "old", "new"))}},
            "v1",
            "baseline_differs",
            "'v1'",
        ),
        ({"held": {"weights checkout/new": "0"}, "effects": {"checkout/new": Effect("0")}}, "old", "held", "recover"),
        ({"held": {"splits checkout": "{}"}}, None, "not known", "recover"),
        ({"refused": ("splits checkout: no such field",)}, None, "not known", "refuses"),
        ({"revision": 1}, None, "not known", "behind, at revision 1 of 2"),
        ({"revision": 1, "effects": {"checkout/new": Effect("0")}}, "old", "behind", "new is at 0 there"),
        ({"revision": 1, "effects": {"checkout/new": Effect("50")}}, "new", "", ""),
        ({"effects": {"checkout/new": Effect("0", 0, "stopped by its guard")}}, "old", "stopped by its guard", "at 0"),
        ({"effects": {"checkout/new": Effect("0", 0, "stale")}}, "old", "stale", "too long"),
        ({"effects": {"checkout/new": Effect("0", 0, "off")}, "off": None}, "old", "off", "break-glass"),
        ({"off": None}, None, "not known", "does not report whether break-glass"),
        ({"off": None, "effects": {"checkout/new": Effect("50")}}, "new", "", ""),
        ({"effects": {"checkout/new": Effect("1_0")}}, None, "not known", ""),
    ],
)
def test_each_reason_is_told(
    store: MemoryStore, report: dict[str, object], version: str | None, reason: str, words: str
) -> None:
    """What a receipt and a declaration tell; what they do not is not known, in words, and never guessed."""
    live(store, 1, revision=NOW)
    live(store, 2, **{"revision": NOW, **report})  # type: ignore[arg-type] # what `live` takes
    found = explained(store)
    answer = next(answer for answer in found.processes if answer.process == "web-2/102")
    assert (found.version, answer.version, answer.reason) == ("new", version, reason)
    assert words in answer.says
    assert ("web-2/102" in said(found)) is (version != "new")
    if version is None:
        assert "web-2/102: not known: " in said(found)


def test_at_zero_everybody_gets_the_baseline_whatever_is_not_known(store: MemoryStore) -> None:
    """Law 4 answers where the definition there is not known."""
    Control(store, actor="ada").rollback("checkout")
    live(store, 1, revision=NOW, held={"splits checkout": "{}"}, off=None)
    live(store, 2, revision=1, effects={"checkout/new": Effect("0")})
    live(store, 3, revision=1, effects={"checkout/new": Effect("50")})
    versions = [answer.version for answer in explained(store).processes]
    assert versions == ["old", "old", "new"]


def test_who_does_not_declare_it_is_left_out_and_who_is_silent_is_not_known(store: MemoryStore) -> None:
    """A process that has no such route answers nobody; one that is not heard may answer anything."""
    live(store, 1, revision=NOW)
    live(store, 2, revision=NOW, declared={"search": Declared("old", ("old", "new"))}, off=("*",))
    assert [answer.process for answer in explained(store).processes] == ["web-1/101"]
    assert "in 1 of 1 live process" in said(explained(store))


def test_without_a_live_process_it_says_so() -> None:
    """Nobody is claimed to answer."""
    store = MemoryStore()
    Control(store, actor="ada").create("checkout")
    assert "; no live process" in said(explained(store))
    assert "off passed break-glass: no live process reports it" in said(explained(store))


def test_real_processes_answer_as_it_says(tmp_path: Path) -> None:
    """Four routers, break-glass on one and then on all: what is printed is what each of them answers."""
    store, files = MemoryStore(), [tmp_path / f"off-{number}" for number in range(4)]
    with ExitStack() as stack:
        routers = [stack.enter_context(Router(store, off_file=str(file))) for file in files]
        for router in routers:
            router.split("checkout", "old", "new")
        control = Control(store, actor="ada")
        control.create("checkout")
        control.set("checkout", 60)
        for off in (0, 1, 4):
            for file in files[:off]:
                file.write_text("checkout")
            eventually(lambda off=off: [r.choose("checkout", unit="u-1") for r in routers].count("old") == off)  # type: ignore[misc] # the loop's value
            found = eventually(lambda off=off: _told_by_all(control, off), 10.0)  # type: ignore[misc] # as above
            answered = [router.choose("checkout", unit="u-1") for router in routers]
            assert sorted(answer.version or "" for answer in found.processes) == sorted(answered)
            assert found.version == ("old" if off == 4 else "new")


def _told_by_all(control: Control, off: int) -> FleetExplanation | None:
    found = control.explain("checkout", "u-1")
    reasons = [answer.reason for answer in found.processes]
    return found if len(reasons) == 4 and reasons.count("off") == off and reasons.count("") == 4 - off else None
