"""What the sessions of a baseline can tell: the margin of each case, and why it is no smaller."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import ceil
from statistics import median

import msgspec

from pytest_gpuperf.comparison.match import epoch
from pytest_gpuperf.gate.observations import LEAST_MARGIN, CaseEvidence, Observed, Policy
from pytest_gpuperf.gate.unsteadiness import Unsteadiness, why_unsteady
from pytest_gpuperf.gate.verdicts import judge_suite
from pytest_gpuperf.records.model import Accepted, Baseline, Verdict

SESSIONS_TO_TELL = 3  # with fewer nothing is known of how much sessions differ
_WIDEST = 0.999  # of what a baseline can keep
_ROUNDED = 1e-6  # of a tenth of a percent: less is what a logarithm left behind


@dataclass(frozen=True)
class Resolution:
    """As fractions; None where there are too few sessions to say."""

    spread: float | None  # the slowest session over the fastest, less one
    margin: float | None  # the smallest slow-down that one more session can tell from none, and never below 3 %
    why: Unsteadiness | None = None  # it is no smaller, where it is more than 3 %


def resolutions(baseline: Baseline) -> dict[str, Resolution]:
    """By case: the margin that was kept when its sessions were accepted, or else the one that the gate computes.

    It has no cap here, above which the gate decides nothing. The newest session stands for the next one: a margin
    depends on how much sessions differ, and not on what they say.
    """
    measured = baseline.provenance == "measured"
    times = {s.id: epoch(s.time) for s in baseline.sessions} if measured else {}
    cards = {s.id: s.card for s in baseline.sessions}
    canaries = {s.id: s.canaries for s in baseline.sessions}
    observed = {
        c.id: [Observed(s.session, s.medians, times[s.session], cards[s.session]) for s in c.series]
        for c in baseline.cases
        if measured and len(c.series) >= SESSIONS_TO_TELL
    }
    cases = {name: CaseEvidence(baseline=sessions, candidate=sessions[-1:]) for name, sessions in observed.items()}
    verdicts = judge_suite(cases, canaries, Policy(margin_cap=_WIDEST))
    found: dict[str, Resolution] = {}
    for case in baseline.cases:
        margin, why = case.margin, None
        if case.id in observed:
            margin = _margin_of(verdicts[case.id]) if margin is None else margin
            why = why_unsteady(observed[case.id], canaries, margin) if margin > LEAST_MARGIN else None
        found[case.id] = Resolution(_spread(case), margin, why)
    return found


def _margin_of(verdict: Verdict) -> float:
    """Rounded up to a tenth of a percent, so that no smaller one is promised than the sessions allow."""
    return min(ceil((verdict.margin or 0.0) * 1000 - _ROUNDED) / 1000, _WIDEST)


def with_margins(baseline: Baseline, changed: Collection[str]) -> Baseline:
    """The baseline with what the sessions of the cases that changed can tell."""
    by_case = resolutions(baseline) if changed else {}
    cases = (msgspec.structs.replace(c, margin=by_case[c.id].margin) if c.id in changed else c for c in baseline.cases)
    return msgspec.structs.replace(baseline, cases=tuple(cases))


def worst_first(
    by_case: Mapping[str, Resolution], beyond: float = LEAST_MARGIN
) -> list[tuple[str, float, Unsteadiness]]:
    """The cases with a margin wider than `beyond`, the widest first: their names, their margins, and why."""
    wide = [(name, r.margin, r.why) for name, r in by_case.items() if r.margin is not None and r.why is not None]
    return sorted((case for case in wide if case[1] > beyond), key=lambda case: (-case[1], case[0]))


def _spread(case: Accepted) -> float | None:
    middles = [median(s.medians) for s in case.series]
    return max(middles) / min(middles) - 1 if len(middles) > 1 else None
