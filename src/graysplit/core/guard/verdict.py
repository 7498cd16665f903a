"""What is known of a candidate, in one word, with the reason and, where one was counted, the evidence."""

from __future__ import annotations

from math import exp, log
from typing import Final, Literal, NamedTuple, TypeAlias

What: TypeAlias = Literal["errors", "slow", "cut", "doubt"]

# From here on a number says more as a power of ten; far above, no float could hold it.
_POWERS_FROM: Final = 1e9


class Proof(NamedTuple):
    """The counts of one window at one mark, and how far the evidence is from its limit."""

    what: What
    length_s: int  # of the stopwatch
    window: int  # its number, from 1
    on_new: int  # units
    on_old: int
    running: int  # of those on old: calls that have not ended and may yet fail, or ended with their process
    expected: float  # on new, were both versions equally good
    ln_evidence: float
    ln_limit: float
    convicts: bool

    @property
    def excess(self) -> float:
        """Return by how much the evidence lies above its limit, as a logarithm."""
        return self.ln_evidence - self.ln_limit


class Verdict(NamedTuple):
    """What is known of a candidate: `safe`, `unclear`, `suspect`, `worse` or `no control`, and why."""

    word: str = "unclear"
    why: str = ""
    proof: Proof | None = None  # of `worse`, and of `suspect` where a guard must not roll back
    note: str = ""  # a doubt that stops nothing: failures of few users, too often false for more


NO_VERDICT: Final = Verdict("unclear", "no guard watches it")

_MET: Final[dict[What, str]] = {
    "errors": "users failed",
    "slow": "users met slow calls",
    "cut": "users had calls cut short",
    "doubt": "failures, one per user and 10 s,",
}


def told(proof: Proof, candidate: str = "new", baseline: str = "old") -> str:
    """Return the counts and the evidence for people."""
    still = f" ({proof.running:,} unanswered)" if proof.running else ""
    counted = f"{proof.on_new:,} {_MET[proof.what]} on {candidate}, {proof.on_old:,}{still} on {baseline}"
    shown = f"evidence {_number(proof.ln_evidence)} of {_number(proof.ln_limit)}"
    return f"{counted}, {_few(proof.expected)} expected on {candidate}; {shown}"


def _few(expected: float) -> str:
    return f"{expected:,.1f}".removesuffix(".0") if expected < 10 else f"{expected:,.0f}"  # noqa: PLR2004 - two digits


def _number(ln: float) -> str:
    return f"{exp(ln):,.0f}" if ln < log(_POWERS_FROM) else f"10^{ln / log(10):.0f}"
