"""The gate's own figures on a corpus of cases with known truth, beside the rules that other tools use."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuperf.analysis.compaction import block_medians
from pytest_gpuperf.analysis.evidence import CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.gate import judge_suite, suspects

POLICY = Policy(comparisons=8)


def stored(baseline_sessions: Sequence[Sequence[float]], candidate_sessions: Sequence[Sequence[float]]) -> str:
    """The stored gate on one case: the candidate's first session is judged, the others serve the confirmation."""
    baseline = [Observed(f"b{i}", block_medians(s)) for i, s in enumerate(baseline_sessions)]
    candidate = [Observed(f"c{i}", block_medians(s)) for i, s in enumerate(candidate_sessions)]
    first = {"case": CaseEvidence(baseline, candidate[:1])}
    if suspects(first, None, POLICY):
        first = {"case": CaseEvidence(baseline, candidate)}
    return judge_suite(first, None, POLICY)["case"].word
