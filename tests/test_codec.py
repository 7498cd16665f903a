"""What the codec takes for a definition beyond what its types say (each field, spoilt: `tests/model/test_fuzz.py`)."""

from __future__ import annotations

import pytest

from graysplit.codec import dump_definition, parse_definition, tombstone
from graysplit.core.definition import define
from graysplit.core.replica.adoption import MAX_REASON, judge_definition
from graysplit.errors import BadDefinitionError

GOOD = dump_definition(define("checkout", ("old", "new"))._replace(pins={"u-1": "new"}))


def test_a_definition_survives_the_way_through_the_store() -> None:
    """What is written is read as it was."""
    definition = parse_definition("checkout", GOOD.encode())
    assert definition is not None
    assert dump_definition(definition) == GOOD


@pytest.mark.parametrize(
    ("good", "twice", "field"),
    [
        ('"baseline": "old"', '"baseline": "old", "baseline": "old"', "baseline"),
        ('"place": 0', '"place": 0, "place": 1', "place"),
        ('"u-1": "new"', '"u-1": "new", "u-1": "old"', "pins"),
    ],
)
def test_a_name_that_stands_twice_is_refused(good: str, twice: str, field: str) -> None:
    """No process picks one of the two; the field is named, a pinned unit is not."""
    assert good in GOOD
    with pytest.raises(BadDefinitionError) as refused:
        parse_definition("checkout", GOOD.replace(good, twice).encode())
    assert refused.value.field == field
    assert "duplicate name" in str(refused.value)
    assert "u-1" not in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (GOOD[:-1] + ', "protectd": true}', "protectd", "unknown field, did you mean 'protected'?"),
        (GOOD[:-1] + ', "zzz": true}', "zzz", "unknown field"),
        (GOOD.replace('"place"', '"plaec"', 1), "versions.1.plaec", "unknown field, did you mean 'place'?"),
        ('{"baseline": "old"}', "versions", "missing"),
        ("{", "", "not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "", "expected an object, found an array"),
        (GOOD.replace('"baseline": "old"', '"baseline": 7'), "baseline", "expected a valid string"),
    ],
)
def test_a_fault_is_told_in_plain_words(raw: str, field: str, reason: str) -> None:
    """Of an unknown field the nearest known name is told."""
    with pytest.raises(BadDefinitionError) as refused:
        parse_definition("checkout", raw.encode())
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_what_is_no_number_is_refused_wherever_it_stands(number: str) -> None:
    """In a plan, which is kept as it was written, it could not be written again."""
    plan = f'{GOOD[:-1]}, "plan": {{"version": "new", "steps": [{{"weight": 2.5}}]}}}}'
    assert parse_definition("checkout", plan.encode())
    with pytest.raises(BadDefinitionError, match="NaN and infinity are not allowed"):
        parse_definition("checkout", plan.replace("2.5", number).encode())


def test_a_tombstone_is_one_and_nothing_else() -> None:
    """Half a definition beside the mark, or a mark that says nothing, deletes nobody."""
    assert parse_definition("checkout", tombstone("c-1").encode()) is None
    for neither in (
        f'{{"tombstone": "c-1", {GOOD[1:]}',
        '{"tombstone": null}',
        '{"tombstone": ["c-1"]}',
        '["tombstone"]',
    ):
        with pytest.raises(BadDefinitionError):
            parse_definition("checkout", neither.encode())


@pytest.mark.parametrize("long", ["x" * 100_000, "\n" * 100_000, "\x1b[2J" * 30_000])
def test_a_refusal_is_one_line_of_bounded_length(long: str) -> None:
    """It goes into logs, receipts and terminals, whatever it quotes."""
    for bad in (f'{{"{long}": 1}}', GOOD.replace('"old"', f'"{long}"'), GOOD.replace("new", long)):
        reason = judge_definition("checkout", bad.encode(), parse_definition).reason
        assert reason is not None
        assert reason.isprintable()
        assert len(reason) <= 6 * MAX_REASON
