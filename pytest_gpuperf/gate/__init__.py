"""The verdict, and what leads to it: pure functions of figures, for whoever has figures of their own::

before = [Observed(f"before {n}", block_medians(times)) for n, times in enumerate(five_processes)]
now = [Observed("now", block_medians(times_now))]
print(judge(before, now, Policy(tolerance=0.02)).reason)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gpuperf.deferred import deferred

if TYPE_CHECKING:
    from pytest_gpuperf.gate.compaction import block_medians
    from pytest_gpuperf.gate.observations import Canaries, CaseEvidence, Observed, Policy
    from pytest_gpuperf.gate.side_by_side import (
        Launch,
        judge_paired,
        judge_paired_suite,
        needs_more_launches,
        usual_spreads,
    )
    from pytest_gpuperf.gate.verdicts import SUITE, find_suspects, judge, judge_suite
    from pytest_gpuperf.records.model import Verdict

__all__ = [
    "SUITE",
    "Canaries",
    "CaseEvidence",
    "Launch",
    "Observed",
    "Policy",
    "Verdict",
    "block_medians",
    "find_suspects",
    "judge",
    "judge_paired",
    "judge_paired_suite",
    "judge_suite",
    "needs_more_launches",
    "usual_spreads",
]

# A session that judges nothing needs none of it.
__getattr__ = deferred(
    __name__,
    {
        "Canaries": "pytest_gpuperf.gate.observations",
        "CaseEvidence": "pytest_gpuperf.gate.observations",
        "Launch": "pytest_gpuperf.gate.side_by_side",
        "Observed": "pytest_gpuperf.gate.observations",
        "Policy": "pytest_gpuperf.gate.observations",
        "SUITE": "pytest_gpuperf.gate.verdicts",
        "Verdict": "pytest_gpuperf.records.model",
        "block_medians": "pytest_gpuperf.gate.compaction",
        "judge": "pytest_gpuperf.gate.verdicts",
        "judge_paired": "pytest_gpuperf.gate.side_by_side",
        "judge_paired_suite": "pytest_gpuperf.gate.side_by_side",
        "judge_suite": "pytest_gpuperf.gate.verdicts",
        "needs_more_launches": "pytest_gpuperf.gate.side_by_side",
        "find_suspects": "pytest_gpuperf.gate.verdicts",
        "usual_spreads": "pytest_gpuperf.gate.side_by_side",
    },
)
