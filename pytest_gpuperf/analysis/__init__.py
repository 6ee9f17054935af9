"""The verdict, and what leads to it: pure functions of figures, for whoever has figures of their own::

before = [Observed(f"before {n}", block_medians(times)) for n, times in enumerate(five_processes)]
now = [Observed("now", block_medians(times_now))]
print(judge(before, now, Policy(tolerance=0.02)).reason)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gpuperf.deferred import deferred

if TYPE_CHECKING:
    from pytest_gpuperf.analysis.compaction import block_medians
    from pytest_gpuperf.analysis.evidence import Canaries, CaseEvidence, Observed, Policy
    from pytest_gpuperf.analysis.gate import SUITE, judge, judge_suite, suspects
    from pytest_gpuperf.analysis.paired import (
        Launch,
        judge_paired,
        judge_paired_suite,
        needs_more_launches,
        usual_spreads,
    )
    from pytest_gpuperf.results.records import Verdict

__all__ = [
    "SUITE",
    "Canaries",
    "CaseEvidence",
    "Launch",
    "Observed",
    "Policy",
    "Verdict",
    "block_medians",
    "judge",
    "judge_paired",
    "judge_paired_suite",
    "judge_suite",
    "needs_more_launches",
    "suspects",
    "usual_spreads",
]

# A session that judges nothing needs none of it.
__getattr__ = deferred(
    __name__,
    {
        "Canaries": "pytest_gpuperf.analysis.evidence",
        "CaseEvidence": "pytest_gpuperf.analysis.evidence",
        "Launch": "pytest_gpuperf.analysis.paired",
        "Observed": "pytest_gpuperf.analysis.evidence",
        "Policy": "pytest_gpuperf.analysis.evidence",
        "SUITE": "pytest_gpuperf.analysis.gate",
        "Verdict": "pytest_gpuperf.results.records",
        "block_medians": "pytest_gpuperf.analysis.compaction",
        "judge": "pytest_gpuperf.analysis.gate",
        "judge_paired": "pytest_gpuperf.analysis.paired",
        "judge_paired_suite": "pytest_gpuperf.analysis.paired",
        "judge_suite": "pytest_gpuperf.analysis.gate",
        "needs_more_launches": "pytest_gpuperf.analysis.paired",
        "suspects": "pytest_gpuperf.analysis.gate",
        "usual_spreads": "pytest_gpuperf.analysis.paired",
    },
)
