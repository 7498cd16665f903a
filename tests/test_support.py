"""`eventually` and the other helpers of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import eventually

_CHILD = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"


def test_gives_the_first_true_answer() -> None:
    """`eventually` asks until the answer is true, and gives that answer."""
    answers = iter([0, "", "done"])
    assert eventually(lambda: next(answers)) == "done"


def test_names_the_last_answer_when_time_is_over() -> None:
    """A condition that never holds fails with what was waited for and the last answer."""
    with pytest.raises(AssertionError, match=r"weights agree did not hold within 0 s .*its last answer was 0"):
        eventually(lambda: 0, within=0, message="weights agree")


def test_an_assertion_counts_as_not_yet() -> None:
    """A predicate of asserts is asked again; the last one is the cause."""

    def never() -> bool:
        raise AssertionError("20 is not 5")

    with pytest.raises(AssertionError, match="it raised 20 is not 5") as failure:
        eventually(never, within=0)
    assert isinstance(failure.value.__cause__, AssertionError)


def test_other_exceptions_pass_through() -> None:
    """A predicate that breaks is not asked again."""
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 // 0)


@pytest.mark.parametrize(("helped", "deaf"), [("", "True"), ("import tests.conftest; ", "False")])
def test_what_tests_start_hears_interrupts_in_the_background_too(helped: str, deaf: str) -> None:
    """A shell ignores SIGINT for what it starts in its background; whoever asks for no help passes that on."""
    started = f"{helped}import subprocess, sys; subprocess.run([sys.executable, '-c', {_CHILD!r}], check=True)"
    said = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", started],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.strip() == deaf
