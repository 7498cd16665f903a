"""What a store holds may be anybody's: names and texts leave graysplit escaped, on one line, and cut."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import Final

import pytest
from redis import Redis

import graysplit
from graysplit import embedded
from graysplit.core.limits import LINE_AT_MOST
from graysplit.errors import StoreUnreachableError
from graysplit.notices.payload import notice_of
from graysplit.stores import store_from_url
from tests.faults.command_line import graysplit_cli
from tests.faults.hostile import EVILS, spoil
from tests.faults.shares import following, share
from tests.support import eventually

RECEIPT_AT_MOST: Final = 64 << 10
SCREEN_AT_MOST: Final = 100_000
SCREENS: Final = ("history", "doctor", "rollback checkout")
JSON_SCREENS: Final = ("list",)


def written(control: graysplit.Control, weight: int) -> bool:
    """Set a weight; on a busy machine so much text may keep the server from answering in time."""
    with suppress(StoreUnreachableError):
        return bool(control.set("checkout", weight))
    return False


def test_hostile_names_move_no_cursor_and_forge_no_line(
    server: embedded.Server, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Log records, receipts, what hooks are told, each screen, and `--json`; and all goes on working."""
    with (
        Redis.from_url(server.url, socket_timeout=60) as redis,
        graysplit.Control(server.url, namespace=namespace) as control,
        caplog.at_level(logging.DEBUG, "graysplit"),
    ):
        control.create("checkout")
        control.set("checkout", 20)
        with following(server.url, namespace) as router:
            eventually(lambda: share(router) == 20)
            spoil(redis, namespace)
            eventually(lambda: len(router.status().refused) > len(EVILS), 20)
            eventually(lambda: written(control, 40), 30)
            eventually(lambda: share(router) == 40, 20)

            boot = router.status().boot
            receipts = f"graysplit:{{{namespace}}}:fleet:receipts"
            words = b"invalid weight"
            receipt = eventually(lambda: words in (found := redis.hget(receipts, boot) or b"") and found, 10)
            assert len(receipt) < RECEIPT_AT_MOST
            assert receipt.decode().isprintable()
            json.loads(receipt)

            status = router.status()
            for told in (status.refused, status.held, status.lost):
                for where, words in told.items():
                    assert (where + words).isprintable(), where
                    assert len(where + words) < LINE_AT_MOST

            store = store_from_url(server.url, namespace)
            for entry in store.history(count=20):
                body = notice_of(entry, namespace).body
                assert body.isascii()
                assert len(body) < RECEIPT_AT_MOST
                assert str(json.loads(body)["text"]).isprintable()
            store.close()

            for words in SCREENS:
                ran = graysplit_cli(server.url, namespace, *words.split())
                printed = ran.out + ran.err
                assert "Traceback" not in printed, (words, printed[-3000:])
                assert all(line.isprintable() for line in printed.split("\n")), words
                assert not any(line.startswith("ERROR graysplit") for line in printed.split("\n")), words
                assert len(printed) < SCREEN_AT_MOST, (words, len(printed))
            for word in JSON_SCREENS:
                ran = graysplit_cli(server.url, namespace, word, "--json")
                assert ran.out.isascii()
                assert ran.out.rstrip("\n").isprintable(), word
                assert ran.json["schema_version"] == 1
                assert len(ran.out) < 4 * SCREEN_AT_MOST, (word, len(ran.out))
            assert share(router) == 0
    lines = [record.getMessage() for record in caplog.records if record.name == "graysplit"]
    assert lines
    for line in lines:
        assert line.isprintable()
        assert len(line) <= LINE_AT_MOST + len(" (999 more like this since)")
