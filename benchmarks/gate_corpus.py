"""The gate's own figures on a corpus of cases with known truth, beside the rules that other tools use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_gpuperf.analysis.compaction import block_medians
from pytest_gpuperf.analysis.evidence import CaseEvidence, Observed, Policy
from pytest_gpuperf.analysis.gate import judge_suite, suspects
from pytest_gpuperf.analysis.paired import Launch, judge_paired

POLICY = Policy(comparisons=8)
PAIRED_POLICY = Policy(comparisons=48)


def stored(baseline_sessions: Sequence[Sequence[float]], candidate_sessions: Sequence[Sequence[float]]) -> str:
    """The stored gate on one case: the candidate's first session is judged, the others serve the confirmation."""
    baseline = [Observed(f"b{i}", block_medians(s)) for i, s in enumerate(baseline_sessions)]
    candidate = [Observed(f"c{i}", block_medians(s)) for i, s in enumerate(candidate_sessions)]
    first = {"case": CaseEvidence(baseline, candidate[:1])}
    if suspects(first, None, POLICY):
        first = {"case": CaseEvidence(baseline, candidate)}
    return judge_suite(first, None, POLICY)["case"].word


def paired(blocks: Sequence[Mapping[str, Any]]) -> str:
    """The paired gate on one case's interleaved blocks."""
    launches: dict[int, Launch] = {}
    for block in blocks:
        launch = launches.setdefault(block["launch"], Launch([], []))
        launch.a.append(block["a"])
        launch.b.append(block["b"])
    return judge_paired(list(launches.values()), PAIRED_POLICY).word
