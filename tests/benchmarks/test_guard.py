"""The guard's simulations, in small: its targets on the shipped functions, and the simulations themselves."""

from __future__ import annotations

import json
from random import Random

import pytest
from benchmarks.guard import late, parts, rivals, stages, sticky, tables
from benchmarks.guard.__main__ import main
from benchmarks.guard.calls import Phase, run, steady
from benchmarks.guard.chance import binomial, clopper_pearson, middle, poisson, quantile
from benchmarks.guard.watch import Watch
from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.guard.sequential_test import Stratum, ln_evidence, ln_mean


@pytest.mark.parametrize("part", ["vectors", "failing"])
def test_exact_targets_are_reached(part: str) -> None:
    """Targets 1, 4 and 10: vectors, what an always failing version needs, the cost of a window (with room here)."""
    found = parts.PARTS[part](20)
    missed = [line.row for line in found.lines if line.verdict == "FAIL" and "one window" not in line.row.case]
    assert not missed
    assert all(line.row.value < 1_000 for line in found.lines if "one window" in line.row.case)


def test_a_regression_is_found_as_fast_as_promised() -> None:
    """Target 3: from 1 to 5 % at 20 %, median at most 400 new calls, nine in ten by 700."""
    found = [run(rng, steady(1e6, 0.2, 0.05, 0.01)) for rng in parts.seeds("target 3", 300)]
    calls = [stop.calls for stop in found if stop is not None]
    assert len(calls) == len(found)
    assert middle(calls) <= 400
    assert quantile(calls, 0.9) <= 700


@pytest.mark.parametrize(("w", "base"), [(0.01, 0.01), (0.2, 0.01), (0.5, 0.05)])
def test_healthy_releases_go_on(w: float, base: float) -> None:
    """Target 2 in small: none of a hundred is rolled back."""
    assert not any(run(rng, steady(1e5, w, base, base)) for rng in parts.seeds(f"healthy {w}", 100))


def test_a_ramp_in_which_everybody_gets_worse_is_no_trip() -> None:
    """Strata of several chances stand side by side in a window."""
    assert not any(run(rng, parts.RAMP) for rng in parts.seeds("ramp", 10))


def test_a_regression_in_a_later_stage_is_found() -> None:
    """A change of the weight restarts no stopwatch."""
    stop = run(Random(1), (Phase(500, 0.05, 0.01, 0.01), Phase(5_000, 0.2, 0.2, 0.01)))
    assert stop is not None
    assert 500 < stop.at_s < 600


def test_the_same_users_again_and_again_are_no_trip() -> None:
    """Identical versions: the rule goes on, also where `suspect` may be said."""
    crowd = sticky.beta_users(200, 20, zipf=False)
    assert not any(
        sticky.run(rng, crowd(rng), 0.2, sticky.outages(1)).rolled_back_s for rng in parts.seeds("sticky", 20)
    )


def test_few_users_are_suspected_before_they_are_believed() -> None:
    """With 50 users `suspect` sees what the rule cannot."""
    found = [
        sticky.run(rng, sticky.equal_users(50, 50, 0.05, 0.01)(rng), 0.2, [sticky.Time(1_200)])
        for rng in parts.seeds("few", 20)
    ]
    assert sum(one.suspect_s is not None for one in found) > 2 * sum(one.rolled_back_s is not None for one in found)


@pytest.mark.parametrize("late_s", [0, 5, 30])
def test_an_outage_of_both_is_no_trip_however_late_old_fails(late_s: int) -> None:
    """The second belongs to the beginning, and running calls of old count."""
    assert not any(late.trips(rng, late.Case(late_s, 100)) for rng in parts.seeds("late", 3))


def test_booked_by_arrival_an_outage_is_a_sure_false_rollback() -> None:
    """What the marks are for."""
    assert all(late.trips(rng, late.Case(5, 100, by_begin=False)) for rng in parts.seeds("naive", 3))


def test_ten_million_failing_users_enter_a_small_table() -> None:
    """Thinned by level: some 49,000 entries."""
    found = late.admitted(Random(1), 10_000, 10_000_000)
    assert 40_000 < found.units < 60_000
    assert 9 <= found.bits <= 14


def test_safe_takes_its_units_and_is_rarely_wrong() -> None:
    """Target 8, and at the very limit hardly ever `safe`; intervals hold the truth at each of 40 looks."""
    assert stages.units_until_safe(Random(1), 0.2, 0.0) <= 1_300
    wrong = sum(stages.is_falsely_safe(rng, 0.2, 0.01, nested=True) for rng in parts.seeds("limit", 40))
    missed = sum(stages.misses(rng, 0.2, 0.05, 0.01) for rng in parts.seeds("misses", 40))
    assert max(wrong, missed) <= 6


def test_the_sample_ratio_alarms_where_it_is_off() -> None:
    """30 % where 20 % were asked for; never by chance in these runs."""
    assert stages.alarms(Random(1), 0.2, 0.3) is not None
    assert not any(stages.alarms(rng, 0.2, 0.2, stages=3) for rng in parts.seeds("srm", 10))


@given(st.integers(5, 60), st.integers(0, 60), st.integers(0, 3_000), st.integers(0, 3_000), st.floats(0.01, 0.99))
def test_the_bound_that_spares_looks_is_one(x: int, y: int, n: int, o: int, w: float) -> None:
    """Evidence is never above it, so that no trip is passed over."""
    watch = Watch(Random(1))
    watch.stream(0.0, w, 0.0, 0.0)
    clock = watch.clocks[0]
    clock.x, clock.y = x, y
    assert ln_mean(ln_evidence([Stratum(x, y, x + n, y + o, w)])) <= watch._bound(clock) + 1e-9


def test_others_err_where_the_rule_does_not() -> None:
    """A fixed threshold fires on a base above it, a test looked at again and again on the margin."""
    equal = steady(2e5, 0.01, 0.02, 0.02)
    assert rivals.run(Random(1), rivals.Flagger(), equal) is not None
    assert rivals.run(Random(1), rivals.Argo(), steady(1e6, 0.2, 1.0, 0.01)) == pytest.approx(24_000, rel=0.05)
    assert rivals.run(Random(1), rivals.Peeking(), steady(2e6, 0.2, 0.0115, 0.01)) is not None
    assert rivals.run(Random(1), rivals.MannWhitney(), steady(2e5, 0.2, 1.0, 0.01)) == pytest.approx(12_000, rel=0.05)
    assert run(Random(1), equal) is None


def test_draws_and_limits_are_what_they_say() -> None:
    """Means of many draws; limits as in the books."""
    rng = Random(5)
    assert sum(poisson(rng, 3.5) for _ in range(20_000)) / 20_000 == pytest.approx(3.5, abs=0.06)
    assert sum(poisson(rng, 400) for _ in range(4_000)) / 4_000 == pytest.approx(400, abs=2)
    assert sum(binomial(rng, 40, 0.9) for _ in range(20_000)) / 20_000 == pytest.approx(36, abs=0.08)
    assert binomial(rng, 10, 0) == 0
    assert clopper_pearson(0, 300) == pytest.approx((0, 0.01222), abs=1e-5)
    assert clopper_pearson(7, 400) == pytest.approx((0.00706, 0.03573), abs=1e-5)
    assert clopper_pearson(5, 5)[1] == 1


def test_tables_are_eighty_columns_wide_and_json_is_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    """A share with its limits, a median that some runs never reached, a target missed."""
    lines = [
        tables.share("rolled back", 3, 100, 1),
        tables.spread("a case with a very long name that does not fit", [1234.0], 3, 2_000),
        tables.figure("units", 5, 5),
    ]
    text = tables.plain(tables.Table("Title", lines))
    assert max(map(len, text.splitlines())) <= 80
    assert [line.verdict for line in lines] == ["FAIL", "FAIL", "PASS"]
    assert "[0.6, 8.5]" in text
    assert " - (-)" in text
    assert main(["--quick", "--json", "vectors"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"][0]["verdict"] == "ok"
    with pytest.raises(SystemExit):
        main(["nonsense"])


def test_seeds_are_fixed() -> None:
    """The same case makes the same draws in every process."""
    assert [rng.random() for rng in parts.seeds("a", 2)] == [Random("a 0").random(), Random("a 1").random()]
