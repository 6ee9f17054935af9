"""A run with its verdicts: what every report is made from."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuperf.analysis.comparison import Comparison, Rules
from pytest_gpuperf.results.records import Run

GRAVEST_FIRST = (1, 6, 7)
PINNED_RULES = Rules(allow_missing=True, min_decided=0)  # a reference need not know every case


@dataclass(frozen=True)
class Judged:
    """One run, judged against its baseline, and against a pinned reference where one was given."""

    run: Run
    comparison: Comparison
    reference: Comparison | None = None

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Against the baseline, then against the reference."""
        return (self.comparison, self.reference) if self.reference else (self.comparison,)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it fails, a sentence each; empty where it does not."""
        since = self.reference
        crept = [f"Against the reference {since.baseline}: {p}" for p in since.problems] if since else []
        return (*self.comparison.problems, *crept)

    @property
    def exit_code(self) -> int:
        """The graver of the two comparisons'."""
        codes = {c.exit_code for c in self.comparisons}
        return next((code for code in GRAVEST_FIRST if code in codes), 0)
