"""What holds for heartbeats, and for how far hooks have been told."""

# ruff: noqa: S101 - asserts are the point
from __future__ import annotations

from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import EDITORS, QUIET_S, report_of, seed, together


class FleetContract(ReadingContract):
    """What holds for the processes that follow, and for hooks."""

    def test_a_feed_gives_the_fleet_too(self) -> None:
        """Over its own connection, the same as the store."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=True)
        assert feed.fleet().processes == store.fleet().processes
        assert [process.boot for process in feed.fleet().live] == ["boot-1"]
        feed.close()

    def test_a_namespace_with_live_processes_is_found(self) -> None:
        """It is among those that are followed while a process lives, and not after its goodbye."""
        store = self.make()
        feed = store.follow()
        before = {(namespace.database, namespace.namespace) for namespace in store.followed() or ()}
        feed.report(report_of("boot-1", weight="20"), about=True)
        during = {(namespace.database, namespace.namespace): namespace.live for namespace in store.followed() or ()}
        (own,) = during.keys() - before
        assert during[own] == 1
        feed.leave("boot-1")
        assert own not in {(namespace.database, namespace.namespace) for namespace in store.followed() or ()}
        feed.close()

    def test_a_process_is_seen_with_what_it_says(self) -> None:
        """A heartbeat shows a process, what it declares and what it does now."""
        store = self.make()
        feed = store.follow()
        report = report_of("boot-1", weight="20")
        at_ms = feed.report(report, about=True)
        (process,) = store.fleet().processes
        assert (process.boot, process.host, process.pid, process.library) == ("boot-1", "web-7", 812, "1.0")
        assert process.declared == report.declared
        assert process.receipt == report.receipt
        assert process.seen_ms == at_ms
        assert process in store.fleet().live
        feed.close()

    def test_a_later_heartbeat_replaces_the_receipt(self) -> None:
        """The newest receipt counts; what hardly changes need not be said again."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=True)
        feed.report(report_of("boot-1", weight="0"), about=False)
        (process,) = store.fleet().processes
        assert process.receipt.effects["checkout/new"].weight == "0"
        assert process.host == "web-7"
        feed.close()

    def test_a_process_that_was_forgotten_comes_back_whole(self) -> None:
        """A heartbeat without the rest is completed where the store has lost that."""
        store = self.make()
        feed = store.follow()
        feed.report(report_of("boot-1", weight="20"), about=False)
        (process,) = store.fleet().processes
        assert process.host == "web-7"
        feed.close()

    def test_a_goodbye_leaves_the_count(self) -> None:
        """A process that says goodbye is not silent, it is gone; saying it twice does no harm."""
        store = self.make()
        feed = store.follow()
        for boot in ("boot-1", "boot-2"):
            feed.report(report_of(boot, weight="20"), about=True)
        for _ in range(2):
            feed.leave("boot-1")
        assert [process.boot for process in store.fleet().processes] == ["boot-2"]
        feed.close()

    def test_a_process_is_forgotten_by_hand(self) -> None:
        """An operator takes it out of the count; whoever lives is back with its next heartbeat."""
        store = self.make()
        feed = store.follow()
        for boot in ("boot-1", "boot-2"):
            feed.report(report_of(boot, weight="20"), about=True)
        for _ in range(2):
            self.make().forget("boot-1")
        assert [process.boot for process in store.fleet().processes] == ["boot-2"]
        feed.report(report_of("boot-1", weight="20"), about=False)
        assert [process.host for process in store.fleet().processes] == ["web-7", "web-7"]
        feed.close()

    def test_a_heartbeat_tells_how_many_there_are(self) -> None:
        """Who follows knows the size of its fleet, and comes back to a restarted server the slower for it."""
        store = self.make()
        feed = store.follow()
        for count, boot in enumerate(("boot-1", "boot-2", "boot-3"), 1):
            feed.report(report_of(boot, weight="20"), about=True)
            assert feed.counted == count
        feed.close()

    def test_a_process_tells_what_it_holds_when_it_is_asked(self) -> None:
        """A heartbeat brings the last request; equal contents come back for each process, and none of another."""
        store = self.make()
        one, two = store.follow(), store.follow()
        one.report(report_of("boot-1", weight="20"), about=True)
        assert one.asked == ""
        store.ask_contents("first")
        store.ask_contents("request")
        for feed, boot in ((one, "boot-1"), (two, "boot-2")):
            feed.report(report_of(boot, weight="20"), about=True)
            assert feed.asked == "request"
        one.tell_content("boot-1", "first", b"late")
        assert store.contents("request") == {}
        one.tell_content("boot-1", "request", b"\x00 held")
        two.tell_content("boot-2", "request", b"\x00 held")
        assert store.contents("request") == {"boot-1": b"\x00 held", "boot-2": b"\x00 held"}
        assert store.contents("another") == {}
        for feed in (one, two):
            feed.close()

    # --- hooks ---

    def test_how_far_a_hook_was_told_is_written_as_it_was_read(self) -> None:
        """A record is compared and written: absent, then as the last writer left it; others' stay as they are."""
        store = self.make()
        assert store.save_cursor("page", None, "one")
        assert not store.save_cursor("page", None, "two")
        assert not store.save_cursor("page", "other", "two")
        assert store.save_cursor("chät", None, "ü")
        assert store.save_cursor("page", "one", "two")
        assert dict(self.make().read_cursors().texts) == {"page": "two", "chät": "ü"}

    def test_racing_tellers_take_one_turn(self) -> None:
        """Of many who write over the same record at once, one is told that it did."""
        self.make().save_cursor("page", None, "free")
        stores = [self.make() for _ in range(EDITORS)]
        won: list[int] = []

        def take(number: int) -> None:
            if stores[number].save_cursor("page", "free", f"teller {number}"):
                won.append(number)

        together(EDITORS, take)
        assert len(won) == 1
        assert self.make().read_cursors().texts["page"] == f"teller {won[0]}"

    def test_telling_wakes_nobody(self) -> None:
        """No follower is signalled, and the history stays as it is."""
        store = self.make()
        seed(store)
        feed = store.follow()
        feed.load("", whole=True)
        store.save_cursor("page", None, "one")
        woken = feed.wait(QUIET_S)
        feed.close()
        assert not woken
        assert len(store.history()) == 1

    def test_a_heartbeat_wakes_nobody(self) -> None:
        """Receipts signal nobody: n processes would cost n^2 wake-ups."""
        store = self.make()
        seed(store)
        one_feed, other = store.follow(), self.make().follow()
        one_feed.load("", whole=True)
        other.report(report_of("boot-2", weight="20"), about=True)
        assert not one_feed.wait(QUIET_S)
        one_feed.close()
        other.close()
