"""A fork, told: which changes are lost, from what to what."""

from __future__ import annotations

from graysplit.core.entry import Entry
from graysplit.core.replica.adopted import Adopted
from graysplit.core.replica.fork import NO_ANCESTOR, Fork, fork_of, is_told, tells_of
from graysplit.core.replica.lineage import Past, followed, named_by
from graysplit.core.replica.record import Key, Load
from tests.core.adopting import GOOD, adopt
from tests.core.adopting import load as reading

SHARED = Entry("shared", 10, "checkout", "set", "", "", 1_000, {}, {"weights checkout/new": "20"})
GONE = Entry("gone", 11, "checkout", "set", "", "", 2_000, {}, {"weights checkout/new": "50"})
META = {b"_": b"1", b"lineage": b"l"}


def at(load: Load, revision: int, *entries: Entry, lineage: bytes = b"l") -> Load:
    """Return a reading that stands at a revision, with the log's newest entries."""
    meta = Key({**META, b"lineage": lineage, b"revision": b"%d" % revision})
    return load._replace(meta=meta, entries=entries, position="1-0", now_ms=2_500)


def knowing(load: Load) -> tuple[Past, Adopted]:
    """Return what a process knows that has followed both changes."""
    load = at(load, 11, SHARED, GONE)
    return followed(Past(), load), adopt(Adopted(), load)


def met(followed_: Load, found: Load) -> Fork:
    """Return the fork that a process meets."""
    past, held = knowing(followed_)
    fork = fork_of(past, found, held)
    assert fork is not None
    return fork


def test_it_names_what_is_lost_from_what_to_what() -> None:
    """A raise, a stop, a split; a weight of zero that is absent now is none."""
    stood = reading({"checkout/new": "50", "search/b": "0"}, {"ranking": "by hand"}, {"checkout": GOOD})
    fork = met(stood, at(reading({"checkout/new": "20"}, {"banner": "x"}), 10, SHARED))
    assert (fork.ancestor, fork.changes, fork.highest) == ("shared", 1, 11)
    assert fork.lost == {
        "lost checkout/new": ("50", "20"),
        "loststop ranking": ("by hand", None),
        "loststop banner": (None, "x"),
        "lostsplit checkout": ("followed", None),
    }
    assert fork.split == "*"
    assert fork.line == (
        "the store has lost 1 change that had been followed (after revision 10, up to 11), and is at revision 10; "
        "changed by the fork: checkout/new 50% -> 20%, the definition checkout is gone, "
        "the stop banner is there, the stop ranking is gone"
    )


def test_what_was_written_since_is_not_what_the_fork_did() -> None:
    """Where a newer entry names a field, the fork left what that entry found; its own change is told by itself."""
    since = Entry("since", 11, "search", "set", "", "", 2_200, {"weights search/b": "5"}, {"weights search/b": "70"})
    more = since._replace(id="more", before={"weights search/b": "70"}, after={"weights search/b": "90"})
    found = at(reading({"checkout/new": "20", "search/b": "90"}), 12, SHARED, since, more)
    assert met(reading({"checkout/new": "50", "search/b": "5"}), found).lost == {"lost checkout/new": ("50", "20")}
    assert met(reading({"checkout/new": "20", "search/b": "9"}), found).lost == {"lost search/b": ("9", "5")}
    raised = since._replace(before={"weights checkout/new": "20"}, after={"weights checkout/new": "60"})
    again = at(reading({"checkout/new": "60"}), 11, SHARED, raised)
    assert met(reading({"checkout/new": "50"}), again).lost == {"lost checkout/new": ("50", "20")}


def test_nothing_need_differ() -> None:
    """Changes are lost all the same, and said to be."""
    fork = met(reading({"checkout/new": "20"}), at(reading({"checkout/new": "20"}), 10, SHARED))
    assert fork.lost == {}
    assert fork.line.endswith("; no weight, stop or definition changed")


def test_a_store_sown_anew_shares_nothing() -> None:
    """All that was followed is lost; where only the log's older entries are gone, nothing is."""
    stood = reading({"checkout/new": "50"})
    fork = met(stood, at(reading(), 1, lineage=b"other"))
    assert (fork.ancestor, fork.lost) == (NO_ANCESTOR, {"lost checkout/new": ("50", None)})
    assert "another history: it has lost 2 changes that had been followed, up to revision 11" in fork.line
    past, held = knowing(stood)
    assert fork_of(past, at(stood, 400, GONE._replace(id="later", revision=400)), held) is None


def test_many_fields_are_counted() -> None:
    """The line names twenty, the entry a thousand; both say how many more there are."""
    stood = reading({f"s{n:04}/new": "50" for n in range(1_200)})
    fork = met(stood, at(reading(), 10, SHARED))
    assert fork.line.endswith("s0019/new 50% -> absent and 1180 more")
    assert (len(fork.entered()), fork.more) == (1_000, 200)


def test_what_is_told_of_a_fork_explains_no_raise() -> None:
    """Else the entry would take the fence away that the fork has put up (law 7)."""
    fork = met(reading({"checkout/new": "20"}), at(reading({"checkout/new": "50"}), 10, SHARED))
    entry = Entry("e", 12, "checkout", "fork", "", "", 3_000, {}, dict.fromkeys(fork.entered(), "50"))
    assert fork.entered() == {"lost checkout/new": ("20", "50")}
    assert not any(where.startswith(("weights ", "stops ", "splits ")) for where in named_by([entry]))


def test_a_fork_is_known_by_the_last_change_that_both_share() -> None:
    """One told by somebody who followed the same log is told; of another one, or one told before, it is not."""
    fork = met(reading(), at(reading({"checkout/new": "9"}), 10, SHARED))
    past, _ = knowing(reading())

    def told(mark: str, *others: Entry) -> bool:
        entry = Entry("e", 12, "checkout", "fork", "", "", 3_000, {}, {"meta fork": mark})
        return is_told(fork, past, at(reading(), 12, *others, SHARED, entry)) and tells_of(fork, [entry])

    assert told("e shared")
    assert not told("e other")
    assert not is_told(fork, past, at(reading(), 12, SHARED))
    older = Entry("o", 9, "checkout", "fork", "", "", 500, {}, {"meta fork": "o shared"})
    assert not is_told(fork, past, at(reading(), 12, older, SHARED))
