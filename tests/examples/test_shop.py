"""The demo on real parts, in a hurry, and the arithmetic by which it judges itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from examples.shop.picture import bar, picture, signs_of
from examples.shop.proof import Share, Step, Turn, claims, moved_back, share_of
from examples.shop.traffic import Visit
from tests.support import eventually

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "shop" / "demo.py"

STEP = Step(50, 0.0, 10.0)
TURN = Turn(9.5, 10.0)
FAIR = [Visit(f"user-{n}", "new" if n < 50 else "old", 1.0 + n / 100, f"worker-{n % 2}") for n in range(100)]
AFTER = [Visit(f"user-{n}", "old", 10.1 + n / 100, "worker-0") for n in range(100)]


def broken(visits: list[Visit], failures: tuple[str, ...] = ()) -> list[str]:
    """Return the claims that do not hold."""
    found = claims(visits, failures, [STEP], TURN, workers=2)
    return [claim.text for claim in found if not claim.holds]


def test_a_fair_run_is_proved() -> None:
    """With the asked share on new, nobody back and nobody late, all claims hold."""
    assert broken(FAIR + AFTER) == []


@pytest.mark.parametrize(
    ("visits", "failures", "said"),
    [
        ([visit._replace(version="old") for visit in FAIR] + AFTER, (), "asked 50 %, got 0.0 %"),
        ([*FAIR, Visit("user-1", "old", 5.0, "worker-0"), *AFTER], (), "nobody moved back while raising: 1 of the 50"),
        ([*FAIR, Visit("user-99", "new", 5.0, "worker-0"), *AFTER], (), "the same path within a step"),
        (FAIR + AFTER, ("ReadError: ",), "1 of 201 requests failed: ReadError"),
        ([*FAIR, Visit("user-1", "new", 12.0, "worker-0"), *AFTER], (), "2000 ms after the rollback's write"),
        (FAIR, (), "nobody came after the rollback"),
        ([visit._replace(worker="worker-0") for visit in FAIR] + AFTER, (), "1 of 2 workers"),
    ],
    ids=["share", "back", "torn", "failed", "late", "empty", "idle"],
)
def test_a_broken_promise_is_seen(visits: list[Visit], failures: tuple[str, ...], said: str) -> None:
    """Each claim fails when what it says is not so."""
    assert said in " ".join(broken(visits, failures))


def test_a_step_counts_only_its_own_visits() -> None:
    """Who enters before a step began or after it ended is not its share."""
    outside = [Visit("user-1", "new", -0.1, "w"), Visit("user-2", "new", 10.0, "w")]
    assert share_of(STEP, [*outside, Visit("user-3", "old", 0.0, "w")]) == Share(50, 1, 0, 0)


def test_nobody_is_moved_back_by_the_order_of_answers() -> None:
    """What counts is when a path was entered, not when the answer came."""
    assert moved_back([Visit("user-1", "new", 2.0, "w"), Visit("user-1", "old", 1.0, "w")], until=9.0) == set()


def test_bars_show_shares() -> None:
    """A bar is as long as its share; a small share still shows, and zero shows nothing."""
    assert [bar(percent, ("#", "."), 10) for percent in (0, 0.1, 50, 100)] == [
        "..........",
        "#.........",
        "#####.....",
        "##########",
    ]


def test_the_picture_fits_a_page() -> None:
    """No line is longer than 80 columns, also with many users."""
    lines = list(picture([Share(100, 99_999, 99_999, 0), Share(0, 99_999, 0, 0)], ("#", ".")))
    assert max(map(len, lines)) <= 80


def test_signs_are_what_the_stream_can_print(tmp_path: Path) -> None:
    """A stream that knows ASCII alone gets ASCII."""
    for encoding, signs in (("ascii", ("#", ".")), ("utf-8", ("\u2588", "\u2591"))):
        with (tmp_path / encoding).open("w", encoding=encoding) as stream:
            assert signs_of(stream) == signs


def test_the_demo_proves_what_it_says() -> None:
    """The whole demo, shortened: exit code 0, every claim true, within the page, in plain ASCII where asked."""
    done = subprocess.run(
        [sys.executable, str(DEMO), "--quick"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "\r" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.count("$ graysplit set pricing") == 3
    assert re.search(r"^  actual +[\d.]+ % #+\.+ \d+/300$", done.stdout, re.MULTILINE)
    proved = done.stdout.partition("true of this run")[2]
    assert len(re.findall(r"^  ok  ", proved, re.MULTILINE)) == 10
    assert "\n  NO  " not in proved
    assert re.search(r"last\s+request\s+entered\s+the\s+new\s+path\s+\d+\s+ms\s+(before|after)", proved)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(ending: signal.Signals) -> None:
    """Ctrl-C in the middle ends the shop, its workers, the console and the server, with exit code 130."""
    with _demo("--quick") as demo:
        said = _said_until(demo, "users")
        with httpx.Client(follow_redirects=True) as client:
            page = client.get(_link(said))
            assert (page.status_code, "read-only" in page.text) == (200, True)
        demo.send_signal(ending)
        _, faults = demo.communicate(timeout=30)
    assert (demo.returncode, "interrupted" in faults) == (130, True), said + faults
    _nothing_is_left(said)


def test_a_kept_demo_is_looked_at_and_changed_until_ctrl_c() -> None:
    """The console shows its plan, one press takes all users back, and Ctrl-C ends all that was started."""
    with _demo("--quick", "--keep") as demo:
        said = _said_until(demo, "Ctrl-C ends all")
        with httpx.Client(follow_redirects=True) as client:
            client.get(_link(said)).raise_for_status()
            page = urljoin(_link(said), "/splits/pricing")
            assert "Approve the step to 20%" in client.get(page).text
            pressed = client.post(f"{page}/rollback", headers={"sec-fetch-site": "same-origin"})
            assert pressed.status_code == 200, pressed.text
        _said_until(demo, " 0/300 users on new, 0 requests failed")
        demo.send_signal(signal.SIGINT)
        _, faults = demo.communicate(timeout=30)
    assert (demo.returncode, "all parts are stopped" in faults) == (0, True), said + faults
    _nothing_is_left(said)


@contextmanager
def _demo(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start the demo; a test that fails ends it too."""
    with subprocess.Popen(
        [sys.executable, "-m", "examples.shop.demo", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            yield demo
        finally:
            demo.terminate()


def _said_until(demo: subprocess.Popen[str], last: str) -> str:
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if last in line:
            return said
    raise AssertionError(f"there was no {last} in: {said}")


def _link(said: str) -> str:
    found = re.search(r"^  console (\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def _nothing_is_left(said: str) -> None:
    """Wait until none of the process groups that a demo has named lives."""
    started = [int(pid) for pid in re.findall(r"process (\d+)", said)]
    assert len(started) == 3
    eventually(lambda: not any(_lives(pid) for pid in started), within=10.0)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
