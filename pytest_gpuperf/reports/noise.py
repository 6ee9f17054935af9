"""How much the accepted sessions of a case differ, and what change they let the gate see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from pytest_gpuperf.analysis.evidence import CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.gate import judge_suite
from pytest_gpuperf.analysis.matching import epoch
from pytest_gpuperf.results.records import Accepted, Baseline


@dataclass(frozen=True)
class Noise:
    """As fractions; None where there are too few sessions to say."""

    spread: float | None  # the slowest session over the fastest, less one
    detectable: float | None  # the smallest slow-down the gate could have told from noise


def noise(baseline: Baseline) -> Mapping[str, Noise]:
    """By case. The gate itself says what it can see: it judges the newest accepted session against the others."""
    times = {s.id: epoch(s.time) for s in baseline.sessions}
    cards = {s.id: s.card for s in baseline.sessions}

    def evidence(case: Accepted) -> CaseEvidence:
        observed = [Observed(s.session, s.medians, times[s.session], cards[s.session]) for s in case.series]
        return CaseEvidence(baseline=observed[:-1], candidate=observed[-1:])

    several = {c.id: evidence(c) for c in baseline.cases if len(c.series) > 1}
    canaries = {s.id: s.canaries for s in baseline.sessions}
    verdicts = judge_suite(several, canaries, Policy()) if several else {}
    return {
        c.id: Noise(spread=_spread(c), detectable=verdicts[c.id].detectable if c.id in several else None)
        for c in baseline.cases
    }


def _spread(case: Accepted) -> float | None:
    middles = [median(s.medians) for s in case.series]
    return max(middles) / min(middles) - 1 if len(middles) > 1 else None
