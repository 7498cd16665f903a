"""The raw edit at 3 a.m. (timelines 12 to 16): what is clear is obeyed, what is not is named.

Timelines by number: docs/design/lineage.md.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
import redis

import graysplit
from graysplit import embedded
from graysplit.errors import RefusedError
from tests.faults.command_line import graysplit_cli
from tests.faults.pairs import FIELD, Pair
from tests.faults.shares import following, share
from tests.support import eventually


def test_f12_a_raw_zero_ends_a_preview(pair: Pair) -> None:
    """Timeline 12: preview is a value of the weight's own field, so that any zero ends it, pins and all."""
    pair.one.control.pin("checkout", "tester")
    pair.one.control.preview("checkout")
    with pair.process() as router:
        assert router.choose("checkout", "tester") == "new"
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: router.choose("checkout", "tester") == "old")


@pytest.mark.parametrize(("field", "value"), [("checkout", "0"), ("checkout/old", "100")])
def test_f15_a_clear_wish_is_obeyed_though_mistyped(pair: Pair, field: str, value: str) -> None:
    """Timeline 15: `checkout 0` and the baseline at 100 only lower, and are obeyed."""
    with pair.process() as router:
        pair.one.hset("weights", field, value)
        eventually(lambda: share(router) == 0)


@pytest.mark.parametrize("field", ["checkout:new", "Checkout/new", "checkout/neu", "chekout"])
def test_f15_an_unknown_field_is_named_at_once(pair: Pair, field: str, caplog: pytest.LogCaptureFixture) -> None:
    """Timeline 15: Redis answers 1 and nothing happens: the processes' logs and `doctor` name the field."""
    with pair.process() as router, caplog.at_level(logging.WARNING, "graysplit"):
        pair.one.hset("weights", field, "0")
        eventually(lambda: any(f"'{field}'" in line for line in caplog.messages))
        assert share(router) == 50
        assert any(finding.where == f"weights {field}" for finding in pair.one.control.doctor())


def test_f16_undo_does_not_raise_what_a_hand_brought_down(pair: Pair) -> None:
    """Timeline 16: a booked raw zero is a rollback for `undo`: it rises with `force` only, as a new release."""
    with pair.process() as router:
        pair.one.hset("weights", FIELD, "0")
        eventually(lambda: share(router) == 0)
        pair.one.booked()
        with pytest.raises(RefusedError, match="force"):
            pair.one.control.undo("checkout")
        assert share(router) == 0
        pair.one.control.undo("checkout", force=True)
        eventually(lambda: share(router) == 50)


def test_f13_a_server_that_cannot_save_refuses_by_name(tmp_path: Path) -> None:
    """MISCONF refuses every write: `rollback` names cause and break-glass, and goes through when it is over.

    Timeline 13.
    """
    folder = tmp_path / "gone"
    folder.mkdir()
    arguments = ("--dir", str(folder), "--save", "3600 1000000")
    with (
        embedded.server(arguments=arguments) as own,
        graysplit.Control(own.url, confirm=True) as control,
        redis.Redis.from_url(own.url) as client,
    ):
        control.create("checkout")
        control.set("checkout", 50)
        with following(own.url, "default") as router:
            shutil.rmtree(folder)
            client.bgsave()
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 10)
            ran = graysplit_cli(own.url, "default", "rollback", "checkout")
            assert (ran.code, "GRAYSPLIT_OFF" in ran.err) == (5, True), ran
            assert "cannot save to its disk" in ran.err, ran
            assert share(router) == 50
            client.config_set("save", "")  # there is nothing to save any more
            assert graysplit_cli(own.url, "default", "rollback", "checkout").code == 0
            eventually(lambda: share(router) == 0)
