"""The verdict, and what leads to it: pure functions of figures, for whoever has figures of their own::

before = [Observed(f"before {n}", block_medians(times)) for n, times in enumerate(five_processes)]
now = [Observed("now", block_medians(times_now))]
print(judge(before, now, Policy(tolerance=0.02)).reason)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

_LAZY = {
    "pytest_gpuperf.analysis.compaction": ("block_medians",),
    "pytest_gpuperf.analysis.evidence": ("Canaries", "CaseEvidence", "Observed", "Policy"),
    "pytest_gpuperf.analysis.gate": ("SUITE", "judge", "judge_suite", "suspects"),
    "pytest_gpuperf.analysis.paired": (
        "Launch",
        "judge_paired",
        "judge_paired_suite",
        "needs_more_launches",
        "usual_spreads",
    ),
    "pytest_gpuperf.results.records": ("Verdict",),
}


def __getattr__(name: str) -> object:
    """Imported when it is asked for: a session that judges nothing needs none of it."""
    from importlib import import_module  # noqa: PLC0415 - most processes never need it

    for module, names in _LAZY.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
