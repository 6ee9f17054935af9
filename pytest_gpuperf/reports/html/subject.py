"""What a page is about: a run, and what is known beside it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.analysis.findings import Comparison
from pytest_gpuperf.reports.judged import Judged
from pytest_gpuperf.results.records import Baseline, Run


@dataclass(frozen=True)
class Subject:
    """A run, judged where there was a baseline; the baseline's sessions are drawn beside the run's."""

    run: Run
    judged: Judged | None = None
    baseline: Baseline | None = None

    @property
    def comparison(self) -> Comparison | None:
        """Against the baseline."""
        return self.judged and self.judged.comparison
