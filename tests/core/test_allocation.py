"""Which buckets belong to which version, and how few change hands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graysplit.core.allocation import PLACES, Claim, Run, allocate, free_place, moved, owner
from graysplit.core.bucketing import BUCKETS

claims = st.lists(
    st.builds(Claim, st.text("abc", min_size=1), st.integers(0, PLACES - 1), st.integers(0, BUCKETS)),
    max_size=6,
    unique_by=(lambda claim: claim.place, lambda claim: claim.version),
)


@given(claims)
def test_runs_are_ordered_apart_and_on_the_scale(asked: list[Claim]) -> None:
    """Also for more than 100 % together, runs never overlap, and neighbours belong to different owners."""
    runs = allocate(asked)
    position, last = 0, ""
    for run in runs:
        assert position <= run.start < run.end <= BUCKETS
        assert run.start > position or run.version != last
        position, last = run.end, run.version
    assert sum(run.end - run.start for run in runs) == min(BUCKETS, sum(claim.size for claim in asked))


@given(claims, st.randoms())
def test_the_order_of_claims_is_no_matter(asked: list[Claim], random: st.randoms) -> None:  # type: ignore[valid-type]
    """Places decide, not the order in which claims are made."""
    shuffled = list(asked)
    random.shuffle(shuffled)
    assert allocate(shuffled) == allocate(asked)


@given(claims, claims)
def test_moved_counts_the_buckets_that_change_hands(one: list[Claim], other: list[Claim]) -> None:
    """`moved` is symmetric, zero for equal layouts, and agrees with counting by hundreds."""
    before, after = allocate(one), allocate(other)
    assert moved(before, after) == moved(after, before)
    assert moved(before, before) == 0
    sampled = sum(owner(before, bucket) != owner(after, bucket) for bucket in range(0, BUCKETS, 100))
    edges = 2 * (len(before) + len(after))
    assert abs(moved(before, after) - 100 * sampled) <= 100 * edges


def test_zero_claims_give_no_run() -> None:
    """A candidate at zero owns nothing, not even an empty run."""
    assert allocate([Claim("new", 0, 0)]) == ()
    assert owner((), 17) is None


def test_a_taken_stretch_is_passed_over() -> None:
    """A later place goes on behind the runs of earlier ones, and round the end of the scale."""
    assert allocate([Claim("b", 0, 60_000), Claim("d", 2, 45_000)])[:2] == (
        Run(0, 60_000, "b"),
        Run(60_000, 100_000, "d"),
    )
    assert allocate([Claim("b", 2, 80_000)]) == (Run(0, 30_000, "b"), Run(50_000, 100_000, "b"))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30_000)), max_size=4, unique_by=lambda pair: pair[0]))
def test_one_more_candidate_moves_nobody_however_far_it_grows(held: list[tuple[int, int]]) -> None:
    """In the place that it is given, its run passes over all others, and theirs stay."""
    claims = [Claim(f"v{place}", place, min(size, 25_000)) for place, size in held]
    place = free_place(claims, {place for place, _ in held})
    assert place is not None
    assert place not in {claim.place for claim in claims}
    before = allocate(claims)
    rest = BUCKETS - sum(claim.size for claim in claims)
    for size in (0, 1, rest // 3, rest):
        grown = allocate([*claims, Claim("more", place, size)])
        assert tuple(run for run in grown if run.version != "more") == before


def test_there_are_no_more_places_than_anchors() -> None:
    """The sixty-fifth candidate has no place; the last free one is given whatever it moves."""
    claims = [Claim(f"v{place}", place, 1_000) for place in range(PLACES)]
    assert free_place(claims, set(range(PLACES))) is None
    assert free_place(claims[1:], set(range(1, PLACES))) == 0
