"""The report as a page: it stands by itself, what people have stored is escaped, and it needs no colour."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from graysplit.cli.guard.charts import charts
from graysplit.cli.guard.page import page
from graysplit.cli.guard.report_lines import release_lines, report_lines
from graysplit.control.guard.report import SplitReport
from graysplit.core.entry import Entry
from graysplit.core.guard.evaluation import Judge
from graysplit.core.guard.report import Subject, release_of
from graysplit.core.guard.settings import Guard
from graysplit.core.guard.tally import MICRO, Batch, Begun, Converted, Exposed, Pair, Sample, Stage, StageTally, Tally
from graysplit.core.guard.verdict import Verdict
from graysplit.stores.memory import MemoryStore
from graysplit.words.report import duration, extra_words
from graysplit.words.report_values import release_json, report_json
from tests.cli.test_commands import Cli, cli, name, store
from tests.cli.test_freeze import folded

__all__ = ["cli", "name", "store"]  # fixtures

BEGAN_S = 1_800_000_000
EVIL = "</title><script>alert(1)</script>\x1b]52;c\x07\u202e\" onload='x' &amp; <b>"
VOID = {"meta", "br"}


def sample(at_s: int, stage: int, ln_evidence: float, calls: Pair, failures: Pair) -> Sample:
    """Return how things stood at a moment."""
    p95 = Pair(40_000_000, 50_000_000)
    return Sample(BEGAN_S + at_s, stage, "unclear", 20_000, ln_evidence, 6.75, calls, failures, p95)


def reported(*, now_s: int = 700, why: str = EVIL, changes: int = 3, stages: int = 2) -> SplitReport:
    """Return a release of two stages and some changes, with a text that nobody should trust wherever one may stand."""
    subject = Subject(
        "checkout",
        "new",
        "old",
        "r",
        BEGAN_S * 1000,
        (BEGAN_S + now_s) * 1000,
        0,
        100_000,
        ("checkout/new", why),
        Guard(),
    )
    counted = tuple(
        StageTally(
            number,
            Stage(20_000, 80_000),
            BEGAN_S + 300 * (number - 1),
            calls=Pair(8_000, 2_000),
            failures=Pair(80, 30),
            units=Pair(80, 20),
            exposed=Pair(8_000, 2_000),
            ratio=Pair(7_700, 2_300) if number == 2 else Pair(8_000, 2_000),
            durations=({80: 400}, {}),
            goals={"purchase": Converted(Pair(800, 260), Pair(800 * MICRO, 260 * MICRO))} if number == 1 else {},
        )
        for number in range(1, stages + 1)
    )
    course = (
        sample(100, 1, -30.0, Pair(2_000, 500), Pair(20, 5)),
        sample(200, 1, -1.0, Pair(4_000, 1_000), Pair(40, 10)),
        sample(400, 2, 9.0, Pair(4_000, 1_000), Pair(40, 90)),
    )
    tally = Tally(subject.field, "r", stages=counted, course=course)
    judge = Judge("n", (BEGAN_S + 600) * 1000, Verdict("worse", why), 2, 20_000)
    history = [
        Entry(f"c{at}", at + 1, "checkout", "set", why, why, (BEGAN_S + at) * 1000, {}, {"weights checkout/new": "20"})
        for at in range(changes)
    ]
    return SplitReport("checkout", "default", subject.now_ms, (release_of(subject, tally, judge, history),), {})


class Balance(HTMLParser):
    """Reads a page: whether all that opens is closed in order, what it has, and what it fetches."""

    def __init__(self, text: str) -> None:
        """Read it whole."""
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.titles: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open one."""
        self.tags.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]
        if tag == "svg":
            assert dict(attrs)["aria-label"]
            self.titles.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Have one that closes itself."""
        self.tags.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Close the last one that was opened, and no other."""
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what pictures are called."""
        if self.open[-2:] == ["svg", "title"]:
            self.titles[-1] = data


def test_evidence_that_was_dropped_is_said_in_a_report_where_there_is_any() -> None:
    """How much, why, and what the verdict rests on."""
    whole = reported().releases[0]
    missing = whole._replace(dropped=1_234)
    assert not any("dropped" in line for line in release_lines(whole))
    assert any(line.startswith("1,234 pieces of evidence were dropped (") for line in release_lines(missing))
    assert [release_json(one)["evidence_dropped"] for one in (whole, missing)] == [0, 1_234]


def test_the_page_is_well_formed_and_stands_by_itself() -> None:
    """Nothing is fetched, nothing runs, and each picture has a title."""
    text = page(reported())
    read = Balance(text)
    assert read.tags.count("svg") == 4
    assert all(read.titles)
    assert not {"script", "link", "img", "iframe", "object", "image", "use", "b"} & set(read.tags)
    assert not [key for key, _ in read.attributes if key.startswith("on") or key in {"src", "href", "xlink:href"}]
    outside = set(re.findall(r"https?://[^\"' <]*", text))
    assert outside == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text


def test_what_people_have_stored_is_escaped() -> None:
    """Causes, actors, reasons, stops and verdicts are text, and move no cursor."""
    text = page(reported())
    assert "alert(1)" in text
    assert "<script" not in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    said = "\n".join(report_lines(reported()))
    assert "worse" in said


def test_the_pictures_are_read_without_colour() -> None:
    """One line is dashed, both carry their names, and each is told in words."""
    (release,) = reported(why="x").releases
    evidence, weight, rates, times = charts(release, release.changes)
    assert "<title>Evidence against new: it has reached its limit</title>" in evidence
    assert ">limit</text>" in evidence
    assert "<title>Weight of new: 0% now</title>" in weight
    assert "<title>Failed calls: latest new 9%, old 1%</title>" in rates
    assert "latest new 50 ms, old 40 ms" in times
    assert ">new</text>" in rates
    assert ">old</text>" in rates
    assert ".old{stroke:var(--old);stroke-dasharray:6 4}" in page(reported())


def test_every_change_is_a_line_with_a_label() -> None:
    """Its revision, as in the list below, and its verb; where they crowd, a line still has its title."""
    (release,) = reported(why="lunch").releases
    for svg in charts(release, release.changes):
        assert svg.count('class="change"') == 3
        assert [f">{number} set</text>" in svg for number in (1, 2, 3)] == [True] * 3
        assert "<title>2: set by lunch: lunch</title>" in svg
    (crowded,) = reported(changes=60).releases
    for svg in charts(crowded, crowded.changes):
        assert svg.count('class="change"') == 60
    listed = page(reported(changes=250))
    assert ">250 set checkout" in listed
    assert ">50 set checkout" not in listed
    Balance(listed)


def test_the_evidence_stays_inside_its_picture() -> None:
    """However strongly it speaks for the new version, or against it."""
    (release,) = reported().releases
    far = release.course[-1]._replace(ln_evidence=150.0)
    release = release._replace(course=(*release.course, far))
    assert ">10^12</text>" in next(charts(release, []))
    for svg in charts(release, []):
        for points in re.findall(r' d="([^"]+)"', svg):
            for x, y in re.findall(r"([\d.-]+) ([\d.-]+)", points):
                assert 0 <= float(x) <= 760
                assert 56 <= float(y) <= 206


def test_a_release_of_one_moment_is_drawn() -> None:
    """Without a course and without a past."""
    found = reported(now_s=0, stages=1, changes=0)
    (release,) = found.releases
    empty = release._replace(course=(), paces=())
    Balance(page(found._replace(releases=(empty,))))
    assert "Evidence against new: none yet" in page(found._replace(releases=(empty,)))
    assert page(found._replace(releases=(empty,))).count(">nothing yet<") == 3  # all but the weight
    one = release._replace(course=release.course[:1])
    assert 'class="new dot"' in next(charts(one, []))


def test_bounds_of_a_stage_with_a_ratio_that_is_off_are_marked() -> None:
    """In words, beside them."""
    said = report_lines(reported(why="x"))
    fits, off = (line for line in said if "sample ratio" in line and "INVALID" not in line)
    assert fits.endswith("2,000 of 10,000 users on new, 2,000 expected: fits")
    assert off.endswith("2,300 of 10,000 users on new, 2,000 expected: OFF")
    assert sum("INVALID" in line for line in said) == 1


def test_the_numbers_of_a_report() -> None:
    """As people and as scripts get them."""
    said = "\n".join(report_lines(reported(why="18 users failed")))
    assert "verdict: worse: 18 users failed (judged 1 min ago)" in said
    assert "failed calls so far: about 20 more than expected at old's rate" in said
    assert "users with a failed call: new 20 of 2,000 (1.00%); old 80 of 8,000 (1.00%)" in said
    assert "new minus old: -0.71 to +0.95 points" in said
    assert "goal purchase: new 260 of 2,000 (13.00%); old 800 of 8,000 (10.00%)" in said
    assert "in total (counts only): new 4,000 calls, 60 failed; old 16,000 calls, 160 failed" in said
    found = report_json(reported(why="x"))
    assert isinstance(found["releases"], list)
    (release,) = found["releases"]
    stage = release["stages"][0]
    assert stage["failing_users"]["alone"]["difference"] == pytest.approx([-0.007085, 0.009532], abs=5e-7)
    assert (stage["new"]["rate"], stage["goals"]["purchase"]["converted"]) == (0.015, {"old": 800, "new": 260})
    assert [one["invalid"] for one in release["stages"]] == [None, "sample ratio mismatch"]
    assert (release["verdict"]["word"], release["extra_failures"]) == ("worse", 20.0)


@pytest.mark.parametrize(
    ("ns", "said"), [(0, "-"), (900, "900 ns"), (1_500, "1.5 us"), (16_777_216, "17 ms"), (2_500_000_000, "2.5 s")]
)
def test_durations_have_two_digits(ns: int, said: str) -> None:
    """Buckets are no finer."""
    assert duration(ns) == said


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (19.6, "about 20 more than expected at old's"),
        (-3.2, "about 3 fewer than expected at old's"),
        (0.4, "as many as expected at old's"),
        (None, ""),
    ],
)
def test_extra_failures_are_said_as_an_estimate(extra: float | None, said: str) -> None:
    """In whole calls; nothing where nobody can say."""
    (release,) = reported().releases
    found = extra_words(release._replace(extra=extra))
    assert said in found
    assert bool(said) == bool(found)


def counted(store: MemoryStore) -> None:
    """Tell of a few calls at 20 %."""
    release, _, ms = store.load().meta.fields[b"release:checkout/new"].decode().partition(" ")
    second = store.load().now_ms // 1000
    calls = Begun(second, True, 20), Begun(second, False, 80)
    seen = Exposed(1, True), Exposed(2, False)
    batch = Batch("checkout/new", release, int(ms) // 1000, "t", 1, Stage(20_000, 80_000, 1), calls, exposed=seen)
    assert store.follow().flush(batch).applied


def test_a_report_in_text_json_and_as_a_page(
    cli: Cli, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0, with what was drawn named on stderr."""
    monkeypatch.chdir(tmp_path)  # a long path would be printed in one piece, beyond the 80 columns
    cli("create", "checkout")
    cli("guard", "checkout")
    cli("set", "checkout", "20", "--why", "<b>first</b>")
    counted(store)
    file = Path("report.html")
    ran = cli("report", "checkout", "--html", str(file))
    assert (ran.code, "drawn: " in ran.err) == (0, True)
    assert "checkout/new compared with old" in ran.out
    Balance(file.read_text("utf-8"))
    assert "&lt;b&gt;first&lt;/b&gt;" in file.read_text("utf-8")
    found = cli("report", "checkout/new", "--json").json
    assert found["releases"][0]["verdict"] == {
        "word": "unclear",
        "why": "not evaluated yet",
        "note": None,
        "judged_ms": None,
    }
    assert found["releases"][0]["stages"][0]["new"]["calls"] == 20


def test_where_nothing_is_counted_the_exit_code_says_not_yet(cli: Cli, tmp_path: Path) -> None:
    """With the next command; no page is written."""
    cli("create", "checkout")
    cli("set", "checkout", "20")
    file = tmp_path / "report.html"
    ran = cli("report", "checkout", "--html", str(file))
    assert (ran.code, file.exists()) == (6, False)
    assert "Arm one with: graysplit guard checkout" in folded(ran.out)
    assert cli("report", "checkout", "--json").json["releases"] == []


def test_a_page_that_cannot_be_written_is_wrong_usage(cli: Cli, store: MemoryStore, tmp_path: Path) -> None:
    """And an unknown split is 3, an unknown version 2."""
    cli("create", "checkout")
    cli("guard", "checkout")
    cli("set", "checkout", "20")
    counted(store)
    ran = cli("report", "checkout", "--html", str(tmp_path / "no" / "where.html"))
    assert (ran.code, "where.html" in ran.err) == (2, True)
    assert cli("report", "chekout").code == 3
    assert cli("report", "checkout/nwe").code == 2
