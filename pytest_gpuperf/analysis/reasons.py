"""Verdicts in words: one sentence that names the figures it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, expm1, log1p
from statistics import median

import numpy as np
from numpy.typing import NDArray

from pytest_gpuperf.analysis.arrays import Floats
from pytest_gpuperf.analysis.evidence import CaseEvidence, Policy
from pytest_gpuperf.results.records import SESSIONS_KEPT, Verdict, Word
from pytest_gpuperf.results.units import format_change

PUBLISHED = 0.25  # beyond it a published figure convicts
FRESH = 3  # candidate sessions after a confirmation
_MOST = 600.0  # log ratios beyond this are no longer told apart


@dataclass(frozen=True, slots=True)
class Judged:
    """One case's figures, as log ratios."""

    word: Word
    change: float
    raw: float  # before the canaries' correction
    half: float  # half width of the interval
    limit: float  # the smallest change that could have convicted
    needed: float  # the margin that these sessions could have acquitted with
    spread: float  # standard deviation between sessions
    baseline: int
    candidate: int
    gross: float | None  # with few baseline sessions: only beyond this
    further: int  # baseline sessions that would let the margin be seen; 0: no number would
    explained: bool
    policy: Policy


def ratio_of(log: float) -> float:
    """A log ratio as a ratio, finite whatever was measured."""
    return exp(min(max(log, -_MOST), _MOST))


def verdict(judged: Judged) -> Verdict:
    return Verdict(
        word=judged.word,
        ratio=ratio_of(judged.change),
        low=ratio_of(judged.change - judged.half),
        high=ratio_of(judged.change + judged.half),
        reason=_reason(judged),
        detectable=expm1(min(max(judged.limit, log1p(judged.gross or 0.0)), _MOST)),
    )


def _reason(j: Judged) -> str:
    change, counts = format_change(ratio_of(j.change)), _counts(j.baseline, j.candidate)
    machine = f" once the machine's own change is taken off ({format_change(ratio_of(j.raw))} as measured)"
    shown = machine if j.explained and abs(j.change - j.raw) > 0.005 else ""
    if j.word == "regressed":
        over = (
            f"{j.gross:.0%}, which is what {counts} can show"
            if j.gross
            else f"the {expm1(j.limit):.1%} {counts} can show"
        )
        return f"{change}{shown} is more than {over}, and every session is slower than the baseline's slowest"
    if j.word == "improved":
        return f"{change}{shown} is beyond the {expm1(j.limit):.1%} that {counts} can show"
    if j.word == "unchanged":
        return (
            f"{change}{shown}, and with 95% confidence below {j.policy.unchanged_below:.3g}".replace(
                f"{j.policy.unchanged_below:.3g}", f"{j.policy.unchanged_below:.1%}"
            )
            + f" ({counts})"
        )
    return _undecided(j, change + shown)


def _undecided(j: Judged, change: str) -> str:
    margin = f"{j.policy.unchanged_below * 100:.3g}%"
    if j.gross:
        more = 5 - j.baseline
        return (
            f"{change}, but a baseline of {j.baseline} cannot tell a change below {j.gross:.0%} from one session's "
            f"luck; {_more(more)} would let less be seen"
        )
    differ = f"{change}; this runner's sessions differ by {expm1(min(j.spread, _MOST)):.1%} (baseline of {j.baseline})"
    if j.candidate < FRESH and j.change > 0:
        few = f"{j.candidate} session{'s' * (j.candidate > 1)} cannot tell"
        return f"{differ}, and {few}: measure it again in fresh processes (`--gpuperf-confirm process`)"
    if j.further:
        return f"{differ}; {_more(j.further)} would let {margin} be seen"
    return (
        f"{differ}; no number of sessions would let {margin} be seen: lock the clocks, compare the two revisions "
        f"side by side on one machine, or let less be seen: @pytest.mark.gpuperf(margin='{ceil(j.needed * 100)}%')"
    )


def _more(count: int) -> str:
    return f"{count} more (`gpuperf calibrate --sessions {count} --into BASELINE`)"


def _counts(baseline: int, candidate: int) -> str:
    return f"{candidate} session{'s' * (candidate != 1)} against {baseline}"


def further_sessions(k: int, variance: Floats, extra: Floats, strict: Floats, margin: Floats) -> NDArray[np.int64]:
    """How many more baseline sessions would let the margin be seen; 0 where none of those a baseline keeps would."""
    found = np.zeros(len(variance), dtype=np.int64)
    for more in range(SESSIONS_KEPT - k, 0, -1):
        error = np.sqrt(variance * (1 / (k + more) + 1 / FRESH) + extra)
        found[strict * error <= margin] = more
    return found


def published(case: CaseEvidence) -> Verdict:
    """A published figure has no variance: only a gross loss can be told."""
    before = median(m for s in case.baseline for m in s.medians)
    now = median(m for s in case.candidate for m in s.medians)
    ratio = now / before
    slower = ratio > 1 + PUBLISHED
    return Verdict(
        word="regressed" if slower else "reference",
        ratio=ratio,
        low=ratio,
        high=ratio,
        reason=f"{format_change(ratio)} beside a published figure, which has no variance: "
        + (f"more than {PUBLISHED:.0%} slower" if slower else f"only a loss beyond {PUBLISHED:.0%} would count"),
        detectable=PUBLISHED,
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


def suite(
    *, word: Word, change: float, half: float, limit: float, explained: bool, sessions: int, cases: int
) -> Verdict:
    """The whole suite's verdict."""
    beyond = "beyond what the canaries explain" if explained else "and no canary explains any of it"
    reason = f"the median of {cases} cases changed by {format_change(ratio_of(change))} {beyond}"
    if word == "inconclusive":
        reason += f"; {sessions} baseline sessions can show {expm1(min(limit, _MOST)):.1%}"
    return Verdict(
        word=word,
        ratio=ratio_of(change),
        low=ratio_of(change - half),
        high=ratio_of(change + half),
        reason=reason,
        detectable=expm1(min(limit, _MOST)),
    )
