"""What holds for revisions: no number ever means two things, whatever a store has lost."""

# ruff: noqa: S101, PLR2004 - asserts are the point
from __future__ import annotations

from graysplit.core.replica.fork import Fork
from graysplit.core.replica.record import SENTINEL
from graysplit.errors import ConflictError
from graysplit.follower.submissions import fork_entry
from graysplit.stores.port import Rollback, Store, Trip
from graysplit.stores.text.records import exact, new_id
from graysplit.testing.contract.reads import ReadingContract
from graysplit.testing.contract.words import one, put, raised, report_of, seed, submission_of


def followed(store: Store, highest: int) -> None:
    """Let a process tell of the highest revision that it has followed."""
    feed = store.follow()
    feed.report(report_of("boot-1", weight="0")._replace(highest=highest), about=True)
    feed.close()


class NumbersContract(ReadingContract):
    """What holds for the revisions of every store that takes writes."""

    def test_whoever_writes_first_counts_on_above_what_was_followed(self) -> None:
        """After a failover every kind of write is above the highest revision that a process has told of."""
        store = self.make()
        seed(store)
        followed(store, 40)
        assert put(store, "checkout/new", "20").revision == 41
        followed(store, 30)
        assert put(store, "checkout/new", "30").revision == 42, "a lower one says nothing"
        followed(store, 50)
        assert store.roll_back(Rollback(new_id(), "checkout", "tester", "")).revision == 51
        followed(store, 60)
        feed = store.follow()
        self.raw("weights", "checkout/new", "5")
        self.raw("stops", "search", "by hand")
        assert feed.record_raw_edits("outside") == 2
        assert [entry.revision for entry in store.history()] == [62, 61, 51, 42, 41, 1]
        seed(store, "search")
        self.raw("stops", "search", None)
        feed.record_raw_edits("outside")
        begun = submission_of(store, "search", *one("weights", "search/new", "0", "5"))
        store.submit(begun._replace(begins=("search/new",)))
        followed(store, 70)
        assert feed.trip(Trip(new_id(), "search/new", begun.id, "errors"))
        feed.record_raw_edits("outside")  # where the stop alone could be added
        assert store.history()[0].revision == 71
        assert store.load().meta.fields[b"revision"] == b"71"
        feed.close()

    def test_a_store_sown_anew_begins_above_what_was_followed(self) -> None:
        """Where processes tell of it before somebody sows."""
        store = self.make()
        followed(store, 12)
        assert seed(store).revision == 13
        assert store.load().meta.fields[b"revision"] == b"13"

    def test_no_number_of_the_log_comes_again(self) -> None:
        """With the number lost or set back by a hand, the log's last one is counted on from."""
        store = self.make()
        seed(store)
        for weight in ("5", "10"):
            put(store, "checkout/new", weight)
        self.raw("meta", "revision", "1")
        assert put(store, "checkout/new", "20").revision == 4
        self.raw("meta", "revision", None)
        assert store.roll_back(Rollback(new_id(), "checkout", "tester", "")).revision == 5

    def test_a_number_that_is_written_is_counted_on_from(self) -> None:
        """`recover` writes it; entry, answer and store agree."""
        store = self.make()
        seed(store)
        written = store.submit(submission_of(store, "*", *one("meta", "revision", "1", "90"), cause="recover"))
        assert written.revision == store.history()[0].revision == 91
        assert store.load().meta.fields[b"revision"] == b"91"

    def test_a_number_beyond_counting_is_nobodys(self) -> None:
        """Only a hand can have written it: it does not make the store uncountable."""
        store = self.make()
        seed(store)
        followed(store, 10**14)
        assert put(store, "checkout/new", "20").revision == 2

    def test_a_fork_is_entered_once(self) -> None:
        """Above all that were followed, by split and for all; it writes no weight, and who comes second conflicts."""
        store = self.make()
        seed(store, weight="20")
        seed(store, "search")
        lost = {"lost checkout/new": ("50", "20"), "loststop checkout": ("by hand", None)}
        lineage = exact(store.load().meta.fields[b"lineage"])
        fork = Fork("shared", 3, 12, 9, 9, lost, None, 12, lineage)
        entry = fork_entry(fork)
        before = store.load()
        written = store.submit(entry)
        assert written.revision == 13
        again = store.submit(entry)
        assert (again.id, again.revision) == (written.id, 13)
        newest = store.history("checkout")[0]
        assert (newest.id, newest.split, newest.cause, newest.actor) == (entry.id, "checkout", "fork", "graysplit")
        assert newest.before == {"meta fork": None, "lost checkout/new": "50", "loststop checkout": "by hand"}
        mark = f"{entry.id} shared"
        assert newest.after == {"meta fork": mark, "lost checkout/new": "20", "loststop checkout": None}
        after = store.load()
        assert (after.weights, after.stops, after.splits) == (before.weights, before.stops, before.splits)
        raised(ConflictError, lambda: store.submit(fork_entry(fork)))
        wide = fork._replace(lost={**lost, "lost search/new": ("5", None)}, mark=mark, ancestor="other")
        second = store.submit(fork_entry(wide))
        assert store.history("search")[0].id == store.history("checkout")[0].id == second.id
        assert store.history("search")[0].split == "*"

    def test_a_fork_begins_no_store_anew(self) -> None:
        """Emptied since the fork was met, a store stays empty: an outage is not made whole (law 8)."""
        store = self.make()
        raised(ConflictError, lambda: store.submit(fork_entry(Fork("shared", 1, 2, 1, 1, {}, None, 2, "lineage"))))
        load = store.load()
        assert all(key.lost == "missing" for key in (load.weights, load.stops, load.splits, load.meta))

    def test_a_mended_store_goes_on_counting(self) -> None:
        """With `meta` lost a write that makes it whole does not begin at 1."""
        store = self.make()
        seed(store)
        put(store, "checkout/new", "5")
        self.drop("meta")
        mend = submission_of(store, "checkout", *one("weights", "checkout/new", "5", "10"))
        assert store.submit(mend._replace(mends=("meta",))).revision == 3
        assert {exact(SENTINEL), "revision"} <= {exact(field) for field in store.load().meta.fields}
