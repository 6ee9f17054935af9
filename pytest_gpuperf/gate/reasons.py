"""Verdicts in words: one sentence that names the figures it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, expm1
from statistics import median

import numpy as np

from pytest_gpuperf.gate.arrays import Floats, Indices
from pytest_gpuperf.gate.observations import CaseEvidence, Policy
from pytest_gpuperf.records.model import SESSIONS_KEPT, Verdict, Word
from pytest_gpuperf.records.units import cost_in_words, in_words

INTO = "--into BASELINE"  # in a reason's command, until somebody knows the file
PUBLISHED = 0.25  # beyond it a published figure convicts
FRESH = 3  # candidate sessions after a confirmation
_MOST = 600.0  # log ratios beyond this are all the same


@dataclass(frozen=True, slots=True)
class CaseFigures:
    """One case's figures, as log ratios."""

    word: Word
    centre: float  # of the baseline's sessions
    change: float
    half: float  # half width of the interval that is shown
    limit: float  # the smallest change that could have convicted
    margin: float  # a smaller change is none
    spread: float  # standard deviation between sessions
    baseline: int
    candidate: int
    gross: float | None  # with few baseline sessions: only beyond this
    further: int  # more baseline sessions that could tell the margin; 0: no number could
    policy: Policy


@dataclass(frozen=True, slots=True)
class Whole:
    """The suite as a whole, likewise."""

    word: Word
    change: float
    half: float
    limit: float
    sessions: int


def ratio_of(log: float) -> float:
    """A log ratio as a ratio, finite whatever was measured."""
    return exp(min(max(log, -_MOST), _MOST))


def verdict(measured: CaseFigures, corrected: CaseFigures | None = None) -> Verdict:
    """What both ways to look at a case say; its figures are those that were measured."""
    j = measured
    word = j.word if corrected is None or corrected.word == j.word else "inconclusive"
    limit = max(j.limit, np.log1p(j.gross or 0.0), corrected.limit if corrected else 0.0)
    return Verdict(
        word=word,
        ratio=ratio_of(j.change),
        low=ratio_of(j.change - j.half),
        high=ratio_of(j.change + j.half),
        reason=_reason(word, j, corrected),
        before=ratio_of(j.centre),
        margin=expm1(j.margin),
        detectable=expm1(min(limit, _MOST)),
    )


def _reason(word: Word, j: CaseFigures, corrected: CaseFigures | None) -> str:
    shown = f"{in_words(ratio_of(j.change))} in {_sessions(j.candidate)}, beside {j.baseline} of the baseline"
    if corrected is not None:
        without = in_words(ratio_of(corrected.change))
        shown += f", and {without} without what the canaries (fixed work) show of the machine"
        if word == "inconclusive" and j.word != corrected.word:
            return f"{shown}: {j.word} as measured, {corrected.word} without it, and only both together decide"
    if word in {"regressed", "improved"}:
        return f"{shown}; they can tell {f'{j.gross:.0%}' if j.gross else f'{expm1(min(j.limit, _MOST)):.1%}'}"
    if word == "unchanged":
        return f"{shown}; with 95% confidence less than {expm1(j.margin):.1%} slower"
    return _undecided(j, shown)


def _undecided(j: CaseFigures, shown: str) -> str:
    if j.gross:
        return (
            f"{shown}, and {_sessions(j.baseline)} cannot tell a change below {j.gross:.0%} from luck; "
            f"{_more(5 - j.baseline)} would show smaller changes"
        )
    margin = f"{expm1(j.margin) * 100:.3g}%"
    differ = f"{shown}; sessions differ by {expm1(min(j.spread, _MOST)):.1%} here"
    if j.change + j.half < j.margin:
        return f"{differ}: it looks faster, and that is not proven, so it is neither improved nor unchanged"
    if j.further:
        return f"{differ}; {_more(j.further)} would show a change of {margin}"
    needed = min(ceil(expm1(min(j.change + j.half, 10.0)) * 100), 99)
    return (
        f"{differ}; more sessions would not show a change of {margin}: lock the clocks and keep other work off the "
        f"machine, or give the test a wider margin: @pytest.mark.gpuperf(margin='{needed}%')"
    )


def _more(count: int) -> str:
    return f"{count} more (`gpuperf calibrate --sessions {count} {INTO}`)"


def _sessions(count: int) -> str:
    return f"{count} session{'s' * (count != 1)}"


def further_sessions(k: int, variance: Floats, extra: Floats, strict: Floats, margin: Floats) -> Indices:
    """How many more baseline sessions could tell the margin; 0 where not even as many as a baseline keeps could."""
    found = np.zeros(len(variance), dtype=np.int64)
    for more in range(SESSIONS_KEPT - k, 0, -1):
        error = np.sqrt(variance * (1 / (k + more) + 1 / FRESH) + extra)
        found[strict * error <= margin] = more
    return found


def published(case: CaseEvidence) -> Verdict:
    """A published figure has no variance: only a gross loss counts, and only of time.

    What a publication counted as memory, or as energy, is not known well enough to fail anybody.
    """
    before = median(m for s in case.baseline for m in s.medians)
    now = median(m for s in case.candidate for m in s.medians)
    ratio = now / before
    slower = case.kind == "time" and ratio > 1 + PUBLISHED
    if case.kind != "time":
        why = "which is shown and not judged"
    elif slower:
        why = f"which has no variance: more than {PUBLISHED:.0%} slower"
    else:
        why = f"which has no variance: only a loss beyond {PUBLISHED:.0%} would count"
    return Verdict(
        word="regressed" if slower else "reference",
        ratio=ratio,
        low=ratio,
        high=ratio,
        before=before,
        reason=f"{cost_in_words(case.kind, ratio, beside='a published figure')}, {why}",
        detectable=PUBLISHED if case.kind == "time" else None,
    )


def unusable(why: str) -> Verdict:
    """Nothing to compare."""
    return Verdict(
        word="inconclusive",
        ratio=1.0,
        low=0.0,
        high=ratio_of(_MOST),
        reason=why,
        detectable=None,
    )


def suite(measured: Whole, corrected: Whole | None, *, cases: int) -> Verdict:
    """The whole suite's verdict: it too must hold with and without what canaries explain."""
    w = measured
    word = w.word if corrected is None or corrected.word == w.word else "inconclusive"
    shown = f"the middle of {cases} cases is {in_words(ratio_of(w.change))}"
    if corrected is not None:
        shown += f", and {in_words(ratio_of(corrected.change))} without what the canaries show of the machine"
    elif word != "unchanged":
        shown += ", and no canary explains any of it"
    if word == "inconclusive":
        shown += f"; {w.sessions} baseline sessions can tell {expm1(min(w.limit, _MOST)):.1%}"
    return Verdict(
        word=word,
        ratio=ratio_of(w.change),
        low=ratio_of(w.change - w.half),
        high=ratio_of(w.change + w.half),
        reason=shown,
        detectable=expm1(min(w.limit, _MOST)),
    )
