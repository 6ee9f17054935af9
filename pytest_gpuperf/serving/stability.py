"""When a load has said enough: three windows in a row that agree. What never does is inconclusive, not loosened."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuperf.results.load import Window

IN_A_ROW = 3
AGREEMENT = 1.10  # the largest over the smallest of them, in rate and in latency: perf_analyzer's rule and figures
TRIALS = 10  # windows after which it is given up


def stable(windows: Sequence[Window]) -> bool:
    """Whether the last three windows agree."""
    last = windows[-IN_A_ROW:]
    return len(last) == IN_A_ROW and _agree([w.rate for w in last]) and _agree([w.latency for w in last])


def _agree(figures: Sequence[float]) -> bool:
    return max(figures) <= AGREEMENT * min(figures)
